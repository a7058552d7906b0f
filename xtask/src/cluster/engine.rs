//! What the engines have in common: where the parts are, and the kill of one of them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use serde::Serialize;

/// What queues the parts of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// HyperQueue, by its Python package
    Hyperqueue,
    /// Slurm, its daemons on this machine
    Slurm,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hyperqueue => "HyperQueue",
            Self::Slurm => "Slurm",
        })
    }
}

/// A job that is to be queued.
pub(super) struct Queue<'a> {
    /// The repository.
    pub(super) root: &'a Path,
    /// A folder of the job's own; the tables are in `parts` there.
    pub(super) directory: &'a Path,
    pub(super) program: &'a Path,
    /// The command without what says the part.
    pub(super) arguments: &'a [String],
    pub(super) parts: usize,
    /// The part that is to be killed.
    pub(super) killed: usize,
}

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(600);

impl Queue<'_> {
    /// The table of a part.
    pub(super) fn table(&self, part: usize) -> PathBuf {
        self.directory.join("parts").join(format!("{part}.csv"))
    }

    /// A script that becomes the program, after it has left its number: the process that is to be killed is the one of this job.
    pub(super) fn script(&self) -> anyhow::Result<PathBuf> {
        let path = self.directory.join("program.sh");
        let text = format!(
            "#!/bin/sh\nfor out; do :; done\necho $$ > \"$out.pid\"\nexec '{}' \"$@\"\n",
            self.program.display()
        );
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        let status = Command::new("chmod").arg("+x").arg(&path).status();
        ensure!(
            status.context("chmod")?.success(),
            "{}: chmod",
            path.display()
        );
        Ok(path)
    }

    /// Kills the part as soon as some of its batches are done; how many that were. `alive` fails where the engine has ended.
    pub(super) fn kill(
        &self,
        mut alive: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        let table = self.table(self.killed);
        let beside = |end: &str| PathBuf::from(format!("{}.{end}", table.display()));
        let batches = || {
            let journal = fs::read_to_string(beside("job")).unwrap_or_default();
            journal.matches('\n').count().saturating_sub(1)
        };
        let start = Instant::now();
        while batches() < 2 {
            alive()?;
            ensure!(
                start.elapsed() < PATIENCE,
                "part {} did not begin",
                self.killed
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        let path = beside("pid");
        let pid = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let status = Command::new("kill")
            .args(["-9", pid.trim()])
            .status()
            .context("kill")?;
        if !status.success() {
            bail!(
                "part {} had ended before it was killed; more --inputs take longer",
                self.killed
            );
        }
        Ok(batches())
    }

    /// Waits until something is so.
    pub(super) fn wait(
        &self,
        what: &str,
        mut is_so: impl FnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        while !is_so()? {
            ensure!(
                start.elapsed() < PATIENCE,
                "{what}: not within {} s",
                PATIENCE.as_secs()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}
