//! Integrated gradients, exact and by quadrature.

use crate::arguments::Array;
use crate::network::Network;
use crate::worker::{How, run};
use anyhow::ensure;
use candle_core::Tensor;
use loclin::models::Network as Graph;
use loclin::regions::Budget;
use loclin::regions::attribution::{
    Rule, integrated_gradients, integrated_gradients_by_quadrature,
};
use loclin::regions::segment::Walk;
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// An error unless there is a baseline and an output for each input.
fn check(x: &Tensor, baselines: &Tensor, target: &[u32]) -> anyhow::Result<()> {
    ensure!(
        x.dims() == baselines.dims(),
        "baselines: expected shape {:?}, found {:?}",
        x.dims(),
        baselines.dims()
    );
    let (inputs, outputs) = (x.dims()[0], target.len());
    ensure!(
        inputs == outputs,
        "target: {outputs} outputs for {inputs} inputs"
    );
    Ok(())
}

/// What `integrate` finds from each input's baseline to it, for its output.
fn each<T: Send + 'static>(
    py: Python<'_>,
    network: &Network,
    [x, baselines]: [Array<'_>; 2],
    target: Vec<u32>,
    how: How,
    integrate: impl Fn(&Graph, [&Tensor; 2], u32) -> anyhow::Result<T> + Send + 'static,
) -> PyResult<Vec<T>> {
    let (asked, x, baselines) = (network.asked(), x.tensor()?, baselines.tensor()?);
    run(py, how, move |job| {
        asked.check(&x)?;
        check(&x, &baselines, &target)?;
        let mut found = Vec::with_capacity(target.len());
        for (at, output) in target.iter().enumerate() {
            let ends = [baselines.get(at)?, x.get(at)?];
            found.push(integrate(asked.graph(), [&ends[0], &ends[1]], *output)?);
            job.advance(1)?;
        }
        Ok(found)
    })
}

/// Exact integrated gradients of an output of each input `[B, in...]`, relative to its baseline.
#[pyfunction]
pub(crate) fn integrated<'py>(
    py: Python<'py>,
    network: &Network,
    x: Array<'_>,
    baselines: Array<'_>,
    target: Vec<u32>,
    how: How,
) -> PyResult<Bound<'py, PyList>> {
    let exactly = |graph: &Graph, [from, to]: [&Tensor; 2], output| {
        Ok(integrated_gradients(
            graph,
            from,
            to,
            output,
            Walk::default(),
        )?)
    };
    let rows = each(py, network, [x, baselines], target, how, exactly)?;
    let list = PyList::empty(py);
    for found in rows {
        let row = PyDict::new(py);
        row.set_item("completeness_error", found.completeness_error())?;
        row.set_item("difference", found.difference)?;
        row.set_item("guarantee", found.guarantee.name())?;
        let ends = found.pieces.iter().map(|piece| piece.start);
        row.set_item("starts", PyArray1::from_iter(py, ends))?;
        row.set_item("errors", PyArray1::from_vec(py, found.errors))?;
        row.set_item("values", PyArray1::from_vec(py, found.values))?;
        list.append(row)?;
    }
    Ok(list)
}

/// Integrated gradients by the midpoint rule with `steps` gradients, `[B * D]`.
#[pyfunction]
pub(crate) fn quadrature<'py>(
    py: Python<'py>,
    network: &Network,
    x: Array<'_>,
    baselines: Array<'_>,
    target: Vec<u32>,
    steps: usize,
    how: How,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let rule = (steps, Rule::Midpoint);
    let summed = move |graph: &Graph, [from, to]: [&Tensor; 2], output| {
        let budget = Budget::default();
        Ok(integrated_gradients_by_quadrature(
            graph, from, to, output, rule, budget,
        )?)
    };
    let found = each(py, network, [x, baselines], target, how, summed)?;
    Ok(PyArray1::from_vec(py, found.concat()))
}
