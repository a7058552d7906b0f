//! Entry point of `cargo xtask`; everything happens in the library half of the package.

use std::process::ExitCode;

fn main() -> ExitCode {
    loclin::program::process::prepare("cargo xtask");
    xtask::run(std::env::args_os())
}
