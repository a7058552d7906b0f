//! Long jobs: parts of one, what is kept of them, how they go on and are put together.
//!
//! A job is a list of batches of inputs. Its table (CSV) is appended to after each batch, and so is the journal beside it, a
//! file of JSON lines: the first says what job it is, each of the others that a batch is done and how long the table was
//! then. A process that was killed has lost at most the batch that it was at. Where the settings do not say how many batches there
//! are, a job goes on with more of them.

mod agreed;
mod choice;
mod common;
mod error;
mod held;
mod journal;
mod merging;
mod options;
mod settings;
mod shard;
mod writer;

pub use agreed::{Seed, agreed};
pub use choice::Choice;
pub use common::{common, digest, of_model};
pub use error::JobError;
pub use held::Held;
pub use journal::{Asked, Done, Job, Journal, is_there, journal_of};
pub use merging::{MergeError, Named, placed};
pub use options::JobOptions;
pub use settings::Settings;
pub use shard::{Shard, ShardError};
pub use writer::{Begun, Writer, begin};
