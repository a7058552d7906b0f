//! Locally linear deep networks: find, bound and enlarge the regions in which a network's gradient is constant.
//!
//! This crate is the front of a family. As a library it shows the members under short names:
//!
//! | module | crate | what it is for |
//! |---|---|---|
//! | [`models`] | `loclin-models` | piecewise-linear networks on Candle, and their files |
//! | [`regions`] | `loclin-regions` | every question about the linear region of an input |
//! | [`objectives`] | `loclin-objectives` | training losses that make the regions large |
//! | [`data`] | `loclin-data` | datasets, images and batches |
//! | [`report`] | `loclin-report` | figures, tables and pages |
//! | [`tensor`] | `loclin-tensor` | what the tensor library lacks |
//!
//! With its feature `program` (on by default) it is the `loclin` program too; `default-features = false` leaves that out.

pub use loclin_data as data;
pub use loclin_models as models;
pub use loclin_objectives as objectives;
pub use loclin_regions as regions;
pub use loclin_report as report;
pub use loclin_tensor as tensor;

pub mod program;
