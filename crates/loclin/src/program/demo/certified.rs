//! One of the demo's networks: trained, and certified on held-out digits.

use std::path::Path;

use anyhow::Context;
use candle_core::DType;
use loclin_data::{Applied, Split};
use loclin_models::{Model, Network};
use loclin_regions::{Method, Norm};

use super::outcome::Row;
use crate::program::certify::{Certificates, Question, certify};
use crate::program::config::Config;
use crate::program::opened::by_model;
use crate::program::options::Global;
use crate::program::train::{self, Datasets};

/// The norms, in the order of the certificates.
pub(super) const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::LINF];

/// A trained network, certified.
pub(super) struct Certified {
    pub(super) name: &'static str,
    pub(super) config: Config,
    pub(super) network: Network,
    pub(super) certificates: Certificates,
    pub(super) row: Row,
    /// What was done to the digits.
    pub(super) preprocessing: Applied,
}

/// Trains `config` in the directory `out` and certifies the network.
pub(super) fn train_and_certify(
    name: &'static str,
    config: Config,
    out: &Path,
    global: &Global,
) -> anyhow::Result<Certified> {
    // The demo's data is in the program: no directory of datasets is read.
    let datasets = Datasets::new(Path::new(""));
    tracing::info!("training the {name} network");
    let trained = train::train(&config, &datasets, out, true, global, name)?;
    let model = Model::load(&out.join(train::MODEL), DType::F64, &global.device.open()?)?;
    let network = model.raw()?;
    let test = train::open(&config, Split::Test, Path::new(""))?.into_table()?;
    tracing::info!("certifying it on {} held-out digits", test.len());
    let certificates = certify(&network, &test, &Question::new(&NORMS, Method::Auto), name)?;
    let row = Row {
        accuracy: certificates.accuracy().context("the digits have labels")?,
        clr_lower: certificates.regions.lower,
        clr_upper: certificates.regions.upper,
        clr_guarantee: certificates.regions.guarantee.name(),
        training_seconds: trained.seconds,
        margins: certificates.percentiles()?,
        guarantee: certificates.guarantee().name(),
    };
    Ok(Certified {
        name,
        config,
        network,
        certificates,
        row,
        preprocessing: by_model(test.applied(), model.normalization.as_ref()),
    })
}
