//! The measurements of one input.

use std::time::{Duration, Instant};

use candle_core::{DType, Tensor};
use loclin_models::{Module, Network};
use loclin_regions::distortion::{Ascent, Ball, Distortion, Genetic, Search, State};
use loclin_regions::{Budget, Domain};
use loclin_tensor::random;
use rand::Rng;

use super::directory::Directory;
use super::options::SearchOptions;
use super::proved::Prover;
use super::record::{Costs, Record, Worst};
use crate::program::domain::InputBox;
use crate::program::{stop, tensors};

/// A search is saved after so long: the most work that a kill may lose.
const PATIENCE: Duration = Duration::from_secs(60);

/// How inputs are measured.
pub struct Measure<'a> {
    network: &'a Network,
    options: &'a SearchOptions,
    domain: Option<Domain>,
    genetic: Genetic,
    ascent: Ascent,
    prover: Prover,
}

impl<'a> Measure<'a> {
    /// Measures at `network`, which takes raw inputs.
    ///
    /// # Errors
    /// A domain for other inputs.
    pub fn new(
        network: &'a Network,
        options: &'a SearchOptions,
        domain: Option<&InputBox>,
    ) -> anyhow::Result<Self> {
        let domain = domain.map(|domain| domain.of_shape(network.input_shape()));
        let domain = domain.transpose()?;
        let genetic = Genetic {
            population: options.population,
            generations: options.generations,
            ..Genetic::default()
        };
        let evaluations = Search::Genetic(genetic).evaluations();
        let ascent = Ascent::default().within(evaluations);
        let costs = options.samples + evaluations + Search::Ascent(ascent).evaluations();
        let (eps, worth) = (options.eps.value(), (options.parts, costs));
        Ok(Self {
            network,
            options,
            prover: Prover::new(network, domain.as_ref(), eps, worth),
            domain,
            genetic,
            ascent,
        })
    }

    /// What the numbers of one input take.
    pub fn costs(&self) -> Costs {
        Costs {
            samples: self.options.samples,
            genetic: Search::Genetic(self.genetic).evaluations(),
            ascent: Search::Ascent(self.ascent).evaluations(),
        }
    }

    /// Everything about input number `index`; searches go on from what `directory` has kept of it.
    ///
    /// # Errors
    /// An input outside the domain, or a directory that cannot be used.
    pub fn record(
        &self,
        index: usize,
        x: &Tensor,
        label: u32,
        seed: u64,
        directory: Option<&Directory>,
    ) -> anyhow::Result<Record> {
        let distortion = self.distortion(x, label)?;
        let seed = seed_of(seed, index);
        let go_on = || anyhow::Ok(stop::check()?);
        let expectation = distortion.expectation_while(self.options.samples, seed, go_on)?;
        let batch = x.unsqueeze(0)?.to_dtype(self.network.dtype())?;
        let prediction = tensors::predictions(&self.network.forward(&batch)?)?;
        let mut found = [0.0; 2];
        for (number, search) in self.searches(seed).into_iter().enumerate() {
            let kept = directory.map(|directory| directory.kept(index, number));
            let mut state = match kept.transpose()?.flatten() {
                Some(state) => state,
                None => search.start(&distortion)?,
            };
            let mut since = Instant::now();
            while state.step < search.steps() {
                search.step(&distortion, &mut state)?;
                let stopped = stop::check();
                if let Some(directory) = directory
                    && (since.elapsed() >= PATIENCE || stopped.is_err())
                {
                    directory.keep(index, number, &state)?;
                    since = Instant::now();
                }
                stopped?;
            }
            found[number] = state.best;
        }
        Ok(Record {
            index,
            label,
            prediction: prediction.first().copied().unwrap_or(0),
            gradient: distortion.gradient_length(),
            expected: expectation.mean,
            standard_error: expectation.standard_error,
            genetic: found[0],
            ascent: found[1],
            proved: None,
        })
    }

    /// What no distortion in the ball around `x` exceeds, or why nothing is proved.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn bound(&self, x: &Tensor, label: u32) -> Result<f64, String> {
        self.prover.bound(x, self.output(label))
    }

    /// The point that gave a record its maximum.
    ///
    /// # Errors
    /// An input outside the domain.
    pub fn worst(&self, x: &Tensor, record: &Record, seed: u64) -> anyhow::Result<Worst> {
        let distortion = self.distortion(x, record.label)?;
        let [genetic, ascent] = self.searches(seed_of(seed, record.index));
        let better = match record.ascent > record.genetic {
            true => ascent,
            false => genetic,
        };
        worst_of(&distortion, &better.run(&distortion)?)
    }

    fn searches(&self, seed: u64) -> [Search; 2] {
        [
            Search::Genetic(Genetic {
                seed,
                ..self.genetic
            }),
            Search::Ascent(Ascent {
                seed,
                ..self.ascent
            }),
        ]
    }

    /// Around `x` `[in...]`; a network with one output has one gradient, whatever the label.
    fn distortion(&self, x: &Tensor, label: u32) -> anyhow::Result<Distortion> {
        let center = x.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let radius = self.options.eps.value();
        let ball = Ball::new(&center, radius, self.domain.as_ref())?;
        let output = self.output(label);
        Ok(Distortion::new(
            self.network,
            ball,
            output,
            Budget::default(),
        )?)
    }

    fn output(&self, label: u32) -> u32 {
        match self.network.output_size() {
            1 => 0,
            _ => label,
        }
    }
}

/// The worst point of a search, with the gradients.
///
/// # Errors
/// When a gradient cannot be found.
pub fn worst_of(distortion: &Distortion, state: &State) -> anyhow::Result<Worst> {
    let points = state.worst_input.unsqueeze(0)?;
    Ok(Worst {
        distortion: state.best,
        gradient: distortion.gradient()?,
        gradient_there: distortion.gradients_at(&points)?.squeeze(0)?,
        point: state.worst_input.clone(),
    })
}

/// The seed of the searches around input number `index`.
pub(super) fn seed_of(seed: u64, index: usize) -> u64 {
    random::stream(seed, &[index as u64]).random()
}
