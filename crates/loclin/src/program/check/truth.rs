//! What is true of an input: exactly where that is affordable, otherwise between bounds.

use anyhow::bail;
use candle_core::{DType, Device, Tensor};
use loclin_models::{Magnitudes, Network, NeuronRange};
use loclin_regions::exact::{Exact, ExactPoint, RadiusBounds};

use super::cut::Between;
use super::measured::{Claims, Measured, measure};

/// Multiply-adds that reading the matrices of a network may take, zeros included.
const READING: u64 = 1 << 27;

/// Multiply-adds in exact arithmetic that one input may take, some seconds.
const EXACT: u64 = 20_000_000;

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
}

/// What is known of a radius that was claimed.
#[derive(Clone, Copy)]
pub(super) struct Radius {
    /// Whether it is certainly larger than the true one.
    pub(super) refuted: bool,
    /// Whether it is certainly not.
    pub(super) proved: bool,
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
                largest: found.largest,
                limiting: found.limiting,
            };
            return Ok(Truth {
                radii: found.iter().zip(claims.radii).map(radius).collect(),
                outputs: outputs(&here),
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
        let mut truth = Truth {
            radii: Vec::new(),
            outputs: measured.outputs,
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
            truth.radii.push(Radius {
                refuted,
                proved: !refuted && open.len() == before,
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

    /// Whether the network has a neuron of that number at a node of that name.
    pub(super) fn has_neuron(&self, layer: &str, neuron: usize) -> bool {
        let nodes = self.network.nodes();
        let mut ranges = self.ranges.iter();
        ranges.any(|range| {
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

    /// Whether a class may be the predicted one: the largest output, the first of equal ones; of one output, whether
    /// it is positive.
    pub(super) fn may_predict(&self, class: u32) -> bool {
        if let [(low, high)] = self.outputs[..] {
            return match class {
                0 => low <= 0.0,
                1 => high > 0.0,
                _ => false,
            };
        }
        let Some((_, high)) = self.outputs.get(class as usize) else {
            return false;
        };
        !self.outputs.iter().any(|(low, _)| low > high)
    }

    /// The class that is certainly predicted.
    pub(super) fn prediction(&self) -> Option<u32> {
        let count = (self.outputs.len() as u32).max(2);
        let mut possible = (0..count).filter(|class| self.may_predict(*class));
        possible.next().filter(|_| possible.next().is_none())
    }
}
