//! Exact l2 margins of large networks: estimate every neuron's gradient, verify the few that matter.
//!
//! Pushing one Gaussian direction `v ~ N(0, I)` gives every neuron a sample `grad z . v` of variance `||grad z||^2`. The
//! mean square of `K` of them is too low by a factor of `F^2` with probability at most
//! `exp(-K / 2 (ln F^2 - 1 + 1/F^2))` (the Chernoff bound of a chi-squared variable). So, but for that, a neuron whose
//! distance by `F` times the estimate exceeds one already known is not the nearest. The others' gradients are pulled back
//! and measured. Only the estimate of the *nearest* neuron must not fail, and which one that is does not depend on the
//! directions: so `K` depends on the failure probability alone. The work is `K` pushes and some pulls for each input,
//! whatever the input's dimension and the number of neurons.
//!
//! Within a domain the same holds with the same probability: a neuron's distance there is at least that in the whole space,
//! so that what excludes a neuron still does, those measured are measured within the domain, and which neuron is the nearest
//! there does not depend on the directions, either.

use crate::{
    Error, Estimate, Guarantee, Linearization, Margins, Method, Norm, Result, Rows,
    method::FACTOR,
    nearest::{Found, distance},
    rounding::VANISHING,
};
use candle_core::Tensor;
use loclin_tensor::random;

impl Linearization {
    /// The l2 margins (Prop. 6), too large with at most the probability given.
    pub(crate) fn l2_margins_by_estimate(&self, estimate: Estimate) -> Result<Margins> {
        let directions = estimate.directions()?;
        let lengths = self.estimated_lengths(directions, estimate.seed)?;
        let inputs = self.clear.iter().zip(lengths.iter()).enumerate();
        let found = inputs.map(|(input, (values, lengths))| {
            let errors = self.gradient_errors(input)?;
            // A derivative along a direction is off by less than ten times the l1 error of the gradient. Squares may have vanished of
            // one that is not certainly 0.
            let least = |(z, (length, error)): (&f64, (&f64, &f64))| {
                let vanished = match *error > 0.0 && *length < VANISHING {
                    true => VANISHING,
                    false => 0.0,
                };
                distance(
                    z.abs(),
                    FACTOR * (1.0 + 1e-9) * (length + 10.0 * error + vanished),
                )
            };
            self.verify(
                &self.aim(input, Norm::L2)?,
                values
                    .iter()
                    .zip(lengths.iter().zip(errors.iter()))
                    .map(least),
            )
        });
        let found = found.collect::<Result<Vec<Found>>>()?;
        let guarantee = Guarantee::Probable {
            failure_probability: estimate.failure_probability,
        };
        let method = Method::Estimate(estimate);
        self.collected(Norm::L2, found, method, guarantee, directions)
    }

    /// Estimates of all gradients' lengths, `[B, |I|]`.
    pub(crate) fn estimated_lengths(&self, directions: usize, seed: u64) -> Result<Rows> {
        let network = self.network();
        let mut sums = Rows::zeros(self.batch(), self.neurons());
        let mut rows: Vec<&mut [f64]> = sums.rows_mut();
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
            &mut rows,
            draw,
            |sums: &mut &mut [f64], start, _, row| {
                let sums = sums[start..].iter_mut().zip(row);
                sums.for_each(|(sum, sample)| *sum += sample * sample);
            },
        )?;
        for (index, sums) in sums.rows_mut().into_iter().enumerate() {
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
