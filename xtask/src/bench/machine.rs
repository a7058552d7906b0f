//! Where and how something was measured.

use std::fmt;
use std::fs;
use std::time::Instant;

use serde::Serialize;

use loclin::program::machine::{COMMIT, processor};

/// The machine and the program.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    /// The processor's name, where the system tells it.
    processor: Option<String>,
    /// Threads that this program computes with.
    threads: usize,
    /// The program's commit, with a plus sign where files differed from it.
    commit: String,
}

impl Machine {
    pub(super) fn here() -> Self {
        Self {
            processor: processor("model name"),
            threads: threads(),
            commit: COMMIT.to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = || "unknown".to_owned();
        let processor = self.processor.clone().unwrap_or_else(unknown);
        write!(
            f,
            "processor {processor}, {} threads, commit {}",
            self.threads, self.commit
        )
    }
}

/// The threads that this program computes with.
pub(super) fn threads() -> usize {
    candle_core::utils::get_num_threads()
}

/// The most memory that this process has had at any moment so far, in bytes; `None` where the system does not tell.
pub(super) fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(1024 * kilobytes)
}

/// The median time of `runs` calls in seconds, after one that warms up. `work` is told the number of its call.
pub(super) fn median_seconds(
    runs: usize,
    mut work: impl FnMut(usize) -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let mut seconds = Vec::with_capacity(runs);
    for run in 0..=runs {
        let start = Instant::now();
        work(run)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let measured = &mut seconds[1..];
    measured.sort_by(f64::total_cmp);
    Ok((measured[(runs - 1) / 2] + measured[runs / 2]) / 2.0)
}
