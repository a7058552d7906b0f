#![doc = include_str!("../README.md")]
//!
//! # Members
//!
//! | module | crate | what it is for |
//! |---|---|---|
//! | [`models`] | `loclin-models` | piecewise-linear networks, and their files |
//! | [`regions`] | `loclin-regions` | the linear region of an input |
//! | [`objectives`] | `loclin-objectives` | losses that make regions large |
//! | [`data`] | `loclin-data` | datasets, images and batches |
//! | [`report`] | `loclin-report` | figures, tables and pages |
//! | [`tensor`] | `loclin-tensor` | what the tensor library lacks |
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `program` (default) | the `loclin` program and the module `program` |
//! | `cuda`, `cudnn` | GPUs of NVIDIA |
//! | `mkl`, `accelerate` | matrix products by Intel's or Apple's library |
//!
//! A program that wants the libraries alone depends on this crate with `default-features = false`.
//!
//! # Speed in a program of your own
//!
//! Two things that the `loclin` program does at its start are left to you, because they belong to the process and not to a
//! library. Without them a training run was measured to take 1.5 times the processor time.
//!
//! * **The allocator.** Tensors of images are megabytes. The C library of Linux gives such memory back to the system after
//!   each operation and asks for it again. Set `M_MMAP_THRESHOLD` and `M_TRIM_THRESHOLD` to 268435456 with
//!   `libc::mallopt`, as `program::process` does, or by the variables `MALLOC_MMAP_THRESHOLD_` and
//!   `MALLOC_TRIM_THRESHOLD_`. The crate `mimalloc`, declared as `#[global_allocator]`, comes within 5% of that.
//! * **Candle's threads.** Its element-wise operations have a pool of threads of their own, which spin while they wait. On
//!   few cores, set `CANDLE_NUM_THREADS` to 1 before the first thread starts. Matrix products are not concerned: they
//!   follow `RAYON_NUM_THREADS`.

pub use loclin_data as data;
pub use loclin_models as models;
pub use loclin_objectives as objectives;
pub use loclin_regions as regions;
pub use loclin_report as report;
pub use loclin_tensor as tensor;

#[cfg(feature = "program")]
pub mod program;
