//! Where an experiment finds its networks and puts its results.

use std::path::{Path, PathBuf};

use anyhow::Context;
use loclin::program::files;
use loclin::program::options::{DataDir, Global};
use loclin::program::sweep::{Planned, Row, Workers, execute};
use loclin::program::train::Datasets;

use crate::workspace;

/// Options of the experiments that train networks.
#[derive(Clone, Debug, clap::Args)]
pub struct Training {
    /// What to train [default: xtask/reproduce/EXPERIMENT.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of the trained networks; what was begun there goes on [default: runs/NAME, after the file]
    #[arg(long, value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Directory of the results [default: docs/results/NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How many trainings, and on what.
    #[command(flatten)]
    pub workers: Workers,
    /// Where the datasets are.
    #[command(flatten)]
    pub data: DataDir,
}

/// The files and directories of an experiment that trains networks.
pub(super) struct Places {
    pub(super) config: PathBuf,
    pub(super) name: String,
    pub(super) runs: PathBuf,
    pub(super) out: PathBuf,
}

impl Training {
    /// Trains what is not trained yet of some runs, each in a directory of its name in `out`.
    pub(super) fn execute(
        &self,
        runs: &[Planned],
        out: &Path,
        global: &Global,
    ) -> anyhow::Result<Vec<Row>> {
        files::create_dir(out)?;
        let datasets = Datasets::new(&self.data.data_dir);
        execute(runs, out, &self.workers, &datasets, global, |_| Ok(()))
    }

    /// Those of an experiment, whose own file is in the repository that the current directory is in.
    pub(super) fn places(&self, experiment: &str) -> anyhow::Result<Places> {
        let config = match &self.config {
            Some(config) => config.clone(),
            None => {
                let root = workspace::root().context("--config is needed here")?;
                root.join(format!("xtask/reproduce/{experiment}.toml"))
            }
        };
        let stem = config.file_stem().unwrap_or_default();
        let name = stem.to_string_lossy().into_owned();
        let under = |given: &Option<PathBuf>, parent: &str| {
            given
                .clone()
                .unwrap_or_else(|| Path::new(parent).join(&name))
        };
        Ok(Places {
            runs: under(&self.runs, "runs"),
            out: under(&self.out, "docs/results"),
            config,
            name,
        })
    }
}

impl Places {
    /// The command that makes the results again, without options that only say where things are.
    pub(super) fn command(&self, experiment: &str) -> String {
        match self.name == experiment {
            true => format!("cargo xtask reproduce {experiment}"),
            false => format!(
                "cargo xtask reproduce {experiment} --config xtask/reproduce/{}.toml",
                self.name
            ),
        }
    }
}
