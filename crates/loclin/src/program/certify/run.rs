//! The certification of a dataset, batch by batch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use candle_core::DType;
use loclin_data::{Data, Dataset, Part};
use loclin_models::{ModelFile, Network};
use loclin_regions::{
    Budget, Guarantee, Linearizer, Margins, Neuron, Norm, Position, RegionCount, RegionCounter,
    Work,
};
use loclin_report::printable;

use super::outcome::{OfClass, Search, Zero};
use super::question::Question;
use crate::program::classes::Classes;
use crate::program::progress::Bar;
use crate::program::{chance, tensors};
use loclin_report::stats::Percentiles;

/// Inputs linearised at a time, where the budget allows; what their tangents take is bounded on its own.
pub const BATCH: usize = 512;

/// What was found out about every input of a dataset.
#[derive(Debug)]
pub struct Certificates {
    /// The norms, in the order asked for.
    pub norms: Vec<Norm>,
    /// For each norm, the margins of all inputs.
    pub margins: Vec<Margins>,
    /// For each norm, upper bounds of the true radii of all inputs; none if they were not asked for.
    pub upper: Vec<Vec<f64>>,
    /// Labels, if the dataset has them.
    pub labels: Option<Vec<u32>>,
    /// Predicted classes.
    pub predictions: Vec<u32>,
    /// Names of the network's nodes, for limiting neurons; those of the longest sequence, whose first nodes are
    /// those of the shorter ones.
    pub names: Vec<String>,
    /// Number of outputs of the network.
    pub outputs: usize,
    /// Number of neurons of the network, for sequences of the longest one's.
    pub neurons: usize,
    /// For each input the number of its region: equal where inputs share one.
    pub region: Vec<usize>,
    /// #CLR over the dataset.
    pub regions: RegionCount,
    /// The work of searching for the nearest neurons; `None` if every gradient was measured, or a chain's pruned search
    /// did it.
    pub search: Option<Search>,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// Certifies every input of `data` by the network of raw inputs.
///
/// # Errors
/// Inputs that the network does not take, or a norm that the method does not know.
pub fn certify(
    network: &Network,
    data: &Dataset,
    question: &Question,
    label: &str,
) -> anyhow::Result<Certificates> {
    let bar = Bar::count(label, data.len() as u64);
    certify_one_shape(network, data, question, &bar)
}

/// Certifies every input of `data` by the model's networks, those of one shape together.
///
/// # Errors
/// As [`certify`], and data without inputs.
pub fn certify_all(
    model: &ModelFile,
    data: &Data,
    question: &Question,
    label: &str,
) -> anyhow::Result<Certificates> {
    let bar = Bar::count(label, data.len() as u64);
    let rows: Vec<usize> = (0..data.len()).collect();
    let mut whole: Option<Certificates> = None;
    for Part { positions, inputs } in data.tables(&rows)? {
        let network = model.raw(inputs.input_shape())?;
        let part = certify_one_shape(&network, &inputs, question, &bar)?;
        let whole = whole.get_or_insert_with(|| Certificates::empty(question, data));
        whole.add(part, &positions);
    }
    whole.context("no inputs")
}

fn certify_one_shape(
    network: &Network,
    data: &Dataset,
    question: &Question,
    bar: &Bar,
) -> anyhow::Result<Certificates> {
    let start = Instant::now();
    let norms = question.norms.iter();
    let mut margins: Vec<Margins> = norms.map(|norm| unknown(*norm, 0, question)).collect();
    let mut upper = question.no_upper_bounds(0);
    let mut predictions = Vec::new();
    let mut counter = RegionCounter::new(RegionCounter::default_tolerance(network.dtype()));
    let (mut neurons, mut region) = (0, Vec::new());
    let budget = Budget::default();
    let linearizer = Linearizer::new(network, budget)?;
    let domain = question.domain.as_ref();
    let domain = domain.map(|domain| domain.of_size(network.input_size()));
    let domain = domain.transpose()?.map(Arc::new);
    let rows: Vec<usize> = (0..data.len()).collect();
    for rows in rows.chunks(BATCH.min(budget.inputs(network))) {
        let first = rows.first().copied().unwrap_or(0);
        // Pre-activations are found in float64 whatever the network's dtype.
        let x = tensors::inputs(data, rows, DType::F64, network.device())?;
        let named = || format!("{}, inputs from {first} on", data.name());
        let mut here = linearizer.at(&x).with_context(named)?;
        if let Some(domain) = &domain {
            here = here.within(Arc::clone(domain)).with_context(named)?;
        }
        let found = question.margins(&here)?;
        for (all, batch) in upper.iter_mut().zip(&found) {
            all.extend(here.upper_bounds(batch)?);
        }
        for (all, batch) in margins.iter_mut().zip(found) {
            all.radius.extend(batch.radius);
            all.limiting.extend(batch.limiting);
            all.position.extend(batch.position);
            all.guarantee = all.guarantee.weaker(batch.guarantee);
            all.method = batch.method;
            all.domain = batch.domain;
            all.work.directions = all.work.directions.max(batch.work.directions);
            all.work.gradients.extend(batch.work.gradients);
        }
        predictions.extend(tensors::predictions(here.trace().output())?);
        region.extend(counter.add(&here)?);
        neurons = here.neurons();
        bar.advance(rows.len() as u64);
    }
    Ok(Certificates {
        norms: question.norms.clone(),
        search: margins.first().and_then(Search::of),
        margins,
        upper,
        labels: data.labels().map(<[u32]>::to_vec),
        predictions,
        names: network
            .nodes()
            .iter()
            .map(|node| printable(&node.name, &[]))
            .collect(),
        outputs: network.output_size(),
        neurons,
        region,
        regions: counter.finish(),
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Margins of so many inputs of which nothing is known yet.
fn unknown(norm: Norm, inputs: usize, question: &Question) -> Margins {
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

impl Certificates {
    /// Nothing yet of the inputs of `data`.
    fn empty(question: &Question, data: &Data) -> Self {
        let norms = question.norms.iter();
        let margins = norms.map(|norm| unknown(*norm, data.len(), question));
        Self {
            margins: margins.collect(),
            upper: question.no_upper_bounds(data.len()),
            norms: question.norms.clone(),
            labels: data.labels().map(<[u32]>::to_vec),
            predictions: vec![0; data.len()],
            names: Vec::new(),
            outputs: 0,
            neurons: 0,
            region: vec![0; data.len()],
            regions: RegionCount {
                points: 0,
                lower: 0,
                upper: 0,
                on_boundary: 0,
                undecided: 0,
                guarantee: Guarantee::Proved,
            },
            search: None,
            seconds: 0.0,
        }
    }

    /// Puts in what was found for the inputs at `positions`; inputs of different shapes share no region.
    fn add(&mut self, part: Self, positions: &[usize]) {
        for (all, part) in self.margins.iter_mut().zip(part.margins) {
            all.guarantee = all.guarantee.weaker(part.guarantee);
            all.method = part.method;
            for (from, &at) in positions.iter().enumerate() {
                all.radius[at] = part.radius[from];
                all.limiting[at] = part.limiting[from];
                all.position[at] = part.position[from];
            }
        }
        for (all, part) in self.upper.iter_mut().zip(part.upper) {
            for (&at, bound) in positions.iter().zip(part) {
                all[at] = bound;
            }
        }
        for (&at, prediction) in positions.iter().zip(part.predictions) {
            self.predictions[at] = prediction;
        }
        for (&at, number) in positions.iter().zip(part.region) {
            // Those of the parts before are numbered below.
            self.region[at] = self.regions.upper + number;
        }
        if part.names.len() > self.names.len() {
            self.names = part.names;
        }
        self.outputs = part.outputs;
        self.neurons = self.neurons.max(part.neurons);
        self.search = match (self.search.take(), part.search) {
            (Some(whole), Some(search)) => {
                Some(whole.joined(self.regions.points, search, part.regions.points))
            }
            (whole, search) => search.or(whole),
        };
        self.regions.points += part.regions.points;
        self.regions.lower += part.regions.lower;
        self.regions.upper += part.regions.upper;
        self.regions.on_boundary += part.regions.on_boundary;
        self.regions.undecided += part.regions.undecided;
        self.regions.guarantee = self.regions.guarantee.weaker(part.regions.guarantee);
        self.seconds += part.seconds;
    }

    /// Share of correct predictions; `None` without labels.
    pub fn accuracy(&self) -> Option<f64> {
        let (correct, labelled) = self.correct()?;
        Some(correct as f64 / labelled as f64)
    }

    /// A warning if predictions are little better than chance; where classes have names, with the most frequent mistake.
    pub(super) fn warning(&self, names: Option<&Classes>) -> Option<String> {
        let (correct, labelled) = self.correct()?;
        let warning = chance::warning(correct, labelled, self.outputs)?;
        let mistakes = names.zip(self.labels.as_deref());
        let said = mistakes.and_then(|(names, labels)| {
            let mistake = chance::mistake(labels, &self.predictions, names);
            mistake.map(|mistake| format!("{warning}; {mistake}"))
        });
        Some(said.unwrap_or(warning))
    }

    /// The classes that occur as a label or prediction.
    pub(super) fn by_class(&self, names: &Classes) -> Vec<OfClass> {
        let mut classes: BTreeMap<u32, [usize; 3]> = BTreeMap::new();
        for (index, &prediction) in self.predictions.iter().enumerate() {
            let label = self.labels.as_ref().and_then(|labels| labels.get(index));
            classes.entry(prediction).or_default()[0] += 1;
            if let Some(&label) = label {
                let counts = classes.entry(label).or_default();
                counts[1] += 1;
                counts[2] += usize::from(label == prediction);
            }
        }
        let known = |count| self.labels.as_ref().map(|_| count);
        let one = |(class, [predicted, labelled, correct]): (u32, [usize; 3])| OfClass {
            class,
            name: names.name(class),
            labelled: known(labelled),
            predicted,
            correct: known(correct),
        };
        classes.into_iter().map(one).collect()
    }

    /// Correct predictions, of so many.
    fn correct(&self) -> Option<(usize, usize)> {
        let labels = self.labels.as_ref()?;
        let pairs = self.predictions.iter().zip(labels);
        Some((pairs.filter(|(p, l)| p == l).count(), labels.len()))
    }

    /// Percentiles of each norm's margins, by column name (`eps_2`).
    ///
    /// # Errors
    /// When there are no inputs, or a margin is not a number.
    pub fn percentiles(&self) -> anyhow::Result<BTreeMap<String, Percentiles>> {
        let one = |(norm, margins): (&Norm, &Margins)| {
            let percentiles = Percentiles::of(&margins.radius).context("no margins")?;
            Ok((format!("eps_{norm}"), percentiles))
        };
        self.norms.iter().zip(&self.margins).map(one).collect()
    }

    /// The margins that name the limiting neuron: those of l2, or of the first norm.
    pub fn leading(&self) -> Option<&Margins> {
        let l2 = self.norms.iter().position(|norm| *norm == Norm::L2);
        self.margins.get(l2.unwrap_or(0))
    }

    /// Why inputs have the leading margin 0, by reason: how many there are, and the first with its neuron.
    pub fn zero(&self) -> BTreeMap<&'static str, Zero> {
        let mut reasons: BTreeMap<&'static str, Zero> = BTreeMap::new();
        let Some(margins) = self.leading() else {
            return reasons;
        };
        for (index, position) in margins.position.iter().enumerate() {
            if *position == Position::Inside {
                continue;
            }
            let first = || Zero {
                inputs: 0,
                first: index,
                layer: margins.limiting[index].map(|neuron| self.layer(neuron).to_owned()),
                neuron: margins.limiting[index].map(|neuron| neuron.index),
            };
            let reason = reasons.entry(position.name()).or_insert_with(first);
            reason.inputs += 1;
        }
        reasons
    }

    /// What is claimed of every radius.
    pub fn guarantee(&self) -> Guarantee {
        let all = self.margins.iter().map(|margins| margins.guarantee);
        all.reduce(Guarantee::weaker).unwrap_or(Guarantee::Estimate)
    }

    /// The name of a neuron's node, control characters escaped.
    pub fn layer(&self, neuron: Neuron) -> &str {
        self.names.get(neuron.node).map_or("", String::as_str)
    }
}
