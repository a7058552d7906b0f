//! The answers of an earlier process, from its table.

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use super::row::{Answer, Farthest, Row};
use crate::program::files;

/// One line of a table; columns that it may lack are empty.
#[derive(Debug, Deserialize)]
struct Line {
    index: usize,
    #[serde(default)]
    file: Option<String>,
    label: Option<u32>,
    prediction: u32,
    class: u32,
    at_input: Option<f64>,
    margin: f64,
    eps: Option<f64>,
    found: Option<f64>,
    proved: Option<f64>,
    exact: Option<bool>,
    #[serde(default)]
    stays: Option<String>,
    #[serde(default)]
    signs_proved: Option<f64>,
    units: Option<usize>,
    parts: Option<usize>,
    guarantee: String,
    seconds: f64,
    #[serde(default)]
    threshold: Option<f64>,
    #[serde(default)]
    radius_proved: Option<f64>,
    #[serde(default)]
    radius_refuted: Option<f64>,
    #[serde(default)]
    times_margin: Option<f64>,
}

/// The rows of a table, inputs in its order; of each what the table says.
///
/// # Errors
/// A file that cannot be read, or a value that is none.
pub(super) fn rows(path: &Path) -> anyhow::Result<Vec<Row>> {
    let named = || format!("{}: not a table of bounds", path.display());
    let mut rows: Vec<Row> = Vec::new();
    for line in csv::Reader::from_reader(files::open(path)?).into_deserialize() {
        let line: Line = line.with_context(named)?;
        if rows.last().is_none_or(|row| row.index != line.index) {
            rows.push(line.row().with_context(named)?);
        }
        if let (Some(row), Some(answer)) = (rows.last_mut(), line.answer()) {
            row.seconds += answer.seconds;
            row.bounds.push(answer);
        }
    }
    Ok(rows)
}

impl Line {
    /// The input, without its answers.
    fn row(&self) -> anyhow::Result<Row> {
        let largest = self
            .threshold
            .zip(self.radius_proved)
            .zip(self.radius_refuted);
        let largest = largest.map(|((threshold, proved), refuted)| Farthest {
            threshold,
            proved,
            refuted,
            times_margin: self.times_margin,
            curve: Vec::new(),
            seconds: 0.0,
        });
        Ok(Row {
            index: self.index,
            file: self.file.clone(),
            label: self.label,
            prediction: self.prediction,
            class: self.class,
            question: None,
            statements: Vec::new(),
            at_input: self.at_input,
            margin: self.margin,
            bounds: Vec::new(),
            largest,
            guarantee: self.guarantee.parse()?,
            seconds: if self.eps.is_none() {
                self.seconds
            } else {
                0.0
            },
        })
    }

    /// The answer for a radius; `None` for an input without one.
    fn answer(&self) -> Option<Answer> {
        let stays = |word: &str| match word {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        };
        Some(Answer {
            eps: self.eps?,
            found: self.found,
            proved: self.proved,
            exact: self.exact.unwrap_or(false),
            stays: self.stays.as_deref().and_then(stays),
            signs_proved: self.signs_proved,
            units: self.units,
            parts: self.parts,
            refused: self.found.is_none().then(|| "no answer".to_owned()),
            seconds: self.seconds,
            bound: None,
        })
    }
}
