//! A search of either kind, step by step.

use super::{ascent::Ascent, genetic::Genetic, measure::Distortion, state::State};
use crate::Result;

/// A search for the point of the ball with the largest distortion: seeded, and made of steps, between which its
/// [`State`] can be saved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Search {
    /// The paper's genetic search.
    Genetic(Genetic),
    /// Ascent of the smoothed distortion.
    Ascent(Ascent),
}

impl Search {
    /// The state before the first step.
    ///
    /// # Errors
    /// A parameter out of its range, and a gradient that is not finite.
    pub fn start(&self, distortion: &Distortion) -> Result<State> {
        match self {
            Self::Genetic(search) => search.start(distortion),
            Self::Ascent(search) => search.start(distortion),
        }
    }

    /// The next step; nothing if there is none left.
    ///
    /// # Errors
    /// A gradient that is not finite.
    pub fn step(&self, distortion: &Distortion, state: &mut State) -> Result<()> {
        if state.step >= self.steps() {
            return Ok(());
        }
        match self {
            Self::Genetic(search) => search.step(distortion, state)?,
            Self::Ascent(search) => search.step(distortion, state)?,
        }
        state.step += 1;
        state.history.push(state.best);
        Ok(())
    }

    /// How many steps there are.
    pub fn steps(&self) -> usize {
        match self {
            Self::Genetic(search) => search.generations,
            Self::Ascent(search) => search.steps + 1,
        }
    }

    /// How many gradient evaluations all steps take. An evaluation is a forward pass and a pull; a push and a pull
    /// count as much.
    pub fn evaluations(&self) -> usize {
        match self {
            Self::Genetic(search) => search.evaluations(),
            Self::Ascent(search) => search.evaluations(),
        }
    }

    /// All steps.
    ///
    /// # Errors
    /// Those of [`Search::start`] and [`Search::step`].
    pub fn run(&self, distortion: &Distortion) -> Result<State> {
        let mut state = self.start(distortion)?;
        while state.step < self.steps() {
            self.step(distortion, &mut state)?;
        }
        Ok(state)
    }
}
