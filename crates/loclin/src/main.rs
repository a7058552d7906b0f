//! The `loclin` program; everything happens in the library half of the package.

use std::process::ExitCode;

fn main() -> ExitCode {
    loclin::program::process::prepare("loclin");
    loclin::program::run(std::env::args_os())
}
