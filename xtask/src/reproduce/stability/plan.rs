//! The file of the experiment: networks, images, and what is done to them.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use loclin::program::files;
use loclin::program::options::Global;
use loclin::program::sweep::Planned;
use serde::Deserialize;

use super::perturbation::Perturbation;
use crate::reproduce::seeded::{check_names, seeded};

/// The file of the experiment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    pub(super) title: String,
    /// Each row's network is trained once with each.
    pub(super) seeds: Vec<u64>,
    /// Test images that a network classifies rightly, the first ones.
    pub(super) inputs: usize,
    /// Of these, the first ones have exact integrated gradients.
    pub(super) integrated: usize,
    /// Of these, the first ones have a radius for a bounded change of the gradient.
    pub(super) bounded: usize,
    /// Pixels with the largest gradients that are compared.
    pub(super) top: usize,
    /// Bootstrap samples.
    pub(super) samples: usize,
    pub(super) perturbations: Vec<Perturbation>,
    pub(super) rows: Vec<Row>,
}

/// One way of training.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    /// With `-seedN`, the directories of its runs.
    pub(super) name: String,
    /// Its configuration: the name of a preset, or a path relative to the file.
    config: PathBuf,
}

impl Plan {
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let unusable = || format!("{shown}: not a usable comparison");
        let plan: Self = toml::from_str(&files::read_text(path)?).with_context(unusable)?;
        let least = [
            plan.seeds.len(),
            plan.inputs,
            plan.top,
            plan.samples,
            plan.perturbations.len(),
            plan.rows.len(),
        ];
        ensure!(
            least.iter().all(|n| *n > 0),
            "{shown}: seeds, inputs, top, samples, perturbations and rows must be at least 1"
        );
        check_names(plan.rows.iter().map(|row| &row.name), path)?;
        for perturbation in &plan.perturbations {
            perturbation.check().with_context(unusable)?;
        }
        Ok(plan)
    }

    /// The runs of all rows and seeds, in order.
    pub(super) fn runs(&self, path: &Path, global: &Global) -> anyhow::Result<Vec<Planned>> {
        let mut runs = Vec::new();
        for row in &self.rows {
            runs.extend(seeded(
                &row.name,
                &row.config,
                &[],
                &self.seeds,
                path,
                global,
            )?);
        }
        Ok(runs)
    }
}
