//! Tables 1 and 3: accuracy, regions and margins on the test inputs, a row for each way of training.

mod network;
mod page;
mod plan;

use std::path::Path;

use anyhow::{bail, ensure};
use loclin::program::options::Global;
use loclin::program::sweep::{Planned, Status, execute};
use loclin::program::{files, train};

use self::network::{Network, csv};
use self::plan::Plan;
use super::certificate::Certificate;
use super::places::{Places, Training};
use super::provenance::Provenance;
use super::results::{PAGE, Results};
use super::stored::{self, Stored};

/// Options of `reproduce table1` and `table3`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where things are, and how networks are trained.
    #[command(flatten)]
    pub training: Training,
    /// Train nothing: make the table of the runs that are finished
    #[arg(long)]
    pub finished: bool,
}

pub(super) fn run(
    experiment: &str,
    args: &Args,
    places: &Places,
    global: &Global,
) -> anyhow::Result<Results> {
    let plan = Plan::load(&places.config)?;
    let Training { workers, data, .. } = &args.training;
    let datasets = train::Datasets::new(&data.data_dir);
    let mut planned = plan.runs(&places.config, global)?;
    if args.finished {
        let mut done = Vec::new();
        for (row, run) in planned {
            if train::finished(&run.config, &places.runs.join(&run.name), &datasets)?.is_some() {
                done.push((row, run));
            }
        }
        planned = done;
    }
    files::create_dir(&places.runs)?;
    let (rows, planned): (Vec<String>, Vec<Planned>) = planned.into_iter().unzip();
    let trained = execute(&planned, &places.runs, workers, &datasets, global, |_| {
        Ok(())
    })?;
    let mut networks = Vec::new();
    for ((row, run), trained) in rows.into_iter().zip(planned).zip(trained) {
        let Status::Done { seconds, best, .. } = trained.status else {
            bail!("run `{}` diverged", run.name)
        };
        let directory = places.runs.join(&run.name);
        networks.push(Network {
            row,
            seed: run.config.seed,
            certificate: Certificate::of(&run, &directory, data, None, global)?,
            epoch: best.epoch,
            valid_accuracy: best.accuracy,
            valid_median_eps_2: best.median_eps_2,
            training_seconds: seconds,
            training_threads: best.threads,
            config: run.config,
        });
    }
    ensure!(
        !networks.is_empty(),
        "{}: no run is finished",
        places.runs.display()
    );
    let provenance = Provenance::of(places.command(experiment));
    results(
        &plan,
        &Stored {
            provenance,
            networks,
        },
    )
}

/// What the results of a table keep in numbers.
type Numbers = Stored<Network>;

/// The results as they follow from the numbers in `networks.json` of the directory `out`.
///
/// # Errors
/// A file that cannot be read or used.
pub(super) fn again(config: &Path, out: &Path) -> anyhow::Result<Results> {
    results(&Plan::load(config)?, &stored::load(out)?)
}

fn results(plan: &Plan, numbers: &Numbers) -> anyhow::Result<Results> {
    let Stored {
        provenance,
        networks,
    } = numbers;
    let text = page::tables(plan, networks)?;
    let page = format!("# {}\n\n{provenance}\n\n{text}", plan.title);
    Ok(Results {
        files: vec![
            (PAGE.into(), page.into_bytes()),
            ("networks.csv".into(), csv(networks)?),
            (stored::FILE.into(), stored::to_json(numbers)?),
        ],
        text,
    })
}
