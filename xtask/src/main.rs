//! Entry point of `cargo xtask`; everything happens in the library half of the package.

use std::process::ExitCode;

// As in the product, so that what is measured here is what its users get.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    loclin::program::process::prepare("cargo xtask");
    xtask::run(std::env::args_os())
}
