//! The file of a table: its rows, and what the paper says of them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use loclin::program::files;
use loclin::program::options::Global;
use loclin::program::sweep::Planned;
use serde::Deserialize;

use crate::reproduce::seeded::{check_names, seeded};

/// The file of a table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    pub(super) title: String,
    /// The unit in which radii are shown, and what it is a unit of.
    pub(super) unit: f64,
    pub(super) scale: String,
    /// How settings and epochs were chosen: sentences of the page.
    pub(super) chosen: String,
    /// What every row is trained with instead of its configuration's own, `KEY=VALUE`.
    #[serde(default)]
    pub(super) set: Vec<String>,
    /// Each row is trained once with each.
    pub(super) seeds: Vec<u64>,
    /// The first is what ratios compare with.
    pub(super) rows: Vec<Row>,
}

/// One way of training.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    /// With `-seedN`, the directories of its runs.
    pub(super) name: String,
    /// Its configuration: the name of a preset, or a path relative to the file.
    pub(super) config: PathBuf,
    pub(super) published: Published,
}

/// A row of the paper's table: accuracy in percent, #CLR, and P25, P50, P75, P100 in the plan's unit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Published {
    pub(super) accuracy: f64,
    pub(super) clr: Option<usize>,
    pub(super) eps_1: [f64; 4],
    pub(super) eps_2: [f64; 4],
}

impl Plan {
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        let unusable = || format!("{}: not a usable table", path.display());
        let plan: Self = toml::from_str(&files::read_text(path)?).with_context(unusable)?;
        check_names(plan.rows.iter().map(|row| &row.name), path)?;
        Ok(plan)
    }

    /// The runs of all rows and seeds with the rows' names, in order.
    pub(super) fn runs(
        &self,
        path: &Path,
        global: &Global,
    ) -> anyhow::Result<Vec<(String, Planned)>> {
        let mut runs = Vec::new();
        for row in &self.rows {
            let own = seeded(&row.name, &row.config, &self.set, &self.seeds, path, global)?;
            runs.extend(own.into_iter().map(|run| (row.name.clone(), run)));
        }
        Ok(runs)
    }
}
