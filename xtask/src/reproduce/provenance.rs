//! Where numbers come from.

use std::fmt;

use serde::{Deserialize, Serialize};

use loclin::program::machine::{COMMIT, processor};

/// What a reader needs to make the numbers again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Provenance {
    /// The command, without options that only say where things are.
    pub(super) command: String,
    /// The commit of the program, with a plus sign if files differ from it; "unknown" if it was built
    /// outside a repository.
    pub(super) commit: String,
    /// Processor and operating system.
    pub(super) machine: String,
    /// Threads of the program, for all that is not trained: the runs of a training have their own.
    pub(super) threads: usize,
}

impl Provenance {
    /// Of the running program.
    pub(super) fn of(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            commit: COMMIT.to_owned(),
            machine: machine(),
            threads: rayon::current_num_threads(),
        }
    }
}

fn machine() -> String {
    // Linux tells; elsewhere the architecture has to do.
    let model = processor("model name").unwrap_or_else(|| std::env::consts::ARCH.into());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let wide = processor("flags").is_some_and(|flags| flags.contains("avx512f"));
    format!(
        "{cores} cores of {model}{}, {}",
        if wide { " with AVX-512" } else { "" },
        std::env::consts::OS
    )
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            command,
            commit,
            machine,
            threads,
        } = self;
        write!(
            f,
            "Made by `{command}`, commit {commit}, on {machine}, {threads} threads."
        )
    }
}
