//! The networks of the table, trained and measured.

use std::path::Path;

use anyhow::{Context, bail};
use candle_core::DType;
use loclin::program::certify::{Question, certify};
use loclin::program::compute::Dtype;
use loclin::program::distortion::{self, Found, Record, SearchOptions};
use loclin::program::jobs::{JobOptions, Settings};
use loclin::program::options::{DataDir, Global};
use loclin::program::sweep::{Planned, Status};
use loclin::program::{files, tensors, train};
use loclin_data::{Data, Dataset, Split};
use loclin_models::{ModelFile, Network};
use loclin_regions::reduced::Limits;
use loclin_regions::{Estimate, Guarantee, Method, Norm};
use loclin_report::stats::Percentiles;

use super::network::{Network as Numbers, Shorter};
use super::plan::{self, Plan};
use crate::reproduce::asked::{At, change_in_l1};
use crate::reproduce::places::{Places, Training};
use crate::reproduce::predicted::accuracy;

/// A trained network and what was measured of it.
pub(in crate::reproduce) struct Measured {
    /// Takes raw inputs, in float32.
    pub(in crate::reproduce) network: Network,
    pub(in crate::reproduce) records: Vec<Record>,
    pub(in crate::reproduce) numbers: Numbers,
}

/// The networks of all rows, trained and measured; what was begun goes on.
pub(in crate::reproduce) fn measured(
    plan: &Plan,
    training: &Training,
    places: &Places,
    global: &Global,
) -> anyhow::Result<Vec<Measured>> {
    let planned = plan.runs(&places.config, global)?;
    let (rows, planned): (Vec<String>, Vec<Planned>) = planned.into_iter().unzip();
    let trained = training.execute(&planned, &places.runs, global)?;
    let mut networks = Vec::new();
    for ((row, run), trained) in rows.into_iter().zip(planned).zip(trained) {
        let Status::Done { seconds, best, .. } = trained.status else {
            bail!("run `{}` diverged", run.name)
        };
        let directory = places.runs.join(&run.name);
        let trained = Trained {
            row,
            epoch: best.epoch,
            seconds,
        };
        networks.push(measure(
            plan,
            run,
            trained,
            &directory,
            &training.data,
            global,
        )?);
    }
    Ok(networks)
}

/// The row of a run, and what its training took.
struct Trained {
    row: String,
    epoch: usize,
    seconds: f64,
}

/// Measures one network, or goes on with what was begun in its directory.
fn measure(
    plan: &Plan,
    run: Planned,
    trained: Trained,
    directory: &Path,
    data: &DataDir,
    global: &Global,
) -> anyhow::Result<Measured> {
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
    let job = JobOptions {
        resume: true,
        ..JobOptions::default()
    };
    // Neither the version nor the machine: what was begun goes on.
    let settings = Settings::default().with("model", files::digest(&model)?)?;
    let search = |options: &SearchOptions, name: &str| {
        distortion::measure(
            &network,
            &first,
            options,
            run.config.seed,
            distortion::Made {
                model: &run.name,
                settings: &settings,
                preprocessing: &first.applied(),
                dtype: Dtype::F32,
            },
            Some((&directory.join(name), &job)),
            &format!("measuring {}, {name}", run.name),
        )
    };
    let found = search(&plan.search()?, "distortion")?;
    let mut records = found.records().to_vec();
    let not_proved = match plan.prove {
        true => prove(plan, &precise, &first, &mut records)?,
        false => None,
    };
    let records = &records[..];
    let shorter = match plan.shorter()? {
        Some(options) => Some(shorter(records, &search(&options, "shorter")?)?),
        None => None,
    };
    let method = Method::Estimate(Estimate {
        seed: run.config.seed,
        ..Estimate::default()
    });
    let label = format!("certifying {}", run.name);
    let certificates = certify(
        &precise,
        &first,
        &Question::new(&[Norm::L2], method),
        &label,
    )?;
    let percentiles = |of: fn(&Record) -> f64| percentiles(records, of);
    let more = records.iter().filter(|r| r.ascent > r.genetic);
    let numbers = Numbers {
        row: trained.row,
        seed: run.config.seed,
        accuracy: accuracy(&network, &all)?,
        test_images: all.len(),
        measured_images: records.len(),
        eps_2: Percentiles::of(&certificates.margins[0].radius).context("no test images")?,
        gradient: percentiles(|record| record.gradient)?,
        expected: percentiles(|record| record.expected)?,
        maximum: percentiles(Record::maximum)?,
        genetic: percentiles(|record| record.genetic)?,
        ascent: percentiles(|record| record.ascent)?,
        ascent_finds_more: more.count() as f64 / records.len() as f64,
        costs: found.costs(),
        shorter,
        proved: records
            .iter()
            .filter(|record| record.proved.is_some())
            .count(),
        not_proved,
        neurons: certificates.neurons,
        epoch: trained.epoch,
        training_seconds: trained.seconds,
        measuring_seconds: found.seconds(),
        config: run.config,
    };
    Ok(Measured {
        network,
        records: records.to_vec(),
        numbers,
    })
}

/// Adds to the records what no search can find more of, and says why where there is no such bound.
fn prove(
    plan: &Plan,
    network: &Network,
    images: &Dataset,
    records: &mut [Record],
) -> anyhow::Result<Option<String>> {
    let eps = plan.search()?.eps.value();
    let mut reason = None;
    for record in records {
        let x = tensors::inputs(images, &[record.index], DType::F64, network.device())?;
        let x = x.flatten_all()?.to_vec1()?;
        let at = At::new(network, &x, Some(plan::DOMAIN))?;
        let question = change_in_l1(network.output_size(), record.label as usize);
        match at.around(Norm::LINF)?.bound(eps, &question, Limits::ROOT) {
            Ok(bound) if bound.guarantee == Guarantee::Proved => {
                record.proved = Some(bound.proved);
            }
            Ok(_) => reason = Some("rounding errors are not bounded".to_owned()),
            Err(error) => reason = Some(error.to_string()),
        }
    }
    Ok(reason)
}

fn percentiles(records: &[Record], of: fn(&Record) -> f64) -> anyhow::Result<Percentiles> {
    let values: Vec<f64> = records.iter().map(of).collect();
    Percentiles::of(&values).context("no test images")
}

/// What shorter searches found of the images of `long`.
fn shorter(long: &[Record], found: &Found) -> anyhow::Result<Shorter> {
    let records = found.records();
    let pairs = records.iter().zip(long);
    let shares: Vec<f64> = pairs
        .map(|(own, long)| own.maximum() / long.maximum())
        .collect();
    Ok(Shorter {
        costs: found.costs(),
        genetic: percentiles(records, |record| record.genetic)?,
        ascent: percentiles(records, |record| record.ascent)?,
        share: Percentiles::of(&shares).context("no test images")?,
    })
}
