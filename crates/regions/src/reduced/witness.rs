//! Inputs in the ball at which much changes.

use super::{
    change::Output,
    network::{ReducedNetwork, add_scaled},
    question::{Measure, Question},
};

/// The best input found so far.
#[derive(Debug, Clone)]
pub(crate) struct Witness {
    /// What the question is at the input.
    pub(crate) value: f64,
    /// The input, as a deviation from the centre.
    pub(crate) delta: Vec<f64>,
}

/// The reduced network with a question about some of its outputs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) reduced: &'a ReducedNetwork,
    pub(crate) outputs: &'a [Output],
    pub(crate) measure: &'a Measure,
}

impl Asked<'_> {
    /// The gradients at a deviation, and the values of the outputs relative to the centre's.
    pub(crate) fn gradients(&self, delta: &[f64]) -> (Vec<Vec<f64>>, Vec<f64>) {
        let (_, beyond, selected) = self.reduced.evaluate(delta);
        let of = |output: &Output| {
            let mut gradient = output.gradient.clone();
            let factors = self.reduced.factors(&selected, &output.cotangents);
            for (own, factor) in self.reduced.members.iter().zip(factors) {
                if factor != 0.0 {
                    add_scaled(&mut gradient, factor, &own.gradient);
                }
            }
            gradient
        };
        let value = |output: &Output| output.change_of_value(delta, &beyond);
        let values = self.outputs.iter().map(value).collect();
        let is_class = matches!(self.measure.question, Question::Class { .. });
        let gradients = match is_class {
            true => Vec::new(),
            false => self.outputs.iter().map(of).collect(),
        };
        (gradients, values)
    }

    /// The question's value at a deviation.
    pub(crate) fn at(&self, delta: &[f64]) -> f64 {
        let (gradients, values) = self.gradients(delta);
        match self.measure.question {
            Question::Class { .. } => {
                let each = values.iter().zip(self.outputs);
                let each = each.map(|(value, output)| output.value + value);
                each.fold(f64::NEG_INFINITY, f64::max)
            }
            _ => self.measure.at(&gradients),
        }
    }

    /// Offers a deviation as a better witness; whether it is.
    pub(crate) fn offer(&self, delta: &[f64], best: &mut Option<Witness>) -> bool {
        let value = self.at(delta);
        let is_better = best.as_ref().is_none_or(|best| value > best.value);
        if is_better {
            *best = Some(Witness {
                value,
                delta: delta.to_vec(),
            });
        }
        is_better
    }

    /// A witness by ascent: towards the inputs at which single units, and groups of them, go furthest beyond their boundaries,
    /// then unit by unit as long as that helps. The centre is one of them if it is to be.
    pub(crate) fn ascend(&self, rounds: usize, from_centre: bool) -> Option<Witness> {
        let reduced = self.reduced;
        let size = self.outputs.first()?.gradient.len();
        let mut best = None;
        let mut delta = vec![0.0; size];
        if from_centre {
            self.offer(&delta, &mut best);
        }
        for member in &reduced.members {
            reduced.ball.maximiser(&member.gradient, &mut delta);
            self.offer(&delta, &mut best);
        }
        if matches!(self.measure.question, Question::Class { .. }) {
            for output in self.outputs {
                reduced.ball.maximiser(&output.gradient, &mut delta);
                self.offer(&delta, &mut best);
            }
        }
        // Which members are wanted beyond their boundaries, with weights that make all of them count the same.
        let weight = |at: usize| 1.0 / reduced.members[at].length.max(f64::MIN_POSITIVE);
        let mut wanted: Vec<f64> = vec![0.0; reduced.members.len()];
        let mut linear = vec![0.0; size];
        for _ in 0..rounds {
            let mut has_helped = false;
            for at in 0..reduced.members.len() {
                for choice in [weight(at), -weight(at), 0.0] {
                    let before = std::mem::replace(&mut wanted[at], choice);
                    if before == choice {
                        continue;
                    }
                    linear.fill(0.0);
                    for (own, weight) in reduced.members.iter().zip(&wanted) {
                        if *weight != 0.0 {
                            add_scaled(&mut linear, *weight, &own.gradient);
                        }
                    }
                    reduced.ball.maximiser(&linear, &mut delta);
                    match self.offer(&delta, &mut best) {
                        true => has_helped = true,
                        false => wanted[at] = before,
                    }
                }
            }
            if !has_helped {
                break;
            }
        }
        best
    }
}
