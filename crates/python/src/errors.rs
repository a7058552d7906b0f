//! Rust's errors as Python's exceptions, with the same text.

use anyhow::Error;
use loclin::models::Error as OfModel;
use loclin::program::errors::{Usage, describe};
use loclin::regions::Error as OfRegion;
use pyo3::create_exception;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::io;

create_exception!(
    loclin,
    UnsupportedOperator,
    PyValueError,
    "A network has an operator that is not piecewise linear, or has no exact translation; the text names its node."
);
create_exception!(
    loclin,
    ModelError,
    PyValueError,
    "A file or its bytes are not a model that can be read."
);
create_exception!(
    loclin,
    ShapeError,
    PyValueError,
    "An array has not the shape that the network asks for; the text says both."
);
create_exception!(
    loclin,
    NotFiniteError,
    PyValueError,
    "A number is not finite, so that nothing can be certified; the text says which input."
);
create_exception!(
    loclin,
    InternalError,
    PyRuntimeError,
    "A defect of the library: what would have been a panic."
);

/// Adds the exceptions to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("UnsupportedOperator", py.get_type::<UnsupportedOperator>())?;
    module.add("ModelError", py.get_type::<ModelError>())?;
    module.add("ShapeError", py.get_type::<ShapeError>())?;
    module.add("NotFiniteError", py.get_type::<NotFiniteError>())?;
    module.add("InternalError", py.get_type::<InternalError>())
}

/// The text of an error, whose type does not say what it is about.
#[derive(Debug)]
pub(crate) enum Said {
    /// Of a file with an operator that has no translation.
    Untranslated(String),
    /// Of a file that is no model.
    NoModel(String),
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Untranslated(text) | Self::NoModel(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Said {}

/// The exception of an error: the first cause that has one of its own decides, and the text is that of all of them.
pub(crate) fn raise(error: &Error) -> PyErr {
    let text = describe(error);
    let text = text.strip_prefix("error: ").unwrap_or(&text).to_owned();
    error
        .chain()
        .find_map(|cause| of(cause, &text))
        .unwrap_or_else(|| PyValueError::new_err(text))
}

fn of(cause: &(dyn std::error::Error + 'static), text: &str) -> Option<PyErr> {
    let text = || text.to_owned();
    if let Some(said) = cause.downcast_ref::<Said>() {
        return Some(match said {
            Said::Untranslated(_) => UnsupportedOperator::new_err(text()),
            Said::NoModel(_) => ModelError::new_err(text()),
        });
    }
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return Some(match error.raw_os_error() {
            // Python chooses the subclass by the number: FileNotFoundError, PermissionError, ...
            Some(number) => PyOSError::new_err((number, text())),
            None if error.kind() == io::ErrorKind::NotFound => {
                pyo3::exceptions::PyFileNotFoundError::new_err(text())
            }
            None => PyOSError::new_err(text()),
        });
    }
    if cause.is::<Usage>() {
        return Some(PyValueError::new_err(text()));
    }
    if let Some(error) = cause.downcast_ref::<OfRegion>() {
        return match error {
            OfRegion::Model(error) => Some(of_model(error, text())),
            OfRegion::NotFinite { .. } => Some(NotFiniteError::new_err(text())),
            _ => None,
        };
    }
    let model = cause.downcast_ref::<OfModel>()?;
    Some(of_model(model, text()))
}

fn of_model(error: &OfModel, text: String) -> PyErr {
    match error {
        OfModel::UnsupportedOperator { .. } | OfModel::Translation { .. } => {
            UnsupportedOperator::new_err(text)
        }
        OfModel::InputShape { .. } | OfModel::TangentShape { .. } => ShapeError::new_err(text),
        OfModel::NotFinite { .. } => NotFiniteError::new_err(text),
        OfModel::Candle(_) => PyRuntimeError::new_err(text),
        _ => ModelError::new_err(text),
    }
}
