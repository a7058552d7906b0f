//! The paper's genetic search.

use super::{
    measure::{Distortion, stream},
    state::State,
};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use loclin_tensor::random;

/// A population whose fitter part recombines (App. of the paper, for the maximum of Table 4): drawn uniformly, in each
/// generation the members of largest distortion stay, the others are replaced by random linear combinations of two that
/// stayed, projected back to the ball. No mutation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Genetic {
    /// Members, at least 2; the paper has 4800.
    pub population: usize,
    /// Generations after the first population; the paper has 30.
    pub generations: usize,
    /// The share that stays, in (0, 1); the paper's quarter.
    pub keep: f64,
    /// A child of `a` and `b` is `w a + (1 - w) b` with `w` uniform in `[-extrapolation, 1 + extrapolation]`. The paper
    /// does not say how its combinations are drawn; between the parents (0) there would be nothing to project. The
    /// default is 0.5, which finds more than 0.
    pub extrapolation: f64,
    /// The seed.
    pub seed: u64,
}

impl Default for Genetic {
    fn default() -> Self {
        Self {
            population: 4800,
            generations: 30,
            keep: 0.25,
            extrapolation: 0.5,
            seed: 0,
        }
    }
}

impl Genetic {
    /// The search whose generations together take at most so many evaluations, the other parameters as they are.
    pub fn within(self, evaluations: usize) -> Self {
        let of = |population: usize| Self { population, ..self }.evaluations();
        let mut population = 2;
        // The count grows with the population, by 1 + generations at most for each member.
        let mut step = evaluations.next_power_of_two();
        while step > 0 {
            if of(population + step) <= evaluations {
                population += step;
            }
            step /= 2;
        }
        Self { population, ..self }
    }

    pub(super) fn evaluations(&self) -> usize {
        self.population + self.generations * (self.population - self.kept().min(self.population))
    }

    /// How many stay: two at least, to have children.
    fn kept(&self) -> usize {
        ((self.keep * self.population as f64).round() as usize).max(2)
    }

    pub(super) fn start(&self, distortion: &Distortion) -> Result<State> {
        let is_share = self.keep > 0.0 && self.keep < 1.0;
        if self.population < 2
            || !is_share
            || !(self.extrapolation >= 0.0 && self.extrapolation.is_finite())
        {
            let cause =
                format!("needs 2 members or more, 0 < keep < 1, extrapolation >= 0: {self:?}");
            return Err(Error::Argument {
                what: "genetic search",
                cause,
            });
        }
        let path = [stream::GENETIC];
        let population = distortion.uniform(self.seed, &path, self.population)?;
        let mut state = State::new(population, &distortion.center()?);
        state.distortions = distortion.at(&state.population)?;
        state.evaluations = self.population;
        let (points, found) = (state.population.clone(), state.distortions.clone());
        state.note(&points, &found)?;
        Ok(state)
    }

    pub(super) fn step(&self, distortion: &Distortion, state: &mut State) -> Result<()> {
        let kept = self.kept().min(self.population);
        let mut order: Vec<u32> = (0..self.population as u32).collect();
        let of = |member: u32| state.distortions[member as usize];
        order.sort_by(|a, b| of(*b).total_cmp(&of(*a)).then(a.cmp(b)));
        order.truncate(kept);
        let distortions: Vec<f64> = order.iter().map(|member| of(*member)).collect();
        let device = state.population.device().clone();
        let parents = state
            .population
            .index_select(&Tensor::new(order, &device)?, 0)?;
        let children = self.children(&parents, state.step)?;
        let children = distortion.project(&children)?;
        let found = distortion.at(&children)?;
        state.note(&children, &found)?;
        state.evaluations += found.len();
        state.population = Tensor::cat(&[&parents, &children], 0)?;
        state.distortions = [distortions, found].concat();
        Ok(())
    }

    /// Linear combinations of two different parents each.
    fn children(&self, parents: &Tensor, generation: usize) -> Result<Tensor> {
        let (kept, _) = parents.dims2()?;
        let count = self.population - kept;
        let rng = &mut random::stream(self.seed, &[stream::GENETIC, generation as u64]);
        let mut draw = || -> Result<Vec<f64>> {
            let drawn = random::uniform(rng, count, DType::F64, &Device::Cpu)?;
            Ok(drawn.to_vec1()?)
        };
        let (first, second, weight) = (draw()?, draw()?, draw()?);
        let below = |share: f64, n: usize| ((share * n as f64) as usize).min(n.saturating_sub(1));
        let pair = |(a, b): (&f64, &f64)| {
            let a = below(*a, kept);
            (a as u32, ((a + 1 + below(*b, kept - 1)) % kept) as u32)
        };
        let (a, b): (Vec<u32>, Vec<u32>) = first.iter().zip(&second).map(pair).unzip();
        let device = parents.device();
        let weight = weight
            .iter()
            .map(|w| w * (1.0 + 2.0 * self.extrapolation) - self.extrapolation);
        let weight = Tensor::new(weight.collect::<Vec<f64>>(), device)?
            .to_dtype(parents.dtype())?
            .unsqueeze(1)?;
        let a = parents.index_select(&Tensor::new(a, device)?, 0)?;
        let b = parents.index_select(&Tensor::new(b, device)?, 0)?;
        Ok((a - &b)?.broadcast_mul(&weight)?.broadcast_add(&b)?)
    }
}
