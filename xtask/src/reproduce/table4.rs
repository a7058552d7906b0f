//! Table 4: how much the gradients of residual networks change near the test images, and their exact l2 margins.

mod page;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use candle_core::DType;
use loclin_data::{Data, Dataset, Split};
use loclin_models::{ModelFile, Module, Network};
use loclin_regions::{Estimate, Method, Norm};
use serde::{Deserialize, Serialize};
use toml::Table;

use super::provenance::Provenance;
use super::{PAGE, Places, Results, Training};
use loclin::program::certify::certify;
use loclin::program::config::Config;
use loclin::program::distortion::{self, Domain, Looks, Record};
use loclin::program::files;
use loclin::program::options::Global;
use loclin::program::progress::Bar;
use loclin::program::sweep::{Planned, Status, execute};
use loclin::program::{tensors, train};
use loclin_report::stats::Percentiles;

/// Options of `reproduce table4` and of Figures 4 to 6.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where things are, and how networks are trained.
    #[command(flatten)]
    pub training: Training,
}

/// The file of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    title: String,
    /// In place of the configurations' own.
    dataset: String,
    /// Of the trainings and the searches.
    pub(super) seed: u64,
    /// Test images whose distortions and margins are measured, the first ones.
    inputs: usize,
    eps: String,
    samples: usize,
    population: usize,
    generations: usize,
    /// The first is what ratios compare with.
    rows: Vec<Row>,
}

/// One way of training.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The directory of its run.
    name: String,
    /// Its configuration, a path relative to the file.
    config: PathBuf,
    published: Published,
}

/// A row of the paper's table: accuracy in percent, and P25, P50, P75, P100 of the distortions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    accuracy: f64,
    expected: [f64; 4],
    maximum: [f64; 4],
}

/// A trained network and what was measured of it.
pub(super) struct Measured {
    pub(super) name: String,
    /// Takes raw inputs, in float32.
    pub(super) network: Network,
    pub(super) config: Config,
    pub(super) records: Vec<Record>,
    numbers: Numbers,
}

/// What the page and the files of the results show.
#[derive(Clone, Debug, Serialize)]
struct Numbers {
    row: String,
    /// Share of correct predictions on all test images.
    accuracy: f64,
    test_images: usize,
    /// Percentiles over the measured test images.
    eps_2: Percentiles,
    gradient: Percentiles,
    expected: Percentiles,
    maximum: Percentiles,
    genetic: Percentiles,
    ascent: Percentiles,
    ascent_finds_more: f64,
    costs: distortion::Costs,
    neurons: usize,
    epoch: usize,
    training_seconds: f64,
    measuring_seconds: f64,
}

impl Plan {
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        let unusable = || format!("{}: not a usable table", path.display());
        let plan: Self = toml::from_str(&files::read_text(path)?).with_context(unusable)?;
        let least = [
            plan.inputs,
            plan.samples,
            plan.population / 2,
            plan.rows.len(),
        ];
        ensure!(
            least.iter().all(|n| *n > 0),
            "{}: inputs, samples and rows must be at least 1, population 2",
            path.display()
        );
        Ok(plan)
    }

    pub(super) fn looks(&self) -> anyhow::Result<Looks> {
        let eps = self.eps.parse();
        Ok(Looks {
            eps: eps.with_context(|| format!("eps = {:?}", self.eps))?,
            domain: Domain([0.0, 1.0]),
            samples: self.samples,
            population: self.population,
            generations: self.generations,
        })
    }

    fn runs(&self, path: &Path) -> anyhow::Result<Vec<Planned>> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let run = |row: &Row| {
            let config = Config {
                dataset: self.dataset.clone(),
                seed: self.seed,
                ..Config::load(&directory.join(&row.config), &[])?
            };
            Ok(Planned {
                name: row.name.clone(),
                varied: Table::new(),
                config,
            })
        };
        self.rows.iter().map(run).collect()
    }
}

pub(super) fn run(args: &Args, places: &Places, global: &Global) -> anyhow::Result<Results> {
    let plan = Plan::load(&places.config)?;
    let networks = measured(&plan, args, places, global)?;
    let provenance = Provenance::of(places.command("table4"));
    let numbers: Vec<&Numbers> = networks.iter().map(|network| &network.numbers).collect();
    let text = page::tables(&plan, &networks);
    let mut json = serde_json::to_vec_pretty(&serde_json::json!({
        "provenance": provenance,
        "networks": numbers,
    }))?;
    json.push(b'\n');
    let page = format!("# {}\n\n{provenance}\n\n{text}", plan.title);
    let mut written = vec![
        (PAGE.into(), page.into_bytes()),
        ("networks.json".into(), json),
    ];
    for network in &networks {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut rows = network.records.iter();
        rows.try_for_each(|record| writer.serialize(record))?;
        let bytes = writer.into_inner().context("cannot finish the table")?;
        written.push((format!("{}.csv", network.name), bytes));
    }
    Ok(Results {
        files: written,
        text,
    })
}

/// The networks of all rows, trained and measured; what was begun goes on.
pub(super) fn measured(
    plan: &Plan,
    args: &Args,
    places: &Places,
    global: &Global,
) -> anyhow::Result<Vec<Measured>> {
    let planned = plan.runs(&places.config)?;
    files::create_dir(&places.runs)?;
    let Training { workers, data, .. } = &args.training;
    let rows = execute(&planned, &places.runs, workers, data, global, |_| Ok(()))?;
    let mut networks = Vec::new();
    for (run, row) in planned.into_iter().zip(rows) {
        let Status::Done { seconds, best } = row.status else {
            bail!("run `{}` diverged", run.name)
        };
        let directory = places.runs.join(&run.name);
        let model = directory.join(train::MODEL);
        let Data::Table(all) = train::open(&run.config, Split::Test, &data.data_dir)? else {
            bail!("{}: sequences are no images", run.config.dataset)
        };
        let first = all.clone().take(plan.inputs)?;
        let device = global.device.open()?;
        let [network, precise] = [DType::F32, DType::F64].map(|dtype| {
            let model = ModelFile::load(&model, dtype, &device)?;
            anyhow::Ok(model.raw(all.input_shape())?)
        });
        let (network, precise) = (network?, precise?);
        let found = distortion::measure(
            &network,
            &first,
            &plan.looks()?,
            plan.seed,
            Some(&directory.join("distortion")),
            &files::digest(&model)?,
            &format!("measuring {}", run.name),
        )?;
        let method = Method::Estimate(Estimate {
            seed: plan.seed,
            ..Estimate::default()
        });
        let label = format!("certifying {}", run.name);
        let certificates = certify(&precise, &first, &[Norm::L2], method, &label)?;
        let percentiles = |of: &dyn Fn(&Record) -> f64| {
            let values: Vec<f64> = found.records.iter().map(of).collect();
            Percentiles::of(&values).context("no test images")
        };
        let more = found.records.iter().filter(|r| r.ascent > r.genetic);
        let numbers = Numbers {
            row: run.name.clone(),
            accuracy: accuracy(&network, &all)?,
            test_images: all.len(),
            eps_2: Percentiles::of(&certificates.margins[0].radius).context("no test images")?,
            gradient: percentiles(&|record| record.gradient)?,
            expected: percentiles(&|record| record.expected)?,
            maximum: percentiles(&Record::maximum)?,
            genetic: percentiles(&|record| record.genetic)?,
            ascent: percentiles(&|record| record.ascent)?,
            ascent_finds_more: more.count() as f64 / found.records.len() as f64,
            costs: found.costs,
            neurons: certificates.neurons,
            epoch: best.epoch,
            training_seconds: seconds,
            measuring_seconds: found.seconds,
        };
        networks.push(Measured {
            name: run.name,
            network,
            config: run.config,
            records: found.records,
            numbers,
        });
    }
    Ok(networks)
}

impl Measured {
    /// What the numbers of one image took.
    pub(super) fn costs(&self) -> distortion::Costs {
        self.numbers.costs
    }
}

/// Share of correct predictions.
fn accuracy(network: &Network, data: &Dataset) -> anyhow::Result<f64> {
    const BATCH: usize = 256;
    let labels = data.labels().context("the test images have no labels")?;
    let bar = Bar::count("predicting", data.len() as u64);
    let rows: Vec<usize> = (0..data.len()).collect();
    let mut correct = 0;
    for rows in rows.chunks(BATCH) {
        let x = tensors::inputs(data, rows, network.dtype(), network.device())?;
        let predicted = tensors::predictions(&network.forward(&x)?)?;
        let pairs = predicted.iter().zip(rows);
        correct += pairs.filter(|(p, row)| **p == labels[**row]).count();
        bar.advance(rows.len() as u64);
    }
    Ok(correct as f64 / data.len() as f64)
}
