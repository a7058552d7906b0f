//! How far estimates of the regulariser are from its mean in a residual network, where the exact one is out of reach, and what they cost.

use anyhow::Context;
use candle_core::{DType, Tensor};
use loclin_models::{Network, Trace};
use loclin_tensor::{Parameters, random, sum_of_squares};

use super::estimators::Row;
use super::machine::median_seconds;
use super::subject::Batch;

/// Draws of each estimate.
const DRAWS: u64 = 100;
/// Rows of a matrix of signs with orthogonal columns, one for each input of a batch.
const COLOURS: usize = 64;

/// Ways to estimate the mean of squared gradients by one direction of signs for each input, the first of them the library's.
const WAYS: [(&str, Way); 6] = [
    (
        "1 sign direction for each input",
        Way(Directions::Independent, 0),
    ),
    (
        "the same, first layer exact",
        Way(Directions::Independent, 1),
    ),
    (
        "the same, two layers exact (their cost aside)",
        Way(Directions::Independent, 2),
    ),
    ("orthogonal over the batch", Way(Directions::Orthogonal, 0)),
    (
        "orthogonal for near pixels",
        Way(Directions::OrthogonalNear, 0),
    ),
    (
        "the same, first layer exact",
        Way(Directions::OrthogonalNear, 1),
    ),
];

/// Directions, and how many piecewise-linear nodes are left out: what is exact does not vary.
#[derive(Clone, Copy)]
struct Way(Directions, usize);

/// How the directions of a batch depend on one another.
#[derive(Clone, Copy)]
enum Directions {
    Independent,
    /// Each number of an input has a sign and a colour, both drawn and shared by the batch; numbers of two colours have
    /// products that add up to 0 over the batch.
    Orthogonal,
    /// The same with colours that differ within tiles of 4 x 5 pixels of 3 channels.
    OrthogonalNear,
}

/// All estimates at the first of some batches, in training mode and without the hinge; and, where there are others, how much the first
/// estimate varies from batch to batch.
pub(super) fn measure(
    network: &Network,
    parameters: &Parameters,
    batches: &[Batch],
) -> anyhow::Result<Vec<Row>> {
    let trace_of = |draw: u64| network.trace_train(&batches[draw as usize % batches.len()].0);
    let (trace, _) = &trace_of(0)?;
    let mut reference = None;
    let rows = WAYS.iter().map(|(estimate, way)| {
        let found = spread(parameters, |draw| draw_one(trace, *way, draw))?;
        let seconds = median_seconds(20, |run| {
            draw_one(trace, *way, run as u64)?.backward()?;
            Ok(())
        })?;
        let [value, gradient] = *reference.get_or_insert(found.squares);
        let [of_value, of_gradient] = found.variances;
        Ok(Row::new(
            estimate,
            [of_value / value, of_gradient / gradient],
            seconds,
        ))
    });
    let mut rows = rows.collect::<anyhow::Result<Vec<_>>>()?;
    if batches.len() > 1 {
        let one = |draw| draw_one(&trace_of(draw)?.0, WAYS[0].1, draw);
        let found = spread(parameters, one)?;
        let seconds = median_seconds(20, |run| {
            one(run as u64)?.backward()?;
            Ok(())
        })?;
        let shares = [0, 1].map(|at| found.variances[at] / found.squares[at]);
        rows.push(Row::new(
            "the first, another batch for each draw (and trace)",
            shares,
            seconds,
        ));
    }
    Ok(rows)
}

/// Of the value, and of the gradient as a vector.
#[derive(Clone, Copy)]
struct Spread {
    /// Squares of the lengths of the means, without what the draws' variance adds to them.
    squares: [f64; 2],
    variances: [f64; 2],
}

fn spread(
    parameters: &Parameters,
    one: impl Fn(u64) -> anyhow::Result<Tensor>,
) -> anyhow::Result<Spread> {
    let count = DRAWS as f64;
    let mut sums = Vec::new();
    let mut squares = [0.0; 2];
    for draw in 0..DRAWS {
        let numbers = read(parameters, &one(draw)?)?;
        squares[0] += numbers[0] * numbers[0];
        squares[1] += square(&numbers[1..]);
        sums.resize(numbers.len(), 0.0);
        sums.iter_mut().zip(&numbers).for_each(|(sum, v)| *sum += v);
    }
    let means: Vec<f64> = sums.iter().map(|sum| sum / count).collect();
    let of_means = [means[0] * means[0], square(&means[1..])];
    let variance = |at: usize| (squares[at] - count * of_means[at]) / (count - 1.0);
    let variances = [variance(0), variance(1)];
    Ok(Spread {
        squares: [0, 1].map(|at| of_means[at] - variances[at] / count),
        variances,
    })
}

fn square(numbers: &[f64]) -> f64 {
    numbers.iter().map(|v| v * v).sum()
}

fn draw_one(trace: &Trace, Way(directions, exact): Way, draw: u64) -> anyhow::Result<Tensor> {
    let tangents = tangents(trace, directions, draw)?;
    let (mut node, mut neurons) = (0, 0);
    let mut sum: Option<Tensor> = None;
    trace.push_unshaped(&tangents, |_, derivatives| {
        node += 1;
        neurons += derivatives.elem_count();
        if node > exact {
            let own = sum_of_squares(&derivatives).map_err(candle_core::Error::wrap)?;
            sum = Some(match sum.take() {
                Some(sum) => (sum + own)?,
                None => own,
            });
        }
        Ok(())
    })?;
    let sum = sum.context("a network of so few layers")?;
    Ok((sum / neurons as f64)?)
}

fn tangents(trace: &Trace, directions: Directions, draw: u64) -> anyhow::Result<Tensor> {
    let rng = &mut random::stream(1, &[draw]);
    let (network, batch) = (trace.network(), trace.batch());
    let (dtype, device) = (network.dtype(), network.device());
    let shape = [&[batch, 1], network.input_shape()].concat();
    let size = network.input_size();
    let colours: Vec<usize> = match directions {
        Directions::Independent => return Ok(random::rademacher(rng, shape, dtype, device)?),
        Directions::Orthogonal => {
            let drawn = random::uniform(rng, size, DType::F64, &candle_core::Device::Cpu)?;
            let drawn = drawn.to_vec1::<f64>()?.into_iter();
            drawn
                .map(|share| (share * COLOURS as f64) as usize)
                .collect()
        }
        Directions::OrthogonalNear => {
            let [_, height, width] = network.input_shape() else {
                anyhow::bail!("a network of something else than images");
            };
            let near = |at: usize| {
                let (channel, row, column) =
                    (at / (height * width), at / width % height, at % width);
                column % 4 + 4 * (row % 5) + 20 * (channel % 3)
            };
            (0..size).map(near).collect()
        }
    };
    let sign = |input: usize, colour: usize| match (input & colour).count_ones() % 2 {
        0 => 1f32,
        _ => -1.0,
    };
    let signs = (0..batch).flat_map(|input| colours.iter().map(move |colour| sign(input, *colour)));
    let signs = Tensor::from_vec(signs.collect::<Vec<f32>>(), (batch, size), device)?;
    let shared = random::rademacher(rng, (1, size), dtype, device)?;
    Ok(signs
        .to_dtype(dtype)?
        .broadcast_mul(&shared)?
        .reshape(shape)?)
}

/// The value, and then its gradient in all parameters that it depends on.
fn read(parameters: &Parameters, value: &Tensor) -> anyhow::Result<Vec<f64>> {
    let mut numbers = vec![value.to_dtype(DType::F64)?.to_scalar::<f64>()?];
    let gradients = value.backward()?;
    for (_, variable) in parameters.named() {
        if let Some(gradient) = gradients.get(&variable) {
            let gradient = gradient.to_dtype(DType::F64)?.flatten_all()?;
            numbers.extend(gradient.to_vec1::<f64>()?);
        }
    }
    Ok(numbers)
}
