//! `cargo xtask reproduce`: the paper's experiments, each one command.
//!
//! An experiment returns its results as files in memory. Trainings go on where they were stopped, certificates are
//! kept beside the networks they certify, and results are written when they are whole. What is trained is said by
//! the files in `xtask/reproduce`.

mod certificate;
pub mod figure1;
pub mod figure2;
pub mod figure3;
mod figure4;
mod markdown;
mod provenance;
pub mod table;
pub mod table2;
pub mod table4;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use loclin::program::files;
use loclin::program::options::{DataDir, Global};
use loclin::program::sweep::Workers;

const EXAMPLE: &str = "\
Examples:
  cargo xtask reproduce figure1
  cargo xtask reproduce table1 --data-dir data --jobs 1
  cargo xtask reproduce table2 --peer python3 --peer-script roll_torch.py
  cargo xtask reproduce table1 --finished --out runs/table1-so-far";

/// Options of `reproduce`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// What to reproduce.
    #[command(subcommand)]
    pub experiment: Experiment,
}

/// The experiments, by their names in the paper.
#[derive(Clone, Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Experiment {
    /// MNIST: accuracy, regions and margins of vanilla and ROLL networks
    Table1(table::Args),
    /// The time of a training step: vanilla, exact and approximate ROLL
    Table2(table2::Args),
    /// Japanese Vowels: accuracy and margins of recurrent networks
    Table3(table::Args),
    /// CIFAR-10: gradient distortion and margins of residual networks
    Table4(table4::Args),
    /// The plane: regions, margins and gradients of three toy classifiers
    Figure1(figure1::Args),
    /// Accuracy and median margin against C and lambda, for each gamma
    Figure2(figure2::Args),
    /// Japanese Vowels: how far each value of a sequence may move, vanilla and ROLL
    Figure3(figure3::Args),
    /// CIFAR-10: gradients, distorted gradients and integrated gradients as pictures (Figures 4 to 6)
    #[command(visible_aliases = ["figure5", "figure6"])]
    Figure4(table4::Args),
}

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
struct Places {
    config: PathBuf,
    name: String,
    runs: PathBuf,
    out: PathBuf,
}

impl Training {
    fn places(&self, experiment: &str) -> Places {
        let own = || {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("reproduce");
            directory.join(format!("{experiment}.toml"))
        };
        let config = self.config.clone().unwrap_or_else(own);
        let stem = config.file_stem().unwrap_or_default();
        let name = stem.to_string_lossy().into_owned();
        let under = |given: &Option<PathBuf>, parent: &str| {
            given
                .clone()
                .unwrap_or_else(|| Path::new(parent).join(&name))
        };
        Places {
            runs: under(&self.runs, "runs"),
            out: under(&self.out, "docs/results"),
            config,
            name,
        }
    }
}

impl Places {
    /// The command that makes the results again, without options that only say where things are.
    fn command(&self, experiment: &str) -> String {
        match self.name == experiment {
            true => format!("cargo xtask reproduce {experiment}"),
            false => format!(
                "cargo xtask reproduce {experiment} --config xtask/reproduce/{}.toml",
                self.name
            ),
        }
    }
}

/// What an experiment found.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The files that were written.
    pub files: Vec<PathBuf>,
    #[serde(skip)]
    text: String,
}

/// The results of an experiment.
struct Results {
    /// Names and contents.
    files: Vec<(String, Vec<u8>)>,
    /// What people see on the terminal.
    text: String,
}

/// The page of an experiment in its directory of results.
const PAGE: &str = "README.md";

/// Reproduces an experiment.
///
/// # Errors
/// Data or directories that cannot be used, and whatever stops a training run.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    let under = |given: &Option<PathBuf>, name: &str| {
        given
            .clone()
            .unwrap_or_else(|| Path::new("docs/results").join(name))
    };
    match &args.experiment {
        Experiment::Table1(args) => {
            let places = args.training.places("table1");
            write(&places.out, || table::run("table1", args, &places, global))
        }
        Experiment::Table3(args) => {
            let places = args.training.places("table3");
            write(&places.out, || table::run("table3", args, &places, global))
        }
        Experiment::Table4(args) => {
            let places = args.training.places("table4");
            write(&places.out, || table4::run(args, &places, global))
        }
        Experiment::Figure4(args) => {
            // The networks are those of the table.
            let mut places = args.training.places("table4");
            if args.training.out.is_none() {
                places.out = "docs/results/figure4".into();
            }
            write(&places.out, || figure4::run(args, &places, global))
        }
        Experiment::Figure2(args) => {
            let places = args.training.places("figure2");
            write(&places.out, || figure2::run(args, &places, global))
        }
        Experiment::Table2(args) => {
            write(&under(&args.out, "table2"), || table2::run(args, global))
        }
        Experiment::Figure3(args) => {
            write(&under(&args.out, "figure3"), || figure3::run(args, global))
        }
        Experiment::Figure1(args) => {
            write(&under(&args.out, "figure1"), || figure1::run(args, global))
        }
    }
}

/// Writes what `experiment` finds into the directory `out`.
fn write(
    out: &Path,
    experiment: impl FnOnce() -> anyhow::Result<Results>,
) -> anyhow::Result<Outcome> {
    files::create_dir(out)?;
    // Days of training should not end with a directory that cannot be written.
    files::check_writable(&out.join(PAGE))?;
    let results = experiment()?;
    let mut written = Vec::new();
    for (name, bytes) in &results.files {
        let path = out.join(name);
        files::write_atomic(&path, bytes)?;
        written.push(path);
    }
    Ok(Outcome {
        files: written,
        text: results.text,
    })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text.trim_end())?;
        let files = self.files.iter().map(|path| path.display().to_string());
        write!(f, "{}", files.collect::<Vec<_>>().join("\n"))
    }
}
