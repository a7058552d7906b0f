//! Attribution: which part of an output's change each number of the input is responsible for.
//!
//! Integrated gradients (Sundararajan, Taly and Yan, ICML 2017) of output `y` at `x`, relative to a baseline `b`:
//! `(x - b)_i` times the mean of `df_y / dx_i` over the segment from `b` to `x`. They add up to `f(x)_y - f(b)_y`
//! ("completeness"). On a piecewise-linear network the gradient is constant on each region that the segment crosses, so
//! the mean is a finite sum: [`integrated_gradients`] is exact, where a quadrature misses the regions between its points.

use crate::{
    Budget, Error, Linearizer, Result,
    host::rows,
    segment::{Piece, Walk, walk},
};
use candle_core::{DType, Tensor};
use loclin_models::Network;

/// Exact integrated gradients, and what was found on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegratedGradients {
    /// One number for each of the input, `[D]`.
    pub values: Vec<f64>,
    /// `f(x)_y - f(b)_y`, from the values of the network.
    pub difference: f64,
    /// The regions crossed, in order from the baseline to the input.
    pub pieces: Vec<Piece>,
}

impl IntegratedGradients {
    /// How far the sum of the values is from the difference, relative to the difference: rounding, if they are exact.
    pub fn completeness_error(&self) -> f64 {
        completeness_error(&self.values, self.difference)
    }
}

/// `|sum of values - difference| / |difference|`; 0 if both are 0.
pub fn completeness_error(values: &[f64], difference: f64) -> f64 {
    let error = (values.iter().sum::<f64>() - difference).abs();
    if error > 0.0 {
        error / difference.abs()
    } else {
        0.0
    }
}

/// Exact integrated gradients of output number `output` at `x` `[in...]` relative to `baseline` `[in...]`: the sum over
/// the regions along the segment of length times gradient. Computed in float64 whatever the network's dtype.
///
/// Where several gradients are equally right (a max over equal numbers all along a piece), that of the library's
/// convention counts; completeness holds all the same.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::{attribution::integrated_gradients, segment::Walk};
///
/// let config = Mlp { inputs: vec![4], hidden: vec![20, 20], outputs: 3, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
/// let x = Tensor::new(&[0.3, -2.0, 1.5, 0.1], &Device::Cpu)?;
/// let found = integrated_gradients(&network, &x.zeros_like()?, &x, 2, Walk::default())?;
/// assert!(found.completeness_error() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Shapes that are not the network's, an output that it does not have, and those of [`walk`].
pub fn integrated_gradients(
    network: &Network,
    baseline: &Tensor,
    x: &Tensor,
    output: u32,
    config: Walk,
) -> Result<IntegratedGradients> {
    let mut mean = vec![0.0; network.input_size()];
    let pieces = walk(network, baseline, x, config, |here, parts| {
        let gradients = here.output_gradients(&vec![output; parts.len()])?;
        for (gradient, part) in rows(&gradients)?.iter().zip(parts) {
            let sum = mean.iter_mut().zip(gradient);
            sum.for_each(|(sum, derivative)| *sum += part.length() * derivative);
        }
        Ok(())
    })?;
    let precise = network.to(DType::F64, network.device())?;
    let ends = Tensor::stack(&[baseline, x], 0)?.to_dtype(DType::F64)?;
    let outputs = rows(precise.detached()?.trace(&ends)?.output())?;
    let y = output as usize;
    Ok(IntegratedGradients {
        values: scaled(mean, baseline, x)?,
        difference: outputs[1][y] - outputs[0][y],
        pieces,
    })
}

/// Where a quadrature of `n` steps looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// At the end of each step, `k / n`: the formula of Sundararajan et al.
    Right,
    /// In the middle of each step.
    Midpoint,
}

/// Integrated gradients by quadrature with `steps` gradients, in the network's dtype: the usual approximation, `[D]`.
///
/// # Errors
/// As [`integrated_gradients`], and no steps.
pub fn integrated_gradients_by_quadrature(
    network: &Network,
    baseline: &Tensor,
    x: &Tensor,
    output: u32,
    (steps, rule): (usize, Rule),
    budget: Budget,
) -> Result<Vec<f64>> {
    if steps == 0 {
        return Err(Error::Argument {
            what: "steps",
            cause: "0; must be at least 1".into(),
        });
    }
    let shift = match rule {
        Rule::Right => 1.0,
        Rule::Midpoint => 0.5,
    };
    let baseline64 = baseline.to_dtype(DType::F64)?.unsqueeze(0)?;
    let direction = (x.to_dtype(DType::F64)?.unsqueeze(0)? - &baseline64)?;
    let mut mean = vec![0.0; network.input_size()];
    let positions: Vec<f64> = (0..steps)
        .map(|k| (k as f64 + shift) / steps as f64)
        .collect();
    let linearizer = Linearizer::new(network, budget)?;
    for positions in positions.chunks(64) {
        let shape = [&[positions.len()], vec![1; x.rank()].as_slice()].concat();
        let at = Tensor::new(positions, x.device())?.reshape(shape)?;
        let points = direction.broadcast_mul(&at)?.broadcast_add(&baseline64)?;
        let here = linearizer.at(&points)?;
        let gradients = here.output_gradients(&vec![output; positions.len()])?;
        for gradient in rows(&gradients)? {
            let sum = mean.iter_mut().zip(gradient);
            sum.for_each(|(sum, derivative)| *sum += derivative / steps as f64);
        }
    }
    scaled(mean, baseline, x)
}

/// The mean gradient times `x - baseline`.
fn scaled(mut mean: Vec<f64>, baseline: &Tensor, x: &Tensor) -> Result<Vec<f64>> {
    let numbers = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    let (from, to) = (numbers(baseline)?, numbers(x)?);
    let ends = from.iter().zip(&to);
    mean.iter_mut()
        .zip(ends)
        .for_each(|(value, (from, to))| *value *= to - from);
    Ok(mean)
}
