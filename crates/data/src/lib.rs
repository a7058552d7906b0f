//! Datasets, splits and mini-batches as plain arrays.
//!
//! A [`Dataset`] is a table of inputs of one shape, one per row, with optional class labels;
//! [`Sequences`] are one of different lengths; [`Data`] is either. They know nothing of tensors, devices or
//! networks: the caller asks for rows as `f32` or `f64` and puts them wherever it likes. Images in files stay there
//! until their rows are asked for ([`ImageFiles`]).
//!
//! | read | with |
//! |---|---|
//! | anything by its name or path | [`source::open`] |
//! | the embedded digits, no file needed | [`digits::load`] |
//! | a directory in MNIST's public layout | [`mnist::load_directory`] |
//! | CIFAR-10 in its binary layout | [`cifar10::load_directory`] |
//! | Caltech-256, or any folder of images | [`folders::load_caltech256`], [`folders::load`] |
//! | the utterances of nine speakers | [`japanese_vowels::load_directory`] |
//! | one IDX file | [`idx::read`] |
//! | `.npy` and `.safetensors` tensors | [`npy::read`], [`tensors::read_safetensors`] |
//! | a 2-D toy problem for pictures | [`toy::moons`] |
//! | a box of inputs, from a VNN-LIB file | [`vnnlib::read`] |
//!
//! Everything drawn at random is a pure function of a seed. The generator is ChaCha8 of
//! `rand_chacha` 0.9 with the shuffle of `rand` 0.9, whose values are stable for those versions;
//! a test pins them.
//!
//! ```
//! use std::num::NonZeroUsize;
//! use loclin_data::{Split, batches, digits};
//!
//! let train = digits::load(Split::Train, 0)?;
//! assert_eq!(train.input_shape(), [1, 28, 28]);
//! let size = NonZeroUsize::new(64).ok_or("a batch holds at least one row")?;
//! for rows in batches(train.len(), size, 0, 0).take(2) {
//!     let inputs = train.rows_f32(&rows)?; // 64 x 784 values in [0, 1]
//!     let labels = train.row_labels(&rows)?;
//!     assert_eq!(inputs.len(), labels.len() * train.features());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod applied;
mod augmentation;
mod batches;
pub mod cifar10;
mod classes;
mod content;
mod data;
mod dataset;
mod decoding;
pub mod digits;
mod element;
mod error;
mod file;
mod fit;
mod folder_labels;
pub mod folders;
mod folds;
pub mod idx;
mod images;
pub mod japanese_vowels;
mod jpeg;
mod labels;
pub mod mnist;
pub mod npy;
mod npy_array;
mod npy_header;
mod npy_rows;
mod options;
mod pattern;
mod pictured;
mod preprocessing;
mod rows;
mod selection;
mod sequences;
pub mod source;
mod split;
pub mod tensors;
pub mod toy;
mod values;
pub mod vnnlib;

pub use applied::{Applied, Stored};
pub use augmentation::Augmentation;
pub use batches::{batches, permutation};
pub use classes::Classes;
pub use data::{Data, Part};
pub use dataset::Dataset;
pub use error::Error;
pub use folds::Fold;
pub use images::{Grey, ImageFiles, ImageOptions, LeftOut, Unusable};
pub use pictured::Pictured;
pub use preprocessing::{Layout, Preprocessing, Resize, Scale};
pub use selection::Rows;
pub use sequences::Sequences;
pub use split::{Split, stratified, train_valid};
pub use values::{Moments, StoredRows, Values};

/// The example of the README, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
