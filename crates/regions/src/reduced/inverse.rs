//! The question backwards: how large may the ball be?

use super::{answer::Bound, limits::Limits, question::Question, surroundings::Surroundings};
use crate::{Error, Result};
use loclin_tensor::rounding::{down, relative, sum_up, up};
use std::time::Instant;

/// Radii are found to within this share.
const TOLERANCE: f64 = 0.01;

/// A radius grows by this factor until something is found; by its root behind a ball of many units, of which twice the radius may take
/// ten times as long.
const GROWTH: f64 = 2.0;

/// Radii that are tried at most.
const TRIES: usize = 64;

/// Larger radii that are tried where nothing beyond the threshold was found.
const BEYOND: usize = 5;

/// No larger one is tried behind a ball in which more units can change than this, and than [`MANY_TIMES`] as many as in the largest that is
/// proved: each doubling has several times as many, and takes several times as long as all that was proved.
const MANY: usize = 200;
const MANY_TIMES: usize = 4;

/// What a question's value may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// At most this. For decisions ([`Question::is_decision`]) 0 is the one that makes sense: below it they stay.
    Absolute(f64),
    /// At most this share of the norm of the gradient at the centre, `0.1` for 10%, or of the Jacobian's; for [`Question::Change`],
    /// [`Question::Length`] and [`Question::Operator`].
    Relative(f64),
}

/// How large a ball may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Largest {
    /// In the ball of this radius, the value is proved to stay within the threshold ([`Bound::guarantee`] says what that claims).
    pub proved: f64,
    /// In the ball of this radius, an input beyond the threshold was found; infinite if none was.
    pub refuted: f64,
    /// The threshold as a value of the question: a share is that of the least length that rounding leaves possible.
    pub threshold: f64,
    /// All radii that were looked at, ascending ([`rising`]).
    pub curve: Vec<Bound>,
}

impl Largest {
    /// By what the radius grows behind the last one.
    fn growth(&self) -> f64 {
        match self.curve.last() {
            Some(last) if last.units > MANY => GROWTH.sqrt(),
            _ => GROWTH,
        }
    }
}

/// Bounds of one question at several radii as a curve that only rises: what is proved at a radius holds for smaller ones, and
/// what is found for larger ones. They end in the order of their radii.
pub fn rising(curve: &mut [Bound]) {
    curve.sort_by(|a, b| a.radius.total_cmp(&b.radius));
    for at in (1..curve.len()).rev() {
        if let [smaller, larger] = &mut curve[at - 1..=at] {
            smaller.proved = smaller.proved.min(larger.proved);
            let both = smaller.may_change_sign.iter_mut();
            both.zip(&larger.may_change_sign)
                .for_each(|(own, may)| *own &= *may);
        }
    }
    for at in 1..curve.len() {
        if let [smaller, larger] = &mut curve[at - 1..=at]
            && larger.found < smaller.found
        {
            larger.found = smaller.found;
            larger.witness.clone_from(&smaller.witness);
        }
    }
}

impl Surroundings {
    /// The largest radius at which a question's value is proved to stay within a threshold, to within a hundredth, up to `most`; and
    /// the smallest at which an input beyond it was found.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Mlp, Parameters};
    /// use loclin_regions::{Budget, Linearization, Norm};
    /// use loclin_regions::reduced::{Limits, Question, Threshold};
    ///
    /// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let here = Linearization::new(&network, &Tensor::new(&[[0.3, -0.2]], &Device::Cpu)?, Budget::default())?;
    /// let around = here.surroundings(0, Norm::LINF)?;
    /// let question = Question::Change { weights: vec![1.0], norm: Norm::L1 };
    /// let largest = around.largest(&question, Threshold::Relative(0.25), 1.0, Limits::default())?;
    /// let margin = here.margins(&[Norm::LINF], Default::default())?[0].radius[0];
    /// assert!(largest.proved >= 0.99 * margin && largest.proved <= largest.refuted);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As of [`Surroundings::bound`], a threshold that does not fit the question, and a `most` that is not positive.
    pub fn largest(
        &self,
        question: &Question,
        threshold: Threshold,
        most: f64,
        limits: Limits,
    ) -> Result<Largest> {
        let refuse = |what: &'static str, cause: String| Err(Error::Argument { what, cause });
        if most.is_nan() || most <= 0.0 {
            return refuse("radius", format!("up to {most}; must be positive"));
        }
        // A share of a length that is known but for rounding: what is proved keeps below that of the least, what is refuted is above that of
        // the largest.
        let [value, above] = match threshold {
            Threshold::Absolute(value) => [value, value],
            Threshold::Relative(share) => {
                let [least, most] = self.length_between(question)?;
                [down(share * least).max(0.0), up(share * most)]
            }
        };
        let end = limits
            .time
            .and_then(|time| Instant::now().checked_add(time));
        let mut largest = Largest {
            proved: 0.0,
            refuted: f64::INFINITY,
            threshold: value,
            curve: Vec::new(),
        };
        let is_late = || self.is_stopped() || end.is_some_and(|end| Instant::now() >= end);
        // Up to where nothing is proved any more, by the root alone, and then with branching.
        for parts in [1, limits.parts] {
            let mut open = match parts {
                1 => f64::INFINITY,
                _ => (largest.proved * GROWTH * GROWTH).max(self.first_radius(most)),
            };
            let mut next = largest.proved.max(self.first_radius(most));
            for _ in 0..TRIES {
                let limits = Limits {
                    parts,
                    proof: false,
                    time: end.map(|end| end.saturating_duration_since(Instant::now())),
                };
                if self.tried(next, (question, above), limits, &mut largest)? != Some(true) {
                    open = open.min(next);
                }
                let beyond = open.min(largest.refuted);
                let is_found = beyond <= largest.proved * (1.0 + TOLERANCE);
                if is_found || largest.proved >= most || is_late() || next == 0.0 {
                    break;
                }
                next = match beyond.is_finite() {
                    true if largest.proved > 0.0 => (largest.proved * beyond).sqrt(),
                    true => beyond / GROWTH,
                    false => (largest.proved * largest.growth()).min(most),
                };
            }
            if limits.parts == 1 || is_late() {
                break;
            }
        }
        self.look_beyond((question, above), &mut largest, most, end)?;
        rising(&mut largest.curve);
        Ok(largest)
    }

    /// Looks for an input beyond the threshold in larger balls, where none was found in those that nothing is proved of.
    fn look_beyond(
        &self,
        question: (&Question, f64),
        largest: &mut Largest,
        most: f64,
        end: Option<Instant>,
    ) -> Result<()> {
        // First just beyond what is proved, where a ball of the margin's radius only touches a boundary.
        let mut growth = 1.0 + 2.0 * TOLERANCE;
        let mut radius = largest.proved;
        let proved = largest.curve.iter().filter(|b| b.radius <= radius);
        let proved = proved.map(|bound| bound.units).max();
        let many = MANY.max(MANY_TIMES * proved.unwrap_or(0));
        for _ in 0..BEYOND {
            radius = (radius * growth).min(most);
            growth = GROWTH;
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let is_late = self.is_stopped() || left.is_some_and(|left| left.is_zero());
            let is_large = largest.curve.iter().any(|bound| bound.units > many);
            if largest.refuted.is_finite() || radius <= largest.proved || is_late || is_large {
                break;
            }
            let limits = Limits {
                parts: 1,
                proof: false,
                time: left,
            };
            if self.tried(radius, question, limits, largest)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Takes in what is found and proved in the ball of a radius, of a question and the number from which on what is found refutes the
    /// threshold: whether that is proved to hold there; `None` where too many units can change.
    fn tried(
        &self,
        radius: f64,
        (question, above): (&Question, f64),
        limits: Limits,
        largest: &mut Largest,
    ) -> Result<Option<bool>> {
        let bound = match self.bound(radius, question, limits) {
            Ok(bound) => bound,
            Err(Error::Argument { what: "radius", .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if bound.found > above {
            largest.refuted = largest.refuted.min(radius);
        }
        let held = holds(&bound, question, largest.threshold);
        if held {
            largest.proved = largest.proved.max(radius);
        }
        largest.curve.push(bound);
        Ok(Some(held))
    }

    /// The bounds of a question at several radii, ascending, joined by [`rising`].
    ///
    /// # Errors
    /// As of [`Surroundings::bound`].
    pub fn curve(&self, radii: &[f64], question: &Question, limits: Limits) -> Result<Vec<Bound>> {
        let bound = |radius: &f64| self.bound(*radius, question, limits);
        let mut curve = radii.iter().map(bound).collect::<Result<Vec<_>>>()?;
        rising(&mut curve);
        Ok(curve)
    }

    /// The threshold of so much more than at the centre: of a change, or of what a length grows by, as a number or as a share of the norm
    /// of the gradient there. Of other questions the number itself.
    ///
    /// # Errors
    /// A question that does not fit the network.
    pub fn threshold(
        &self,
        question: &Question,
        allowed: f64,
        is_share: bool,
    ) -> Result<Threshold> {
        Ok(match question {
            Question::Change { .. } if is_share => Threshold::Relative(allowed),
            _ if question.is_length() && is_share => Threshold::Relative(1.0 + allowed),
            _ if question.is_length() => {
                Threshold::Absolute(self.length_at_centre(question)? + allowed)
            }
            _ => Threshold::Absolute(allowed),
        })
    }

    /// The norm of the gradient at the centre, or of the Jacobian, in which a question about changes or lengths measures. Where regions
    /// meet there, of the side that is recorded.
    ///
    /// # Errors
    /// Another question, or one that does not fit the network.
    pub fn length_at_centre(&self, question: &Question) -> Result<f64> {
        Ok(self.length_and_error(question)?.0)
    }

    /// Bounds of [`Surroundings::length_at_centre`] in exact arithmetic.
    fn length_between(&self, question: &Question) -> Result<[f64; 2]> {
        let (length, error) = self.length_and_error(question)?;
        Ok([down(length - error).max(0.0), up(length + error)])
    }

    /// The length as it is computed, and a bound of its error.
    fn length_and_error(&self, question: &Question) -> Result<(f64, f64)> {
        let reduced = self.reduced(0.0)?;
        let (outputs, measure) = self.asked(&reduced, question)?;
        // In the l1 norm, which no other one of a difference exceeds.
        let errors: Vec<f64> = outputs.iter().map(|own| own.gradient_error).collect();
        let gradients: Vec<Vec<f64>> = outputs.into_iter().map(|own| own.gradient).collect();
        let all = gradients.iter().map(Vec::len).sum::<usize>();
        let with_error = |length: f64| (length, up(sum_up(&errors) + length * relative(all + 64)));
        match (question, gradients.first()) {
            (Question::Change { norm, .. }, Some(gradient)) => Ok(with_error(norm.of(gradient))),
            _ if question.is_length() => Ok(with_error(measure.at(&gradients))),
            _ => Err(Error::Argument {
                what: "threshold",
                cause: "a share of the gradient's norm fits changes and lengths only".into(),
            }),
        }
    }
}

/// Whether what is proved is within a threshold.
fn holds(bound: &Bound, question: &Question, threshold: f64) -> bool {
    match question.is_decision() && threshold == 0.0 {
        true => bound.proved < threshold,
        false => bound.proved <= threshold,
    }
}
