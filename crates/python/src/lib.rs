//! The engine of the Python package `loclin`, as the module `loclin._native`.
//!
//! Everything that people see is Python (`python/loclin`): it checks and shapes arguments, and gives what is found here names
//! and shapes. Here are the questions themselves, asked on a thread of their own ([`worker`]) so that Python goes on, an
//! interrupt stops them, and no panic leaves it.

mod arguments;
mod ball;
mod certify;
mod errors;
mod local;
mod network;
mod path;
mod plane;
mod program;
mod report;
mod worker;

use pyo3::prelude::*;

/// The engine of the package `loclin`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    errors::register(module)?;
    module.add_class::<network::Network>()?;
    module.add_function(wrap_pyfunction!(program::main, module)?)?;
    module.add_function(wrap_pyfunction!(report::report, module)?)?;
    module.add_function(wrap_pyfunction!(certify::certify, module)?)?;
    module.add_function(wrap_pyfunction!(local::forward, module)?)?;
    module.add_function(wrap_pyfunction!(local::gradients, module)?)?;
    module.add_function(wrap_pyfunction!(local::jacobians, module)?)?;
    module.add_function(wrap_pyfunction!(local::polyhedron, module)?)?;
    module.add_function(wrap_pyfunction!(local::directional, module)?)?;
    module.add_function(wrap_pyfunction!(local::roll, module)?)?;
    module.add_function(wrap_pyfunction!(ball::bound, module)?)?;
    module.add_function(wrap_pyfunction!(ball::distortion, module)?)?;
    module.add_function(wrap_pyfunction!(path::integrated, module)?)?;
    module.add_function(wrap_pyfunction!(path::quadrature, module)?)?;
    module.add_function(wrap_pyfunction!(plane::plane, module)?)
}
