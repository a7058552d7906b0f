//! The page of a certification: distributions, limiting layers, and the inputs at both ends.

use std::path::Path;

use anyhow::Context;
use loclin_data::Data;
use loclin_report::{
    LayerCount, NetworkSummary, NormRadii, PickedInput, Picture, Report, Selection, at_most,
};

use super::extremes::Extremes;
use super::outcome::Outcome;
use super::question::leading;
use super::row::Row;
use super::tally::Tally;
use crate::program::classes::{self, Classes};
use crate::program::domain::said;
use crate::program::words::counted;
use crate::program::{files, process};
use loclin_regions::Norm;

/// What the page is made from.
pub(super) struct Certified<'a> {
    pub(super) outcome: &'a Outcome,
    pub(super) tally: &'a Tally,
    pub(super) norms: &'a [Norm],
    pub(super) data: &'a Data,
    /// The folder or file of the data, where it has one.
    pub(super) source: Option<&'a Path>,
    /// How the classes are called.
    pub(super) names: Option<&'a Classes>,
    /// The seed that the result depends on, if it does.
    pub(super) seed: Option<u64>,
}

/// The page as one document.
///
/// # Errors
/// An input that cannot be read again, or a file whose hash cannot be taken.
pub(super) fn page(of: &Certified<'_>) -> anyhow::Result<String> {
    let (outcome, tally) = (of.outcome, of.tally);
    let extremes = tally.extremes();
    let layers = outcome.limiting.iter().map(|limiting| LayerCount {
        name: limiting.layer.clone(),
        inputs: limiting.inputs,
    });
    Ok(loclin_report::render(&Report {
        title: format!("{} of {}", counted(outcome.inputs, "input"), outcome.data),
        inputs: "inputs".into(),
        unit: "raw units of the input".into(),
        networks: vec![summary(of)?],
        facts: facts(of),
        layers: layers.collect(),
        selections: selections(of, extremes)?,
        settings: settings(of)?,
        commands: vec![process::command_line()],
        ..Report::default()
    })?)
}

fn summary(of: &Certified<'_>) -> anyhow::Result<NetworkSummary> {
    let outcome = of.outcome;
    let radii = of.norms.iter().zip(of.tally.radii()).map(|(norm, values)| {
        NormRadii::of(norm.to_string(), values.clone()).context("no margins")
    });
    Ok(NetworkSummary {
        name: outcome.model.display().to_string(),
        settings: outcome.method.clone(),
        accuracy: outcome.accuracy.unwrap_or(f64::NAN),
        clr_lower: outcome.clr_lower,
        clr_upper: outcome.clr_upper,
        guarantee: outcome.guarantee.name(),
        points: outcome.inputs,
        radii: radii.collect::<anyhow::Result<_>>()?,
        training_seconds: f64::NAN,
    })
}

/// What the numbers mean, in sentences.
fn facts(of: &Certified<'_>) -> Vec<String> {
    let outcome = of.outcome;
    let mut facts = vec![format!(
        "What is claimed of every radius: {} ({}).",
        outcome.guarantee, outcome.method
    )];
    facts.extend(
        outcome
            .explained()
            .into_iter()
            .map(|(name, words)| match name {
                "worst" => format!("The smallest radius: {words}."),
                "median" => format!("The median radius: {words}."),
                "above" => format!("Radii above {words}."),
                _ => format!("Limited by {words}."),
            }),
    );
    facts.extend(outcome.zero_in_words());
    facts
}

fn selections(of: &Certified<'_>, extremes: &Extremes) -> anyhow::Result<Vec<Selection>> {
    let both = [
        ("The smallest radii", &extremes.smallest),
        ("The largest radii", &extremes.largest),
    ];
    let selection = |(heading, rows): (&str, &Vec<Row>)| {
        let inputs = rows.iter().map(|row| picked(of, row));
        Ok(Selection {
            heading: format!("{heading} (l{})", of.norms[leading(of.norms)]),
            inputs: inputs.collect::<anyhow::Result<_>>()?,
        })
    };
    both.into_iter().map(selection).collect()
}

fn picked(of: &Certified<'_>, row: &Row) -> anyhow::Result<PickedInput> {
    let radii = of.norms.iter().zip(&row.radii);
    let radii: Vec<String> = radii
        .map(|(norm, radius)| format!("l{norm} {}", at_most(*radius)))
        .collect();
    let mut lines = vec![radii.join(", ")];
    let named = |class: u32| {
        let name = of.names.and_then(|names| names.name(class));
        classes::word(class, name.as_deref())
    };
    let predicted = named(row.prediction);
    lines.push(match row.label {
        Some(label) => format!("class {}, predicted {predicted}", named(label)),
        None => format!("predicted {predicted}"),
    });
    lines.extend(row.limit());
    lines.extend(row.position.clone().filter(|position| position != "inside"));
    Ok(PickedInput {
        name: row
            .file
            .clone()
            .unwrap_or_else(|| format!("input {}", row.index)),
        lines,
        picture: picture(of.data, row.index)?,
    })
}

/// An input as a picture, where it is an image.
fn picture(data: &Data, index: usize) -> anyhow::Result<Option<Picture>> {
    let parts = data.tables(&[index])?;
    let Some(inputs) = parts.first().map(|part| &part.inputs) else {
        return Ok(None);
    };
    let Some(pictured) = inputs.picture().filter(|own| !own.is_line()) else {
        return Ok(None);
    };
    let values = pictured.pixels(&inputs.rows_f64(&[0])?);
    Ok(Some(Picture::image(pictured.shape, &values)?))
}

/// What reproduces exactly this result.
fn settings(of: &Certified<'_>) -> anyhow::Result<Vec<(String, String)>> {
    let outcome = of.outcome;
    let mut settings = vec![
        ("model", outcome.model.display().to_string()),
        ("data", outcome.data.clone()),
        ("preprocessing", outcome.preprocessing.to_string()),
        ("domain", said(outcome.domain.as_ref())),
        ("floating-point type", outcome.dtype.to_string()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    settings.extend(of.seed.map(|seed| ("seed", seed.to_string())));
    let hashed = [
        ("model, SHA-256", Some(&*outcome.model)),
        ("data, SHA-256", of.source),
    ];
    for (name, path) in hashed {
        // A run directory's parameters.
        let path = path.map(|path| match path.join("model.safetensors") {
            inside if inside.is_file() => inside,
            _ => path.to_owned(),
        });
        if let Some(path) = path.filter(|path| path.is_file()) {
            settings.push((name, files::digest(&path)?));
        }
    }
    let owned = settings
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Ok(owned.collect())
}
