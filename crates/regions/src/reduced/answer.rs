//! Questions about a ball, answered: the best input found, and what is proved of all.

use super::{
    ball::InputBall,
    change::Output,
    limits::Limits,
    network::ReducedNetwork,
    proof::Proof,
    question::{Measure, Question},
    surroundings::Surroundings,
    witness::{Asked, Witness},
};
use crate::{Error, Guarantee, Linearization, Linearizer, Result, Rows};
use candle_core::{DType, Device, Tensor};
use loclin_models::RoundingErrors;
use loclin_tensor::{
    random,
    rounding::{down, relative, sum_up, up_by},
};

/// What is left of the way from the centre where the end of it is undecided.
const BACK: [f64; 5] = [1.0, 1.0 - 1e-12, 1.0 - 1e-9, 1.0 - 1e-6, 0.999];

/// How far a deviation whose end is undecided is moved towards a random one, on which regions do not meet, as a share of the way.
const ASIDE: [f64; 4] = [1e-6, 1e-3, 0.1, 0.5];

/// Rounds of the ascent that looks for a first witness.
const ROUNDS: usize = 2;

/// The answer to a question about a ball.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// The ball's radius.
    pub radius: f64,
    /// The largest value found, at [`Bound::witness`], by the network itself.
    pub found: f64,
    /// No input of the ball has a larger value.
    pub proved: f64,
    /// What is claimed of `proved`.
    pub guarantee: Guarantee,
    /// The input of the ball with the value found, `[D]`.
    pub witness: Vec<f64>,
    /// The gradient at the ball's centre, of the first function that the question is about, `[D]`.
    pub gradient: Vec<f64>,
    /// For [`Question::Signs`], which numbers of the gradient may change their sign: of all others it is proved that they keep
    /// it. Empty for other questions.
    pub may_change_sign: Vec<bool>,
    /// Units whose selection can change in the ball.
    pub units: usize,
    /// Parts of the ball that were looked at.
    pub parts: usize,
    /// The parts with what excludes or bounds each, where [`Limits::proof`] asks for it and the question is not about signs:
    /// [`Surroundings::check`] looks at them again.
    pub proof: Option<Proof>,
}

impl Bound {
    /// Whether what was found and what is proved are one number, to nine digits: the exact answer. What is infinite is none, nor is an estimate.
    pub fn is_exact(&self) -> bool {
        let are_finite = self.proved.is_finite() && self.found.is_finite();
        let is_sure = self.guarantee == Guarantee::Proved;
        is_sure
            && are_finite
            && self.proved - self.found <= 1e-9 * self.proved.abs().max(self.found.abs())
    }

    /// For a question with the answer yes or no ([`Question::is_decision`]): whether it stays as at the centre; `None` if that is open.
    pub fn stays(&self) -> Option<bool> {
        match (self.proved < 0.0, self.found >= 0.0) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }
}

impl Surroundings {
    /// The largest value that a question has in the ball of a radius: found, and proved.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Mlp, Parameters};
    /// use loclin_regions::{Budget, Linearization, Norm};
    /// use loclin_regions::reduced::{Limits, Question};
    ///
    /// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let here = Linearization::new(&network, &Tensor::new(&[[0.3, -0.2]], &Device::Cpu)?, Budget::default())?;
    /// let around = here.surroundings(0, Norm::LINF)?;
    /// let question = Question::Change { weights: vec![1.0], norm: Norm::L1 };
    /// let bound = around.bound(0.5, &question, Limits::default())?;
    /// assert!(bound.found <= bound.proved && bound.is_exact());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A radius that is negative or not finite, a ball in which too many units can change, a question that does not fit the
    /// network.
    pub fn bound(&self, radius: f64, question: &Question, limits: Limits) -> Result<Bound> {
        let reduced = self.reduced(radius)?;
        let (outputs, measure) = self.asked(&reduced, question)?;
        let asked = Asked {
            reduced: &reduced,
            outputs: &outputs,
            measure: &measure,
        };
        let is_length = question.is_length();
        // Of a centre where regions meet no gradient is that of a region for certain, and none is long.
        let from_centre = !is_length || !is_open_at(&self.here)?;
        let witness = asked.ascend(if limits.parts > 1 { ROUNDS } else { 0 }, from_centre);
        let outcome = asked.search(witness, limits, || self.is_stopped());
        let delta = outcome
            .witness
            .map_or_else(|| vec![0.0; self.x.len()], |Witness { delta, .. }| delta);
        let mut looked = self.decided_near(&reduced, &delta)?;
        // What the search takes for a witness may be worth less by the network itself, where boundaries meet.
        if looked.is_empty() || (is_length && from_centre && has_moved(&delta)) {
            looked.push(self.looked_at(&reduced, vec![0.0; delta.len()])?);
        }
        let (mut found, mut changed, mut witness) = (f64::NEG_INFINITY, Vec::new(), Vec::new());
        for Looked {
            input,
            here,
            is_open,
        } in looked
        {
            let (value, signs) = self.value_at(&here, &measure)?;
            let value = if is_length && is_open { 0.0 } else { value };
            if witness.is_empty() || value > found {
                (found, changed, witness) = (value, signs, input);
            }
        }
        let mut may_change_sign = outcome.signs;
        let mut proved = outcome.proved.max(found);
        if let Question::Signs { .. } = question {
            let all = may_change_sign.iter_mut().zip(changed);
            all.for_each(|(own, changed)| *own |= changed);
            proved = may_change_sign.iter().filter(|own| **own).count() as f64;
        } else {
            may_change_sign = Vec::new();
        }
        Ok(Bound {
            radius,
            found,
            proved,
            guarantee: self.guarantee(),
            witness,
            gradient: outputs
                .into_iter()
                .next()
                .map_or_else(Vec::new, |own| own.gradient),
            may_change_sign,
            units: reduced.units.len(),
            parts: outcome.parts,
            proof: outcome.leaves.map(|leaves| Proof::of(&reduced, leaves)),
        })
    }

    /// The functions that a question is about, and the question with their gradients at the centre.
    pub(super) fn asked(
        &self,
        reduced: &ReducedNetwork,
        question: &Question,
    ) -> Result<(Vec<Output>, Measure)> {
        let outputs = self.outputs(reduced, question)?;
        let centre = outputs
            .iter()
            .map(|own| (own.gradient.clone(), own.gradient_error));
        let measure = Measure::new(question.clone(), centre.collect());
        Ok((outputs, measure))
    }

    /// The functions that a question is about, as the units of a reduced network see them.
    pub(super) fn outputs(
        &self,
        reduced: &ReducedNetwork,
        question: &Question,
    ) -> Result<Vec<Output>> {
        let network = self.here.network();
        let functions = question.functions(network.output_size(), self.x.len())?;
        let (size, device) = (network.output_size(), network.device());
        let (trace, errors) = (&self.here.trace, &self.errors);
        let values = Rows::of_tensor(trace.output())?;
        let of_values = match &errors.known {
            Some(known) => Rows::of_tensor(&known.output)?[0].to_vec(),
            None => vec![0.0; size],
        };
        let of_gradients = gradient_errors(&self.here, errors.known.as_ref())?;
        let mut gradients = Vec::with_capacity(functions.len());
        for some in functions.chunks(self.here.pulls_at_once()) {
            let cotangents = Tensor::from_vec(some.concat(), (1, some.len(), size), device)?;
            let pulled = trace.pull(&cotangents.to_dtype(network.dtype())?)?;
            let rows = Rows::of_tensor(&pulled.flatten_from(2)?.squeeze(0)?)?;
            gradients.extend(rows.iter().map(<[f64]>::to_vec));
        }
        let rounding = relative(size + 4);
        let sum = |weights: &[f64], of: &[f64], errors: &[f64]| {
            let total: f64 = weights.iter().zip(of).map(|(w, v)| w * v).sum();
            let each = weights.iter().zip(of).zip(errors);
            let error = each.map(|((w, v), error)| w.abs() * (error + rounding * v.abs()));
            (total, up_by(error.sum(), size + 4))
        };
        let output = |(weights, gradient): (Vec<f64>, Vec<f64>)| {
            let units = reduced.units.iter();
            let each = units.map(|unit| sum(&weights, &unit.outputs, &unit.output_errors));
            let (cotangents, own) = each.unzip();
            let (value, value_error) = sum(&weights, &values[0], &of_values);
            let lengths: Vec<f64> = weights
                .iter()
                .zip(&of_gradients)
                .map(|(w, e)| w * e)
                .collect();
            Output {
                cotangents,
                errors: own,
                gradient,
                gradient_error: sum_up(&lengths),
                value,
                value_error,
            }
        };
        Ok(functions.into_iter().zip(gradients).map(output).collect())
    }

    /// The input at a deviation, certainly in the ball and in the domain.
    fn input_at(&self, reduced: &ReducedNetwork, mut delta: Vec<f64>) -> Vec<f64> {
        reduced.ball.project(&mut delta);
        let at = |(at, (x, delta)): (usize, (&f64, &f64))| {
            let moved = moved(*x, *delta);
            match self.here.domain() {
                Some(domain) => moved.clamp(domain.low()[at], domain.high()[at]),
                None => moved,
            }
        };
        self.x.iter().zip(&delta).enumerate().map(at).collect()
    }

    /// The input at a deviation, if the side of every neuron is known there: at another one the gradient that is computed may be that of a
    /// region without it. Otherwise one on the way to the centre, or those on two sides of it; nothing, where all of these are open.
    fn decided_near(&self, reduced: &ReducedNetwork, delta: &[f64]) -> Result<Vec<Looked>> {
        let back = if has_moved(delta) { &BACK[..] } else { &[1.0] };
        for share in back {
            let found = self.looked_at(reduced, delta.iter().map(|d| d * share).collect())?;
            if !found.is_open {
                return Ok(vec![found]);
            }
        }
        let mut aside = Vec::new();
        if reduced.ball.radius() == 0.0 {
            return Ok(aside);
        }
        let random = self.random_deviation(&reduced.ball)?;
        for side in [1.0, -1.0] {
            for share in ASIDE {
                let both = delta.iter().zip(&random);
                let moved = both.map(|(d, r)| d + share * (side * r - d)).collect();
                let found = self.looked_at(reduced, moved)?;
                if !found.is_open {
                    aside.push(found);
                    break;
                }
            }
        }
        Ok(aside)
    }

    /// The network at a deviation.
    fn looked_at(&self, reduced: &ReducedNetwork, delta: Vec<f64>) -> Result<Looked> {
        let input = self.input_at(reduced, delta);
        let here = Linearizer::elsewhere(&self.here, &input)?;
        let is_open = is_open_at(&here)?;
        Ok(Looked {
            input,
            here,
            is_open,
        })
    }

    /// A deviation of the ball in which no number is 0 or like another, so that no boundary is met but by chance: away from the domain's
    /// ends where the centre is at one.
    fn random_deviation(&self, ball: &InputBall) -> Result<Vec<f64>> {
        let rng = &mut random::stream(0, &[]);
        let drawn = random::normal(rng, self.x.len(), DType::F64, &Device::Cpu)?;
        let mut drawn = drawn.to_vec1::<f64>()?;
        if let Some(domain) = self.here.domain() {
            let ends = domain.low().iter().zip(domain.high());
            for ((own, x), (low, high)) in drawn.iter_mut().zip(&self.x).zip(ends) {
                if (x <= low && *own < 0.0) || (x >= high && *own > 0.0) {
                    *own = -*own;
                }
            }
        }
        let share = ball.length() / self.norm.of(&drawn);
        Ok(drawn.iter().map(|own| own * share).collect())
    }

    /// The question's value at an input by the network itself, and which numbers have another sign than at the centre. Of outputs what rounding
    /// may have added is taken away.
    fn value_at(&self, here: &Linearization, measure: &Measure) -> Result<(f64, Vec<bool>)> {
        let (network, trace) = (here.network(), here.trace());
        let functions = measure
            .question
            .functions(network.output_size(), self.x.len())?;
        if let Question::Class { .. } = measure.question {
            let values = Rows::of_tensor(trace.output())?;
            let errors = match here.rounding.as_ref() {
                Some(rounding) => rounding.magnitudes().trace(&here.inputs)?,
                None => None,
            };
            let errors = match errors {
                Some((_, errors)) => Rows::of_tensor(&errors.output)?[0].to_vec(),
                None => vec![0.0; network.output_size()],
            };
            // A difference of two outputs is rounded once, which changes no sign.
            let of = |weights: &Vec<f64>| -> f64 {
                let taken = weights.iter().filter(|w| **w != 0.0).count();
                let rounding =
                    match taken <= 2 && weights.iter().all(|w| [0.0, 1.0].contains(&w.abs())) {
                        true => 0.0,
                        false => relative(weights.len() + 4),
                    };
                let value: f64 = weights.iter().zip(&values[0]).map(|(w, v)| w * v).sum();
                let each = weights.iter().zip(&values[0]).zip(&errors);
                let error: f64 = each
                    .map(|((w, v), e)| w.abs() * (e + rounding * v.abs()))
                    .sum();
                match error {
                    0.0 => value,
                    error => down(value - up_by(error, weights.len() + 4)),
                }
            };
            let each: Vec<f64> = functions.iter().map(of).collect();
            finite(&each)?;
            return Ok((
                each.into_iter().fold(f64::NEG_INFINITY, f64::max),
                Vec::new(),
            ));
        }
        let count = functions.len();
        let cotangents = Tensor::from_vec(
            functions.concat(),
            (1, count, network.output_size()),
            network.device(),
        )?;
        let pulled = trace.pull(&cotangents)?;
        let rows = Rows::of_tensor(&pulled.flatten_from(2)?.squeeze(0)?)?;
        let gradients: Vec<Vec<f64>> = rows.iter().map(<[f64]>::to_vec).collect();
        gradients.iter().try_for_each(|gradient| finite(gradient))?;
        finite(&[measure.at(&gradients)])?;
        let errors = gradient_errors(here, None)?;
        let each = |weights: &Vec<f64>| -> f64 {
            let terms = weights.iter().zip(&errors);
            up_by(terms.map(|(w, e)| w.abs() * e).sum(), 2 * errors.len())
        };
        let errors: Vec<f64> = functions.iter().map(each).collect();
        let value = measure.at_least(&gradients, &errors);
        let changed = match gradients.first() {
            Some(gradient) => measure.signs_changed(gradient, errors[0]),
            None => Vec::new(),
        };
        Ok((value, changed))
    }
}

/// An input of a ball, and the network there.
struct Looked {
    input: Vec<f64>,
    here: Linearization,
    /// Whether regions meet there, or may do.
    is_open: bool,
}

/// Whether a deviation leaves the centre.
fn has_moved(delta: &[f64]) -> bool {
    delta.iter().any(|d| *d != 0.0)
}

/// Whether regions meet at the input of a network, or may do: the pattern that is recorded there need be that of none of them.
fn is_open_at(here: &Linearization) -> Result<bool> {
    Ok(here.undecided()[0] > 0 || here.on_edge()?[0])
}

/// A bound of the l1 norm of the error of each output's gradient at one input; 0 where errors are not bounded. `known` is what
/// absolute values say of the input, if they were asked.
fn gradient_errors(here: &Linearization, known: Option<&RoundingErrors>) -> Result<Vec<f64>> {
    let network = here.network();
    let size = network.output_size();
    let Some(rounding) = &here.rounding else {
        return Ok(vec![0.0; size]);
    };
    let found;
    let known = match known.or(rounding.known()) {
        Some(known) => Some(known),
        None => {
            found = rounding.magnitudes().trace(&here.inputs)?;
            found.as_ref().map(|(_, errors)| errors)
        }
    };
    let shape = [&[1, 1], network.input_shape()].concat();
    let ones = Tensor::ones(shape, DType::F64, network.device())?;
    let pushed = match known {
        Some(known) => rounding.magnitudes().push(&ones, Some(known))?,
        None => None,
    };
    let Some(pushed) = pushed else {
        return Ok(vec![f64::INFINITY; size]);
    };
    let rows = Rows::of_tensor(&pushed.output.squeeze(0)?)?;
    let by_lengths = rounding.output_gradient();
    let bound = |most: &f64| up_by(most * rounding.share(), 2).min(by_lengths);
    Ok(rows[0].iter().map(bound).collect())
}

/// Refuses numbers at a witness that are not finite: they say nothing of a question's value.
fn finite(numbers: &[f64]) -> Result<()> {
    match numbers.iter().find(|number| !number.is_finite()) {
        None => Ok(()),
        Some(&value) => Err(Error::NotFinite {
            index: 0,
            what: "the value of a question".into(),
            value,
        }),
    }
}

/// The number nearest to `x + delta` that is not further from `x`.
fn moved(x: f64, delta: f64) -> f64 {
    let to = x + delta;
    // What rounding left out, exactly (Knuth).
    let way = to - x;
    let left_out = (x - (to - way)) + (delta - way);
    match delta > 0.0 {
        true if left_out < 0.0 => to.next_down(),
        false if left_out > 0.0 => to.next_up(),
        _ => to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_does_not_move_a_number_further() {
        let half = f64::EPSILON / 2.0;
        assert_eq!(moved(1.0, 1.2 * half), 1.0);
        assert_eq!(moved(1.0, 2.0 * half), 1.0 + 2.0 * half);
        assert_eq!(moved(1.0, -0.8 * half), 1.0);
        assert_eq!(moved(-1.0, -1.2 * half), -1.0);
        assert_eq!(moved(0.0, 0.1), 0.1);
        assert_eq!(moved(1.0, 0.0), 1.0);
        // 0.1 + 0.2 rounds up.
        assert_eq!(moved(0.1, 0.2), 0.3);
    }

    #[test]
    fn what_is_infinite_is_no_exact_answer() {
        let bound = |found: f64, proved: f64| Bound {
            radius: 1.0,
            found,
            proved,
            guarantee: Guarantee::Proved,
            witness: Vec::new(),
            gradient: Vec::new(),
            may_change_sign: Vec::new(),
            units: 1,
            parts: 1,
            proof: None,
        };
        assert!(bound(1.0, 1.0).is_exact() && !bound(1.0, 1.1).is_exact());
        let estimate = Bound {
            guarantee: Guarantee::Estimate,
            ..bound(1.0, 1.0)
        };
        assert!(!estimate.is_exact());
        for found in [1.0, f64::NEG_INFINITY, f64::INFINITY] {
            assert!(!bound(found, f64::INFINITY).is_exact());
        }
    }
}
