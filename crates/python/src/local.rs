//! What the network is at each input: values, gradients, Jacobians, the polyhedron, steps along directions.

use crate::arguments::{Array, Ends, batches, domain};
use crate::certify::shifted;
use crate::network::{Asked, Network};
use crate::worker::{How, Job, run};
use anyhow::ensure;
use candle_core::{DType, Tensor};
use loclin::objectives::{self, Gamma, RollConfig};
use loclin::program::tensors::predictions;
use loclin::regions::Linearization;
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Numbers of every input, one after the other.
type Flat<'py> = Bound<'py, PyArray1<f64>>;

fn flat(tensor: &Tensor) -> anyhow::Result<Vec<f64>> {
    Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

/// Asks every batch of `x`, linearised, one after the other.
fn each(
    asked: &Asked,
    x: &Tensor,
    job: &Job,
    mut ask: impl FnMut(&Linearization, usize) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    asked.check(x)?;
    let linearizer = asked.linearizer()?;
    for (start, len) in batches(x.dims()[0], asked.at_once()) {
        let here = linearizer.at(&x.narrow(0, start, len)?);
        ask(&here.map_err(|error| shifted(error, start))?, start)?;
        job.advance(len)?;
    }
    Ok(())
}

/// The numbers of every batch of `x` by `of`, one after the other.
fn all<'py>(
    py: Python<'py>,
    network: &Network,
    x: &Array<'_>,
    how: How,
    of: impl Fn(&Linearization) -> anyhow::Result<Tensor> + Send + 'static,
) -> PyResult<Flat<'py>> {
    let (asked, x) = (network.asked(), x.tensor()?);
    let found = run(py, how, move |job| {
        let mut found = Vec::new();
        each(&asked, &x, job, |here, _| {
            found.extend(flat(&of(here)?)?);
            Ok(())
        })?;
        Ok(found)
    })?;
    Ok(PyArray1::from_vec(py, found))
}

/// The outputs, `[B * L]`.
#[pyfunction]
pub(crate) fn forward<'py>(
    py: Python<'py>,
    network: &Network,
    x: Array<'_>,
    how: How,
) -> PyResult<Flat<'py>> {
    all(py, network, &x, how, |here| {
        Ok(here.trace().output().clone())
    })
}

/// The gradients of one output of each input, `[B * D]`, and which outputs they are of: those given, or those predicted.
#[pyfunction]
pub(crate) fn gradients<'py>(
    py: Python<'py>,
    network: &Network,
    x: Array<'_>,
    outputs: Option<Vec<u32>>,
    how: How,
) -> PyResult<(Flat<'py>, Vec<u32>)> {
    let (asked, x) = (network.asked(), x.tensor()?);
    let (found, of) = run(py, how, move |job| {
        let (mut found, mut of) = (Vec::new(), Vec::new());
        let batch = x.dims().first().copied().unwrap_or(0);
        let given = outputs.as_ref().map_or(batch, Vec::len);
        ensure!(given == batch, "target: {given} outputs for {batch} inputs");
        each(&asked, &x, job, |here, start| {
            let own = match &outputs {
                Some(outputs) => outputs[start..start + here.batch()].to_vec(),
                None if asked.graph().output_size() == 1 => vec![0; here.batch()],
                None => predictions(here.trace().output())?,
            };
            found.extend(flat(&here.output_gradients(&own)?)?);
            of.extend(own);
            Ok(())
        })?;
        Ok((found, of))
    })?;
    Ok((PyArray1::from_vec(py, found), of))
}

/// The Jacobians of all outputs, `[B * L * D]`.
#[pyfunction]
pub(crate) fn jacobians<'py>(
    py: Python<'py>,
    network: &Network,
    x: Array<'_>,
    how: How,
) -> PyResult<Flat<'py>> {
    all(py, network, &x, how, |here| Ok(here.output_jacobians()?))
}

/// The half-spaces around one input `[1, in...]`: normals `[|I| * D]`, offsets, and bounds of the errors of both.
#[pyfunction]
pub(crate) fn polyhedron<'py>(
    py: Python<'py>,
    network: &Network,
    x: Array<'_>,
    how: How,
) -> PyResult<Bound<'py, PyDict>> {
    let (asked, x) = (network.asked(), x.tensor()?);
    let found = run(py, how, move |_| {
        asked.check(&x)?;
        Ok(asked.linearizer()?.at(&x)?.polyhedron(0)?)
    })?;
    let result = PyDict::new(py);
    let normals = found.normals.as_slice().to_vec();
    result.set_item("normals", PyArray1::from_vec(py, normals))?;
    result.set_item("offsets", PyArray1::from_vec(py, found.offsets))?;
    let errors = found.errors.iter();
    let normal = errors.clone().map(|error| error.normal);
    result.set_item("normal_errors", PyArray1::from_iter(py, normal))?;
    let offset = errors.map(|error| error.offset);
    result.set_item("offset_errors", PyArray1::from_iter(py, offset))?;
    Ok(result)
}

/// The margins along directions `[1 or B, K, in...]`: steps `[B * K]`, limiting node and neuron of each (-1 for none), and the
/// claim.
#[pyfunction]
pub(crate) fn directional<'py>(
    py: Python<'py>,
    network: &Network,
    x: Array<'_>,
    directions: Array<'_>,
    ends: Option<Ends>,
    how: How,
) -> PyResult<Bound<'py, PyDict>> {
    let (asked, x, directions) = (network.asked(), x.tensor()?, directions.tensor()?);
    let (steps, limiting, guarantee) = run(py, how, move |job| {
        let domain = domain(ends)?;
        let (mut steps, mut limiting, mut guarantee) = (Vec::new(), Vec::new(), None);
        each(&asked, &x, job, |here, start| {
            let own = match directions.dims().first() {
                Some(1) => directions.clone(),
                _ => directions.narrow(0, start, here.batch())?,
            };
            let mut here = here.clone();
            if let Some(domain) = &domain {
                here = here.within(domain.clone())?;
            }
            let found = here.directional_margins(&own)?;
            steps.extend(found.step);
            limiting.extend(found.limiting);
            guarantee = Some(guarantee.unwrap_or(found.guarantee).weaker(found.guarantee));
            Ok(())
        })?;
        Ok((steps, limiting, guarantee))
    })?;
    let result = PyDict::new(py);
    let index = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
    let node = limiting.iter().map(|at| at.map_or(-1, |at| index(at.node)));
    result.set_item("node", PyArray1::from_iter(py, node))?;
    let neuron = limiting
        .iter()
        .map(|at| at.map_or(-1, |at| index(at.index)));
    result.set_item("neuron", PyArray1::from_iter(py, neuron))?;
    result.set_item("step", PyArray1::from_vec(py, steps))?;
    result.set_item("guarantee", guarantee.map(|claim| claim.name()))?;
    Ok(result)
}

/// The ROLL loss of inputs (Eq. 9), a number: `gamma` percent of the neurons, or the one with the largest loss if it is not said.
#[pyfunction]
pub(crate) fn roll(
    py: Python<'_>,
    network: &Network,
    x: Array<'_>,
    c: f64,
    gamma: Option<f64>,
    how: How,
) -> PyResult<f64> {
    let (asked, x) = (network.asked(), x.tensor()?);
    run(py, how, move |job| {
        asked.check(&x)?;
        let gamma = gamma.map_or(Gamma::Max, Gamma::Percent);
        let network = asked.linearizer()?.network();
        let (batch, mut sum) = (x.dims()[0], 0.0);
        for (start, len) in batches(batch, asked.at_once()) {
            let trace = network.trace(&x.narrow(0, start, len)?)?;
            let loss = objectives::roll(&trace, RollConfig { c, gamma })?;
            sum += loss.to_dtype(DType::F64)?.to_scalar::<f64>()? * len as f64;
            job.advance(len)?;
        }
        Ok(sum / batch as f64)
    })
}
