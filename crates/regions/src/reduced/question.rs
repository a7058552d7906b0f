//! What is asked about the inputs of a ball, as a number whose maximum is looked for.

use super::{change::Change, operator};
use crate::{Error, Norm, Result};
use loclin_tensor::rounding::{down, max_up, relative, up, up_by};

/// What is asked about all inputs of a ball around `x`. Each question is a number at every input, of which the largest over the
/// ball is found and bounded. Weights combine outputs: a class has 1 at its place, a difference of classes also -1.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// How much the gradient differs from that at `x`: the norm of the difference.
    Change {
        /// Of each output in the function that is differentiated, `[L]`.
        weights: Vec<f64>,
        /// The norm of the difference.
        norm: Norm,
    },
    /// How long the gradient is: with the dual norm of a ball's, the local Lipschitz constant.
    Length {
        /// Of each output in the function that is differentiated, `[L]`.
        weights: Vec<f64>,
        /// The norm of the gradient.
        norm: Norm,
    },
    /// The operator norm of the Jacobian of all outputs, from `l_p` to `l_p`, for `p` 1, 2 or inf.
    Operator {
        /// `p`.
        norm: Norm,
    },
    /// How many numbers of the gradient have another sign than at `x`.
    Signs {
        /// Of each output in the function that is differentiated, `[L]`.
        weights: Vec<f64>,
    },
    /// Whether the `k` numbers of the gradient that are largest in absolute value stay the largest: by how much the largest of
    /// the others exceeds the smallest of them. They stay where this is below 0.
    TopK {
        /// Of each output in the function that is differentiated, `[L]`.
        weights: Vec<f64>,
        /// How many.
        k: usize,
    },
    /// Whether a class stays the largest output: by how much the largest other output exceeds it. It stays where this is below 0.
    Class {
        /// The class.
        class: usize,
    },
}

/// The weights of one output.
pub fn one_output(outputs: usize, output: usize) -> Vec<f64> {
    let mut weights = vec![0.0; outputs];
    if let Some(weight) = weights.get_mut(output) {
        *weight = 1.0;
    }
    weights
}

/// A question with what it needs of the centre.
#[derive(Debug, Clone)]
pub(crate) struct Measure {
    pub(crate) question: Question,
    /// The gradients at the centre that it is about, `[D]` each, and bounds of the l1 norms of their errors.
    pub(crate) centre: Vec<(Vec<f64>, f64)>,
    /// The places of the `k` largest numbers, for [`Question::TopK`].
    top: Vec<usize>,
}

impl Question {
    /// The combinations of outputs whose gradients it is about.
    ///
    /// # Errors
    /// Weights that are not as many as outputs, a class or a `k` that the network does not have.
    pub(crate) fn functions(&self, outputs: usize, inputs: usize) -> Result<Vec<Vec<f64>>> {
        let refuse = |cause: String| {
            let what = "question";
            Err(Error::Argument { what, cause })
        };
        match self {
            Self::Change { weights, .. }
            | Self::Length { weights, .. }
            | Self::Signs { weights }
            | Self::TopK { weights, .. }
                if weights.len() != outputs || weights.iter().any(|w| !w.is_finite()) =>
            {
                let found = weights.len();
                refuse(format!(
                    "needs {outputs} finite weights of outputs, found {found}"
                ))
            }
            Self::TopK { k, .. } if *k == 0 || *k >= inputs => refuse(format!(
                "the top {k} of {inputs} numbers; needs 1 to {}",
                inputs - 1
            )),
            Self::Class { class } if *class >= outputs => {
                refuse(format!("class {class} of {outputs}"))
            }
            Self::Class { .. } if outputs < 2 => refuse(
                "the class of one output, which has no other to be compared with; needs 2".into(),
            ),
            Self::Operator { norm } if ![1.0, 2.0, f64::INFINITY].contains(&norm.p()) => refuse(
                format!("the operator norm for p = {norm}; needs 1, 2 or inf"),
            ),
            Self::Operator { .. } => Ok((0..outputs).map(|at| one_output(outputs, at)).collect()),
            Self::Class { class } => {
                let others = (0..outputs).filter(|other| other != class);
                let difference = |other: usize| {
                    let mut weights = one_output(outputs, other);
                    weights[*class] = -1.0;
                    weights
                };
                Ok(others.map(difference).collect())
            }
            Self::Change { weights, .. }
            | Self::Length { weights, .. }
            | Self::Signs { weights }
            | Self::TopK { weights, .. } => Ok(vec![weights.clone()]),
        }
    }

    /// Whether it is how long a gradient is, or a Jacobian.
    pub fn is_length(&self) -> bool {
        matches!(self, Self::Length { .. } | Self::Operator { .. })
    }

    /// Whether the answer is yes or no: what is looked for stays below 0.
    pub fn is_decision(&self) -> bool {
        matches!(self, Self::TopK { .. } | Self::Class { .. })
    }
}

impl Measure {
    pub(crate) fn new(question: Question, centre: Vec<(Vec<f64>, f64)>) -> Self {
        let top = match (&question, centre.first()) {
            (Question::TopK { k, .. }, Some((gradient, _))) => {
                let mut order: Vec<usize> = (0..gradient.len()).collect();
                order.sort_by(|a, b| gradient[*b].abs().total_cmp(&gradient[*a].abs()));
                order.truncate(*k);
                order
            }
            _ => Vec::new(),
        };
        Self {
            question,
            centre,
            top,
        }
    }

    /// At least its largest value where gradients change as bounded. `settled` are numbers whose sign is known to change.
    pub(crate) fn most(&self, changes: &[Change], settled: &[bool]) -> f64 {
        let largest = |which: usize| {
            let (gradient, change) = (&self.centre[which].0, &changes[which]);
            let each = gradient.iter().zip(change.up.iter().zip(&change.down));
            each.map(|(g, (up, down))| up_by(max_up(g + up, down - g), 2))
        };
        let slack = |which: usize| up(changes[which].slack + self.centre[which].1);
        match &self.question {
            Question::Change { norm, .. } => {
                let change = &changes[0];
                let each = change.up.iter().zip(&change.down);
                let each = each.map(|(up, down)| max_up(*up, *down).max(0.0));
                let each: Vec<f64> = each.collect();
                match change.slack == 0.0 && each.iter().all(|v| *v == 0.0) {
                    true => 0.0,
                    false => up_by(norm.of_up(&each) + change.slack, 2),
                }
            }
            Question::Length { norm, .. } => {
                let each: Vec<f64> = largest(0).map(|g| g.max(0.0)).collect();
                up_by(norm.of_up(&each) + slack(0), 2)
            }
            Question::Operator { norm } => {
                let of = |which: usize| {
                    let (gradient, change) = (&self.centre[which].0, &changes[which]);
                    let ends = gradient.iter().zip(change.up.iter().zip(&change.down));
                    let ends = ends.map(|(g, (up, down))| [g - down, g + up]);
                    (ends.collect::<Vec<_>>(), slack(which))
                };
                operator::norm_of_intervals(*norm, &(0..changes.len()).map(of).collect::<Vec<_>>())
            }
            Question::Signs { .. } => {
                let excess = |at: usize| up(self.sign_excess(&changes[0], at) + slack(0));
                let open = (0..self.centre[0].0.len())
                    .filter(|at| !settled[*at] && !is_fixed(&changes[0], *at));
                open.map(excess).fold(f64::NEG_INFINITY, max_up)
            }
            Question::TopK { .. } => {
                let gradient = &self.centre[0].0;
                let mut is_top = vec![false; gradient.len()];
                self.top.iter().for_each(|at| is_top[*at] = true);
                let change = &changes[0];
                let least = |at: &usize| (-self.sign_excess(change, *at)).max(0.0);
                let inside = self.top.iter().map(least).fold(f64::INFINITY, f64::min);
                let others = largest(0).zip(&is_top).filter(|(_, top)| !**top);
                let outside = others.map(|(g, _)| g).fold(0.0, max_up);
                up(up(outside - inside) + up_by(2.0 * slack(0), 1))
            }
            Question::Class { .. } => f64::INFINITY,
        }
    }

    /// By how much a number of the gradient can go beyond 0, negative where it cannot.
    fn sign_excess(&self, change: &Change, at: usize) -> f64 {
        let g = self.centre[0].0[at];
        let excess = match g {
            g if g > 0.0 => change.down[at] - g,
            g if g < 0.0 => change.up[at] + g,
            _ => max_up(change.up[at], change.down[at]),
        };
        up(excess)
    }

    /// Which numbers may change their sign where gradients change as bounded.
    pub(crate) fn may_change_sign(&self, change: &Change) -> Vec<bool> {
        let slack = up(change.slack + self.centre[0].1);
        let of =
            |at: usize| !is_fixed(change, at) && up(self.sign_excess(change, at) + slack) >= 0.0;
        (0..change.up.len()).map(of).collect()
    }

    /// Its value at an input with these gradients.
    pub(crate) fn at(&self, gradients: &[Vec<f64>]) -> f64 {
        match &self.question {
            Question::Change { norm, .. } => {
                let both = gradients[0].iter().zip(&self.centre[0].0);
                norm.of(&both.map(|(a, b)| a - b).collect::<Vec<_>>())
            }
            Question::Length { norm, .. } => norm.of(&gradients[0]),
            Question::Operator { norm } => {
                let rows = gradients
                    .iter()
                    .map(|row| row.iter().map(|g| [*g; 2]).collect());
                let rows: Vec<_> = rows.map(|row: Vec<[f64; 2]>| (row, 0.0)).collect();
                operator::norm_of_intervals(*norm, &rows)
            }
            Question::Signs { .. } => {
                let changed = self.signs_changed(&gradients[0], 0.0);
                changed.iter().filter(|changed| **changed).count() as f64
            }
            Question::TopK { .. } => {
                let gradient = &gradients[0];
                let inside = self.top.iter().map(|at| gradient[*at].abs());
                let inside = inside.fold(f64::INFINITY, f64::min);
                let others = (0..gradient.len()).filter(|at| !self.top.contains(at));
                others.map(|at| gradient[at].abs()).fold(0.0, f64::max) - inside
            }
            Question::Class { .. } => f64::NEG_INFINITY,
        }
    }

    /// At most its value at an input whose gradients were computed with errors of at most so much in the l1 norm.
    pub(crate) fn at_least(&self, gradients: &[Vec<f64>], errors: &[f64]) -> f64 {
        let own = errors.iter().sum::<f64>();
        let both = up_by(own + self.centre[0].1, errors.len() + 1);
        // What the norm and its differences were rounded by.
        let rounded = relative(gradients[0].len() + 8);
        let less = |value: f64, error: f64| down(value - up_by(value.abs() * rounded + error, 2));
        match &self.question {
            Question::Change { .. } => less(self.at(gradients), both).max(0.0),
            Question::Length { .. } => less(self.at(gradients), errors[0]).max(0.0),
            Question::Operator { norm } => {
                let least = operator::norm_below(*norm, gradients);
                down(least - up_by(own, errors.len())).max(0.0)
            }
            Question::Signs { .. } => {
                let changed = self.signs_changed(&gradients[0], errors[0]);
                changed.iter().filter(|changed| **changed).count() as f64
            }
            // One number of the gradient and another together are off by no more.
            Question::TopK { .. } if errors[0] == 0.0 => self.at(gradients),
            Question::TopK { .. } => down(down(self.at(gradients)) - errors[0]),
            Question::Class { .. } => f64::NEG_INFINITY,
        }
    }

    /// Which numbers certainly have another sign than at the centre, where the gradient was computed with an error of at most so much in the l1
    /// norm.
    pub(crate) fn signs_changed(&self, gradient: &[f64], error: f64) -> Vec<bool> {
        let (centre, centre_error) = &self.centre[0];
        let sign = |g: f64, error: f64| match g.abs() > error {
            true => Some(g.signum()),
            false => (error == 0.0).then_some(0.0),
        };
        let differ = |(a, b): (&f64, &f64)| match (sign(*a, error), sign(*b, *centre_error)) {
            (Some(a), Some(b)) => a != b,
            _ => false,
        };
        gradient.iter().zip(centre).map(differ).collect()
    }
}

/// Whether a number of the gradient certainly does not change: it keeps its sign, also that of 0.
fn is_fixed(change: &Change, at: usize) -> bool {
    change.slack == 0.0 && change.up[at] == 0.0 && change.down[at] == 0.0
}
