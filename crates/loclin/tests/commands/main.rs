//! The main job from the command line: `train`, `certify` and `demo` as a user meets them.

#![allow(
    clippy::unwrap_used,
    reason = "what tests share states expectations too"
)]

mod bad_input;
mod bad_options;
mod bound;
mod certify;
mod check;
mod classes;
mod config;
mod demo;
mod deployed;
mod distortion;
mod documented;
mod domain;
mod explain;
mod fixture;
mod folds;
mod images;
mod init;
mod jobs;
mod kill;
mod metrics;
mod names;
#[path = "../../../models/tests/support/onnx_writer.rs"]
mod onnx_writer;
mod parts;
mod preprocessing;
mod refusal;
mod serve;
mod special_files;
mod sweep;
mod train;
mod vowels;
