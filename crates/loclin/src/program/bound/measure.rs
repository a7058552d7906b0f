//! The answers for one input.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use candle_core::{DType, Tensor};
use loclin_data::{Data, Part};
use loclin_models::{ModelFile, Network};
use loclin_regions::reduced::{Bound, ConstantBall, Limits, Question, Surroundings, rising};
use loclin_regions::{Budget, Domain, Error, Guarantee, Linearizer, Method};

use super::options::Allowed;
use super::question::Asked;
use super::row::{Answer, Farthest, Row};
use crate::program::domain::InputBox;
use crate::program::files::text_below;
use crate::program::proofs::Statement;
use crate::program::{stop, tensors};

/// Asks about one input after the other.
pub(super) struct Measure<'a> {
    model: &'a ModelFile,
    data: &'a Data,
    asked: &'a Asked,
    domain: Option<&'a InputBox>,
    /// The number of the first input.
    first: usize,
    /// The folder that files are named relative to.
    root: Option<&'a Path>,
    by_shape: BTreeMap<Vec<usize>, Around<'a>>,
}

impl<'a> Measure<'a> {
    /// About inputs of `data`, the first of which has the number `first`; their files are named relative to `root` where they can be.
    pub(super) fn new(
        model: &'a ModelFile,
        (data, first, root): (&'a Data, usize, Option<&'a Path>),
        asked: &'a Asked,
        domain: Option<&'a InputBox>,
    ) -> Self {
        Self {
            model,
            data,
            asked,
            domain,
            first,
            root,
            by_shape: BTreeMap::new(),
        }
    }

    /// The answers for the input at this place of the data.
    ///
    /// # Errors
    /// An input that the network does not take, or that lies outside the domain, and an operator that does not say what it selects
    /// from.
    pub(super) fn row(&mut self, position: usize) -> anyhow::Result<Row> {
        let part = self.data.tables(&[position])?.pop().context("no input")?;
        let Part { inputs, .. } = part;
        let shape = inputs.input_shape().to_vec();
        if !self.by_shape.contains_key(&shape) {
            let network = self.model.raw(&shape)?;
            let domain = self
                .domain
                .map(|domain| domain.of_shape(network.input_shape()));
            let around = Around {
                linearizer: Linearizer::new(&network, Budget::default())?,
                domain: domain.transpose()?.map(Arc::new),
                asked: self.asked,
                network,
            };
            self.by_shape.insert(shape.clone(), around);
        }
        let around = self.by_shape.get(&shape).context("a shape")?;
        let index = self.first + position;
        let named = || format!("{}, input {index}", self.data.name());
        let x = tensors::inputs(&inputs, &[0], DType::F64, around.network.device())?;
        let label = inputs.labels().and_then(|labels| labels.first().copied());
        let mut row = around.row(&x, label).with_context(named)?;
        row.index = index;
        let path = self.data.path(position);
        row.file = path.map(|path| text_below(path, self.root));
        Ok(row)
    }
}

struct Around<'a> {
    network: Network,
    linearizer: Linearizer,
    domain: Option<Arc<Domain>>,
    asked: &'a Asked,
}

impl Around<'_> {
    /// Everything that is asked about one input `[1, in...]`.
    fn row(&self, x: &Tensor, label: Option<u32>) -> anyhow::Result<Row> {
        let start = Instant::now();
        let asked = self.asked;
        let mut here = self.linearizer.at(x)?;
        if let Some(domain) = &self.domain {
            here = here.within(Arc::clone(domain))?;
        }
        let prediction = tensors::predictions(here.trace().output())?;
        let prediction = prediction.first().copied().context("no output")?;
        let class = asked.class(prediction, label, self.network.output_size())?;
        let question = asked.question(&self.network, class)?;
        let margins = here.margins(&[asked.norm], Method::Auto)?.swap_remove(0);
        let margin = ConstantBall {
            radius: margins.radius.first().copied().unwrap_or(0.0),
            guarantee: margins.guarantee,
        };
        let row = Row {
            index: 0,
            file: None,
            label,
            prediction,
            class,
            question: None,
            statements: Vec::new(),
            at_input: None,
            margin: margin.radius,
            bounds: Vec::new(),
            largest: None,
            guarantee: margin.guarantee,
            seconds: 0.0,
        };
        let Some(question) = question else {
            let cause = "its class is the one that --minus takes away";
            let radii = radii(&asked.eps, asked.curve, margin.radius).into_iter();
            let refused = radii.map(|eps| Answer::refused(eps, cause.into(), 0.0));
            return Ok(Row {
                bounds: refused.collect(),
                seconds: start.elapsed().as_secs_f64(),
                ..row
            });
        };
        let around = here.surroundings(0, asked.norm)?.until(stop::flag());
        let root = Limits::ROOT;
        let centre = around.bound(0.0, &question, root)?;
        let (bounds, statements) = self.bounds(&around, &question, (&centre, margin))?;
        let largest = match asked.largest {
            Some(allowed) => Some(self.largest(&around, &question, &centre, (margin, allowed))?),
            None => None,
        };
        Ok(Row {
            at_input: Some(at_input(&around, &question, &centre)?),
            question: Some(question),
            guarantee: self.guarantee(margin, &centre),
            statements,
            bounds,
            largest,
            seconds: start.elapsed().as_secs_f64(),
            ..row
        })
    }

    /// Bounds rest on the surroundings alone, radii that are found backwards on the margin, too.
    fn guarantee(&self, margin: ConstantBall, centre: &Bound) -> Guarantee {
        match self.asked.largest {
            Some(_) => centre.guarantee.weaker(margin.guarantee),
            None => centre.guarantee,
        }
    }

    /// The answers for all radii, and what the parts of their bounds prove.
    fn bounds(
        &self,
        around: &Surroundings,
        question: &Question,
        (centre, margin): (&Bound, ConstantBall),
    ) -> anyhow::Result<(Vec<Answer>, Vec<Statement>)> {
        let asked = self.asked;
        let (mut bounds, mut refused, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
        let mut statements = Vec::new();
        for radius in radii(&asked.eps, asked.curve, margin.radius) {
            let start = Instant::now();
            match around.bound(radius, question, asked.limits) {
                Ok(mut bound) => {
                    if let Some(proof) = &bound.proof {
                        statements.extend(Statement::new(radius, question, bound.proved, proof));
                    }
                    margin.tighten(&mut bound, question, centre);
                    bounds.push(bound);
                    seconds.push(start.elapsed().as_secs_f64());
                }
                // Too many units can change; in smaller balls fewer.
                Err(Error::Argument {
                    what: "radius",
                    cause,
                }) => {
                    let seconds = start.elapsed().as_secs_f64();
                    refused.push(Answer::refused(radius, cause, seconds));
                }
                Err(error) => return Err(error.into()),
            }
        }
        rising(&mut bounds);
        let each = bounds.into_iter().zip(seconds);
        let is_decision = question.is_decision();
        let mut answers: Vec<Answer> = each
            .map(|(bound, seconds)| Answer::of(bound, is_decision, seconds))
            .collect();
        answers.extend(refused);
        Ok((answers, statements))
    }

    /// The largest radius for what is allowed.
    fn largest(
        &self,
        around: &Surroundings,
        question: &Question,
        centre: &Bound,
        (margin, allowed): (ConstantBall, Allowed),
    ) -> anyhow::Result<Farthest> {
        let (start, asked) = (Instant::now(), self.asked);
        let (allowed, is_share) = match allowed {
            Allowed::Value(value) => (value, false),
            Allowed::Share(share) => (share, true),
        };
        let threshold = around.threshold(question, allowed, is_share)?;
        let up_to = asked.up_to(self.domain.as_deref());
        let mut largest = around.largest(question, threshold, up_to, asked.limits)?;
        margin.extend(&mut largest, question, centre, up_to);
        let (is_decision, margin) = (question.is_decision(), margin.radius);
        let has_factor = margin > 0.0 && margin.is_finite();
        let curve = largest.curve.into_iter();
        Ok(Farthest {
            threshold: largest.threshold,
            proved: largest.proved,
            refuted: largest.refuted,
            times_margin: has_factor.then(|| largest.proved / margin),
            curve: curve
                .map(|bound| Answer::of(bound, is_decision, 0.0))
                .collect(),
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}

/// What is bounded, at the centre.
fn at_input(around: &Surroundings, question: &Question, centre: &Bound) -> anyhow::Result<f64> {
    Ok(match question {
        Question::Change { norm, .. } | Question::Length { norm, .. } => norm.of(&centre.gradient),
        Question::Operator { .. } => around.length_at_centre(question)?,
        Question::Signs { .. } => centre.gradient.len() as f64,
        Question::TopK { .. } | Question::Class { .. } => centre.found,
    })
}

/// The radii asked for with those of a curve that begins at the margin, ascending.
fn radii(eps: &[f64], curve: usize, margin: f64) -> Vec<f64> {
    let mut radii = eps.to_vec();
    if let (Some(&last), true) = (eps.last(), curve > 1) {
        // Where the margin is no start, three powers of ten below.
        let start = if margin > 0.0 && margin < last {
            margin
        } else {
            1e-3 * last
        };
        let step = |at: usize| start * (last / start).powf(at as f64 / (curve - 1) as f64);
        // The ends as they are, whatever powers are rounded to.
        radii.push(start);
        radii.extend(
            (1..curve - 1)
                .map(step)
                .filter(|radius| *radius > start && *radius < last),
        );
        radii.sort_by(f64::total_cmp);
        radii.dedup();
    }
    radii
}

#[cfg(test)]
mod tests {
    use super::radii;

    #[test]
    fn a_curve_begins_at_the_margin_and_ends_at_the_largest_radius() {
        assert_eq!(radii(&[0.5, 1.0], 3, 0.25), [0.25, 0.5, 1.0]);
        assert_eq!(radii(&[1.0], 2, 2.0), [1e-3, 1.0]);
        assert_eq!(radii(&[1.0], 0, 0.1), [1.0]);
        // A margin just below the radius.
        let close = radii(&[1.0], 5, 1.0f64.next_down());
        assert_eq!(close, [1.0f64.next_down(), 1.0]);
    }
}
