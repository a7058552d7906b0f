//! The file of the table: objectives, what is chosen by, and what is measured.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use loclin::program::files;
use loclin::program::options::Global;
use loclin::program::sweep::{self, Planned, is_within};
use serde::{Deserialize, Serialize};

use crate::reproduce::seeded::seeded;

/// The objective of the first row.
pub(super) const VANILLA: &str = "vanilla";

/// The file of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    pub(super) title: String,
    /// The configuration whose validation accuracy counts as unharmed: the name of a preset, or a path relative to the file.
    vanilla: PathBuf,
    /// Of the networks that are tested.
    pub(super) seeds: Vec<u64>,
    /// The unit in which the table shows radii.
    pub(super) unit: f64,
    /// The first test images whose margins are found; all of them where it is not said.
    #[serde(default)]
    pub(super) certified: Option<usize>,
    pub(super) measured: Measured,
    /// Two objectives, whose radii are compared seed by seed: the first over the second.
    #[serde(default)]
    pub(super) compare: Option<[String; 2]>,
    pub(super) rules: Vec<Rule>,
    pub(super) objectives: Vec<Objective>,
}

/// What is measured of a network.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measured {
    /// The first images of a set.
    pub(super) inputs: usize,
    /// The interval of every number of an input.
    pub(super) domain: [f64; 2],
    /// A share of the gradient's norm: up to which radius it is proved to change by no more.
    pub(super) change: f64,
    /// The radius of the l_inf ball in which the change is bounded and neurons are counted.
    pub(super) ball: f64,
    /// Radii of l_inf balls in which the class is proved.
    pub(super) class: Vec<f64>,
}

/// What accuracy a choice may cost.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) name: String,
    /// Whole percentage points of validation accuracy.
    pub(super) points_less: u8,
}

/// An objective and the sweep over its settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Objective {
    pub(super) name: String,
    /// A path relative to the file.
    sweep: PathBuf,
}

impl Rule {
    /// Whether an accuracy is near enough that of vanilla, both shares, in whole percent as the paper's tables show them.
    pub(super) fn allows(&self, accuracy: f64, vanilla: f64) -> bool {
        is_within(accuracy, vanilla, f64::from(self.points_less))
    }
}

impl Measured {
    fn is_usable(&self) -> bool {
        let [low, high] = self.domain;
        let mut radii = self.class.iter().chain([&self.change, &self.ball]);
        self.inputs > 0 && low < high && radii.all(|radius| *radius > 0.0)
    }
}

impl Plan {
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        let unusable = || format!("{}: not a usable table", path.display());
        let plan: Self = toml::from_str(&files::read_text(path)?).with_context(unusable)?;
        ensure!(
            plan.measured.is_usable(),
            "{}: `inputs`, `change`, `ball` and `class` must be above 0, and `domain` an interval",
            path.display()
        );
        ensure!(
            plan.unit > 0.0 && plan.certified != Some(0),
            "{}: `unit` and `certified` must be above 0",
            path.display()
        );
        let known = |name: &String| plan.objectives.iter().any(|own| own.name == *name);
        if let Some(unknown) = plan.compare.iter().flatten().find(|name| !known(name)) {
            anyhow::bail!("{}: compare: no objective `{unknown}`", path.display());
        }
        Ok(plan)
    }

    /// The vanilla networks of some seeds.
    pub(super) fn vanilla(
        &self,
        path: &Path,
        seeds: &[u64],
        global: &Global,
    ) -> anyhow::Result<Vec<Planned>> {
        seeded(VANILLA, &self.vanilla, &[], seeds, path, global)
    }
}

impl Objective {
    /// The sweep over its settings.
    pub(super) fn sweep(&self, path: &Path, global: &Global) -> anyhow::Result<sweep::Plan> {
        let directory = path.parent().unwrap_or(Path::new(""));
        sweep::Plan::load(&self.sweep, directory, global)
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn accuracies_are_compared_in_whole_percent() {
        let rule = |points_less| Rule {
            name: String::new(),
            points_less,
        };
        assert!(rule(0).allows(0.9751, 0.9849));
        assert!(!rule(0).allows(0.9749, 0.9849));
        assert!(rule(1).allows(0.9651, 0.9849));
        assert!(!rule(1).allows(0.9649, 0.9849));
    }
}
