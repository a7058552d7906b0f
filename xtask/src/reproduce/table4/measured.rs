//! The networks of the table, trained and measured.

use std::path::Path;

use anyhow::{Context, bail};
use candle_core::DType;
use loclin::program::certify::{Question, certify};
use loclin::program::compute::Dtype;
use loclin::program::distortion::{self, Record};
use loclin::program::jobs::{JobOptions, Settings};
use loclin::program::options::{DataDir, Global};
use loclin::program::sweep::{Planned, Status};
use loclin::program::{files, train};
use loclin_data::{Data, Split};
use loclin_models::{ModelFile, Network};
use loclin_regions::{Estimate, Method, Norm};
use loclin_report::stats::Percentiles;

use super::network::Network as Numbers;
use super::plan::Plan;
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
    let found = distortion::measure(
        &network,
        &first,
        &plan.search()?,
        run.config.seed,
        distortion::Made {
            model: &run.name,
            // Neither the version nor the machine: what was begun goes on.
            settings: &Settings::default().with("model", files::digest(&model)?)?,
            preprocessing: &first.applied(),
            dtype: Dtype::F32,
        },
        Some((&directory.join("distortion"), &job)),
        &format!("measuring {}", run.name),
    )?;
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
    let percentiles = |of: &dyn Fn(&Record) -> f64| {
        let values: Vec<f64> = found.records().iter().map(of).collect();
        Percentiles::of(&values).context("no test images")
    };
    let more = found.records().iter().filter(|r| r.ascent > r.genetic);
    let numbers = Numbers {
        row: trained.row,
        seed: run.config.seed,
        accuracy: accuracy(&network, &all)?,
        test_images: all.len(),
        measured_images: found.records().len(),
        eps_2: Percentiles::of(&certificates.margins[0].radius).context("no test images")?,
        gradient: percentiles(&|record| record.gradient)?,
        expected: percentiles(&|record| record.expected)?,
        maximum: percentiles(&Record::maximum)?,
        genetic: percentiles(&|record| record.genetic)?,
        ascent: percentiles(&|record| record.ascent)?,
        ascent_finds_more: more.count() as f64 / found.records().len() as f64,
        costs: found.costs(),
        neurons: certificates.neurons,
        epoch: trained.epoch,
        training_seconds: trained.seconds,
        measuring_seconds: found.seconds(),
        config: run.config,
    };
    Ok(Measured {
        network,
        records: found.records().to_vec(),
        numbers,
    })
}
