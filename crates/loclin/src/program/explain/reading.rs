//! What a network says about one input.

use std::time::Instant;

use anyhow::Context;
use candle_core::{DType, Tensor};
use loclin_models::Network;
use loclin_regions::attribution::{Noise, smooth_gradients};
use loclin_regions::distortion::{Ascent, Ball, Distortion, Search};
use loclin_regions::{Budget, Estimate, Guarantee, Linearizer, Method, Norm, Position};
use loclin_report::{directed, printable};
use serde::Serialize;

use super::integrated::{Integrated, Integration, integrate};
use super::nearby::{Nearby, NearbyOptions, nearby};
use crate::program::classes::word;
use crate::program::distortion::{Radius, worst_of};
use crate::program::domain::InputBox;
use crate::program::{progress, tensors};
use loclin_report::{BoundCurve, at_most, significant};

/// What is asked about an input.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Radius of the l-infinity ball.
    pub eps: f64,
    /// The domain that balls are cut with, if they are.
    pub domain: Option<InputBox>,
    /// Gradients that the search may evaluate.
    pub evaluations: usize,
    /// Seed of the search.
    pub seed: u64,
    /// How gradients are integrated.
    pub integration: Integration,
    /// The input `[in...]` where the integral begins; zeros if there is none.
    pub baseline: Option<Tensor>,
    /// How gradients are averaged over noise, if they are.
    pub noise: Option<Noise>,
    /// What is asked about balls, if anything is.
    pub nearby: Option<NearbyOptions>,
}

/// What is known of one input.
#[derive(Clone, Debug, Serialize)]
pub struct Reading {
    /// The class that is explained.
    pub label: u32,
    /// The predicted class.
    pub prediction: u32,
    /// The name of the class that is explained, where names are given.
    pub label_name: Option<String>,
    /// That of the predicted one.
    pub prediction_name: Option<String>,
    /// How the classes are called, where anybody says it.
    pub class_names: Option<Vec<String>>,
    /// The domain that balls are cut with; `None` if they are whole.
    pub domain: Option<InputBox>,
    /// The l2 radius in raw units.
    pub eps_2: f64,
    /// What is claimed of it: `proved`, `probable(P)` or `estimate`.
    #[serde(serialize_with = "super::outcome::guarantee")]
    pub guarantee: Guarantee,
    /// Where the input is in its region: [`loclin_regions::Position::name`].
    pub position: &'static str,
    /// The neuron that limits it; `None` if nothing does.
    pub limiting: Option<String>,
    /// `||grad f(x)_y||_1`.
    pub gradient_length: f64,
    /// The largest distortion found.
    pub distortion: f64,
    /// Gradients evaluated in the search.
    pub evaluations: usize,
    /// What can change nearby, at most; `None` if it was not asked for or is not known.
    pub nearby: Option<Nearby>,
    /// Why it is not known.
    pub nearby_left_out: Option<String>,
    /// Integrated gradients of the input and of the distorted one.
    pub integrated: [Integrated; 2],
    /// The outputs, `[L]`.
    pub logits: Vec<f64>,
    /// Their softmax, `[L]`; empty for a network with one output.
    pub probabilities: Vec<f64>,
    /// The gradient of the class's output, `[D]` in the order of the network's inputs, as all that follow.
    pub gradient: Vec<f64>,
    /// Its mean over noisy copies of the input, where that was asked for.
    pub smooth_gradient: Option<Vec<f64>>,
    /// The input found whose gradient differs most.
    pub worst_input: Vec<f64>,
    /// Its gradient.
    pub worst_gradient: Vec<f64>,
}

/// Reads `x` `[in...]` in float64; without a label, the predicted class is explained.
///
/// # Errors
/// An input outside the domain, or a class that the network does not have.
pub fn read(
    network: &Network,
    x: &Tensor,
    label: Option<u32>,
    options: &ReadOptions,
) -> anyhow::Result<Reading> {
    let batch = x.unsqueeze(0)?;
    let domain = options.domain.as_ref();
    let domain = domain.map(|domain| domain.of_shape(network.input_shape()));
    let domain = domain.transpose()?;
    let mut here = Linearizer::new(network, Budget::default())?
        .watched(progress::proofs())
        .at(&batch)?;
    if let Some(domain) = &domain {
        here = here.within(domain.clone())?;
    }
    let prediction = tensors::predictions(here.trace().output())?;
    let prediction = prediction.first().copied().context("no output")?;
    let label = label.unwrap_or(prediction);
    let method = Method::Probable(Estimate {
        seed: options.seed,
        ..Estimate::default()
    });
    let margins = here.margins(&[Norm::L2], method)?.swap_remove(0);
    let nodes = network.nodes();
    let limiting = margins.limiting[0].map(|neuron| {
        let node = printable(&nodes[neuron.node].name, &[]);
        format!("{node}, neuron {}", neuron.index)
    });

    let output = match network.output_size() {
        1 => 0,
        _ => label,
    };
    let ball = Ball::new(&numbers(x)?, options.eps, domain.as_ref())?;
    let distortion = Distortion::around(here.trace(), ball, output, Budget::default())?;
    let search = Search::Ascent(
        Ascent {
            seed: options.seed,
            ..Ascent::default()
        }
        .within(options.evaluations),
    );
    let start = Instant::now();
    let found = search.run(&distortion)?;
    let evaluation = start.elapsed() / u32::try_from(found.evaluations).unwrap_or(u32::MAX).max(1);
    let around = |asked| nearby(network, &here, output, options.eps, (asked, evaluation));
    let (nearby, nearby_left_out) = match options.nearby.map(around).transpose() {
        Ok(nearby) => (nearby, None),
        Err(cause) => (None, Some(cause)),
    };
    let worst = worst_of(&distortion, &found)?;
    let there = worst.point.to_dtype(DType::F64)?.reshape(x.dims())?;
    let zeros = x.zeros_like()?;
    let baseline = options.baseline.as_ref().unwrap_or(&zeros);
    let averaged = |noise| smooth_gradients(network, x, output, noise, Budget::default());
    let smooth = options.noise.map(averaged);
    let logits = numbers(here.trace().output())?;
    Ok(Reading {
        label,
        prediction,
        label_name: None,
        prediction_name: None,
        class_names: None,
        domain: options.domain.clone(),
        eps_2: margins.radius[0],
        guarantee: margins.guarantee,
        position: margins.position[0].name(),
        limiting,
        gradient_length: distortion.gradient_length(),
        distortion: worst.distortion,
        evaluations: found.evaluations,
        nearby,
        nearby_left_out,
        integrated: [
            integrate(network, (baseline, x), output, options.integration)?,
            integrate(network, (baseline, &there), output, options.integration)?,
        ],
        probabilities: probabilities(&logits),
        logits,
        gradient: numbers(&worst.gradient)?,
        smooth_gradient: smooth.transpose()?,
        worst_input: numbers(&there)?,
        worst_gradient: numbers(&worst.gradient_there)?,
    })
}

fn numbers(tensor: &Tensor) -> anyhow::Result<Vec<f64>> {
    Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

/// The softmax of outputs; nothing of one alone.
fn probabilities(logits: &[f64]) -> Vec<f64> {
    if logits.len() < 2 {
        return Vec::new();
    }
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

impl Reading {
    /// The sentences under a picture.
    pub fn lines(&self, eps: Radius) -> Vec<String> {
        // A gradient of zeros has no share.
        let share = match self.gradient_length > 0.0 {
            true => format!(
                ", {:.0}% of",
                100.0 * self.distortion / self.gradient_length
            ),
            false => "; at the input it has".to_owned(),
        };
        let mut lines = vec![
            self.classes(),
            self.scores(),
            self.certificate(),
            format!(
                "moving every number by at most {eps} changes the gradient by {} in l1 norm or more{share} its own {}",
                at_most(self.distortion),
                significant(self.gradient_length)
            ),
            format!("integrated gradients: {}", self.integrated[0]),
        ];
        lines.extend(self.bounds());
        lines
    }

    /// What can change nearby, in sentences.
    pub fn bounds(&self) -> Vec<String> {
        match (&self.nearby, &self.nearby_left_out) {
            (Some(nearby), _) => nearby.lines(),
            (None, Some(cause)) => vec![format!("no bounds of what can change nearby: {cause}")],
            (None, None) => Vec::new(),
        }
    }

    /// How much can change, radius by radius.
    pub fn curve(&self) -> Option<BoundCurve> {
        self.nearby.as_ref().map(Nearby::curve)
    }

    /// The class that is explained and the predicted one, by number and name.
    pub fn classes(&self) -> String {
        let (label, prediction) = (self.named(self.label), self.named(self.prediction));
        format!("class {label}, predicted {prediction}")
    }

    fn named(&self, class: u32) -> String {
        let names = self.class_names.as_ref();
        word(
            class,
            names
                .and_then(|names| names.get(class as usize))
                .map(String::as_str),
        )
    }

    /// The largest outputs, with their probabilities.
    pub fn scores(&self) -> String {
        let mut order: Vec<usize> = (0..self.logits.len()).collect();
        order.sort_by(|a, b| self.logits[*b].total_cmp(&self.logits[*a]).then(a.cmp(b)));
        let score = |class: &usize| {
            let logit = significant(self.logits[*class]);
            match self.probabilities.get(*class) {
                Some(share) => format!(
                    "{}: {logit} ({:.1}%)",
                    self.named(*class as u32),
                    100.0 * share
                ),
                None => logit,
            }
        };
        let all: Vec<String> = order.iter().take(3).map(score).collect();
        match self.probabilities.is_empty() {
            true => format!("output: {}", all.join("; ")),
            false => format!("outputs (softmax): {}", all.join("; ")),
        }
    }

    /// How far the gradient is constant, and what is claimed of that, in a sentence.
    pub fn certificate(&self) -> String {
        let within = match &self.domain {
            Some(domain) => format!(" inside {domain}"),
            None => String::new(),
        };
        match &self.limiting {
            Some(neuron) if self.eps_2 == 0.0 && self.position == Position::Undecided.name() => {
                format!(
                    "rounding leaves open which region the input is in, so there is no radius to certify: on which side of its boundary is {neuron}?"
                )
            }
            Some(neuron) if self.eps_2 == 0.0 => format!(
                "the input lies on a boundary between regions, so there is no radius to certify: {neuron}, is 0 there"
            ),
            Some(neuron) => format!(
                "the gradient is constant within an l2 radius of {:e}{within} ({}); the first neuron to change sides: {neuron}",
                directed(self.eps_2, 3, false),
                self.guarantee
            ),
            None => format!(
                "the gradient is the same everywhere{within} ({})",
                self.guarantee
            ),
        }
    }
}
