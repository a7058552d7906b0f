//! The `loclin` program; everything happens in the library half of the package.

use std::process::ExitCode;

// Tensors of images are megabytes. The system's allocator gives such memory back after each of them and asks for it again,
// which costs a third of a training step; this one keeps it for a while.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    loclin::program::process::prepare("loclin");
    loclin::program::run(std::env::args_os())
}
