//! Integrated gradients, exact and by quadrature.

use crate::arguments::Array;
use crate::network::Network;
use crate::worker::{How, run};
use anyhow::ensure;
use candle_core::Tensor;
use loclin::regions::Budget;
use loclin::regions::attribution::{
    IntegratedGradients, Rule, integrated_gradients, integrated_gradients_by_quadrature,
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
    let (asked, x, baselines) = (network.asked(), x.tensor()?, baselines.tensor()?);
    let rows = run(py, how, move |job| {
        asked.check(&x)?;
        check(&x, &baselines, &target)?;
        let mut rows: Vec<IntegratedGradients> = Vec::new();
        for (at, output) in target.iter().enumerate() {
            let (from, to) = (baselines.get(at)?, x.get(at)?);
            let walk = Walk::default();
            let found = integrated_gradients(asked.graph(), &from, &to, *output, walk)?;
            rows.push(found);
            job.advance(1)?;
        }
        Ok(rows)
    })?;
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
    let (asked, x, baselines) = (network.asked(), x.tensor()?, baselines.tensor()?);
    let found = run(py, how, move |job| {
        asked.check(&x)?;
        check(&x, &baselines, &target)?;
        let mut found = Vec::new();
        for (at, output) in target.iter().enumerate() {
            let (from, to) = (baselines.get(at)?, x.get(at)?);
            found.extend(integrated_gradients_by_quadrature(
                asked.graph(),
                &from,
                &to,
                *output,
                (steps, Rule::Midpoint),
                Budget::default(),
            )?);
            job.advance(1)?;
        }
        Ok(found)
    })?;
    Ok(PyArray1::from_vec(py, found))
}
