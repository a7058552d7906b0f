//! Neurons that are 0 on the whole region of an input because they compare a number with itself.

use crate::{Result, Rows};
use loclin_models::Trace;
use loclin_tensor::rounding::leaves_undecided;

/// A neuron by its position among all, and the value and the bound of its error that it had.
type Replaced = (usize, [f64; 2]);

/// Such neurons, which are made exactly 0. Which they are is a matter of the pattern: where that is turned, they are found again.
#[derive(Debug)]
pub(crate) struct EqualNeurons {
    /// For each input all of them; `None` where none is asked for.
    found: Vec<Option<Vec<Replaced>>>,
}

impl EqualNeurons {
    /// Of so many inputs no neuron is asked for.
    pub(crate) fn unasked(inputs: usize) -> Self {
        Self {
            found: vec![None; inputs],
        }
    }

    /// Looked at are inputs with a neuron that may be 0, also where its value has no error: its gradient may have one.
    pub(crate) fn find(trace: &Trace, values: &mut Rows, errors: &mut Rows) -> Result<Self> {
        let mut found = Self {
            found: vec![Some(Vec::new()); trace.batch()],
        };
        let all: Vec<usize> = (0..trace.batch()).collect();
        found.ask(&all, trace, (values, errors))?;
        Ok(found)
    }

    fn ask(
        &mut self,
        inputs: &[usize],
        trace: &Trace,
        (values, errors): (&mut Rows, &mut Rows),
    ) -> Result<()> {
        let last = |input: usize| {
            let mut both = values[input].iter().zip(&errors[input]);
            both.rposition(|(z, error)| *z == 0.0 || leaves_undecided(*z, *error))
        };
        let asked = inputs
            .iter()
            .filter_map(|input| Some((*input, last(*input)? + 1)));
        let asked: Vec<(usize, usize)> = asked.collect();
        for ((input, _), neurons) in asked.iter().zip(trace.equal_neurons(&asked)?) {
            // Where they are sums, their rounding may depend on where in the image they are.
            let zeroed = neurons.into_iter().map(|at| {
                let value = std::mem::replace(&mut values.row_mut(*input)[at], 0.0);
                let error = std::mem::replace(&mut errors.row_mut(*input)[at], 0.0);
                (at, [value, error])
            });
            self.found[*input] = Some(zeroed.collect());
        }
        Ok(())
    }

    /// Gives the neurons of an input the values and errors back that they had, as its pattern is another one.
    pub(crate) fn forget(&mut self, input: usize, (values, errors): (&mut Rows, &mut Rows)) {
        let Some(found) = &mut self.found[input] else {
            return;
        };
        for (at, [value, error]) in found.drain(..) {
            values.row_mut(input)[at] = value;
            errors.row_mut(input)[at] = error;
        }
    }

    /// Finds them of an input whose pattern was turned, and which were forgotten.
    pub(crate) fn find_again(
        &mut self,
        input: usize,
        trace: &Trace,
        both: (&mut Rows, &mut Rows),
    ) -> Result<()> {
        match self.found[input] {
            Some(_) => self.ask(&[input], trace, both),
            None => Ok(()),
        }
    }

    /// For each input their positions among all neurons.
    pub(crate) fn positions(self) -> impl Iterator<Item = Vec<usize>> {
        let all = self.found.into_iter().map(Option::unwrap_or_default);
        all.map(|found| found.into_iter().map(|(at, _)| at).collect())
    }
}
