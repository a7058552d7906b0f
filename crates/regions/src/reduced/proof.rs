//! What branch and bound found out, part by part, so that it can be checked again.

use super::{
    network::{ReducedNetwork, Scratch},
    part::{Assumed, Part},
    question::Question,
    state::Selection,
    surroundings::Surroundings,
    witness::Asked,
};
use crate::{Error, Neuron, Result};

/// The parts that a ball was split into, as a tree in preorder: behind each split come its two halves, first the one in which the
/// unit makes the selection.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Proof {
    /// Splits and parts.
    pub steps: Vec<Step>,
}

/// A split of a part, or a part with what excludes it or bounds the question there.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Into the inputs at which a unit makes a selection, and those at which it does not.
    Split {
        /// The first neuron of the unit that can change sides in the ball.
        unit: Neuron,
        /// The neuron that is beyond its boundary and selected; `None` where the unit stays as it is at the centre.
        selects: Option<Neuron>,
    },
    /// A part.
    Part(Reason),
}

/// Why a part needs no further look.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// The units' ranges say that it is empty.
    Ranges,
    /// Its conditions exclude each other: these factors, none of them negative, make a sum of them that is below 0 in the whole
    /// ball.
    Factors {
        /// One for each condition.
        factors: Vec<f64>,
        /// Whether the conditions are those of all units whose selection is decided there, or of those alone that were split at.
        all: bool,
    },
    /// The question is bounded there, for [`Question::Class`] with factors of the conditions for each other class.
    Bound {
        /// For each other class, or empty.
        factors: Vec<Vec<f64>>,
    },
}

/// A part that is done with.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) assumed: Vec<Assumed>,
    pub(crate) reason: Reason,
}

impl Proof {
    /// Of all parts of a ball.
    pub(crate) fn of(reduced: &ReducedNetwork, leaves: Vec<Leaf>) -> Self {
        let mut steps = Vec::with_capacity(2 * leaves.len());
        // Groups of parts that are still one part at a depth, the next one last.
        let mut groups = vec![(0, leaves)];
        while let Some((depth, mut leaves)) = groups.pop() {
            match leaves.first().and_then(|leaf| leaf.assumed.get(depth)) {
                None => steps.extend(leaves.pop().map(|leaf| Step::Part(leaf.reason))),
                Some(&Assumed {
                    unit, selection, ..
                }) => {
                    let neuron = |member: usize| reduced.members[member].neuron;
                    steps.push(Step::Split {
                        unit: neuron(reduced.units[unit].members.start),
                        selects: match selection {
                            Selection::Member(member) => Some(neuron(member)),
                            _ => None,
                        },
                    });
                    let holds = |leaf: &Leaf| leaf.assumed[depth].holds;
                    let (first, second) = leaves.into_iter().partition(holds);
                    groups.push((depth + 1, second));
                    groups.push((depth + 1, first));
                }
            }
        }
        Self { steps }
    }
}

impl Surroundings {
    /// What a proof proves: the largest bound of all parts, each of them looked at again. The parts are those of the ball by
    /// construction, and nothing that the proof says is taken on trust.
    ///
    /// # Errors
    /// A proof of another network, input or radius: steps that are too few or too many, neurons that cannot change sides in the ball,
    /// factors that exclude nothing. And as of [`Surroundings::bound`].
    pub fn check(&self, radius: f64, question: &Question, proof: &Proof) -> Result<f64> {
        let reduced = self.reduced(radius)?;
        let (outputs, measure) = self.asked(&reduced, question)?;
        let asked = Asked {
            reduced: &reduced,
            outputs: &outputs,
            measure: &measure,
        };
        let mut scratch = Scratch::default();
        let whole = Part {
            state: reduced.root.clone(),
            assumed: Vec::new(),
            bound: f64::INFINITY,
        };
        let mut most = f64::NEG_INFINITY;
        // Parts to be looked at, the next one last; `None` for one whose ranges say that it is empty.
        let mut parts = vec![Some(whole)];
        for (number, step) in proof.steps.iter().enumerate() {
            let refuse = |cause: String| Err(wrong(number, cause));
            let Some(part) = parts.pop() else {
                return refuse("all parts of the ball are done with before".into());
            };
            let Some(mut part) = part else {
                match step {
                    Step::Part(_) => continue,
                    Step::Split { .. } => return refuse("an empty part needs no split".into()),
                }
            };
            match step {
                Step::Split { unit, selects } => {
                    part.bound = part.bound.min(asked.part_bound(&part, &[], &mut scratch));
                    let Some(assumed) = assumption(&reduced, *unit, *selects) else {
                        return refuse(format!("{unit:?} cannot change sides in the ball"));
                    };
                    // A proof of this crate has none; each would make all that follow slower.
                    let mut before = part.assumed.iter();
                    if before
                        .any(|own| (own.unit, own.selection) == (assumed.unit, assumed.selection))
                    {
                        return refuse(format!("{unit:?} is assumed in the part already"));
                    }
                    for holds in [false, true] {
                        let assumed = Assumed { holds, ..assumed };
                        parts.push(reduced.enter(part.clone(), assumed, &mut scratch));
                    }
                }
                Step::Part(Reason::Ranges) => {
                    return refuse("the ranges do not say that the part is empty".into());
                }
                Step::Part(Reason::Factors { factors, all }) => {
                    if !reduced.is_empty_by(&part, factors, *all, &mut scratch) {
                        return refuse("the factors do not exclude the part".into());
                    }
                }
                Step::Part(Reason::Bound { factors }) => {
                    let bound = asked.part_bound(&part, factors, &mut scratch);
                    most = most.max(part.bound.min(bound));
                }
            }
        }
        match parts.is_empty() {
            true => Ok(most),
            false => Err(wrong(
                proof.steps.len(),
                format!("{} parts are missing", parts.len()),
            )),
        }
    }
}

/// The selection that a split is about, by its neurons.
fn assumption(reduced: &ReducedNetwork, unit: Neuron, selects: Option<Neuron>) -> Option<Assumed> {
    let at = reduced
        .units
        .iter()
        .position(|own| reduced.members[own.members.start].neuron == unit)?;
    let mut members = reduced.units[at].members.clone();
    let selection = match selects {
        None => Selection::Same,
        Some(neuron) => Selection::Member(members.find(|m| reduced.members[*m].neuron == neuron)?),
    };
    Some(Assumed {
        unit: at,
        selection,
        holds: true,
    })
}

fn wrong(step: usize, cause: String) -> Error {
    let what = "proof";
    let cause = format!("step {step}: {cause}");
    Error::Argument { what, cause }
}
