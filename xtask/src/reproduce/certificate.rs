//! A trained network on the test inputs, certified in float64.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use candle_core::DType;
use loclin_data::Split;
use loclin_models::ModelFile;
use loclin_regions::{Method, Norm};
use serde::{Deserialize, Serialize};

use loclin::program::certify::{Question, certify_all};
use loclin::program::files;
use loclin::program::options::{DataDir, Global};
use loclin::program::sweep::Planned;
use loclin::program::train;
use loclin_report::stats::{Percentiles, spearman};

use super::predicted;

/// The certificate of a run, in the run's directory.
const FILE: &str = "certificate.json";

/// What is known of a network on the test inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificate {
    /// SHA-256 of the model's file.
    model: String,
    /// Number of test inputs that are certified: what follows is of these, but for the accuracy.
    pub(super) inputs: usize,
    /// Share of correct predictions on all test inputs.
    pub(super) accuracy: f64,
    /// Bounds on the number of complete linear regions (Lemma 7).
    pub(super) clr: [usize; 2],
    /// Inputs at which some neuron is exactly 0.
    pub(super) on_boundary: usize,
    /// Regions (patterns) with more than one input, and the inputs in them.
    pub(super) shared_regions: usize,
    pub(super) sharing_inputs: usize,
    /// Regions whose inputs have different labels.
    pub(super) mixed_regions: usize,
    /// Spearman's rank correlation of `eps_1` and `eps_2`.
    pub(super) spearman: Option<f64>,
    /// `eps_1`, `eps_2`, `eps_inf`: percentiles of the margins in raw input units.
    pub(super) margins: BTreeMap<String, Percentiles>,
    /// Wall-clock seconds of the certification.
    pub(super) seconds: f64,
}

impl Certificate {
    /// Of the trained `run` in `directory`, read if its model has one, otherwise made and kept: of the first test inputs, or of all.
    pub(super) fn of(
        run: &Planned,
        directory: &Path,
        data: &DataDir,
        first: Option<usize>,
        global: &Global,
    ) -> anyhow::Result<Self> {
        let model = directory.join(train::MODEL);
        let digest = files::digest(&model)?;
        let kept = directory.join(FILE);
        if kept.exists() {
            let text = files::read_text(&kept)?;
            // One of an earlier version of the program, or of a network that was trained on, is made again.
            if let Ok(certificate) = serde_json::from_str::<Self>(&text)
                && certificate.model == digest
                && first.is_none_or(|first| first == certificate.inputs)
            {
                return Ok(certificate);
            }
        }
        tracing::info!("certifying {}", run.name);
        let model = ModelFile::load(&model, DType::F64, &global.device.open()?)?;
        let mut data = train::open(&run.config, Split::Test, &data.data_dir)?;
        let mut accuracy = None;
        if let Some(first) = first {
            let all = data.clone().into_table()?;
            accuracy = Some(predicted::accuracy(&model.raw(all.input_shape())?, &all)?);
            data = data.take(first)?;
        }
        let norms = [Norm::L1, Norm::L2, Norm::LINF];
        let label = format!("certifying {}", run.name);
        let found = certify_all(&model, &data, &Question::new(&norms, Method::Auto), &label)?;
        let [eps_1, eps_2] = [0, 1].map(|norm| found.margins[norm].radius.iter().copied());
        let labels = found.labels.as_deref();
        let labels = labels.context("the test inputs have no labels")?;
        let shared = shared(&found.region, labels);
        let certificate = Self {
            model: digest,
            inputs: data.len(),
            accuracy: accuracy
                .or(found.accuracy())
                .context("the test inputs have no labels")?,
            clr: [found.regions.lower, found.regions.upper],
            on_boundary: found.regions.on_boundary,
            shared_regions: shared[0],
            sharing_inputs: shared[1],
            mixed_regions: shared[2],
            spearman: spearman(&eps_1.zip(eps_2).collect::<Vec<_>>()),
            margins: found.percentiles()?,
            seconds: found.seconds,
        };
        let mut json = serde_json::to_vec_pretty(&certificate)?;
        json.push(b'\n');
        files::write_atomic(&kept, &json)?;
        Ok(certificate)
    }

    /// The percentiles of a norm's margins.
    pub(super) fn margin(&self, name: &str) -> anyhow::Result<Percentiles> {
        let found = self.margins.get(name).copied();
        found.with_context(|| format!("the certificate has no {name}"))
    }
}

/// Regions with several inputs, the inputs in them, and those among them with several labels.
fn shared(regions: &[usize], labels: &[u32]) -> [usize; 3] {
    let mut members: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for (region, label) in regions.iter().zip(labels) {
        members.entry(*region).or_default().push(*label);
    }
    let several: Vec<_> = members
        .into_values()
        .filter(|labels| labels.len() > 1)
        .collect();
    let mixed = several
        .iter()
        .filter(|labels| labels.iter().any(|label| *label != labels[0]));
    [
        several.len(),
        several.iter().map(Vec::len).sum(),
        mixed.count(),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn regions_are_shared_by_inputs_and_mixed_by_labels() {
        let regions = [4, 0, 1, 1, 2, 2, 2, 3];
        let labels = [1, 1, 5, 5, 6, 6, 7, 8];
        assert_eq!(super::shared(&regions, &labels), [2, 5, 1]);
        assert_eq!(super::shared(&[], &[]), [0, 0, 0]);
    }
}
