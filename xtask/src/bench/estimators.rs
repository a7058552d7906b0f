//! How far estimates of the regulariser are from the exact one, and what they cost.

use std::fmt;

use anyhow::Context;
use candle_core::{DType, Tensor};
use loclin_models::Trace;
use loclin_objectives::{
    Gamma, Probes, RollConfig, SampledConfig, roll, sampled, squared_derivatives,
};
use loclin_tensor::random;
use serde::Serialize;

use super::machine::median_seconds;
use super::subject::{AXES, Batch, Subject};

/// Draws of each estimate.
const DRAWS: u64 = 200;

/// Ways to estimate the mean of squared gradients.
const WAYS: [(&str, Way); 6] = [
    ("3 axes, shared", Way::Library(Probes::Axes(AXES))),
    (
        "3 Gaussian directions, shared",
        Way::Gaussian {
            count: AXES,
            shared: true,
        },
    ),
    (
        "3 sign directions, shared",
        Way::Signs {
            count: AXES,
            shared: true,
        },
    ),
    (
        "1 Gaussian direction for each input",
        Way::Gaussian {
            count: 1,
            shared: false,
        },
    ),
    (
        "1 sign direction for each input",
        Way::Signs {
            count: 1,
            shared: false,
        },
    ),
    (
        "the same, first layer exact",
        Way::Library(Probes::Signs(1)),
    ),
];

#[derive(Clone, Copy, Debug)]
enum Way {
    /// As the library has it.
    Library(Probes),
    /// By pushing tangents, shared by the batch or each input's own.
    Gaussian {
        count: usize,
        shared: bool,
    },
    Signs {
        count: usize,
        shared: bool,
    },
}

/// One estimate at one network and batch.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    estimate: &'static str,
    /// Variance of the value over the square of the exact value.
    value_variance: f64,
    /// Mean square distance from the exact gradient in all weights over the square of its length.
    gradient_variance: f64,
    /// Median seconds of the value and its gradient, the network's value at hand.
    seconds: f64,
    /// Gradient variance times seconds: what one good gradient costs.
    variance_seconds: f64,
}

impl Row {
    /// Of the variances of the value and of the gradient, relative to squares of what is estimated.
    pub(super) fn new(estimate: &'static str, variances: [f64; 2], seconds: f64) -> Self {
        let [value_variance, gradient_variance] = variances;
        Self {
            estimate,
            value_variance,
            gradient_variance,
            seconds,
            variance_seconds: gradient_variance * seconds,
        }
    }
}

/// All estimates, without the hinge, which is exact in all of them.
pub(super) fn measure(subject: &Subject, (x, _): &Batch) -> anyhow::Result<Vec<Row>> {
    let trace = subject.network.trace(x)?;
    let gamma = Gamma::Percent(100.0);
    let exact = read(subject, &roll(&trace, RollConfig { c: 0.0, gamma })?)?;
    let length = |numbers: &[f64]| numbers.iter().map(|v| v * v).sum::<f64>();
    WAYS.iter()
        .map(|(estimate, way)| {
            let (mut value, mut gradient) = (0.0, 0.0);
            for draw in 0..DRAWS {
                let found = read(subject, &draw_one(&trace, *way, draw)?)?;
                let gap: Vec<f64> = found.iter().zip(&exact).map(|(a, b)| a - b).collect();
                value += gap[0] * gap[0] / DRAWS as f64;
                gradient += length(&gap[1..]) / DRAWS as f64;
            }
            let seconds = median_seconds(30, |run| {
                draw_one(&trace, *way, run as u64)?.backward()?;
                Ok(())
            })?;
            let gradient_variance = gradient / length(&exact[1..]);
            let variances = [value / (exact[0] * exact[0]), gradient_variance];
            Ok(Row::new(estimate, variances, seconds))
        })
        .collect()
}

fn draw_one(trace: &Trace, way: Way, draw: u64) -> anyhow::Result<Tensor> {
    let rng = &mut random::stream(1, &[draw]);
    let network = trace.network();
    let shape = |count: usize, shared: bool| {
        let batch = if shared { 1 } else { trace.batch() };
        [&[batch, count], network.input_shape()].concat()
    };
    let (dtype, device) = (network.dtype(), network.device());
    let (tangents, count) = match way {
        Way::Library(probes) => return Ok(sampled(trace, SampledConfig { c: 0.0, probes }, rng)?),
        Way::Gaussian { count, shared } => (
            random::normal(rng, shape(count, shared), dtype, device)?,
            count,
        ),
        Way::Signs { count, shared } => {
            let uniform = random::uniform(rng, shape(count, shared), dtype, device)?;
            let signs = uniform.lt(0.5)?.to_dtype(dtype)?.affine(2.0, -1.0)?;
            (signs, count)
        }
    };
    Ok((squared_derivatives(trace, &tangents)?.mean_all()? / count as f64)?)
}

/// The value, and then its gradient in all weights.
fn read(subject: &Subject, value: &Tensor) -> anyhow::Result<Vec<f64>> {
    let mut numbers = vec![value.to_dtype(DType::F64)?.to_scalar::<f64>()?];
    let gradients = value.backward()?;
    for (name, variable) in subject.weights() {
        let gradient = gradients
            .get(&variable)
            .with_context(|| format!("{name}: no gradient"))?;
        let gradient = gradient.to_dtype(DType::F64)?.flatten_all()?;
        numbers.extend(gradient.to_vec1::<f64>()?);
    }
    Ok(numbers)
}

/// The table.
pub(super) fn write(f: &mut fmt::Formatter<'_>, title: &str, rows: &[Row]) -> fmt::Result {
    writeln!(
        f,
        "{title:<51} {:>10} {:>13} {:>9} {:>13}",
        "value var.", "gradient var.", "time", "var. x time"
    )?;
    for row in rows {
        writeln!(
            f,
            "  {:<49} {:>10.2e} {:>13.2e} {:>6.2} ms {:>10.2e} s",
            row.estimate,
            row.value_variance,
            row.gradient_variance,
            1e3 * row.seconds,
            row.variance_seconds
        )?;
    }
    Ok(())
}
