//! A page about certified inputs.

use crate::errors::raise;
use loclin::program::files::write_atomic;
use loclin::report::{NetworkSummary, NormRadii, Report, render};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::path::PathBuf;

/// What a page shows of one network.
#[derive(FromPyObject)]
pub(crate) struct Shown {
    #[pyo3(item)]
    title: String,
    #[pyo3(item)]
    unit: String,
    #[pyo3(item)]
    inputs: String,
    #[pyo3(item)]
    name: String,
    #[pyo3(item)]
    accuracy: f64,
    #[pyo3(item)]
    regions: (usize, usize),
    #[pyo3(item)]
    guarantee: String,
    #[pyo3(item)]
    points: usize,
    /// The norms with the radii of all inputs.
    #[pyo3(item)]
    radii: Vec<(String, Vec<f64>)>,
    #[pyo3(item)]
    settings: Vec<(String, String)>,
}

/// Writes the page, whole or not at all.
#[pyfunction]
pub(crate) fn report(path: PathBuf, shown: Shown) -> PyResult<()> {
    let radii = shown.radii.into_iter().map(|(norm, values)| {
        let missing = PyValueError::new_err(format!("eps_{norm}: no radii"));
        NormRadii::of(norm, values).ok_or(missing)
    });
    let network = NetworkSummary {
        name: shown.name,
        settings: String::new(),
        accuracy: shown.accuracy,
        clr_lower: shown.regions.0,
        clr_upper: shown.regions.1,
        guarantee: shown.guarantee,
        points: shown.points,
        radii: radii.collect::<PyResult<_>>()?,
        training_seconds: f64::NAN,
    };
    let page = render(&Report {
        title: shown.title,
        inputs: shown.inputs,
        unit: shown.unit,
        settings: shown.settings,
        networks: vec![network],
        ..Report::default()
    });
    let page = page.map_err(|error| raise(&error.into()))?;
    write_atomic(&path, page.as_bytes()).map_err(|error| raise(&error.into()))
}
