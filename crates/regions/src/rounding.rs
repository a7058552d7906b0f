//! What rounding can have done to the numbers at a batch of inputs.

use crate::{Result, Rows, by_lengths::ByLengths, local_errors::LocalErrors};
use candle_core::Tensor;
use loclin_models::{Magnitudes, RoundingErrors};
use loclin_tensor::rounding::{clear_of_zero, leaves_undecided};
use std::sync::{Arc, OnceLock};

/// Where rounding leaves more than this share of an input's neurons undecided, and more than a few, bounds by absolute values
/// say nothing: a network is too deep for them. What is found is called an estimate.
const UNDECIDED: f64 = 0.01;
const FEW: f64 = 16.0;

/// Squares of smaller numbers lose digits, or vanish.
pub(crate) const VANISHING: f64 = 1e-150;

/// Bounds of rounding errors, of values and of gradients in float64.
#[derive(Debug)]
pub(crate) struct Rounding {
    /// Of the neurons' values, `[B, |I|]`.
    values: Rows,
    /// Of each input the neurons at 0 whose gradients exact arithmetic has found to be 0.
    constants: Vec<Vec<usize>>,
    local: Option<LocalErrors>,
    /// What bounds gradients, once they are asked for.
    magnitudes: Magnitudes,
    inputs: Tensor,
    known: Option<RoundingErrors>,
    by_lengths: OfLengths,
    gradients: OnceLock<Rows>,
}

/// What lengths say where absolute values say too little.
#[derive(Debug, Clone)]
pub(crate) struct OfLengths {
    /// Of each input of which they were asked.
    pub(crate) inputs: Vec<Option<Arc<ByLengths>>>,
    /// Of which inputs absolute values alone say nothing.
    pub(crate) needed: Vec<bool>,
    /// At least the l1 norm of the error of each neuron's gradient, at any input.
    pub(crate) gradients: Arc<[f64]>,
    /// At least the length of the error of a tangent of length 1 that is pushed to the output.
    pub(crate) pushed: f64,
    /// At least the l1 norm of the error of an output's gradient, at any input.
    pub(crate) output: f64,
}

impl OfLengths {
    /// Of so many inputs of which they were not asked.
    pub(crate) fn unasked(inputs: usize) -> Self {
        Self {
            inputs: vec![None; inputs],
            needed: vec![false; inputs],
            gradients: Arc::from([]),
            pushed: f64::INFINITY,
            output: f64::INFINITY,
        }
    }
}

impl Rounding {
    /// `values` bounds the errors of the neurons' values at `inputs`, and says which at 0 do not move; `local` says where errors arise;
    /// `known` is what else the forward pass found, and `by_lengths` what lengths say.
    pub(crate) fn new(
        magnitudes: &Magnitudes,
        inputs: &Tensor,
        (values, constants): (Rows, Vec<Vec<usize>>),
        local: Option<LocalErrors>,
        known: Option<RoundingErrors>,
        by_lengths: OfLengths,
    ) -> Self {
        Self {
            values,
            constants,
            local,
            magnitudes: magnitudes.clone(),
            inputs: inputs.clone(),
            known,
            by_lengths,
            gradients: OnceLock::new(),
        }
    }

    /// Bounds of the errors of the neurons' values, `[B, |I|]`.
    pub(crate) fn values(&self) -> &Rows {
        &self.values
    }

    /// For each neuron a bound of the l1 norm of its gradient's error, `[B, |I|]`: exactly 0 where the gradient certainly is, whatever
    /// was computed.
    pub(crate) fn gradients(&self) -> Result<&Rows> {
        if let Some(known) = self.gradients.get() {
            return Ok(known);
        }
        let (batch, width) = (self.values.len(), self.values.width());
        let of = |errors: &RoundingErrors| self.magnitudes.gradient_errors(errors);
        let found = match &self.known {
            Some(errors) => of(errors)?,
            None => match self.magnitudes.trace(&self.inputs)? {
                Some((_, errors)) => of(&errors)?,
                None => None,
            },
        };
        let mut rows = match found {
            Some(found) => Rows::of_tensor(&found)?,
            None => Rows::new(vec![f64::INFINITY; batch * width], batch, width),
        };
        for (input, own) in self.by_lengths.inputs.iter().enumerate() {
            let Some(own) = own else {
                continue;
            };
            let bounds = own.constant.iter().zip(&*self.by_lengths.gradients);
            for (error, (constant, bound)) in rows.row_mut(input).iter_mut().zip(bounds) {
                *error = if *constant { 0.0 } else { error.min(*bound) };
            }
        }
        for (input, constants) in self.constants.iter().enumerate() {
            let errors = rows.row_mut(input);
            constants.iter().for_each(|at| errors[*at] = 0.0);
        }
        Ok(self.gradients.get_or_init(|| rows))
    }

    /// The absolute values that bound errors.
    pub(crate) fn magnitudes(&self) -> &Magnitudes {
        &self.magnitudes
    }

    /// What else the forward pass found, if it went through the absolute values.
    pub(crate) fn known(&self) -> Option<&RoundingErrors> {
        self.known.as_ref()
    }

    /// Whether lengths were asked of an input.
    pub(crate) fn is_by_lengths(&self, input: usize) -> bool {
        self.by_lengths.inputs[input].is_some()
    }

    /// Whether absolute values alone say nothing of an input.
    pub(crate) fn needs_lengths_at(&self, input: usize) -> bool {
        self.by_lengths.needed[input]
    }

    /// Whether absolute values alone say nothing of some input.
    pub(crate) fn needs_lengths(&self) -> bool {
        self.by_lengths.needed.contains(&true)
    }

    /// At least the length of the error of a tangent of length 1 that is pushed to the output; infinite where lengths were not asked.
    pub(crate) fn pushed(&self) -> f64 {
        self.by_lengths.pushed
    }

    /// At least the l1 norm of the error of an output's gradient; infinite where lengths were not asked.
    pub(crate) fn output_gradient(&self) -> f64 {
        self.by_lengths.output
    }

    /// What part of the l1 norm of a neuron's gradient in absolute values [`Rounding::gradients`] is.
    pub(crate) fn share(&self) -> f64 {
        self.magnitudes.relative_error()
    }

    /// Where the errors of values arise, if that is known.
    pub(crate) fn local(&self) -> Option<&LocalErrors> {
        self.local.as_ref()
    }

    /// That of input number `input` alone.
    pub(crate) fn only(&self, input: usize) -> Result<Self> {
        let gradients = OnceLock::new();
        if let Some(known) = self.gradients.get() {
            gradients.get_or_init(|| known.only(input));
        }
        Ok(Self {
            values: self.values.only(input),
            constants: vec![self.constants[input].clone()],
            local: self.local.as_ref().map(|local| local.only(input)),
            magnitudes: self.magnitudes.clone(),
            inputs: self.inputs.narrow(0, input, 1)?,
            known: None,
            by_lengths: OfLengths {
                inputs: vec![self.by_lengths.inputs[input].clone()],
                needed: vec![self.by_lengths.needed[input]],
                ..self.by_lengths.clone()
            },
            gradients,
        })
    }

    /// Of each value the part that rounding cannot have made, with its sign; -0 where the side of 0 is undecided.
    pub(crate) fn clear(&self, values: &Rows) -> Rows {
        clear(values, &self.values)
    }
}

/// Whether bounds of errors say anything of an input: of a deep network they may leave most neurons undecided.
pub(crate) fn says_something(values: &[f64], errors: &[f64]) -> bool {
    let both = values.iter().zip(errors);
    let undecided = both.filter(|(z, error)| leaves_undecided(**z, **error));
    undecided.count() as f64 <= (UNDECIDED * values.len() as f64).max(FEW)
}

/// Whether a neuron's side is undecided, by the part of its value that rounding cannot have made.
pub(crate) fn is_open(clear: f64) -> bool {
    clear == 0.0 && clear.is_sign_negative()
}

/// Values as they are, without a sign of 0.
pub(crate) fn plain(values: &Rows) -> Rows {
    let numbers = values.as_slice().iter().map(|z| z + 0.0).collect();
    Rows::new(numbers, values.len(), values.width())
}

/// Of each value the part that an error of at most so much cannot have made, with its sign; -0 where the side is undecided, and
/// 0 where the value is exactly that.
pub(crate) fn clear(values: &Rows, errors: &Rows) -> Rows {
    let clear = |(z, error): (&f64, &f64)| {
        let clear = clear_of_zero(*z, *error);
        match (*error == 0.0, clear > 0.0) {
            (true, _) => *z + 0.0,
            (_, true) => clear.copysign(*z),
            _ => -0.0,
        }
    };
    let all = values.as_slice().iter().zip(errors.as_slice());
    Rows::new(all.map(clear).collect(), values.len(), values.width())
}
