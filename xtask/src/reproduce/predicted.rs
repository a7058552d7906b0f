//! How many test inputs a network predicts right.

use anyhow::Context;
use loclin::program::progress::Bar;
use loclin::program::tensors;
use loclin_data::Dataset;
use loclin_models::{Module, Network};

/// Inputs that are predicted at a time.
const BATCH: usize = 256;

/// Share of correct predictions of a network for raw inputs.
pub(super) fn accuracy(network: &Network, data: &Dataset) -> anyhow::Result<f64> {
    let labels = data.labels().context("the test images have no labels")?;
    let bar = Bar::count("predicting", data.len() as u64);
    let rows: Vec<usize> = (0..data.len()).collect();
    let mut correct = 0;
    for rows in rows.chunks(BATCH) {
        let x = tensors::inputs(data, rows, network.dtype(), network.device())?;
        let predicted = tensors::predictions(&network.forward(&x)?)?;
        let pairs = predicted.iter().zip(rows);
        correct += pairs.filter(|(p, row)| **p == labels[**row]).count();
        bar.advance(rows.len() as u64);
    }
    Ok(correct as f64 / data.len() as f64)
}
