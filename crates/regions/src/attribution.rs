//! Attribution: which part of an output's change each number of the input is responsible for.
//!
//! Integrated gradients (Sundararajan, Taly and Yan, ICML 2017) of output `y` at `x`, relative to a baseline `b`:
//! `(x - b)_i` times the mean of `df_y / dx_i` over the segment from `b` to `x`. They add up to `f(x)_y - f(b)_y`
//! ("completeness"). On a piecewise-linear network the gradient is constant on each region that the segment crosses, so
//! the mean is a finite sum: [`integrated_gradients`] is exact, where a quadrature misses the regions between its points.

pub use crate::smooth::{Noise, smooth_gradients};
use crate::{
    Budget, Error, Guarantee, Linearizer, Result,
    brackets::widths,
    host::rows,
    segment::{Breakpoint, Piece, Walk, walk_by},
    units::units,
};
use candle_core::{DType, Tensor};
use loclin_models::Network;
use loclin_tensor::rounding::{SMALLEST, product_up, relative, up, up_by};

/// Gradients of a quadrature that are computed together.
const TOGETHER: usize = 64;

/// Exact integrated gradients, and what was found on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegratedGradients {
    /// One number for each of the input, `[D]`.
    pub values: Vec<f64>,
    /// For each of them a bound of its distance to the exact one, `[D]`: of what rounding has done to the gradients and their
    /// sum, and of what is not known of the segment within the brackets. Infinite where nothing is proved.
    pub errors: Vec<f64>,
    /// What is claimed of the errors: proved if they are finite.
    pub guarantee: Guarantee,
    /// `f(x)_y - f(b)_y`, from the values of the network.
    pub difference: f64,
    /// The regions crossed, in order from the baseline to the input.
    pub pieces: Vec<Piece>,
    /// Where it crosses from region to region.
    pub breakpoints: Vec<Breakpoint>,
}

impl IntegratedGradients {
    /// How far the sum of the values is from the difference, relative to the difference: rounding, if they are exact.
    pub fn completeness_error(&self) -> f64 {
        completeness_error(&self.values, self.difference)
    }

    /// The largest of the errors: no value is further from the exact one. Infinite where nothing is proved.
    pub fn largest_error(&self) -> f64 {
        self.errors
            .iter()
            .fold(0.0, |most: f64, error| most.max(*error))
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
/// convention counts; completeness holds all the same. [`IntegratedGradients::errors`] is then a bound for each of them.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::{Guarantee, attribution::integrated_gradients, segment::Walk};
///
/// let config = Mlp { inputs: vec![4], hidden: vec![20, 20], outputs: 3, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
/// let x = Tensor::new(&[0.3, -2.0, 1.5, 0.1], &Device::Cpu)?;
/// let found = integrated_gradients(&network, &x.zeros_like()?, &x, 2, Walk::default())?;
/// assert!(found.completeness_error() < 1e-12);
/// assert!(found.guarantee == Guarantee::Proved && found.largest_error() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Shapes that are not the network's, an output that it does not have, and those of [`crate::segment::walk`].
pub fn integrated_gradients(
    network: &Network,
    baseline: &Tensor,
    x: &Tensor,
    output: u32,
    config: Walk,
) -> Result<IntegratedGradients> {
    let precise = network.to(DType::F64, network.device())?;
    let linearizer = Linearizer::new(&precise, config.budget)?;
    let mut sums = Sums::new(network.input_size());
    let found = walk_by(&linearizer, (baseline, x), config, |here, parts| {
        let gradients = here.output_gradients(&vec![output; parts.len()])?;
        let gradients = rows(&gradients)?;
        let all = gradients.iter().zip(parts);
        all.for_each(|(gradient, part)| sums.add(part.length(), gradient));
        Ok(())
    })?;
    let errors = sums.errors(&linearizer, (baseline, x), output, &found.breakpoints)?;
    let ends = Tensor::stack(&[baseline, x], 0)?.to_dtype(DType::F64)?;
    let outputs = rows(linearizer.network().trace(&ends)?.output())?;
    let y = output as usize;
    Ok(IntegratedGradients {
        values: scaled(sums.mean, baseline, x)?,
        guarantee: match errors.iter().all(|error| error.is_finite()) {
            true => Guarantee::Proved,
            false => Guarantee::Estimate,
        },
        errors,
        difference: outputs[1][y] - outputs[0][y],
        pieces: found.pieces,
        breakpoints: found.breakpoints,
    })
}

/// Gradients along a segment, summed up.
struct Sums {
    /// Length times gradient, for each number of the input.
    mean: Vec<f64>,
    least: Vec<f64>,
    most: Vec<f64>,
    parts: usize,
}

impl Sums {
    fn new(size: usize) -> Self {
        Self {
            mean: vec![0.0; size],
            least: vec![f64::INFINITY; size],
            most: vec![f64::NEG_INFINITY; size],
            parts: 0,
        }
    }

    fn add(&mut self, length: f64, gradient: &[f64]) {
        let ends = self.least.iter_mut().zip(&mut self.most);
        for ((sum, (least, most)), g) in self.mean.iter_mut().zip(ends).zip(gradient) {
            *sum += length * g;
            *least = least.min(*g);
            *most = most.max(*g);
        }
        self.parts += 1;
    }

    /// For each number of the input a bound of the error of `(x - b)` times the mean.
    ///
    /// With `M` the largest of the computed gradients and `A` a bound of all there can be, both absolute: rounding changes
    /// a gradient by at most a share of `A`, and the sum by a share of `M`. Within a bracket the gradient is one of two that were
    /// computed, though perhaps not the one that was counted, or where more may lie in it any of at most `A`.
    fn errors(
        &self,
        linearizer: &Linearizer,
        (baseline, x): (&Tensor, &Tensor),
        output: u32,
        breakpoints: &[Breakpoint],
    ) -> Result<Vec<f64>> {
        let network = linearizer.network();
        let size = network.input_size();
        let unknown = vec![f64::INFINITY; size];
        let (bounds, share) = match linearizer.magnitudes()? {
            Some(magnitudes) => {
                let unit = units(network, &[output as usize], network.output_size())?;
                let bounds = match magnitudes.pull(&unit)? {
                    Some(pulled) => pulled.flatten_all()?.to_vec1::<f64>()?,
                    None => unknown,
                };
                (bounds, magnitudes.relative_error())
            }
            None => (unknown, f64::INFINITY),
        };
        let (single, open) = (widths(breakpoints, true), widths(breakpoints, false));
        let summed = relative(self.parts.saturating_add(8));
        let vanished = self.parts as f64 * SMALLEST;
        let lengths = scaled(vec![1.0; size], baseline, x)?;
        let numbers = self.least.iter().zip(&self.most).zip(&bounds).zip(lengths);
        let error = |(((least, most), bound), length): (((&f64, &f64), &f64), f64)| {
            let largest = least.abs().max(most.abs());
            let terms = [
                product_up(&[share, *bound]),
                product_up(&[single, up(most - least)]),
                product_up(&[open, up(bound + largest)]),
                product_up(&[summed, largest]),
                vanished,
            ];
            let mean = up_by(terms.iter().sum(), terms.len());
            match length == 0.0 {
                true => 0.0,
                false => up_by(product_up(&[up(length.abs()), mean]) + 2.0 * SMALLEST, 1),
            }
        };
        Ok(numbers.map(error).collect())
    }
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
    let linearizer = Linearizer::new(network, budget)?;
    for first in (0..steps).step_by(TOGETHER) {
        let some = first..steps.min(first.saturating_add(TOGETHER));
        let positions: Vec<f64> = some.map(|k| (k as f64 + shift) / steps as f64).collect();
        let shape = [&[positions.len()], vec![1; x.rank()].as_slice()].concat();
        let at = Tensor::new(&positions[..], x.device())?.reshape(shape)?;
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
