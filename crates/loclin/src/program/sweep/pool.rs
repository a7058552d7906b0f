//! Training runs side by side.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::Context;

use super::planned::Planned;
use super::row::{Row, Status};
use crate::program::errors::Usage;
use crate::program::options::Global;
use crate::program::process::{self, MOST_THREADS};
use crate::program::train::{self, Datasets, Diverged};

/// How the cores are shared out.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Workers {
    /// Runs side by side [default: as many as the cores have threads for]
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Threads of each run: its results depend on them, and not on --jobs
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: usize,
}

impl Workers {
    /// Refuses numbers that are none of workers.
    ///
    /// # Errors
    /// The option and what it takes.
    pub(super) fn check(self) -> Result<(), Usage> {
        for (option, value) in [("--jobs", self.jobs), ("--threads", Some(self.threads))] {
            if value == Some(0) {
                return Err(Usage::new(format!("{option} 0: expected at least 1")));
            }
            if value.is_some_and(|value| value > MOST_THREADS) {
                let message = format!("{option}: expected at most {MOST_THREADS}");
                return Err(Usage::new(message));
            }
        }
        Ok(())
    }

    /// How many of `runs` go side by side.
    fn side_by_side(self, runs: usize) -> Result<usize, Usage> {
        self.check()?;
        let jobs = self
            .jobs
            .unwrap_or(rayon::current_num_threads() / self.threads);
        let jobs = jobs.min(runs).max(1);
        if jobs * self.threads > MOST_THREADS {
            let message = format!(
                "--jobs, --threads: {jobs} runs side by side of {} threads each; expected at most {MOST_THREADS} threads in all",
                self.threads
            );
            return Err(Usage::new(message));
        }
        Ok(jobs)
    }
}

/// What the workers share.
struct Shared {
    next: usize,
    rows: Vec<Option<Row>>,
    failure: Option<anyhow::Error>,
}

/// Trains what is missing of `runs`, each in the directory of its name in `out`, and returns a row for each.
///
/// After every run `finished` gets the rows that there are, in the order of `runs`.
///
/// # Errors
/// The first failure other than a loss that is no longer finite; runs under way are ended first.
pub fn execute(
    runs: &[Planned],
    out: &Path,
    workers: &Workers,
    data: &Datasets,
    global: &Global,
    finished: impl Fn(&[Row]) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<Vec<Row>> {
    let jobs = workers.side_by_side(runs.len())?;
    let shared = Mutex::new(Shared {
        next: 0,
        rows: vec![None; runs.len()],
        failure: None,
    });
    // A worker that panicked cannot have left the rows half changed.
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || -> anyhow::Result<()> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(workers.threads)
            .stack_size(process::STACK)
            .build()
            .context("cannot start threads")?;
        loop {
            let index = {
                let mut shared = lock();
                if shared.failure.is_some() || shared.next == runs.len() {
                    return Ok(());
                }
                shared.next += 1;
                shared.next - 1
            };
            let run = &runs[index];
            let row = pool.install(|| one(run, out, data, global))?;
            let mut shared = lock();
            shared.rows[index] = Some(row);
            let done: Vec<Row> = shared.rows.iter().flatten().cloned().collect();
            finished(&done)?;
        }
    };
    let worker = || {
        if let Err(error) = work() {
            let failure = &mut lock().failure;
            // The others may train on for long; whoever is watching should not have to wait.
            tracing::error!("{error:#}");
            failure.get_or_insert(error);
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(worker);
        }
    });
    let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    match shared.failure {
        Some(failure) => Err(failure),
        None => Ok(shared.rows.into_iter().flatten().collect()),
    }
}

fn one(run: &Planned, out: &Path, data: &Datasets, global: &Global) -> anyhow::Result<Row> {
    let directory = out.join(&run.name);
    let trained = match train::finished(&run.config, &directory, data)? {
        Some(outcome) => Ok(outcome),
        None => {
            tracing::info!("training {}", run.name);
            train::train(&run.config, data, &directory, true, global, &run.name)
        }
    };
    let status = match trained {
        Ok(outcome) => Status::from(outcome),
        Err(error) => match error.chain().any(|cause| cause.is::<Diverged>()) {
            true => Status::Diverged {
                reason: format!("{error:#}"),
            },
            false => return Err(error.context(format!("run `{}`", run.name))),
        },
    };
    Ok(Row {
        run: run.name.clone(),
        varied: run.varied.clone(),
        status,
    })
}
