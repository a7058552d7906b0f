//! Rounding errors of networks that are too deep for absolute values, bounded by Euclidean lengths.
//!
//! The exact network with the recorded pattern is affine, so that a computed value is off by the sum, over all nodes, of what arises
//! there times the neuron's gradient with respect to that node. Of a gradient that has been pulled down to some nodes, all that
//! is known for those passed; what lies below them is bounded by spectral norms. If then no neuron's value can be on another
//! side than the pattern says, the pattern is the input's (Lemma 2).

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::{
    Result,
    node_lengths::{NodeLengths, SLACK, VANISHED},
    patterns,
};
use candle_core::Tensor;
use loclin_models::{Magnitudes, Network, NeuronRange, Operator, Trace};
use loclin_tensor::rounding::{UNIT, leaves_undecided, length_up, up};

/// The part of a usual radius that bounds of all neurons at once may take.
const LOST: f64 = 1e-4;

/// What is found at each input of a batch, once it is asked for; `None` where lengths do not say either.
pub(crate) type AllByLengths = Arc<Vec<OnceLock<Option<Arc<ByLengths>>>>>;

/// What rounding has done at one input.
#[derive(Debug)]
pub(crate) struct ByLengths {
    known: Arc<NodeLengths>,
    /// The neurons' values as computed.
    pub(crate) neurons: Vec<f64>,
    /// At least the length of what arises in each node's value; also, of neurons whose gradients are 0, what another side would change.
    local: Vec<f64>,
    /// At least the length of the error of each node's value.
    values: Vec<f64>,
    /// Whether each neuron's gradient is certainly 0.
    pub(crate) constant: Vec<bool>,
    /// Whether rounding certainly has not changed each neuron's side.
    exact: Vec<bool>,
}

/// What rounding has done to a gradient that is being pulled.
#[derive(Debug, Clone, Default)]
pub(crate) struct PullErrors {
    /// To the neuron's value, at the nodes that the pull has passed.
    passed: f64,
    /// At least the lengths of the errors of the cotangents reached, by node.
    reached: Vec<(usize, f64)>,
}

impl PullErrors {
    /// The error of the cotangent at a node.
    fn at(&self, node: usize) -> f64 {
        let own = self.reached.iter().find(|(own, _)| *own == node);
        own.map_or(0.0, |(_, error)| *error)
    }

    /// At least the length of the error of a gradient, once it is pulled to the input.
    pub(crate) fn of_gradient(&self) -> f64 {
        self.at(0) * SLACK
    }
}

impl ByLengths {
    /// Whether nothing arises in a node's value, nor by neurons on another side.
    pub(crate) fn is_exact_at(&self, node: usize) -> bool {
        self.local[node] == 0.0
    }

    /// Passes a node with a cotangent that was computed with this length.
    pub(crate) fn pass(
        &self,
        network: &Network,
        (node, length): (usize, f64),
        errors: &mut PullErrors,
    ) {
        let own = errors.at(node);
        errors.reached.retain(|(other, _)| *other != node);
        errors.passed += (length + own) * self.local[node];
        let operands = network.nodes()[node].operands.iter().enumerate();
        for (operand, &below) in operands {
            let passed = self.known.lengths.gain(node, operand) * own;
            let arisen = self.known.pulls[node][operand] * length + VANISHED;
            match errors.reached.iter_mut().find(|(other, _)| *other == below) {
                Some((_, sum)) => *sum += passed + arisen,
                None => errors.reached.push((below, passed + arisen)),
            }
        }
    }

    /// At least how far beyond 0 those of some neurons can be, as one vector, whose gradients are 0 and whose sides are undecided, given the
    /// length of their values' errors; 0 if there are none.
    fn other_sides(&self, neurons: Range<usize>, error: f64) -> f64 {
        let undecided = |z: &f64| z.abs() <= error + z.abs() * 8.0 * UNIT;
        let is = |which: &[bool], at: usize| which.get(at) == Some(&true);
        let constant = |at: &usize| is(&self.constant, *at) && !is(&self.exact, *at);
        let values = neurons.filter(constant).map(|at| self.neurons[at]);
        let open: Vec<f64> = values.filter(undecided).collect();
        match open.is_empty() {
            true => 0.0,
            false => length_up(&open) + error,
        }
    }

    /// At least the length of a gradient, and at most the neuron's absolute value, given the computed value and lengths of the cotangents that
    /// its pull has reached.
    pub(crate) fn bounds(
        &self,
        computed: f64,
        reached: impl Iterator<Item = (usize, f64)>,
        errors: &PullErrors,
    ) -> (f64, f64) {
        let (mut gradient, mut value) = (0.0, errors.passed);
        for (node, length) in reached {
            let length = length + errors.at(node);
            if length > 0.0 {
                gradient += length * self.known.jacobians[node];
                value += length * self.values[node];
            }
        }
        // The value as a neuron's is a difference that was rounded once.
        let lost = value * SLACK + computed.abs() * 8.0 * UNIT;
        (gradient * SLACK, computed.abs() - lost)
    }
}

impl ByLengths {
    /// What rounding has done at the input `x` of a trace of that input alone; `None` where lengths do not say either.
    pub(crate) fn find(
        (known, magnitudes): (&Arc<NodeLengths>, &Magnitudes),
        ranges: &[NeuronRange],
        (x, trace): (&Tensor, &Trace),
    ) -> Result<Option<Self>> {
        let Some(mut found) = magnitudes.local_errors(x)? else {
            return Ok(None);
        };
        // The errors are of this evaluation: it has to select what the recorded one did.
        if patterns(&found.trace)? != patterns(trace)? {
            return Ok(None);
        }
        let neurons = match found.trace.pre_activations()? {
            Some(neurons) => neurons.flatten_all()?.to_vec1()?,
            None => Vec::new(),
        };
        let mut rounding = Self {
            known: Arc::clone(known),
            neurons,
            local: found.values.iter().map(|own| own[0]).collect(),
            values: Vec::new(),
            constant: found.constant.swap_remove(0),
            exact: found.exact.swap_remove(0),
        };
        rounding.add_constants(ranges, &found.trace)?;
        Ok(Some(rounding))
    }

    /// Bounds the errors of the nodes' values, among what arises there that a neuron whose gradient is 0 may be on another side than
    /// its computed value is. No distance says of such a neuron that it is not, but its value can be off by no more than lies on that
    /// other side.
    fn add_constants(&mut self, ranges: &[NeuronRange], trace: &Trace) -> Result<()> {
        let network = trace.network();
        let arisen = self.local.clone();
        let boundaries: Vec<usize> = trace.records().map(|r| r.piece_count() - 1).collect();
        // What arises at one node changes what is known of those above alone.
        for _ in 0..=arisen.len() {
            let values = self.known.lengths.through(&self.local)?;
            self.values = values.into_iter().map(|v| v * SLACK).collect();
            let mut local = arisen.clone();
            for (range, boundaries) in ranges.iter().zip(&boundaries) {
                if let Some((operand, length)) = neurons_of(network, range.node) {
                    let neurons = range.start..range.start + range.count;
                    let error = self.values[operand] * length * SLACK;
                    let other = self.other_sides(neurons, error) * *boundaries as f64;
                    if other > 0.0 {
                        // Slopes of both sides are at most the gain.
                        let gain = 2.0 * self.known.lengths.gain(range.node, 0);
                        let sum = local[range.node] + gain * other * SLACK;
                        local[range.node] = if sum.is_nan() { f64::INFINITY } else { sum };
                    }
                }
            }
            if local == self.local {
                break;
            }
            self.local = local;
        }
        Ok(())
    }

    /// Puts what lengths say into the place of larger `errors` of the neurons' `values`, and says whether they say enough: little beside what the nearest
    /// boundary usually is away, an `N`-th of a usual value. What is behind an undecided neuron is known of the recorded pattern
    /// alone: there errors stay as they are.
    pub(crate) fn lessen(
        &self,
        network: &Network,
        ranges: &[NeuronRange],
        values: &[f64],
        errors: &mut [f64],
    ) -> bool {
        let (mut is_enough, mut is_known) = (true, true);
        for range in ranges {
            let Some((operand, length)) = neurons_of(network, range.node) else {
                return false;
            };
            let of_node = self.values[operand] * length * SLACK;
            let mut is_open = false;
            let neurons = range.start..range.start + range.count;
            let usual = length_up(&values[neurons.clone()]) / (range.count as f64).sqrt();
            // A node whose values are all 0 has no boundary that is usual.
            is_enough &= usual == 0.0 || of_node * values.len() as f64 <= LOST * usual;
            for at in neurons {
                let (z, own) = (values[at], self.neurons[at]);
                // The values need not be those of the same evaluation.
                let error = match self.exact[at] && z == own {
                    true => 0.0,
                    false => up(of_node + 8.0 * UNIT * z.abs() + up((z - own).abs())),
                };
                let error = error.min(errors[at]);
                is_open |= leaves_undecided(z, error) && !self.constant[at];
                if is_known {
                    errors[at] = error;
                }
            }
            is_known &= !is_open;
        }
        is_enough
    }
}

/// The operand of a node with neurons, and at least the length of a neuron's gradient with respect to it.
pub(crate) fn neurons_of(network: &Network, node: usize) -> Option<(usize, f64)> {
    let node = network.nodes().get(node)?;
    match &node.operator {
        Operator::PiecewiseLinear(operator) => Some((node.operands[0], operator.neuron_length())),
        _ => None,
    }
}
