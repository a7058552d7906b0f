//! One row: what must be so whatever the network, and what must be so for this one.

use std::path::Path;

use loclin_data::Data;
use loclin_regions::{Norm, Position};

use super::called::Called;
use super::outcome::Failure;
use super::truth::{Judge, Truth};
use crate::program::certify::{self, Row};
use crate::program::classes::{self, Classes};
use crate::program::files;

/// What the row says of the data and of itself that is not so.
pub(super) fn plain(
    row: &Row,
    norms: &[Norm],
    data: &Data,
    names: Option<&Classes>,
    called: &Called<'_>,
) -> Vec<Failure> {
    let mut causes = called.wrong(row);
    if row.index >= data.len() {
        let (name, count) = (data.name(), data.len());
        causes.push(format!("{name} has {count} inputs"));
    } else {
        let truth = data.labels().and_then(|labels| labels.get(row.index));
        if row.label.is_some() && row.label.as_ref() != truth {
            let [found, expected] = [row.label.as_ref(), truth].map(|class| word(class, names));
            causes.push(format!("label {found}, the data's is {expected}"));
        }
        if let (Some(file), Some(path)) = (&row.file, data.path(row.index)) {
            let [found, expected] = [Path::new(file), path].map(files::text);
            if !Path::new(&expected).ends_with(&found) {
                causes.push(format!("file `{found}`, the data's is `{expected}`"));
            }
        }
    }
    if let (Some(position), Some(radius)) = (&row.position, row.radii.get(certify::leading(norms)))
    {
        let norm = norms[certify::leading(norms)];
        let known = Position::ALL.map(Position::name);
        match position == Position::Inside.name() {
            _ if !known.contains(&&position[..]) => causes.push(format!(
                "position `{position}`: expected one of {}",
                known.join(", ")
            )),
            false if *radius > 0.0 => causes.push(format!(
                "position `{position}`, where radii are 0, and eps_{norm} = {radius}"
            )),
            true if *radius == 0.0 && row.claims() => causes.push(format!(
                "position `{position}`, where radii are above 0, and eps_{norm} = {radius}"
            )),
            _ => {}
        }
    }
    causes.extend(limit(row, norms));
    for (norm, upper) in norms.iter().zip(&row.upper) {
        if upper.is_nan() || *upper < 0.0 {
            causes.push(format!("upper_{norm}: {upper} is no radius"));
        }
    }
    for (norm, radius) in norms.iter().zip(&row.radii) {
        if radius.is_nan() || *radius < 0.0 {
            causes.push(format!("eps_{norm}: {radius} is no radius"));
        }
        // A ball of a larger p contains the ball of the same radius of a smaller one.
        for (other, smaller) in norms.iter().zip(&row.radii) {
            if norm.p() < other.p() && radius < smaller {
                causes.push(format!(
                    "eps_{norm} = {radius} is below eps_{other} = {smaller}"
                ));
            }
        }
    }
    let failure = |cause| failure(row, cause);
    causes.into_iter().map(failure).collect()
}

/// That an input has a row already, in the line `before`.
pub(super) fn doubled(row: &Row, before: Option<u64>) -> Option<Failure> {
    let cause = format!("the input has a row already, in line {}", before?);
    Some(failure(row, cause))
}

fn failure(row: &Row, cause: String) -> Failure {
    Failure {
        line: row.line,
        index: row.index,
        cause,
        ..Failure::default()
    }
}

/// What is wrong about the neuron that a row names, or does not name, beside its radius. In another type a radius may end where nothing
/// is known to limit it.
fn limit(row: &Row, norms: &[Norm]) -> Option<String> {
    let leading = certify::leading(norms);
    let (norm, radius) = norms.get(leading).zip(row.radii.get(leading))?;
    match &row.limiting {
        None if !row.place.is_empty() => Some(format!("place `{}` of no neuron", row.place)),
        None if radius.is_finite() && !row.is_deployed() => Some(format!(
            "eps_{norm} = {radius}, and no neuron that limits it: layer and neuron are empty"
        )),
        Some((layer, neuron)) if radius.is_infinite() => Some(format!(
            "eps_{norm} = {radius}, which neuron {neuron} of `{layer}` cannot limit"
        )),
        _ => None,
    }
}

/// What the row says of the network that is not so.
///
/// # Errors
/// A parameter that cannot be read.
pub(super) fn against(
    row: &Row,
    norms: &[Norm],
    truth: &Truth,
    judge: &Judge,
    names: Option<&Classes>,
) -> anyhow::Result<Vec<Failure>> {
    let failure = |cause| failure(row, cause);
    let mut failures = Vec::new();
    if !truth.may_predict(row.prediction) {
        failures.push(failure(format!(
            "prediction {}, the network's is {}",
            word(Some(&row.prediction), names),
            word(truth.prediction().as_ref(), names)
        )));
    }
    if let Some(score) = row.score
        && truth.may_predict(row.prediction)
        && !truth.may_score(row.prediction, score)
    {
        let cause = format!("score {score} is not the network's output of that class");
        failures.push(failure(cause));
    }
    if let Some((layer, neuron)) = &row.limiting {
        let leading = certify::leading(norms);
        let claimed = row.radii.get(leading);
        match judge.neuron(layer, *neuron) {
            None => failures.push(failure(format!(
                "the network has no neuron {neuron} of `{layer}`"
            ))),
            // Rounding in another type may make another neuron the nearest.
            Some(_)
                if !row.is_deployed()
                    && claimed.is_some_and(|claimed| truth.is_further(leading, *claimed)) =>
            {
                failures.push(failure(format!(
                    "neuron {neuron} of `{layer}` does not limit eps_{}: its boundary is further away",
                    norms[leading]
                )))
            }
            Some(_) => {}
        }
        let place = judge.place_in_layer(layer, *neuron)?;
        if let Some(place) = place.filter(|place| !row.place.is_empty() && *place != row.place) {
            let found = &row.place;
            failures.push(failure(format!(
                "place `{found}`, neuron {neuron} of `{layer}` is at `{place}`"
            )));
        }
    }
    for ((norm, printed), radius) in norms.iter().zip(&row.upper).zip(&truth.radii) {
        if *printed < radius.smallest {
            failures.push(failure(format!(
                "upper_{norm} = {printed} is smaller than the true radius, at least {}",
                radius.smallest
            )));
        }
    }
    for ((norm, printed), radius) in norms.iter().zip(&row.radii).zip(&truth.radii) {
        if !radius.refuted {
            continue;
        }
        let (layer, neuron) = radius.limiting.map(|neuron| judge.place(neuron)).unzip();
        let limited = match (&layer, neuron) {
            (Some(layer), Some(neuron)) => format!(", limited by neuron {neuron} of {layer}"),
            _ => String::new(),
        };
        let largest = radius.largest;
        failures.push(Failure {
            norm: Some(norm.to_string()),
            printed: Some(*printed),
            truth: Some(largest),
            layer,
            neuron,
            ..failure(format!(
                "eps_{norm} = {printed} is larger than the true radius, at most {largest}{limited}"
            ))
        });
    }
    Ok(failures)
}

/// A class by its number, and its name where it has one.
fn word(class: Option<&u32>, names: Option<&Classes>) -> String {
    let Some(class) = class else {
        return "none".into();
    };
    let name = names.and_then(|names| names.name(*class));
    classes::word(*class, name.as_deref())
}
