//! The page of a certification: distributions, limiting layers, and the inputs at both ends.

use std::path::Path;

use anyhow::Context;
use loclin_data::{Data, Stored};
use loclin_report::stats::Percentiles;
use loclin_report::{
    LayerCount, NetworkSummary, NormRadii, PickedInput, Picture, Report, Selection, significant,
};

use super::extremes::Extremes;
use super::outcome::Outcome;
use super::row::Row;
use super::table::leading;
use super::tally::Tally;
use crate::program::domain::said;
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
    let mut layers: Vec<LayerCount> = extremes
        .layers
        .iter()
        .map(|(name, inputs)| LayerCount {
            name: name.clone(),
            inputs: *inputs,
        })
        .collect();
    layers.sort_by(|a, b| b.inputs.cmp(&a.inputs).then_with(|| a.name.cmp(&b.name)));
    Ok(loclin_report::render(&Report {
        title: format!("{} inputs of {}", outcome.inputs, outcome.data),
        inputs: "inputs".into(),
        unit: "raw units of the input".into(),
        networks: vec![summary(of)?],
        facts: facts(of),
        layers,
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
    let applied = &outcome.preprocessing;
    // A level of a stored picture, in raw units.
    let level = applied.scale.apply(1.0);
    let is_stored = matches!(applied.what, Stored::Pixels | Stored::Bytes) && level > 0.0;
    for (norm, radii) in of.norms.iter().zip(of.tally.radii()) {
        let worst = radii.iter().copied().fold(f64::INFINITY, f64::min);
        let Some(Percentiles { p50, .. }) = Percentiles::of(radii) else {
            continue;
        };
        let mut fact = format!(
            "l{norm}: the smallest radius is {}, the median {}",
            significant(worst),
            significant(p50)
        );
        if is_stored {
            fact += &format!(", {} of one 8-bit level", significant(p50 / level));
            // Stored pictures differ by a level in a pixel at least, which is that far in every norm; but not after a change of size.
            if p50 < level && applied.resized.is_none() {
                fact += ": within it lies no other stored picture";
            }
        }
        facts.push(fact + ".");
    }
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
        .map(|(norm, radius)| format!("l{norm} {}", significant(*radius)))
        .collect();
    let mut lines = vec![radii.join(", ")];
    lines.push(match row.label {
        Some(label) => format!("class {label}, predicted {}", row.prediction),
        None => format!("predicted {}", row.prediction),
    });
    lines.extend(
        row.limiting
            .as_ref()
            .map(|(layer, neuron)| format!("{layer}, neuron {neuron}")),
    );
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
    let values = pictured.shown(&inputs.rows_f64(&[0])?);
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
