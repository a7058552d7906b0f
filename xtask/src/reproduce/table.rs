//! Tables 1 and 3: accuracy, regions and margins on the test inputs, a row for each way of training.

mod page;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::certificate::Certificate;
use super::provenance::Provenance;
use super::{PAGE, Places, Results, Training};
use loclin::program::config::Config;
use loclin::program::files;
use loclin::program::options::Global;
use loclin::program::sweep::{Planned, Status, execute};
use loclin::program::train;

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

/// The file of a table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    title: String,
    /// The unit in which radii are shown, and what it is a unit of.
    unit: f64,
    scale: String,
    /// Each row is trained once with each.
    seeds: Vec<u64>,
    /// The first is what ratios compare with.
    rows: Vec<Row>,
}

/// One way of training.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// With `-seedN`, the directories of its runs.
    name: String,
    /// Its configuration: the name of a preset, or a path relative to the file.
    config: PathBuf,
    published: Published,
}

/// A row of the paper's table: accuracy in percent, #CLR, and P25, P50, P75, P100 in the plan's unit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    accuracy: f64,
    clr: Option<usize>,
    eps_1: [f64; 4],
    eps_2: [f64; 4],
}

/// One trained network.
#[derive(Debug, Serialize)]
struct Network {
    row: String,
    seed: u64,
    #[serde(flatten)]
    certificate: Certificate,
    /// The epoch that was chosen by validation loss, and the validation accuracy and margin there.
    epoch: usize,
    valid_accuracy: f64,
    valid_median_eps_2: f64,
    /// All epochs.
    training_seconds: f64,
    training_threads: usize,
    config: Config,
}

impl Plan {
    fn load(path: &Path) -> anyhow::Result<Self> {
        let unusable = || format!("{}: not a usable table", path.display());
        let plan: Self = toml::from_str(&files::read_text(path)?).with_context(unusable)?;
        let named = |row: &Row| plan.rows.iter().filter(|r| r.name == row.name).count() == 1;
        ensure!(
            plan.rows.iter().all(named),
            "{}: two rows have one name",
            path.display()
        );
        Ok(plan)
    }

    /// The runs of all rows and seeds with the rows' names, in order.
    fn runs(&self, path: &Path, global: &Global) -> anyhow::Result<Vec<(String, Planned)>> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut runs = Vec::new();
        for row in &self.rows {
            let mut config = Config::find(&row.config, directory, &[])?;
            config.apply(global);
            for &seed in &self.seeds {
                let run = Planned {
                    name: format!("{}-seed{seed}", row.name),
                    varied: Table::new(),
                    config: Config {
                        seed,
                        ..config.clone()
                    },
                };
                runs.push((row.name.clone(), run));
            }
        }
        Ok(runs)
    }
}

pub(super) fn run(
    experiment: &str,
    args: &Args,
    places: &Places,
    global: &Global,
) -> anyhow::Result<Results> {
    let plan = Plan::load(&places.config)?;
    let mut planned = plan.runs(&places.config, global)?;
    if args.finished {
        let mut done = Vec::new();
        for (row, run) in planned {
            if train::finished(&run.config, &places.runs.join(&run.name))?.is_some() {
                done.push((row, run));
            }
        }
        planned = done;
    }
    files::create_dir(&places.runs)?;
    let Training { workers, data, .. } = &args.training;
    let (rows, planned): (Vec<String>, Vec<Planned>) = planned.into_iter().unzip();
    let trained = execute(&planned, &places.runs, workers, data, global, |_| Ok(()))?;
    let mut networks = Vec::new();
    for ((row, run), trained) in rows.into_iter().zip(planned).zip(trained) {
        let Status::Done { seconds, best } = trained.status else {
            bail!("run `{}` diverged", run.name)
        };
        let directory = places.runs.join(&run.name);
        networks.push(Network {
            row,
            seed: run.config.seed,
            certificate: Certificate::of(&run, &directory, data, global)?,
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
    let text = page::tables(&plan, &networks)?;
    let provenance = Provenance::of(places.command(experiment));
    let page = format!("# {}\n\n{provenance}\n\n{text}", plan.title);
    let mut json = serde_json::to_vec_pretty(&serde_json::json!({
        "provenance": provenance,
        "networks": networks,
    }))?;
    json.push(b'\n');
    Ok(Results {
        files: vec![
            (PAGE.into(), page.into_bytes()),
            ("networks.csv".into(), csv(&networks)?),
            ("networks.json".into(), json),
        ],
        text,
    })
}

/// One line for each network.
fn csv(networks: &[Network]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (index, network) in networks.iter().enumerate() {
        let certificate = &network.certificate;
        let number = |value: f64| value.to_string();
        let mut cells: Vec<(String, String)> = [
            ("row", network.row.clone()),
            ("seed", network.seed.to_string()),
            ("accuracy", number(certificate.accuracy)),
            ("clr_lower", certificate.clr[0].to_string()),
            ("clr_upper", certificate.clr[1].to_string()),
            ("on_boundary", certificate.on_boundary.to_string()),
            ("shared_regions", certificate.shared_regions.to_string()),
            ("sharing_inputs", certificate.sharing_inputs.to_string()),
            ("mixed_regions", certificate.mixed_regions.to_string()),
            (
                "spearman",
                certificate.spearman.map_or(String::new(), number),
            ),
            ("epoch", network.epoch.to_string()),
            ("valid_accuracy", number(network.valid_accuracy)),
            ("valid_median_eps_2", number(network.valid_median_eps_2)),
            ("training_seconds", number(network.training_seconds)),
            ("training_threads", network.training_threads.to_string()),
            ("certification_seconds", number(certificate.seconds)),
        ]
        .map(|(name, cell)| (name.to_owned(), cell))
        .to_vec();
        for (norm, margins) in &certificate.margins {
            let percentiles = ["p25", "p50", "p75", "p100"].iter().zip(margins.all());
            cells.extend(percentiles.map(|(p, value)| (format!("{norm}_{p}"), number(value))));
        }
        let (names, record): (Vec<String>, Vec<String>) = cells.into_iter().unzip();
        if index == 0 {
            writer.write_record(names)?;
        }
        writer.write_record(record)?;
    }
    writer.into_inner().context("cannot finish the table")
}

/// The networks of each row that has any, in the order of the plan.
fn by_row<'a>(plan: &'a Plan, networks: &'a [Network]) -> Vec<(&'a Row, Vec<&'a Network>)> {
    let mut found: BTreeMap<&str, Vec<&Network>> = BTreeMap::new();
    for network in networks {
        found.entry(&network.row).or_default().push(network);
    }
    let row = |row: &'a Row| Some((row, found.remove(row.name.as_str())?));
    plan.rows.iter().filter_map(row).collect()
}
