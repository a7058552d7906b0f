//! Exact l2 margins of large networks: estimate every neuron's gradient, verify the few that matter.
//!
//! Pushing one Gaussian direction `v ~ N(0, I)` gives every neuron a sample `grad z . v` of variance `||grad z||^2`. The
//! mean square of `K` of them is too low by a factor of `F^2` with probability at most
//! `exp(-K / 2 (ln F^2 - 1 + 1/F^2))` (the Chernoff bound of a chi-squared variable). So, but for that, a neuron whose
//! distance by `F` times the estimate exceeds one already known is not the nearest. The others' gradients are pulled back
//! and measured. Only the estimate of the *nearest* neuron must not fail, and which one that is does not depend on the
//! directions: so `K` depends on the failure probability alone. The work is `K` pushes and some pulls for each input,
//! whatever the input's dimension and the number of neurons.

use crate::{Error, Linearization, Result, VerifiedMargins, margin::distance};
use candle_core::Tensor;
use loclin_tensor::random;

/// `F`: the nearest neuron's gradient is not longer than this many times its estimate, but for the failure probability.
/// Small distances are about equally likely, so that some more than `F` gradients are measured; the larger `F`, the
/// fewer directions are pushed. At 5, a probability of `1e-9` takes 19.
const FACTOR: f64 = 5.0;

/// How sure estimated margins are to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The probability, over the directions drawn, that the margin of an input is too large; in (0, 1). The number of
    /// directions grows with its logarithm. The default is `1e-9`.
    pub failure_probability: f64,
    /// The seed of the directions.
    pub seed: u64,
}

impl Default for Estimate {
    fn default() -> Self {
        Self {
            failure_probability: 1e-9,
            seed: 0,
        }
    }
}

impl Linearization {
    /// The l2 margins (Prop. 6) by estimate and verification: see the module's documentation in the source, and
    /// [`Linearization::margins`] for the road that measures every gradient.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Mlp, Parameters};
    /// use loclin_regions::{Budget, Estimate, Linearization, Norm};
    ///
    /// let config = Mlp { inputs: vec![9], hidden: vec![30, 30], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let x = Tensor::ones((2, 9), DType::F64, &Device::Cpu)?;
    /// let here = Linearization::new(&network, &x, Budget::default())?;
    /// let estimated = here.l2_margins_by_estimate(Estimate::default())?;
    /// let exact = here.margins(&[Norm::L2])?;
    /// assert!((estimated.margins.radius[0] / exact[0].radius[0] - 1.0).abs() < 1e-9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn l2_margins_by_estimate(&self, estimate: Estimate) -> Result<VerifiedMargins> {
        let directions = directions(estimate.failure_probability)?;
        let lengths = self.estimated_lengths(directions, estimate.seed)?;
        let found = lengths.iter().enumerate().map(|(input, lengths)| {
            let least = |(z, length): (&f64, &f64)| distance(z.abs(), FACTOR * length);
            self.verify(
                input,
                self.pre_activations[input].iter().zip(lengths).map(least),
            )
        });
        self.verified(found, directions, estimate.failure_probability)
    }

    /// Estimates of all gradients' lengths, `[B][|I|]`.
    pub(crate) fn estimated_lengths(&self, directions: usize, seed: u64) -> Result<Vec<Vec<f64>>> {
        let network = self.network();
        let mut sums = vec![vec![0.0; self.neurons()]; self.batch()];
        // A direction is a function of the seed and its number, so that chunks do not change it.
        let draw = |_, range: std::ops::Range<usize>| {
            let draw = |k: usize| {
                let shape = [&[1, 1], network.input_shape()].concat();
                let rng = &mut random::stream(seed, &[k as u64]);
                random::normal(rng, shape, network.dtype(), network.device())
            };
            let drawn = range.map(draw).collect::<loclin_tensor::Result<Vec<_>>>()?;
            Ok(Tensor::cat(&drawn, 1)?)
        };
        self.push_rows(
            directions,
            &mut sums,
            draw,
            |sums: &mut Vec<f64>, start, _, row| {
                let sums = sums[start..].iter_mut().zip(row);
                sums.for_each(|(sum, sample)| *sum += sample * sample);
            },
        )?;
        for (index, sums) in sums.iter_mut().enumerate() {
            for sum in sums {
                *sum = (*sum / directions as f64).sqrt();
                if !sum.is_finite() {
                    let what = "the length of a neuron's gradient".into();
                    return Err(Error::NotFinite {
                        index,
                        what,
                        value: *sum,
                    });
                }
            }
        }
        Ok(sums)
    }
}

/// `K` such that the nearest neuron's estimate fails with at most the given probability.
fn directions(failure_probability: f64) -> Result<usize> {
    if !(failure_probability > 0.0 && failure_probability < 1.0) {
        let cause = format!("{failure_probability}; must be in (0, 1)");
        return Err(Error::Argument {
            what: "failure probability",
            cause,
        });
    }
    let square = FACTOR * FACTOR;
    let rate = 0.5 * (square.ln() - 1.0 + 1.0 / square);
    Ok((-failure_probability.ln() / rate).ceil() as usize)
}
