//! All attributions as numbers in a file.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use candle_core::{Device, Tensor};

use super::outcome::Outcome;
use super::reading::Reading;
use super::subject::Subject;
use crate::program::errors::Usage;
use crate::program::files;

/// What a file's ending says that is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Picture,
    Npz,
    Safetensors,
    Csv,
}

impl Form {
    pub(super) fn of(path: &Path) -> anyhow::Result<Self> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        Ok(match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("png") => Self::Picture,
            Some("npz") => Self::Npz,
            Some("safetensors") => Self::Safetensors,
            Some("csv") => Self::Csv,
            _ => {
                let message = format!(
                    "--out {}: expected a file that ends in .png, .npz, .safetensors or .csv",
                    path.display()
                );
                return Err(Usage::new(message).into());
            }
        })
    }
}

/// The arrays of an input, each in the order of the network's inputs.
fn arrays<'a>(subject: &'a Subject, reading: &'a Reading) -> Vec<(&'static str, &'a [f64])> {
    let [integrated, integrated_there] = &reading.integrated;
    let mut arrays: Vec<(&'static str, &[f64])> = vec![
        ("input", &subject.values),
        ("gradient", &reading.gradient),
        ("integrated_gradients", &integrated.values),
        ("worst_input", &reading.worst_input),
        ("worst_gradient", &reading.worst_gradient),
        ("worst_integrated_gradients", &integrated_there.values),
    ];
    if let Some(smooth) = &reading.smooth_gradient {
        arrays.push(("smooth_gradient", smooth));
    }
    arrays
}

/// Refuses a file that does not hold inputs of these shapes.
///
/// # Errors
/// Arrays for inputs of several shapes.
pub(super) fn check(path: &Path, form: Form, inputs: &[&Subject]) -> Result<(), Usage> {
    let is_array = matches!(form, Form::Npz | Form::Safetensors);
    let other = inputs.iter().find(|own| own.shape != inputs[0].shape);
    match other.filter(|_| is_array) {
        None => Ok(()),
        Some(other) => Err(Usage::new(format!(
            "--out {}: {} has the shape {:?}, {} has {:?}; inputs of several shapes fit a .csv file only",
            path.display(),
            inputs[0].name,
            inputs[0].shape,
            other.name,
            other.shape
        ))),
    }
}

/// Writes all inputs' arrays: `[N, in...]` each, with logits `[N, L]`, labels and predictions `[N]`; a CSV has a row for each
/// number of each input. Of inputs of one shape but for a CSV ([`check`]).
pub(super) fn write(path: &Path, form: Form, all: &[(Subject, Outcome)]) -> anyhow::Result<()> {
    if form == Form::Csv {
        return Ok(files::write_atomic(path, &csv(all)?)?);
    }
    let tensors = tensors(all).with_context(|| path.display().to_string())?;
    let bytes = match form {
        Form::Npz => {
            let directory = tempfile::tempdir().context("cannot create a temporary directory")?;
            let file = directory.path().join("numbers.npz");
            Tensor::write_npz(&tensors, &file)?;
            files::read(&file)?
        }
        _ => {
            let map: HashMap<_, _> = tensors.iter().map(|(name, own)| (*name, own)).collect();
            safetensors::serialize(map, None)?
        }
    };
    Ok(files::write_atomic(path, &bytes)?)
}

fn tensors(all: &[(Subject, Outcome)]) -> anyhow::Result<Vec<(&'static str, Tensor)>> {
    let (first, outcome) = all.first().context("no inputs")?;
    let (count, device) = (all.len(), &Device::Cpu);
    let readings = || all.iter().map(|(_, outcome)| &outcome.reading);
    let mut tensors = Vec::new();
    for (at, (name, _)) in arrays(first, &outcome.reading).into_iter().enumerate() {
        let numbers =
            |(own, outcome): &(Subject, Outcome)| arrays(own, &outcome.reading)[at].1.to_vec();
        let shape = [&[count], &first.shape[..]].concat();
        let numbers = all.iter().flat_map(numbers).collect();
        tensors.push((name, Tensor::from_vec(numbers, shape, device)?));
    }
    let logits: Vec<f64> = readings().flat_map(|own| own.logits.clone()).collect();
    let shape = (count, outcome.reading.logits.len());
    tensors.push(("logits", Tensor::from_vec(logits, shape, device)?));
    let labels = readings().map(|own| own.label).collect();
    tensors.push(("label", Tensor::from_vec(labels, count, device)?));
    let predictions = readings().map(|own| own.prediction).collect();
    tensors.push(("prediction", Tensor::from_vec(predictions, count, device)?));
    Ok(tensors)
}

fn csv(all: &[(Subject, Outcome)]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if let Some((subject, outcome)) = all.first() {
        let names = arrays(subject, &outcome.reading)
            .into_iter()
            .map(|(name, _)| name);
        let fixed = ["name", "label", "prediction", "place"];
        writer.write_record(fixed.into_iter().chain(names))?;
    }
    for (subject, Outcome { reading, .. }) in all {
        let arrays = arrays(subject, reading);
        for at in 0..subject.values.len() {
            let first = [
                subject.name.clone(),
                reading.label.to_string(),
                reading.prediction.to_string(),
                subject.place(at),
            ];
            let numbers = arrays.iter().map(|(_, values)| values[at].to_string());
            writer.write_record(first.into_iter().chain(numbers))?;
        }
    }
    Ok(writer.into_inner()?)
}
