//! The surroundings of an input: what is found once, and asked about balls of any radius.

use super::units::NodeUnits;
use crate::{
    Estimate, Guarantee, Linearization, Norm, Result, Rows, method::FACTOR, rounding::is_open,
};
use loclin_models::RoundingErrors;
use loclin_tensor::rounding::UNIT;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// Multiply-adds that measuring every gradient may take where nothing is proved.
const MEASURED: f64 = 1e11;

/// The probability that the estimate of some neuron's gradient fails.
const FAILURE: f64 = 1e-9;

/// An input with a norm and a domain, to be asked how much the gradient can change in balls around it.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::{Budget, Linearization, Norm};
///
/// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
/// let x = Tensor::new(&[[0.3, -0.2]], &Device::Cpu)?;
/// let here = Linearization::new(&network, &x, Budget::default())?;
/// let around = here.surroundings(0, Norm::LINF)?;
/// // Below the margin no unit changes.
/// let margin = here.margins(&[Norm::LINF], Default::default())?[0].radius[0];
/// assert_eq!(around.units_within(0.99 * margin)?, 0);
/// assert!(around.units_within(1.01 * margin)? > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Surroundings {
    /// Linearised at the one input.
    pub(super) here: Linearization,
    pub(super) x: Vec<f64>,
    pub(super) norm: Norm,
    /// For each neuron at least the dual norm of its gradient.
    pub(super) lengths: Vec<f64>,
    pub(super) errors: Errors,
    pub(super) nodes: Vec<NodeUnits>,
    /// Gradients that were pulled, by the neurons' positions.
    pub(super) pulled: Mutex<HashMap<usize, Arc<[f64]>>>,
    /// Whether nobody waits for answers any more.
    stop: Option<Arc<AtomicBool>>,
}

/// Bounds of rounding errors at the input; of nothing where they are not bounded.
#[derive(Debug)]
pub(super) struct Errors {
    pub(super) known: Option<RoundingErrors>,
    /// Of each neuron's value, and of the l1 norm of its gradient.
    pub(super) values: Vec<f64>,
    pub(super) gradients: Vec<f64>,
    /// What part of a magnitude is an error.
    pub(super) share: f64,
}

impl Linearization {
    /// The surroundings of input number `input`, in balls of a norm, cut with the domain where there is one
    /// ([`Linearization::within`]).
    ///
    /// # Errors
    /// An operator that does not say what it selects from, a gradient that is not finite.
    pub fn surroundings(&self, input: usize, norm: Norm) -> Result<Surroundings> {
        Surroundings::new(self.only(input)?, norm)
    }
}

impl Surroundings {
    fn new(here: Linearization, norm: Norm) -> Result<Self> {
        // What units do to others is bounded by absolute values alone.
        let here = here.by_absolute_values();
        let x = Rows::of_tensor(&here.inputs.flatten_from(1)?)?[0].to_vec();
        let errors = Errors::new(&here)?;
        let lengths = lengths(&here, norm)?;
        let nodes = here.ranges.iter();
        let nodes = nodes.map(|range| NodeUnits::of(here.network(), range.node));
        Ok(Self {
            lengths,
            nodes: nodes.collect::<Result<_>>()?,
            errors,
            here,
            x,
            norm,
            pulled: Mutex::default(),
            stop: None,
        })
    }

    /// Answers end as soon as `stop` is set, as if their time had come: with what was found and proved by then.
    #[must_use]
    pub fn until(self, stop: Arc<AtomicBool>) -> Self {
        let stop = Some(stop);
        Self { stop, ..self }
    }

    /// Whether an answer has to end.
    pub(super) fn is_stopped(&self) -> bool {
        let stop = self.stop.as_ref();
        stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// How many units can change their selection within `radius`: none below the margin.
    ///
    /// # Errors
    /// A radius that is negative or not finite, and a ball in which too many can.
    pub fn units_within(&self, radius: f64) -> Result<usize> {
        Ok(self.reduced(radius)?.units.len())
    }

    /// A radius at which first units may change, or a little below it: where looking begins.
    pub(super) fn first_radius(&self, most: f64) -> f64 {
        let values = self.here.clear[0].iter().zip(&self.lengths);
        let nearest = values.map(|(z, length)| crate::nearest::distance(z.abs(), *length));
        let least = nearest.filter(|radius| *radius > 0.0).fold(most, f64::min);
        least.min(most)
    }

    /// What can be claimed of numbers found here: nothing is proved where rounding leaves open on which side of a boundary the input is, since
    /// then the gradient is not known that others are compared with.
    pub fn guarantee(&self) -> Guarantee {
        match self.here.rounding {
            Some(_) if self.is_decided() => Guarantee::Proved,
            _ => Guarantee::Estimate,
        }
    }

    /// Whether the recorded side of each neuron that moves is the input's.
    fn is_decided(&self) -> bool {
        let mut both = self.here.clear[0].iter().zip(&self.lengths);
        both.all(|(clear, length)| !is_open(*clear) || *length == 0.0)
    }
}

impl Errors {
    fn new(here: &Linearization) -> Result<Self> {
        let count = here.neurons();
        let Some(rounding) = &here.rounding else {
            return Ok(Self {
                known: None,
                values: vec![0.0; count],
                gradients: vec![0.0; count],
                share: 0.0,
            });
        };
        let known = match rounding.known() {
            Some(known) => Some(known.clone()),
            None => rounding
                .magnitudes()
                .trace(&here.inputs)?
                .map(|(_, errors)| errors),
        };
        Ok(Self {
            known,
            values: rounding.values()[0].to_vec(),
            gradients: rounding.gradients()?[0].to_vec(),
            share: rounding.share() + 8.0 * UNIT,
        })
    }
}

/// For each neuron at least the dual norm of its gradient. Where nothing is proved anyway and measuring every gradient takes
/// long, l2 norms are estimated: no neuron's by less than a part of 1e-9 of all inputs, as for margins.
fn lengths(here: &Linearization, norm: Norm) -> Result<Vec<f64>> {
    let dual = norm.dual();
    if here.rounding.is_none() && dual == Norm::L2 && here.prepared.cost.all() > MEASURED {
        let per_neuron = Estimate {
            failure_probability: FAILURE / here.neurons().max(1) as f64,
            ..Estimate::default()
        };
        let estimated = here.estimated_lengths(per_neuron.directions()?, per_neuron.seed)?;
        return Ok(estimated[0].iter().map(|length| length * FACTOR).collect());
    }
    let measured = here.gradient_norms(&[dual])?.swap_remove(0);
    here.lengths_above(0, dual, &measured[0])
}
