//! Exact l2 margins of large networks with every skipped neuron excluded by proof.
//!
//! The Jacobian of a node has at most the norm that the node's Lipschitz bound says
//! ([`loclin_models::Network::lipschitz_bounds`]). So a neuron whose pre-activation is larger than that bound times a
//! distance already known is not the nearest. Every other neuron's gradient is pulled back; at each node that it passes,
//! what it has become by then times the bounds of the nodes reached bounds it better, and most gradients are given up
//! after a few layers. Where more neurons than input axes would be left, pushing the axes is less work and proves the same.

use crate::{
    Linearization, Norm, Result, VerifiedMargins,
    margin::distance,
    verify::{Exclusion, FIRST_ROUND, Nearest},
};
use candle_core::DType;

/// Directions that find neurons which are probably near, so that the search begins with a small distance. They have no
/// part in the proof.
const DIRECTIONS: usize = 16;

impl Linearization {
    /// The l2 margins (Prop. 6), every gradient measured or bounded for certain: slower than
    /// [`Linearization::l2_margins_by_estimate`], with no probability of failure. `seed` is that of the directions which
    /// decide where to begin; it changes the work and not the result.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Parameters, architectures::ResNetConfig};
    /// use loclin_regions::{Budget, Linearization, Norm};
    ///
    /// let config = ResNetConfig { width: 2, inputs: [3, 16, 16], ..ResNetConfig::resnet20(10) };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let x = Tensor::ones((1, 3, 16, 16), DType::F64, &Device::Cpu)?;
    /// let here = Linearization::new(&network, &x, Budget::default())?;
    /// let proved = here.l2_margins_by_bound(0)?;
    /// let exact = here.margins(&[Norm::L2])?;
    /// assert!((proved.margins.radius[0] / exact[0].radius[0] - 1.0).abs() < 1e-9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn l2_margins_by_bound(&self, seed: u64) -> Result<VerifiedMargins> {
        // Above the rounding of the pulled gradients, which the bounds are multiplied with.
        let slack = match self.network().dtype() {
            DType::F64 => 1.0 + 1e-9,
            _ => 1.0 + 1e-4,
        };
        let lipschitz = self.network().lipschitz_bounds()?;
        // Products that overflow bound nothing.
        let sure = |bound: f64| {
            if bound.is_nan() {
                f64::INFINITY
            } else {
                bound * slack
            }
        };
        let lipschitz: Vec<f64> = lipschitz.into_iter().map(sure).collect();
        let lengths = self.estimated_lengths(DIRECTIONS, seed)?;
        let found = lengths.iter().enumerate();
        let found = found.map(|(input, lengths)| self.by_bound(input, lengths, &lipschitz));
        self.verified(found, DIRECTIONS, 0.0)
    }

    /// The nearest neuron of one input, and the number of gradients pulled or, by the plain road, pushed.
    fn by_bound(
        &self,
        input: usize,
        lengths: &[f64],
        lipschitz: &[f64],
    ) -> Result<(Nearest, usize)> {
        let values = &self.pre_activations[input];
        let trace = self.trace.narrow(input, 1)?;
        let mut best = Nearest::default();
        let first = nearest_few(values, lengths);
        self.measure(&trace, input, first.clone(), None, &mut best)?;
        if best.distance == 0.0 {
            // On a boundary: nothing is nearer, and there can be many ties.
            return Ok((best, first.len()));
        }
        // For each site the neurons that its bound does not exclude, the nearest by it first.
        let mut candidates: Vec<Vec<(f64, usize)>> = Vec::new();
        for range in &self.ranges {
            let bound = self.length_bound(range.node, lipschitz);
            let mut own: Vec<(f64, usize)> = (range.start..range.start + range.count)
                .map(|at| (distance(values[at].abs(), bound), at))
                .filter(|(least, at)| *least <= best.distance && !first.contains(at))
                .collect();
            own.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            candidates.push(own);
        }
        let count = first.len() + candidates.iter().map(Vec::len).sum::<usize>();
        if count > self.network().input_size() {
            let one = self.only(input)?;
            let exact = one.margins_by_all(&[Norm::L2])?.swap_remove(0);
            let at = exact.limiting[0].and_then(|neuron| self.position(neuron));
            let distance = exact.radius[0];
            return Ok((Nearest { distance, at }, self.neurons()));
        }
        let most = self.pulls_at_once();
        for own in candidates {
            for some in own.chunks(most) {
                let near = some.iter().filter(|(least, _)| *least <= best.distance);
                let near: Vec<usize> = near.map(|(_, at)| *at).collect();
                let exclusion = Exclusion {
                    lipschitz,
                    nearest: best.distance,
                };
                self.measure(&trace, input, near, Some(&exclusion), &mut best)?;
            }
        }
        Ok((best, count))
    }

    /// No gradient of a constraint of this node is longer.
    fn length_bound(&self, node: usize, lipschitz: &[f64]) -> f64 {
        let node = &self.network().nodes()[node];
        match &node.operator {
            loclin_models::Operator::PiecewiseLinear(operator) => {
                operator.neuron_length() * lipschitz[node.operands[0]]
            }
            _ => f64::INFINITY,
        }
    }
}

/// The positions of the few neurons that are nearest by estimated lengths.
fn nearest_few(values: &[f64], lengths: &[f64]) -> Vec<usize> {
    let mut all: Vec<(f64, usize)> = values
        .iter()
        .zip(lengths)
        .map(|(z, length)| distance(z.abs(), *length))
        .zip(0..)
        .filter(|(estimate, _)| estimate.is_finite())
        .collect();
    let few = FIRST_ROUND.min(all.len());
    if few < all.len() {
        all.select_nth_unstable_by(few, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    }
    all.into_iter().take(few).map(|(_, at)| at).collect()
}
