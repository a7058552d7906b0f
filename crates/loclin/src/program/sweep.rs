//! `loclin sweep`: many training runs from one file, side by side, and the best of them.
//!
//! A sweep file names a base configuration and what varies, on a grid or at random. Every run has a directory of
//! its own, named after what varies, so a sweep that was stopped at any point goes on, and one that was extended
//! by values or trials keeps what was done. The table of results (CSV and JSON) is written anew after each run. With `folds` every run is made once for each part of a
//! cross-validation inside the training data, and the table has the means.

mod command;
mod error;
mod folds;
mod mean;
mod outcome;
mod parts;
mod plan;
mod planned;
mod pool;
mod preview;
mod random;
mod row;
mod select;
mod table;

pub use command::{Args, run};
pub use error::{PlanError, ResultsError};
pub use mean::{Mean, Numbers};
pub use outcome::Outcome;
pub use parts::merge;
pub use plan::Plan;
pub use planned::Planned;
pub use pool::{Workers, execute};
pub use preview::{Answer, Expected, Preview};
pub use row::{Row, Status};
pub use select::{Selected, is_within};
