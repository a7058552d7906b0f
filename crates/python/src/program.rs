//! The program `loclin`, in this process.

use loclin::program;
use pyo3::prelude::*;
use std::ffi::OsString;

/// Runs the program with its arguments, its name first, and returns its exit code.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| {
        // The package has set what it would set in the environment, where other threads may read.
        program::process::prepare("loclin");
        program::code(arguments)
    })
}
