//! The command `train`.

use std::path::{Path, PathBuf};

use anyhow::ensure;

use super::checkpoint::Progress;
use super::datasets::Datasets;
use super::directory::{check_model, prepare};
use super::outcome::Outcome;
use super::trainer::Trainer;
use crate::program::config::{Config, SEEDED};
use crate::program::errors::Usage;
use crate::program::options::{DataDir, Global};
use crate::program::outputs::{self, Named};
use crate::program::run_directory::{LAST, files_of};
use crate::program::shipped::{self, Kind};

const EXAMPLE: &str = "\
Examples:
  loclin train --preset demo --out runs/roll
  loclin train --preset mnist-roll-1 --set epochs=5 --set loss=sampled
  loclin train --config mine.toml --out runs/mine --resume";

/// Options of `train`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["preset", "config"])))]
pub struct Args {
    /// The experiment: a preset of the program, one of those that `loclin config list` names
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// The experiment: a file such as `loclin config init` writes
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Change one key of the configuration; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The run's directory [default: runs/NAME-seedN, after the preset or the file]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the run in the directory, if one was begun there
    #[arg(long)]
    pub resume: bool,
    /// Where the datasets are
    #[command(flatten)]
    pub data: DataDir,
}

impl Args {
    /// The name of the experiment, and its configuration.
    fn experiment(&self) -> anyhow::Result<(String, Config)> {
        match (&self.preset, &self.config) {
            (Some(name), _) => {
                let unknown = |error| Usage::caused_by(format!("--preset {name}"), error);
                let shipped = shipped::named(Kind::Preset, name).map_err(unknown)?;
                let config = Config::preset(shipped.name, &self.set)?;
                Ok((name.clone(), config))
            }
            (None, Some(file)) => {
                let name = file.file_stem().unwrap_or_default().to_string_lossy();
                Ok((name.into_owned(), Config::load(file, &self.set)?))
            }
            (None, None) => Err(Usage::new("--preset or --config is needed").into()),
        }
    }
}

/// Trains as the options say.
///
/// # Errors
/// A configuration, dataset or directory that cannot be used, or a loss that is no longer finite.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    let (name, mut config) = args.experiment()?;
    config.apply(global);
    let default = || PathBuf::from(format!("runs/{name}-seed{}", config.seed));
    let out = args.out.clone().unwrap_or_else(default);
    check_outputs(args, &config, &out)?;
    let datasets = Datasets::new(&args.data.data_dir);
    train(&config, &datasets, &out, args.resume, global, "training")
}

/// Refuses a directory whose files are read. Its own configuration, from which a run goes on, is written as it was.
fn check_outputs(args: &Args, config: &Config, out: &Path) -> Result<(), Usage> {
    let goes_on = args.resume && out.join(LAST).exists();
    let given = args.config.iter().filter(|_| !goes_on);
    let initial = Some(&config.init).filter(|init| *init != SEEDED);
    let read = Named::default()
        .with("--config", given)
        .with("init", initial)
        .with("dataset", [&config.dataset]);
    outputs::check(&Named::default().with("--out", files_of(out)), &read)
}

/// Trains `config` in the directory `out`, going on from its checkpoint if it has one and `resume` allows it.
///
/// # Errors
/// Data that cannot be read or that the configuration's network does not take, a directory that cannot be used or holds another
/// run or one on other data, or a loss that is no longer finite.
pub fn train(
    config: &Config,
    datasets: &Datasets,
    out: &Path,
    resume: bool,
    global: &Global,
    label: &str,
) -> anyhow::Result<Outcome> {
    // On a thread of the pool: another would sleep during each of the hundreds of parallel loops of a step, and be woken
    // after it.
    rayon::scope(|_| train_here(config, datasets, out, resume, global, label))
}

fn train_here(
    config: &Config,
    datasets: &Datasets,
    out: &Path,
    resume: bool,
    global: &Global,
    label: &str,
) -> anyhow::Result<Outcome> {
    // The directory last: what cannot be trained leaves nothing behind.
    let data = datasets.both(config)?;
    let mut trainer = Trainer::new(config, &data, global.device.open()?)?;
    let begun = Progress {
        data: Some(datasets.digest(config)?),
        init: datasets.initial(config)?,
        ..Progress::default()
    };
    if config.init != SEEDED && !out.join(LAST).exists() {
        let read = Some(trainer.initialise(Path::new(&config.init))?);
        ensure!(
            read == begun.init,
            "{}: the file was changed meanwhile",
            config.init
        );
    }
    let held = prepare(out, config, resume, &begun)?;
    let progress = trainer.run(&held, begun, label)?;
    check_model(out, &progress)?;
    Outcome::new(out, &progress.history, progress.preprocessing)
}
