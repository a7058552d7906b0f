//! `loclin metrics`: what a run measured while it trained, for people and for other programs.

mod event_file;
mod outcome;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::program::clock;
use crate::program::files;
use crate::program::jobs;
use crate::program::outputs::{self, Named};
use crate::program::run_directory::{METRICS, files_of};
use crate::program::train::Epoch;
use event_file::Event;

pub use outcome::Outcome;

const EXAMPLE: &str = "\
Examples:
  loclin metrics runs/demo/roll
  loclin metrics runs/demo/roll --csv demo.csv
  loclin metrics runs/demo/roll --tensorboard logs/demo && tensorboard --logdir logs";

/// Options of `metrics`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The directory of a training run, also of one that still runs
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Write a table with a row for each validated epoch, which MLflow and Weights & Biases read
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write an event file of TensorBoard into the directory, in the place of one that was written from this run before
    #[arg(long, value_name = "DIR")]
    pub tensorboard: Option<PathBuf>,
    /// Replace a table that is there
    #[arg(long)]
    pub force: bool,
}

/// Reads a run's metrics, and writes them as asked.
///
/// # Errors
/// A directory without metrics, files that cannot be written, and a table that is there, without `--force`.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let epochs = read(&args.run)?;
    let directory = args.tensorboard.as_deref();
    let name = event_name(&epochs)?;
    let of_events = directory.map(|directory| directory.join(name));
    let files = Named::default().with("--csv", &args.csv);
    let files = files.with("--tensorboard", &of_events);
    outputs::check(&files, &Named::default().with("RUN", files_of(&args.run)))?;
    if let Some(file) = &args.csv {
        files::check_new(file, args.force)?;
        files::write_atomic(file, &csv(&epochs)?)?;
    }
    if let (Some(directory), Some(file)) = (directory, &of_events) {
        files::create_dir(directory)?;
        files::write_atomic(file, &events(&epochs))?;
    }
    Ok(Outcome {
        epochs,
        written: args.csv.iter().cloned().chain(of_events).collect(),
    })
}

/// The name of the event file of a run: when its first epoch was validated, and a digest of what was found then, since another run's
/// may have been validated in the same second.
fn event_name(epochs: &[Epoch]) -> anyhow::Result<String> {
    let first = epochs.first().context("no epoch")?;
    let (begun, json) = (clock::seconds(&first.date), serde_json::to_vec(first)?);
    let digest = jobs::digest(|sink| {
        sink(&json);
        Ok(())
    })?;
    Ok(format!(
        "events.out.tfevents.{begun:010}.{digest:.8}.loclin"
    ))
}

fn read(run: &Path) -> anyhow::Result<Vec<Epoch>> {
    let path = run.join(METRICS);
    let text = files::read_text(&path)?;
    let epochs = text.lines().enumerate().map(|(number, line)| {
        let unusable = || {
            format!(
                "{}, line {}: no metrics of this program",
                path.display(),
                number + 1
            )
        };
        serde_json::from_str(line).with_context(unusable)
    });
    let epochs: Vec<Epoch> = epochs.collect::<anyhow::Result<_>>()?;
    ensure!(
        !epochs.is_empty(),
        "{}: no epoch was validated yet",
        path.display()
    );
    Ok(epochs)
}

/// The numbers of an epoch: the name in tables, the one in groups, and the value.
fn numbers(epoch: &Epoch) -> [(&'static str, &'static str, f64); 11] {
    [
        ("train_loss", "loss/train", epoch.train_loss),
        ("valid_loss", "loss/valid", epoch.valid_loss),
        ("task_loss", "loss/task", epoch.task_loss),
        ("regulariser", "loss/regulariser", epoch.regulariser),
        ("accuracy", "valid/accuracy", epoch.accuracy),
        ("median_eps_2", "margin/median_eps_2", epoch.median_eps_2),
        ("p25_eps_2", "margin/p25_eps_2", epoch.p25_eps_2),
        ("p75_eps_2", "margin/p75_eps_2", epoch.p75_eps_2),
        ("learning_rate", "step/learning_rate", epoch.learning_rate),
        ("gradient_norm", "step/gradient_norm", epoch.gradient_norm),
        ("seconds", "time/seconds", epoch.seconds),
    ]
}

fn csv(epochs: &[Epoch]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (row, epoch) in epochs.iter().enumerate() {
        let numbers = numbers(epoch);
        if row == 0 {
            let names = numbers.iter().map(|(name, ..)| *name);
            let all = ["epoch", "step", "date"].into_iter().chain(names);
            writer.write_record(all.chain(["threads"]))?;
        }
        let mut record = vec![
            epoch.epoch.to_string(),
            epoch.step.to_string(),
            epoch.date.clone(),
        ];
        record.extend(numbers.iter().map(|(.., number)| number.to_string()));
        record.push(epoch.threads.to_string());
        writer.write_record(record)?;
    }
    writer.into_inner().context("cannot finish the table")
}

fn events(epochs: &[Epoch]) -> Vec<u8> {
    let event = |epoch: &Epoch| Event {
        wall_time: clock::seconds(&epoch.date),
        // An earlier version did not count steps.
        step: if epoch.step == 0 {
            epoch.epoch
        } else {
            epoch.step
        } as u64,
        numbers: numbers(epoch)
            .iter()
            .map(|(_, name, number)| (*name, *number))
            .collect(),
    };
    event_file::to_bytes(&epochs.iter().map(event).collect::<Vec<_>>())
}
