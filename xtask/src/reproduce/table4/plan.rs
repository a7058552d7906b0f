//! The file of the table: its rows, its searches, and what the paper says.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use loclin::program::config::Config;
use loclin::program::distortion::SearchOptions;
use loclin::program::domain::DomainOptions;
use loclin::program::files;
use loclin::program::options::Global;
use loclin::program::sweep::Planned;
use serde::Deserialize;

use crate::reproduce::seeded::{check_names, seeded};

/// What every number of an image is within.
pub(super) const DOMAIN: [f64; 2] = [0.0, 1.0];

/// The file of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::reproduce) struct Plan {
    pub(super) title: String,
    /// In place of the configurations' own.
    pub(super) dataset: String,
    /// Of the trainings and the searches: each row is trained and measured once with each.
    pub(in crate::reproduce) seeds: Vec<u64>,
    /// Test images whose distortions and margins are measured, the first ones.
    pub(super) inputs: usize,
    pub(super) eps: String,
    pub(super) samples: usize,
    pub(super) population: usize,
    pub(super) generations: usize,
    /// Shorter searches of the same images, which show what longer ones find more.
    pub(super) shorter: Option<Shorter>,
    /// Whether a bound of what no search can find more of is asked for, an image after the other.
    #[serde(default)]
    pub(super) prove: bool,
    /// The first is what ratios compare with.
    pub(super) rows: Vec<Row>,
}

/// What a shorter measurement takes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shorter {
    samples: usize,
    population: usize,
    generations: usize,
}

/// One way of training.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    /// With `-seedN`, the directories of its runs.
    pub(super) name: String,
    /// Its configuration: the name of a preset, or a path relative to the file.
    pub(super) config: PathBuf,
    pub(super) published: Published,
}

/// A row of the paper's table: accuracy in percent, and P25, P50, P75, P100 of the distortions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Published {
    pub(super) accuracy: f64,
    pub(super) expected: [f64; 4],
    pub(super) maximum: [f64; 4],
}

impl Plan {
    pub(in crate::reproduce) fn load(path: &Path) -> anyhow::Result<Self> {
        let unusable = || format!("{}: not a usable table", path.display());
        let plan: Self = toml::from_str(&files::read_text(path)?).with_context(unusable)?;
        let shorter = plan.shorter;
        let of_shorter = shorter.map(|shorter| [shorter.samples, shorter.population / 2]);
        let least = [
            plan.inputs,
            plan.samples,
            plan.population / 2,
            plan.rows.len(),
            plan.seeds.len(),
        ];
        let mut all = least.iter().chain(of_shorter.iter().flatten());
        ensure!(
            all.all(|n| *n > 0),
            "{}: inputs, samples, seeds and rows must be at least 1, population 2",
            path.display()
        );
        check_names(plan.rows.iter().map(|row| &row.name), path)?;
        Ok(plan)
    }

    pub(in crate::reproduce) fn search(&self) -> anyhow::Result<SearchOptions> {
        let eps = self.eps.parse();
        Ok(SearchOptions {
            eps: eps.with_context(|| format!("eps = {:?}", self.eps))?,
            domain: DomainOptions::interval(DOMAIN),
            samples: self.samples,
            population: self.population,
            generations: self.generations,
            parts: 1,
        })
    }

    /// The shorter searches, if there are any.
    pub(super) fn shorter(&self) -> anyhow::Result<Option<SearchOptions>> {
        let options = |shorter: Shorter| {
            Ok(SearchOptions {
                samples: shorter.samples,
                population: shorter.population,
                generations: shorter.generations,
                ..self.search()?
            })
        };
        self.shorter.map(options).transpose()
    }

    /// The runs of all rows and seeds with the rows' names, in order.
    pub(super) fn runs(
        &self,
        path: &Path,
        global: &Global,
    ) -> anyhow::Result<Vec<(String, Planned)>> {
        let mut runs = Vec::new();
        for row in &self.rows {
            for run in seeded(&row.name, &row.config, &[], &self.seeds, path, global)? {
                let config = Config {
                    dataset: self.dataset.clone(),
                    ..run.config
                };
                runs.push((row.name.clone(), Planned { config, ..run }));
            }
        }
        Ok(runs)
    }
}
