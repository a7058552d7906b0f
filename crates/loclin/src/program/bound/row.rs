//! What is found out about one input.

use loclin_regions::Guarantee;
use loclin_regions::reduced::{Bound, Question};
use serde::Serialize;

use crate::program::proofs::Statement;

/// What was found out about one input.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its number in the dataset.
    pub index: usize,
    /// Its file, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its class, where that is known.
    pub label: Option<u32>,
    /// The class that the network gives it.
    pub prediction: u32,
    /// The class asked about.
    pub class: u32,
    /// The question; `None` for a row of a table.
    #[serde(skip)]
    pub question: Option<Question>,
    /// What the bounds' own parts prove, where that is kept: what is known of the margin may make a bound smaller.
    #[serde(skip)]
    pub statements: Vec<Statement>,
    /// What is bounded, at the input itself: for a change, the norm of the gradient; for signs, how many numbers a gradient has.
    ///
    /// `None` where nothing is asked.
    pub at_input: Option<f64>,
    /// The radius of the largest ball in which the gradient is constant.
    pub margin: f64,
    /// For each radius what was found and what is proved, radii ascending.
    pub bounds: Vec<Answer>,
    /// The largest radius, where it was asked for.
    pub largest: Option<Farthest>,
    /// What is claimed of all bounds: `proved` or `estimate`.
    #[serde(serialize_with = "name")]
    pub guarantee: Guarantee,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// The answer for one radius.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The radius.
    pub eps: f64,
    /// The largest value found, by the network itself at an input of the ball; `None` where nothing was looked for.
    pub found: Option<f64>,
    /// No input of the ball has a larger one; `None` where nothing is proved.
    pub proved: Option<f64>,
    /// Whether both are one number.
    pub exact: bool,
    /// Whether the top k or the class stays: `None` for other questions, and where that is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stays: Option<bool>,
    /// Share of the gradient's numbers whose sign is proved to stay, for signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signs_proved: Option<f64>,
    /// Units whose selection can change in the ball.
    pub units: Option<usize>,
    /// Parts of the ball that were looked at.
    pub parts: Option<usize>,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The bound itself, where it is kept.
    #[serde(skip)]
    pub bound: Option<Bound>,
}

/// How far one may go.
#[derive(Clone, Debug, Serialize)]
pub struct Farthest {
    /// The largest value that is allowed.
    pub threshold: f64,
    /// Within this radius no input is beyond it.
    pub proved: f64,
    /// Within this radius there is one that is; infinite, `null` in JSON, if none was found.
    pub refuted: f64,
    /// The radius proved as a multiple of the margin; `None` for a margin that is 0 or infinite.
    pub times_margin: Option<f64>,
    /// Radii that were tried, and what was found and proved there.
    pub curve: Vec<Answer>,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl Answer {
    /// What a bound says.
    pub(super) fn of(bound: Bound, is_decision: bool, seconds: f64) -> Self {
        let signs = bound.may_change_sign.len();
        let may = bound.may_change_sign.iter().filter(|may| **may).count();
        Self {
            eps: bound.radius,
            found: Some(bound.found),
            proved: Some(bound.proved),
            exact: bound.is_exact(),
            stays: is_decision.then(|| bound.stays()).flatten(),
            signs_proved: (signs > 0).then(|| (signs - may) as f64 / signs as f64),
            units: Some(bound.units),
            parts: Some(bound.parts),
            refused: None,
            seconds,
            bound: Some(bound),
        }
    }

    /// That there is none.
    pub(super) fn refused(eps: f64, cause: String, seconds: f64) -> Self {
        Self {
            eps,
            found: None,
            proved: None,
            exact: false,
            stays: None,
            signs_proved: None,
            units: None,
            parts: None,
            refused: Some(cause),
            seconds,
            bound: None,
        }
    }
}

impl Row {
    /// The input of the largest ball that changes most, or that shows that a larger one is too large.
    pub fn witness(&self) -> Option<&[f64]> {
        let of_radius = self
            .bounds
            .iter()
            .rev()
            .find_map(|answer| answer.bound.as_ref());
        let beyond = || {
            let largest = self.largest.as_ref()?;
            let refuted = largest
                .curve
                .iter()
                .filter(|answer| answer.eps >= largest.refuted);
            let answers = refuted.chain(largest.curve.last());
            answers.into_iter().find_map(|answer| answer.bound.as_ref())
        };
        of_radius.or_else(beyond).map(|bound| &bound.witness[..])
    }

    /// Forgets the bounds themselves, of which each holds several inputs.
    pub(super) fn without_bounds(mut self) -> Self {
        let curve = self
            .largest
            .iter_mut()
            .flat_map(|largest| &mut largest.curve);
        for answer in self.bounds.iter_mut().chain(curve) {
            answer.bound = None;
        }
        self
    }

    /// The answers to be drawn as a curve, radii ascending.
    pub fn curve(&self) -> &[Answer] {
        match &self.largest {
            Some(largest) if self.bounds.is_empty() => &largest.curve,
            _ => &self.bounds,
        }
    }
}

/// A guarantee by its short name.
pub(super) fn name<S: serde::Serializer>(guarantee: &Guarantee, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&guarantee.name())
}
