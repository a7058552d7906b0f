//! What is true of an input: exactly where that is affordable, otherwise between bounds.

use anyhow::bail;
use candle_core::{DType, Device, Tensor};
use loclin_models::{Magnitudes, Module, Network, NeuronRange, Places};
use loclin_regions::exact::{Exact, ExactPoint, RadiusBounds};
use loclin_tensor::rounding::{down, up};

use super::cut::Between;
use super::measured::{Claims, Measured, measure};

/// Multiply-adds that reading the matrices of a network may take, zeros included.
const READING: u64 = 1 << 27;

/// Multiply-adds in exact arithmetic that one input may take, some seconds.
const EXACT: u64 = 20_000_000;

/// The share of a radius that what is computed of it may be off by.
const NEAR: f64 = 1e-6;

/// A network that rows are held against.
pub(super) struct Judge {
    network: Network,
    exact: Option<Exact>,
    magnitudes: Option<Magnitudes>,
    /// Where the neurons are.
    ranges: Vec<NeuronRange>,
}

/// What is true of an input.
pub(super) struct Truth {
    /// One for each norm.
    pub(super) radii: Vec<Radius>,
    /// Bounds of the outputs.
    outputs: Vec<Between>,
    /// Bounds of what a computation in double precision makes of them.
    computed: Vec<Between>,
    /// What this one makes of them.
    evaluated: Vec<Between>,
    /// At most the distance to the boundary of the neuron that is said to limit, where one is.
    limiting: Option<f64>,
}

/// What is known of a radius that was claimed.
#[derive(Clone, Copy)]
pub(super) struct Radius {
    /// Whether it is certainly larger than the true one.
    pub(super) refuted: bool,
    /// Whether it is certainly not.
    pub(super) proved: bool,
    /// At most the true one.
    pub(super) smallest: f64,
    /// The largest float that may be at most the true one.
    pub(super) largest: f64,
    /// The neuron with that distance.
    pub(super) limiting: Option<usize>,
}

impl Judge {
    /// For a network in float64.
    ///
    /// # Errors
    /// A network of which neither exact arithmetic nor bounds of errors are known.
    pub(super) fn new(network: &Network) -> anyhow::Result<Self> {
        let network = network.to(DType::F64, &Device::Cpu)?;
        let exact = Exact::new(&network, READING);
        let magnitudes = network.magnitudes()?;
        if let (Err(cause), None) = (&exact, &magnitudes) {
            bail!("this network cannot be checked: {cause}");
        }
        let zeros = [&[1], network.input_shape()].concat();
        let zeros = Tensor::zeros(zeros, DType::F64, &Device::Cpu)?;
        let ranges = network.trace(&zeros)?.neuron_ranges()?;
        Ok(Self {
            exact: exact.ok(),
            magnitudes,
            ranges,
            network,
        })
    }

    /// What is true of an input, of which these radii are claimed.
    ///
    /// # Errors
    /// A computation that fails, and an input with numbers that are not finite.
    pub(super) fn truth(&self, x: &[f64], claims: &Claims<'_>) -> anyhow::Result<Truth> {
        if let Some(exact) = &self.exact
            && (exact.gradients_cost() <= EXACT || self.magnitudes.is_none())
        {
            let here = cut(exact.at(x)?, claims)?;
            let found = here.radii(claims.norms, u64::MAX)?;
            let radius = |(found, claimed): (&RadiusBounds, &f64)| Radius {
                refuted: found.refutes(*claimed),
                proved: *claimed <= found.lower,
                smallest: found.lower,
                largest: found.largest,
                limiting: found.limiting,
            };
            let named = claims.limiting.map(|neuron| {
                let found = here.distances(neuron, &claims.norms[claims.leading..][..1]);
                found[0].lower
            });
            let outputs = outputs(&here);
            return Ok(Truth {
                radii: found.iter().zip(claims.radii).map(radius).collect(),
                computed: self.computed(x, &outputs)?,
                evaluated: self.evaluated(x)?,
                outputs,
                limiting: named,
            });
        }
        let measured = match &self.magnitudes {
            Some(magnitudes) => measure(&self.network, magnitudes, x, claims)?,
            None => None,
        };
        let Some(measured) = measured else {
            bail!("this network cannot be checked: its rounding errors are not bounded");
        };
        self.decided(x, claims, measured)
    }

    /// What measuring found, and what exact arithmetic says where that leaves a claim open.
    fn decided(&self, x: &[f64], claims: &Claims<'_>, measured: Measured) -> anyhow::Result<Truth> {
        let named = claims.limiting.map(|neuron| {
            let of_norm = &measured.distances[claims.leading];
            of_norm.get(neuron).map_or(0.0, |(low, _)| *low)
        });
        let mut truth = Truth {
            radii: Vec::new(),
            computed: self.computed(x, &measured.outputs)?,
            evaluated: self.evaluated(x)?,
            outputs: measured.outputs,
            limiting: named,
        };
        let mut open: Vec<usize> = Vec::new();
        for (distances, claimed) in measured.distances.iter().zip(claims.radii) {
            let nearest = distances.iter().enumerate();
            let nearest = nearest.min_by(|a, b| a.1.1.total_cmp(&b.1.1));
            let upper = nearest.map_or(f64::INFINITY, |(_, (_, high))| *high);
            let refuted = claimed.is_nan() || *claimed > upper;
            let nearer = |at: &usize| !refuted && distances[*at].0 < *claimed;
            let before = open.len();
            open.extend((0..distances.len()).filter(nearer));
            let lowest = distances.iter().map(|(low, _)| *low);
            truth.radii.push(Radius {
                refuted,
                proved: !refuted && open.len() == before,
                smallest: lowest.fold(f64::INFINITY, f64::min),
                largest: upper,
                limiting: nearest.filter(|_| upper.is_finite()).map(|(at, _)| at),
            });
        }
        open.sort_unstable();
        open.dedup();
        let Some(exact) = self.exact.as_ref().filter(|_| !open.is_empty()) else {
            return Ok(truth);
        };
        let gradients = open.len() as u64 + 1;
        if exact.gradient_cost().saturating_mul(gradients) > EXACT {
            return Ok(truth);
        }
        let here = cut(exact.at(x)?, claims)?;
        truth.outputs = outputs(&here);
        truth
            .radii
            .iter_mut()
            .for_each(|radius| radius.proved = !radius.refuted);
        for neuron in open {
            let found = here.distances(neuron, claims.norms);
            for ((radius, found), claimed) in truth.radii.iter_mut().zip(found).zip(claims.radii) {
                radius.refuted |= found.refutes(*claimed);
                radius.proved &= *claimed <= found.lower;
                if found.largest <= radius.largest && found.limiting.is_some() {
                    (radius.largest, radius.limiting) = (found.largest, Some(neuron));
                }
            }
        }
        Ok(truth)
    }

    /// What a computation in double precision may make of outputs between these: as far from them as rounding errors are large,
    /// anything where those are not bounded.
    fn computed(&self, x: &[f64], outputs: &[Between]) -> anyhow::Result<Vec<Between>> {
        let shape = [&[1], self.network.input_shape()].concat();
        let x = Tensor::from_slice(x, shape, &Device::Cpu)?;
        let found = match &self.magnitudes {
            Some(magnitudes) => magnitudes.trace(&x)?,
            None => None,
        };
        let Some((_, errors)) = found else {
            return Ok(vec![(f64::NEG_INFINITY, f64::INFINITY); outputs.len()]);
        };
        let errors = errors.output.flatten_all()?.to_vec1::<f64>()?;
        let wider = |((low, high), error): (&Between, f64)| (down(low - error), up(high + error));
        Ok(outputs.iter().zip(errors).map(wider).collect())
    }

    /// The outputs as double precision finds them.
    fn evaluated(&self, x: &[f64]) -> anyhow::Result<Vec<Between>> {
        let shape = [&[1], self.network.input_shape()].concat();
        let x = Tensor::from_slice(x, shape, &Device::Cpu)?;
        let outputs = self.network.forward(&x)?.flatten_all()?.to_vec1::<f64>()?;
        Ok(outputs.into_iter().map(|value| (value, value)).collect())
    }

    /// The neuron of that number at a node of that name, among all neurons.
    pub(super) fn neuron(&self, layer: &str, neuron: usize) -> Option<usize> {
        Some(self.range(layer, neuron)?.start + neuron)
    }

    /// Where that neuron is in its layer, in words, empty where that is not known; `None` where there is no such neuron.
    pub(super) fn place_in_layer(
        &self,
        layer: &str,
        neuron: usize,
    ) -> loclin_models::Result<Option<String>> {
        let range = self.range(layer, neuron);
        let place = range.map(|range| Places::default().of(&self.network, range.node, neuron));
        place.transpose()
    }

    /// The neurons of a node of that name that has so many.
    fn range(&self, layer: &str, neuron: usize) -> Option<&NeuronRange> {
        let nodes = self.network.nodes();
        let mut ranges = self.ranges.iter();
        ranges.find(|range| {
            loclin_report::printable(&nodes[range.node].name, &[]) == layer && neuron < range.count
        })
    }

    /// The name of a neuron's node, and its number there.
    pub(super) fn place(&self, neuron: usize) -> (String, usize) {
        let after = self.ranges.partition_point(|range| range.start <= neuron);
        match after.checked_sub(1).and_then(|at| self.ranges.get(at)) {
            Some(range) => {
                let name = self.network.nodes()[range.node].name.clone();
                (name, neuron - range.start)
            }
            None => (String::new(), neuron),
        }
    }
}

/// The point within the domain of the claims.
fn cut<'a>(here: ExactPoint<'a>, claims: &Claims<'_>) -> anyhow::Result<ExactPoint<'a>> {
    Ok(match claims.domain {
        Some(domain) => here.within(domain)?,
        None => here,
    })
}

fn outputs(here: &ExactPoint<'_>) -> Vec<Between> {
    let outputs = here.output().iter();
    outputs
        .map(|number| (number.lower(), number.upper()))
        .collect()
}

impl Truth {
    /// Whether every radius is certainly right or certainly wrong.
    pub(super) fn is_decided(&self) -> bool {
        let mut radii = self.radii.iter();
        radii.all(|radius| radius.refuted || radius.proved)
    }

    /// Whether a class may be the predicted one, of the network itself or as double precision finds it.
    pub(super) fn may_predict(&self, class: u32) -> bool {
        may_predict(&self.outputs, class) || may_predict(&self.evaluated, class)
    }

    /// Whether a computation in double precision may find this as the output of a class; a single output is that of both.
    pub(super) fn may_score(&self, class: u32, score: f64) -> bool {
        let found = match self.computed[..] {
            [one] => Some(one),
            _ => self.computed.get(class as usize).copied(),
        };
        found.is_none_or(|(low, high)| low <= score && score <= high)
    }

    /// Whether the neuron that is said to limit a radius is certainly not the nearest: the radius is the true one but for rounding, and
    /// its boundary is further away. A radius below that is a bound, and says of no neuron that it is the nearest.
    pub(super) fn is_further(&self, leading: usize, claimed: f64) -> bool {
        let Radius { largest, .. } = self.radii[leading];
        let further = self
            .limiting
            .is_some_and(|low| low > largest * (1.0 + NEAR));
        further && claimed > 0.0 && claimed >= largest * (1.0 - NEAR)
    }

    /// The class that is certainly predicted.
    pub(super) fn prediction(&self) -> Option<u32> {
        let count = (self.outputs.len() as u32).max(2);
        let mut possible = (0..count).filter(|class| may_predict(&self.outputs, *class));
        possible.next().filter(|_| possible.next().is_none())
    }
}

/// Whether a class may be the predicted one of these outputs: the largest, the first of equal ones; of one output, whether it is
/// positive.
fn may_predict(outputs: &[Between], class: u32) -> bool {
    if let [(low, high)] = outputs[..] {
        return match class {
            0 => low <= 0.0,
            1 => high > 0.0,
            _ => false,
        };
    }
    let Some((_, high)) = outputs.get(class as usize) else {
        return false;
    };
    !outputs.iter().any(|(low, _)| low > high)
}
