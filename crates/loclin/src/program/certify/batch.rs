//! One batch of inputs, certified.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use candle_core::DType;
use loclin_data::{Dataset, Part};
use loclin_models::{Network, Places};
use loclin_regions::{
    Budget, Domain, Linearizer, Margins, Neuron, Norm, Position, RegionPoint, Work,
};
use loclin_report::printable;

use super::question::{Question, leading};
use crate::program::{progress, tensors};

/// Inputs linearised at a time, where the budget allows; what their tangents take is bounded on its own.
pub const BATCH: usize = 512;

/// What was found out about every input of a batch, in order.
#[derive(Debug)]
pub(super) struct Batch {
    /// For each norm, the margins.
    pub(super) margins: Vec<Margins>,
    /// For each norm, upper bounds of the true radii; none if they were not asked for.
    pub(super) upper: Vec<Vec<f64>>,
    pub(super) predictions: Vec<u32>,
    /// The output of the predicted class, or the only one.
    pub(super) scores: Vec<f64>,
    /// Where the leading norm's limiting neurons are in their layers; empty where that is not known.
    pub(super) places: Vec<String>,
    /// For each shape of inputs, which of the batch they are and what their regions' count needs of them.
    pub(super) points: Vec<(Vec<usize>, Vec<RegionPoint>)>,
    pub(super) positions: Vec<Vec<usize>>,
    /// Neurons of the network, of the longest sequence.
    pub(super) neurons: usize,
    /// Outputs of the network.
    pub(super) outputs: usize,
    /// The type of its parameters.
    pub(super) dtype: DType,
    /// Wall-clock seconds.
    pub(super) seconds: f64,
}

/// Certifies batches by networks of raw inputs, one for each shape of inputs.
pub(super) struct Certifier<'a, N> {
    network: N,
    question: &'a Question,
    by_shape: BTreeMap<Vec<usize>, OfShape>,
    /// Names of the nodes of the largest network so far, whose first nodes are those of the smaller ones.
    names: Vec<String>,
}

/// What is found once for all inputs of a shape.
struct OfShape {
    linearizer: Linearizer,
    domain: Option<Arc<Domain>>,
    at_once: usize,
    places: Places,
}

/// How many inputs of this network are linearised at a time.
pub(super) fn at_once(network: &Network) -> usize {
    BATCH.min(Budget::default().inputs(network))
}

/// Margins of so many inputs of which nothing is known yet.
pub(super) fn unknown(norm: Norm, inputs: usize, question: &Question) -> Margins {
    Margins {
        norm,
        radius: vec![f64::NAN; inputs],
        limiting: vec![None; inputs],
        position: vec![Position::Undecided; inputs],
        guarantee: question.strongest(),
        domain: None,
        method: question.method,
        work: Work::default(),
    }
}

impl<'a, N: Fn(&[usize]) -> anyhow::Result<Network>> Certifier<'a, N> {
    /// `network` is the network for inputs of a shape.
    pub(super) fn new(network: N, question: &'a Question) -> Self {
        Self {
            network,
            question,
            by_shape: BTreeMap::new(),
            names: Vec::new(),
        }
    }

    /// The names of the nodes, control characters escaped.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Certifies a batch of so many inputs, whose parts are of one shape each; `first` is the number of its first input.
    ///
    /// # Errors
    /// Inputs that the network does not take, or a norm that the method does not know.
    pub(super) fn batch(
        &mut self,
        parts: Vec<Part>,
        inputs: usize,
        first: usize,
    ) -> anyhow::Result<Batch> {
        let start = Instant::now();
        let norms = self.question.norms.iter();
        let mut batch = Batch {
            margins: norms
                .map(|norm| unknown(*norm, inputs, self.question))
                .collect(),
            upper: self.question.no_upper_bounds(inputs),
            predictions: vec![0; inputs],
            scores: vec![0.0; inputs],
            places: vec![String::new(); inputs],
            points: Vec::new(),
            positions: Vec::new(),
            neurons: 0,
            outputs: 0,
            dtype: DType::F64,
            seconds: 0.0,
        };
        for Part { positions, inputs } in parts {
            let shape = inputs.input_shape().to_vec();
            if !self.by_shape.contains_key(&shape) {
                let of_shape = self.of_shape(&shape)?;
                self.by_shape.insert(shape.clone(), of_shape);
            }
            let of_shape = self.by_shape.get_mut(&shape).context("a shape")?;
            batch.dtype = of_shape.linearizer.network().dtype();
            let rows: Vec<usize> = (0..inputs.len()).collect();
            let mut points = Vec::new();
            for rows in rows.chunks(of_shape.at_once) {
                let at: Vec<usize> = rows.iter().map(|row| positions[*row]).collect();
                let named = || {
                    let input = first + at.first().copied().unwrap_or(0);
                    format!("{}, inputs from {input} on", inputs.name())
                };
                let found = of_shape.add(&inputs, rows, self.question);
                points.extend(batch.put(found.with_context(named)?, &at));
            }
            batch.points.push((shape, points));
            batch.positions.push(positions);
        }
        batch.seconds = start.elapsed().as_secs_f64();
        Ok(batch)
    }

    fn of_shape(&mut self, shape: &[usize]) -> anyhow::Result<OfShape> {
        let network = (self.network)(shape)?;
        let domain = self.question.domain.as_ref();
        let domain = domain.map(|domain| domain.of_shape(network.input_shape()));
        if network.nodes().len() > self.names.len() {
            let nodes = network.nodes().iter();
            self.names = nodes.map(|node| printable(&node.name, &[])).collect();
        }
        Ok(OfShape {
            at_once: at_once(&network),
            linearizer: Linearizer::new(&network, Budget::default())?.watched(progress::proofs()),
            domain: domain.transpose()?.map(Arc::new),
            places: Places::default(),
        })
    }
}

/// What was found out about inputs of one shape.
struct Found {
    margins: Vec<Margins>,
    upper: Vec<Vec<f64>>,
    predictions: Vec<u32>,
    scores: Vec<f64>,
    places: Vec<String>,
    points: Vec<RegionPoint>,
    neurons: usize,
    outputs: usize,
}

impl OfShape {
    fn add(
        &mut self,
        inputs: &Dataset,
        rows: &[usize],
        question: &Question,
    ) -> anyhow::Result<Found> {
        // Pre-activations are found in float64 whatever the network's dtype.
        let network = self.linearizer.network();
        let x = tensors::inputs(inputs, rows, DType::F64, network.device())?;
        let mut here = self.linearizer.at(&x)?;
        if let Some(domain) = &self.domain {
            here = here.within(Arc::clone(domain))?;
        }
        let margins = question.margins(&here)?;
        let bounds = match question.upper {
            true => &margins[..],
            false => &[],
        };
        let upper = bounds.iter().map(|margins| here.upper_bounds(margins));
        let leading = margins.get(leading(&question.norms));
        let limiting = leading.map_or(&[][..], |margins| &margins.limiting);
        let places = limiting.iter().map(|neuron| match neuron {
            Some(neuron) => self.places.of(network, neuron.node, neuron.index),
            None => Ok(String::new()),
        });
        let output = here.trace().output();
        let predictions = tensors::predictions(output)?;
        Ok(Found {
            places: places.collect::<loclin_models::Result<_>>()?,
            scores: tensors::scores(output, &predictions)?,
            upper: upper.collect::<loclin_regions::Result<_>>()?,
            margins,
            predictions,
            points: RegionPoint::of(&here)?,
            neurons: here.neurons(),
            outputs: network.output_size(),
        })
    }
}

impl Batch {
    /// Puts in what was found for the inputs at these places of the batch; what the regions' count needs of them comes back.
    fn put(&mut self, found: Found, at: &[usize]) -> Vec<RegionPoint> {
        for (&at, place) in at.iter().zip(found.places) {
            self.places[at] = place;
        }
        for (all, part) in self.margins.iter_mut().zip(found.margins) {
            all.guarantee = all.guarantee.weaker(part.guarantee);
            all.method = part.method;
            all.domain = part.domain;
            all.work.directions = all.work.directions.max(part.work.directions);
            all.work.gradients.extend(part.work.gradients);
            for (from, &at) in at.iter().enumerate() {
                all.radius[at] = part.radius[from];
                all.limiting[at] = part.limiting[from];
                all.position[at] = part.position[from];
            }
        }
        for (all, part) in self.upper.iter_mut().zip(found.upper) {
            at.iter().zip(part).for_each(|(&at, bound)| all[at] = bound);
        }
        let predicted = found.predictions.into_iter().zip(found.scores);
        for (&at, (prediction, score)) in at.iter().zip(predicted) {
            (self.predictions[at], self.scores[at]) = (prediction, score);
        }
        self.neurons = self.neurons.max(found.neurons);
        self.outputs = found.outputs;
        found.points
    }
}

/// The name of a neuron's node.
pub(super) fn layer(names: &[String], neuron: Neuron) -> &str {
    names.get(neuron.node).map_or("", String::as_str)
}
