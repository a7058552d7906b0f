//! The results of a sweep, as CSV for people and as JSON for programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use toml::Value;

use super::mean::{Mean, means};
use super::plan::Plan;
use super::row::{Row, Status};
use super::select::{Rule, Selected};
use crate::program::files::{self, Lock};
use crate::program::jobs::Shard;

/// The results' files.
pub(super) const CSV: &str = "results.csv";
pub(super) const JSON: &str = "results.json";

/// What `results.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Results {
    /// A digest of all configurations of the sweep and of its rules.
    pub(super) sweep: String,
    /// Which part of the sweep this is.
    pub(super) shard: Shard,
    /// The digests of the data that runs were trained on, by the names that configurations have for them; earlier versions did not
    /// keep them.
    #[serde(default)]
    pub(super) data: BTreeMap<String, String>,
    /// The names of all runs of the whole sweep, in order.
    pub(super) planned: Vec<String>,
    /// The runs that are done, in that order.
    pub(super) rows: Vec<Row>,
    /// The rules, so that a merge can apply them.
    pub(super) rules: Vec<Rule>,
    /// The means of a cross-validation, once every run of the sweep is in `rows`; earlier versions had none.
    #[serde(default)]
    pub(super) means: Vec<Mean>,
    /// What they choose, once every run of the sweep is in `rows`.
    pub(super) selected: Vec<Selected>,
}

impl Results {
    pub(super) fn new(
        plan: &Plan,
        shard: Shard,
        rows: Vec<Row>,
        data: BTreeMap<String, String>,
    ) -> Self {
        let planned = plan.runs.iter().map(|run| run.name.clone()).collect();
        Self {
            sweep: plan.digest(),
            shard,
            data,
            planned,
            rows,
            rules: plan.rules.clone(),
            means: Vec::new(),
            selected: Vec::new(),
        }
        .completed()
    }

    /// Applies the rules, and takes the means of a cross-validation, if every run is there.
    pub(super) fn completed(mut self) -> Self {
        let complete = self.rows.len() == self.planned.len();
        let rules: &[Rule] = if complete { &self.rules } else { &[] };
        let crossed = complete && self.rows.iter().any(|row| row.varied.contains_key("fold"));
        self.means = if crossed {
            means(&self.rows)
        } else {
            Vec::new()
        };
        self.selected = rules.iter().map(|rule| rule.apply(&self.rows)).collect();
        self
    }

    /// A file of results in the directory, if one is there.
    pub(super) fn there(directory: &Path) -> Option<PathBuf> {
        let files = [JSON, CSV].map(|name| directory.join(name));
        files.into_iter().find(|file| file.exists())
    }

    /// Reads the results in a sweep's directory.
    pub(super) fn read(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join(JSON);
        let text = files::read_text(&path)?;
        serde_json::from_str(&text)
            .with_context(|| format!("{}: not the results of a sweep", path.display()))
    }

    /// Writes both files into the sweep's directory.
    pub(super) fn write(&self, held: &Lock) -> anyhow::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        // First what says whose results these are.
        held.write(JSON, &json)?;
        held.write(CSV, &self.csv()?)?;
        Ok(())
    }

    /// The keys that vary, sorted.
    fn keys(&self) -> Vec<&String> {
        let mut keys: Vec<&String> = self.rows.iter().flat_map(|row| row.varied.keys()).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// What was done to inputs, in words, and the runs whose inputs they were; in the order of the runs.
    fn preprocessings(&self) -> Vec<(String, Vec<&str>)> {
        let mut found: Vec<(String, Vec<&str>)> = Vec::new();
        for row in &self.rows {
            let Status::Done {
                preprocessing: Some(preprocessing),
                ..
            } = &row.status
            else {
                continue;
            };
            let line = preprocessing.to_string();
            match found.iter_mut().find(|(known, _)| *known == line) {
                Some((_, runs)) => runs.push(&row.run),
                None => found.push((line, vec![&row.run])),
            }
        }
        found
    }

    fn csv(&self) -> anyhow::Result<Vec<u8>> {
        let keys = self.keys();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let fixed = [
            "status",
            "epoch",
            "valid_loss",
            "task_loss",
            "regulariser",
            "accuracy",
            "median_eps_2",
            "seconds",
        ];
        let header = keys.iter().map(|key| key.as_str()).chain(fixed);
        writer.write_record(["run"].into_iter().chain(header))?;
        for row in &self.rows {
            let mut record = vec![row.run.clone()];
            record.extend(
                keys.iter()
                    .map(|key| row.varied.get(*key).map_or(String::new(), plain)),
            );
            record.extend(match &row.status {
                Status::Done { seconds, best, .. } => {
                    let numbers = [
                        best.valid_loss,
                        best.task_loss,
                        best.regulariser,
                        best.accuracy,
                        best.median_eps_2,
                        *seconds,
                    ];
                    let numbers = numbers.map(|number| number.to_string());
                    let mut cells = vec!["done".to_owned(), best.epoch.to_string()];
                    cells.extend(numbers);
                    cells
                }
                Status::Diverged { .. } => {
                    let mut cells = vec!["diverged".to_owned()];
                    cells.resize(fixed.len(), String::new());
                    cells
                }
            });
            writer.write_record(record)?;
        }
        for mean in &self.means {
            for (status, numbers) in [("mean", &mean.mean), ("deviation", &mean.deviation)] {
                let mut record = vec![mean.name.clone()];
                let own = |key: &&String| mean.varied.get(*key).map_or(String::new(), plain);
                record.extend(keys.iter().map(own));
                record.push(status.to_owned());
                record.extend(numbers.to_array().map(|number| number.to_string()));
                // Of times there is no mean.
                record.push(String::new());
                writer.write_record(record)?;
            }
        }
        writer.into_inner().context("cannot finish the table")
    }

    /// The table for the terminal, and what was chosen.
    pub(super) fn text(&self) -> String {
        let width = self.rows.iter().map(|row| row.run.chars().count()).max();
        let width = width.unwrap_or(0).max(3);
        let mut text = format!("{:width$}  accuracy  median eps_2  epoch\n", "run");
        for row in &self.rows {
            let result = match &row.status {
                Status::Done { best, .. } => format!(
                    "{:>7.2}%  {:>12.3e}  {:>5}",
                    100.0 * best.accuracy,
                    best.median_eps_2,
                    best.epoch
                ),
                Status::Diverged { .. } => "diverged".to_owned(),
            };
            text.push_str(&format!("{:width$}  {result}\n", row.run));
        }
        for Mean {
            name,
            mean,
            deviation,
            runs,
            ..
        } in &self.means
        {
            text.push_str(&format!(
                "mean of {} runs, {name}: accuracy {:.2}% (deviation {:.2}), median eps_2 {:.3e} ({:.1e}), epoch {:.1}\n",
                runs.len(),
                100.0 * mean.accuracy,
                100.0 * deviation.accuracy,
                mean.median_eps_2,
                deviation.median_eps_2,
                mean.epoch,
            ));
        }
        for (preprocessing, runs) in self.preprocessings() {
            let of = match runs.len() == self.rows.len() {
                true => String::new(),
                false => format!(" of {}", runs.join(" ")),
            };
            text.push_str(&format!("inputs{of}: {preprocessing}\n"));
        }
        for selected in &self.selected {
            let runs = || selected.runs.join(" ");
            let chosen = selected.reason.clone().unwrap_or_else(runs);
            text.push_str(&format!("{}: {chosen}\n", selected.rule));
        }
        text
    }
}

/// A value without the quotes of a string.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
