//! What can change in balls around an input, in little time.

use std::time::{Duration, Instant};

use loclin_models::Network;
use loclin_regions::reduced::{
    Bound, Limits, Question, Surroundings, Threshold, one_output, rising,
};
use loclin_regions::{Guarantee, Linearization, Method, Norm};
use loclin_report::{BoundCurve, as_asked, at_least, at_most};
use serde::Serialize;

/// Radii of the curve.
const RADII: usize = 6;

/// How long may be looked for it, and what else is asked.
#[derive(Clone, Copy, Debug)]
pub struct NearbyOptions {
    /// The time for everything.
    pub time: Duration,
    /// How many numbers are to stay the largest.
    pub top: usize,
}

/// What is known of l-infinity balls.
#[derive(Clone, Debug, Serialize)]
pub struct Nearby {
    /// The radius of the l-infinity ball in which the gradient is constant.
    pub margin: f64,
    /// By how much the gradient can change, in l1 norm, radii ascending up to the one asked for.
    pub curve: Vec<Point>,
    /// How many numbers of the gradient are asked to stay the largest.
    pub top: usize,
    /// Within this radius they do.
    pub top_proved: f64,
    /// Within this radius they do not; infinite, `null` in JSON, if none was found.
    pub top_refuted: f64,
    /// What is claimed of bounds and radii: `proved` or `estimate`.
    #[serde(serialize_with = "super::outcome::guarantee")]
    pub guarantee: Guarantee,
}

/// One radius.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Point {
    /// The radius.
    pub eps: f64,
    /// The largest change found.
    pub found: f64,
    /// No input of the ball has a larger one.
    pub proved: f64,
}

/// What the time allows to find out, or why it allows nothing; `evaluation` is what one gradient takes.
pub(super) fn nearby(
    network: &Network,
    here: &Linearization,
    output: u32,
    eps: f64,
    (options, evaluation): (NearbyOptions, Duration),
) -> Result<Nearby, String> {
    let end = Instant::now() + options.time;
    // Every number of an input is a direction to be pushed.
    let expected = evaluation.as_secs_f64() * network.input_size() as f64;
    if expected > options.time.as_secs_f64() {
        let digits = if expected < 1.0 { 3 } else { 0 };
        return Err(format!(
            "it would take about {expected:.digits$} s; a larger --time allows it"
        ));
    }
    let said = |error: loclin_regions::Error| error.to_string();
    let margins = here.margins(&[Norm::LINF], Method::Auto).map_err(said)?;
    let (margin, of_margin) = match &margins[..] {
        [margins] => (
            margins.radius.first().copied().unwrap_or(0.0),
            margins.guarantee,
        ),
        _ => return Err("no margin".into()),
    };
    let around = here.surroundings(0, Norm::LINF).map_err(said)?;
    let weights = one_output(network.output_size(), output as usize);
    let change = Question::Change {
        weights: weights.clone(),
        norm: Norm::L1,
    };
    let mut bounds = bounds(&around, &change, radii(margin, eps), end);
    let top = options.top.min(network.input_size().saturating_sub(1));
    let order = Question::TopK { weights, k: top };
    let limits = limits(end, 1);
    let largest = around.largest(&order, Threshold::Absolute(0.0), 1.0, limits);
    // A network of one input has no order, and some balls have too many units.
    let (top_proved, top_refuted) =
        largest.map_or((0.0, f64::INFINITY), |own| (own.proved, own.refuted));
    rising(&mut bounds);
    // The order is claimed also where no ball has a bound.
    let of_bounds = bounds.first().map(|bound| bound.guarantee);
    let of_bounds = of_bounds.unwrap_or_else(|| around.guarantee());
    let point = |bound: &Bound| Point {
        eps: bound.radius,
        found: bound.found,
        proved: bound.proved,
    };
    Ok(Nearby {
        margin,
        curve: bounds.iter().map(point).collect(),
        top,
        // Where nothing changes, the order stays.
        top_proved: top_proved.max(margin),
        top_refuted,
        guarantee: of_bounds.weaker(of_margin),
    })
}

/// The bounds at radii as far as they can be found.
fn bounds(around: &Surroundings, question: &Question, radii: Vec<f64>, end: Instant) -> Vec<Bound> {
    let mut bounds = Vec::new();
    let count = radii.len();
    for (at, radius) in radii.into_iter().enumerate() {
        // The order of the top is asked for after them.
        match around.bound(radius, question, limits(end, count - at + 1)) {
            Ok(bound) => bounds.push(bound),
            // Too many units, and more in larger balls.
            Err(_) => break,
        }
    }
    bounds
}

/// The share of what is left that one of so many questions may take.
fn limits(end: Instant, questions: usize) -> Limits {
    let left = end.saturating_duration_since(Instant::now());
    Limits {
        time: Some(left / u32::try_from(questions).unwrap_or(u32::MAX).max(1)),
        ..Limits::default()
    }
}

/// Radii from the margin to the one asked for.
fn radii(margin: f64, eps: f64) -> Vec<f64> {
    let start = if margin > 0.0 && margin < eps {
        margin
    } else {
        1e-2 * eps
    };
    let step = |at: usize| start * (eps / start).powf(at as f64 / (RADII - 1) as f64);
    let between = (1..RADII - 1)
        .map(step)
        .filter(|radius| *radius > start && *radius < eps);
    [start].into_iter().chain(between).chain([eps]).collect()
}

impl Nearby {
    /// What it says, in sentences.
    pub(super) fn lines(&self) -> Vec<String> {
        let (claim, top) = (self.guarantee.name(), self.top);
        let mut lines = vec![format!(
            "the gradient is constant within an l-infinity radius of {} ({claim})",
            at_most(self.margin)
        )];
        if let Some(Point { eps, found, proved }) = self.curve.last() {
            lines.push(format!(
                "within an l-infinity radius of {} the gradient changes by at most {} in l1 norm ({claim}), and by {} at an input found",
                as_asked(*eps),
                at_least(*proved),
                at_most(*found)
            ));
        }
        let beyond = match self.top_refuted.is_finite() {
            true => format!("; within {} they do not", at_least(self.top_refuted)),
            false => String::new(),
        };
        // One number has no order.
        if top > 0 {
            lines.push(format!(
                "the {top} numbers of the gradient that are largest in absolute value stay the largest within {} ({claim}){beyond}",
                at_most(self.top_proved)
            ));
        }
        lines
    }

    /// The curve to be drawn.
    pub(super) fn curve(&self) -> BoundCurve {
        let claim = match self.guarantee {
            Guarantee::Proved => "proved",
            _ => "estimate",
        };
        let points = self
            .curve
            .iter()
            .map(|point| [point.eps, point.found, point.proved]);
        BoundCurve {
            what: "change of the gradient (l1)".into(),
            norm: Norm::LINF.to_string(),
            claim: claim.into(),
            points: points.collect(),
        }
    }
}
