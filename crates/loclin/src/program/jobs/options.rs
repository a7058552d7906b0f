//! The options of long jobs, for every command that appends to a table.

use std::path::{Path, PathBuf};

use super::choice::Choice;
use super::error::JobError;
use super::journal::is_there;
use super::shard::Shard;
use crate::program::errors::Usage;

/// How a job is divided, and how it goes on.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Options of long jobs")]
pub struct JobOptions {
    /// Go on with the table of --out where an earlier process was stopped, or begin where there is none; the journal beside the table
    /// (FILE.csv.job) says whether it is the same job
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Replace a result that is there
    #[arg(long, conflicts_with = "resume")]
    pub force: bool,
    /// Do the I-th of N parts only, such as 3/8, or with `auto` the one that Slurm, Kubernetes or HyperQueue says
    /// (LOCLIN_SHARDS is N where they do not); `loclin merge` puts the tables together
    #[arg(long, value_name = "I/N", requires = "out")]
    pub shard: Option<Choice>,
    /// A file that all parts share: the first process writes the job's settings and its seed there, and the others must have the
    /// same
    #[arg(long, value_name = "FILE.json", requires = "out")]
    pub settings: Option<PathBuf>,
}

impl JobOptions {
    /// Which part is done here; all of it where nobody says.
    ///
    /// # Errors
    /// An environment that does not say it, where it is to.
    pub fn shard(&self) -> Result<Shard, Usage> {
        self.shard.map_or(Ok(Shard::default()), Choice::shard)
    }

    /// Refuses to begin where there is a result; said before anything is computed.
    ///
    /// # Errors
    /// A table or a journal at `out`, without `--resume` or `--force`.
    pub fn check_new(&self, out: &Path) -> Result<(), JobError> {
        match is_there(out) && !self.resume && !self.force {
            true => Err(JobError::Exists {
                out: out.to_owned(),
            }),
            false => Ok(()),
        }
    }
}
