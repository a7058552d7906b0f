//! Exact margins of large networks: estimate every neuron's gradient, verify the few that matter.
//!
//! Pushing one Gaussian direction `v ~ N(0, I)` gives every neuron a sample `grad z . v` of variance `||grad z||^2`. The
//! mean square of `K` of them is too low by a factor of `F^2` with probability at most
//! `exp(-K / 2 (ln F^2 - 1 + 1/F^2))` (the Chernoff bound of a chi-squared variable). So, but for that, a neuron whose
//! distance by `F` times the estimate exceeds one already known is not the nearest. The others' gradients are pulled back
//! and measured. Only the estimate of the *nearest* neuron must not fail, and which one that is does not depend on the
//! directions: so `K` depends on the failure probability alone. The work is `K` pushes and some pulls for each input,
//! whatever the input's dimension and the number of neurons.
//!
//! In another norm than l2 a gradient is at most `D^(1/q - 1/2)` times as long as in l2, and at most as long for `q >= 2`: more candidates,
//! with the same probability.
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
    /// The margins in each norm, too large with at most the probability given.
    pub(crate) fn margins_by_estimate(
        &self,
        norms: &[Norm],
        estimate: Estimate,
    ) -> Result<Vec<Margins>> {
        let directions = estimate.directions()?;
        let lengths = self.estimated_lengths(directions, estimate.seed)?;
        let of_norm = |norm: &Norm| self.by_estimate(*norm, estimate, (directions, &lengths));
        norms.iter().map(of_norm).collect()
    }

    /// The margins in a norm, by estimates of all lengths.
    fn by_estimate(
        &self,
        norm: Norm,
        estimate: Estimate,
        (directions, lengths): (usize, &Rows),
    ) -> Result<Margins> {
        let longer = norm.dual().longer_than_l2(self.network().input_size());
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
                    FACTOR * (1.0 + 1e-9) * longer * (length + 10.0 * error + vanished),
                )
            };
            self.verify(
                &self.aim(input, norm)?,
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
        self.collected(norm, found, method, guarantee, directions)
    }

    /// Estimates of all gradients' lengths, `[B, |I|]`.
    pub(crate) fn estimated_lengths(&self, directions: usize, seed: u64) -> Result<Rows> {
        let squares = |sum: f64, sample: f64| sum + sample * sample;
        let mut lengths = self.sampled(directions, seed, squares)?;
        let all = lengths.rows_mut().into_iter().flatten();
        all.for_each(|sum| *sum = (*sum / directions as f64).sqrt());
        if lengths.iter().flatten().all(|length| length.is_finite()) {
            return Ok(lengths);
        }
        // A square may overflow where the length does not.
        let mut lengths = self.sampled(directions, seed, f64::hypot)?;
        for (index, lengths) in lengths.rows_mut().into_iter().enumerate() {
            for length in lengths {
                *length /= (directions as f64).sqrt();
                if !length.is_finite() {
                    let what = "the length of a neuron's gradient".into();
                    let value = *length;
                    return Err(Error::NotFinite { index, what, value });
                }
            }
        }
        Ok(lengths)
    }

    /// What `add` makes, from 0 on, of the samples of all gradients in the directions of a seed, `[B, |I|]`.
    fn sampled(
        &self,
        directions: usize,
        seed: u64,
        add: impl Fn(f64, f64) -> f64 + Sync,
    ) -> Result<Rows> {
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
                sums.for_each(|(sum, sample)| *sum = add(*sum, *sample));
            },
        )?;
        Ok(sums)
    }
}
