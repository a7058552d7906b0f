//! Exact l2 margins of large networks: estimate every neuron's gradient, verify the few that matter.
//!
//! Pushing one Gaussian direction `v ~ N(0, I)` gives every neuron a sample `grad z . v` of variance
//! `||grad z||^2`. The mean square of `K` of them is too low by a factor of 4 with probability at most
//! `exp(-K / 2 (ln 4 - 1 + 1/4))` (the Chernoff bound of a chi-squared variable). So, but for that, no gradient is more
//! than twice as long as estimated, and a neuron whose distance by twice the estimate exceeds one already known
//! is not the nearest. The others' gradients are pulled back and measured. The work is `K` pushes and some pulls for
//! each input, whatever the input's dimension and the number of neurons.

use crate::{Error, Linearization, Margins, Norm, Result, host::rows, margin::distance};
use candle_core::Tensor;
use candle_ext::random;

/// No gradient is longer than this many times its estimate, but for the failure probability.
const FACTOR: f64 = 2.0;

/// Pulls made at once at first; each further round doubles them, within the budget.
const FIRST_ROUND: usize = 4;

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

/// Margins by estimate and verification, and the work that they took.
#[derive(Debug, Clone, PartialEq)]
pub struct EstimatedMargins {
    /// The margins: exact, or too large with at most [`EstimatedMargins::failure_probability`] for each input.
    pub margins: Margins,
    /// `K`, the number of directions pushed.
    pub directions: usize,
    /// For each input, the number of neurons whose gradient was measured.
    pub verified: Vec<usize>,
    /// What was asked for.
    pub failure_probability: f64,
}

impl Linearization {
    /// The l2 margins (Prop. 6) by estimate and verification: see the module's documentation in the source, and
    /// [`Linearization::margins`] for the road that measures every gradient.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use roll_models::{FcConfig, Parameters};
    /// use roll_regions::{Budget, Estimate, Linearization, Norm};
    ///
    /// let config = FcConfig { inputs: vec![9], hidden: vec![30, 30], outputs: 1, leak: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let x = Tensor::ones((2, 9), DType::F64, &Device::Cpu)?;
    /// let here = Linearization::new(&network, &x, Budget::default())?;
    /// let estimated = here.l2_margins_by_estimate(Estimate::default())?;
    /// let exact = here.margins(&[Norm::L2])?;
    /// assert!((estimated.margins.radius[0] / exact[0].radius[0] - 1.0).abs() < 1e-9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn l2_margins_by_estimate(&self, estimate: Estimate) -> Result<EstimatedMargins> {
        let directions = self.directions(estimate.failure_probability)?;
        let lengths = self.estimated_lengths(directions, estimate.seed)?;
        let mut margins = Margins {
            radius: Vec::new(),
            limiting: Vec::new(),
        };
        let mut verified = Vec::new();
        for (input, lengths) in lengths.iter().enumerate() {
            let (radius, at, count) = self.verify(input, lengths)?;
            margins.radius.push(radius);
            margins.limiting.push(at.and_then(|at| self.neuron(at)));
            verified.push(count);
        }
        Ok(EstimatedMargins {
            margins,
            directions,
            verified,
            failure_probability: estimate.failure_probability,
        })
    }

    /// `K` such that all neurons of an input together fail with at most the given probability.
    fn directions(&self, failure_probability: f64) -> Result<usize> {
        if !(failure_probability > 0.0 && failure_probability < 1.0) {
            let cause = format!("{failure_probability}; must be in (0, 1)");
            return Err(Error::Argument {
                what: "failure probability",
                cause,
            });
        }
        let square = FACTOR * FACTOR;
        let rate = 0.5 * (square.ln() - 1.0 + 1.0 / square);
        let neurons = self.neurons().max(1) as f64;
        Ok(((neurons / failure_probability).ln() / rate).ceil() as usize)
    }

    /// Estimates of all gradients' lengths, `[B][|I|]`.
    fn estimated_lengths(&self, directions: usize, seed: u64) -> Result<Vec<Vec<f64>>> {
        let network = self.network();
        let mut sums = vec![vec![0.0; self.neurons()]; self.batch()];
        // A direction is a function of the seed and its number, so that chunks do not change it.
        let draw = |_, range: std::ops::Range<usize>| {
            let draw = |k: usize| {
                let shape = [&[1, 1], network.input_shape()].concat();
                let rng = &mut random::stream(seed, &[k as u64]);
                random::normal(rng, shape, network.dtype(), network.device())
            };
            let drawn = range.map(draw).collect::<candle_ext::Result<Vec<_>>>()?;
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

    /// The smallest distance of one input, the neuron's position, and how many gradients were measured.
    fn verify(&self, input: usize, lengths: &[f64]) -> Result<(f64, Option<usize>, usize)> {
        let values = &self.constraints[input];
        let mut candidates: Vec<(f64, usize)> = values
            .iter()
            .zip(lengths)
            .map(|(z, length)| distance(z.abs(), FACTOR * length))
            .enumerate()
            .filter_map(|(at, least)| least.is_finite().then_some((least, at)))
            .collect();
        candidates.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let trace = self.trace.narrow(input, 1)?;
        let bytes = self.network().tangent_size() * self.network().dtype().size_in_bytes();
        let most = (self.budget.bytes / bytes.max(1)).max(1);
        let (mut best, mut verified, mut round) = ((f64::INFINITY, None), 0, FIRST_ROUND);
        while let Some(rest) = candidates.get(verified..).filter(|rest| !rest.is_empty()) {
            let near = rest.iter().take_while(|(least, _)| *least <= best.0);
            let chosen: Vec<usize> = near.take(round.min(most)).map(|(_, at)| *at).collect();
            if chosen.is_empty() {
                break;
            }
            verified += chosen.len();
            for (at, length) in self.measure(&trace, input, chosen)? {
                let own = distance(values[at].abs(), length);
                let tie = own == best.0 && best.1.is_some_and(|other| at < other);
                if own < best.0 || tie {
                    best = (own, Some(at));
                }
            }
            round = (2 * round).min(most);
        }
        Ok((best.0, best.1, verified))
    }

    /// The exact lengths of the gradients of the neurons at some positions, pulled back site by site.
    fn measure(
        &self,
        trace: &roll_models::Trace,
        input: usize,
        mut positions: Vec<usize>,
    ) -> Result<Vec<(usize, f64)>> {
        positions.sort_unstable();
        let (dtype, device) = (self.network().dtype(), self.network().device());
        let mut lengths = Vec::with_capacity(positions.len());
        for site in &self.sites {
            let own = positions
                .iter()
                .filter(|at| (site.start..site.start + site.count).contains(*at));
            let own: Vec<usize> = own.copied().collect();
            if own.is_empty() {
                continue;
            }
            let mut units = vec![0f32; own.len() * site.count];
            for (row, at) in own.iter().enumerate() {
                units[row * site.count + at - site.start] = 1.0;
            }
            let units = Tensor::from_vec(units, (1, own.len(), site.count), device)?;
            let gradients = trace.pull_constraints(site.node, &units.to_dtype(dtype)?)?;
            for (at, gradient) in own
                .into_iter()
                .zip(rows(&gradients.flatten_from(2)?.squeeze(0)?)?)
            {
                let length = Norm::L2.of(&gradient);
                if !length.is_finite() {
                    let what = "the length of a neuron's gradient".into();
                    return Err(Error::NotFinite {
                        index: input,
                        what,
                        value: length,
                    });
                }
                lengths.push((at, length));
            }
        }
        Ok(lengths)
    }
}
