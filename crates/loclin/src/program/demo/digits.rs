//! The held-out digits that the report shows one by one.

use anyhow::Context;
use candle_core::DType;
use loclin_data::Dataset;
use loclin_regions::{Budget, Linearization};

use super::certified::Certified;
use crate::program::tensors;
use loclin_report::{DigitReading, DigitRow};

/// Digits shown, each the first of its class.
const SHOWN: [u32; 6] = [0, 2, 4, 5, 7, 9];

/// One row for each digit shown, with a reading by each network.
pub(super) fn rows(certified: &[Certified], test: &Dataset) -> anyhow::Result<Vec<DigitRow>> {
    let labels = test.labels().context("the digits have labels")?;
    let first = |class: &u32| labels.iter().position(|label| label == class);
    let chosen: Vec<usize> = SHOWN.iter().filter_map(first).collect();
    let side = test.input_shape().last().copied().unwrap_or(1);
    let mut rows = Vec::new();
    for &index in &chosen {
        rows.push(DigitRow {
            index,
            pixels: test.rows_f32(&[index])?,
            side,
            label: labels[index] as usize,
            readings: Vec::new(),
        });
    }
    for network in certified {
        for (row, reading) in rows.iter_mut().zip(readings(network, test, &chosen)?) {
            row.readings.push(reading);
        }
    }
    Ok(rows)
}

fn readings(
    certified: &Certified,
    test: &Dataset,
    chosen: &[usize],
) -> anyhow::Result<Vec<DigitReading>> {
    let Certified {
        network,
        certificates,
        ..
    } = certified;
    let predictions: Vec<u32> = chosen
        .iter()
        .map(|&i| certificates.predictions[i])
        .collect();
    let x = tensors::inputs(test, chosen, network.dtype(), network.device())?;
    let here = Linearization::new(network, &x, Budget::default())?;
    let gradients = here
        .output_gradients(&predictions)?
        .to_dtype(DType::F32)?
        .to_vec2::<f32>()?;
    let reading = |(gradient, &index): (Vec<f32>, &usize)| {
        let [eps_1, eps_2, eps_inf] =
            [0, 1, 2].map(|norm| certificates.margins[norm].radius[index]);
        let limiting = certificates.margins[1].limiting[index];
        DigitReading {
            prediction: certificates.predictions[index] as usize,
            gradient,
            eps_1,
            eps_2,
            eps_inf,
            limiting_neuron: limiting.map_or_else(
                || "none".to_owned(),
                |neuron| format!("{}, neuron {}", certificates.layer(neuron), neuron.index),
            ),
        }
    };
    Ok(gradients.into_iter().zip(chosen).map(reading).collect())
}
