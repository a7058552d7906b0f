//! What a network says about one input.

use std::fmt;
use std::time::Instant;

use anyhow::Context;
use candle_core::{DType, Tensor};
use loclin_models::{Module, Network};
use loclin_regions::attribution::{
    Rule, completeness_error, integrated_gradients, integrated_gradients_by_quadrature,
};
use loclin_regions::distortion::{Ascent, Ball, Distortion, Search};
use loclin_regions::segment::Walk;
use loclin_regions::{Budget, Estimate, Guarantee, Linearization, Method, Norm};
use loclin_report::printable;
use serde::Serialize;

use super::nearby::{Nearby, NearbyOptions, nearby};
use super::subject::Subject;
use crate::program::classes::word;
use crate::program::distortion::{Radius, worst_of};
use crate::program::domain::InputBox;
use crate::program::tensors;
use loclin_report::{BoundCurve, Panel, Picture, significant};

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
    /// What is asked about balls, if anything is.
    pub nearby: Option<NearbyOptions>,
}

/// How gradients are integrated.
#[derive(Clone, Copy, Debug)]
pub enum Integration {
    /// Through every region.
    Exact,
    /// At the middle of so many steps.
    Steps(usize),
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
    /// The domain that balls are cut with; `None` if they are whole.
    pub domain: Option<InputBox>,
    /// The l2 radius in raw units.
    pub eps_2: f64,
    /// What is claimed of it: `proved`, `probable(P)` or `estimate`.
    #[serde(serialize_with = "name")]
    pub guarantee: Guarantee,
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
    #[serde(skip)]
    gradients: [Vec<f64>; 2],
    #[serde(skip)]
    worst: Vec<f64>,
}

/// Integrated gradients from a black image.
#[derive(Clone, Debug, Serialize)]
pub struct Integrated {
    /// Regions that the segment crosses; `None` where it was not walked.
    pub regions: Option<usize>,
    /// Gradients evaluated; `None` where the segment was walked.
    pub steps: Option<usize>,
    /// How far their sum is from the difference of the outputs, relative to it.
    pub completeness_error: f64,
    /// Each value is at most so far from the exact one; `None` where nothing bounds that.
    pub error: Option<f64>,
    /// What is claimed of the error.
    #[serde(serialize_with = "name")]
    pub guarantee: Guarantee,
    #[serde(skip)]
    values: Vec<f64>,
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
    let domain = domain.map(|domain| domain.of_size(network.input_size()));
    let domain = domain.transpose()?;
    let mut here = Linearization::new(network, &batch, Budget::default())?;
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
    let distortion = Distortion::new(network, ball, output, Budget::default())?;
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
    Ok(Reading {
        label,
        prediction,
        label_name: None,
        prediction_name: None,
        domain: options.domain.clone(),
        eps_2: margins.radius[0],
        guarantee: margins.guarantee,
        limiting,
        gradient_length: distortion.gradient_length(),
        distortion: worst.distortion,
        evaluations: found.evaluations,
        nearby,
        nearby_left_out,
        integrated: [
            integrate(network, x, output, options.integration)?,
            integrate(network, &there, output, options.integration)?,
        ],
        gradients: [numbers(&worst.gradient)?, numbers(&worst.gradient_there)?],
        worst: numbers(&there)?,
    })
}

fn integrate(
    network: &Network,
    x: &Tensor,
    output: u32,
    integration: Integration,
) -> anyhow::Result<Integrated> {
    let baseline = x.zeros_like()?;
    Ok(match integration {
        Integration::Exact => {
            let found = integrated_gradients(network, &baseline, x, output, Walk::default())?;
            // Parameters in a smaller type may not be those of the file.
            let is_claimed = network.dtype() == DType::F64 && found.guarantee == Guarantee::Proved;
            Integrated {
                regions: Some(found.pieces.len()),
                steps: None,
                completeness_error: found.completeness_error(),
                error: is_claimed.then(|| found.largest_error()),
                guarantee: match is_claimed {
                    true => found.guarantee,
                    false => Guarantee::Estimate,
                },
                values: found.values,
            }
        }
        Integration::Steps(steps) => {
            let rule = (steps, Rule::Midpoint);
            let budget = Budget::default();
            let values =
                integrated_gradients_by_quadrature(network, &baseline, x, output, rule, budget)?;
            let ends = Tensor::stack(&[&baseline, x], 0)?.to_dtype(network.dtype())?;
            let outputs = network.forward(&ends)?.to_dtype(DType::F64)?;
            let outputs = outputs.get_on_dim(1, output as usize)?.to_vec1::<f64>()?;
            Integrated {
                regions: None,
                steps: Some(steps),
                completeness_error: completeness_error(&values, outputs[1] - outputs[0]),
                error: None,
                guarantee: Guarantee::Estimate,
                values,
            }
        }
    })
}

fn name<S: serde::Serializer>(guarantee: &Guarantee, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&guarantee.name())
}

fn numbers(tensor: &Tensor) -> anyhow::Result<Vec<f64>> {
    Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

impl Reading {
    /// The sentences under a picture.
    pub fn lines(&self, eps: Radius) -> Vec<String> {
        let share = 100.0 * self.distortion / self.gradient_length;
        let mut lines = vec![
            self.classes(),
            self.certificate(),
            format!(
                "moving every pixel by at most {eps} changes the gradient by {} in l1 norm or more, {share:.0}% of its own {}",
                significant(self.distortion),
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
        let label = word(self.label, self.label_name.as_deref());
        let prediction = word(self.prediction, self.prediction_name.as_deref());
        format!("class {label}, predicted {prediction}")
    }

    /// How far the gradient is constant, and what is claimed of that, in a sentence.
    pub fn certificate(&self) -> String {
        let within = match &self.domain {
            Some(domain) => format!(" inside {domain}"),
            None => String::new(),
        };
        match &self.limiting {
            Some(neuron) if self.eps_2 == 0.0 => format!(
                "the image lies on a boundary between regions, so there is no radius to certify: {neuron}, is 0 there"
            ),
            Some(neuron) => format!(
                "the gradient is constant within an l2 radius of {:.3e}{within} ({}); the first neuron to change sides: {neuron}",
                self.eps_2, self.guarantee
            ),
            None => format!("the gradient is the same everywhere{within}"),
        }
    }

    /// The pictures, in two rows.
    ///
    /// # Errors
    /// A subject of another shape.
    pub fn panels(&self, subject: &Subject) -> anyhow::Result<Vec<Vec<Panel>>> {
        let shape = subject.shape;
        let row = |titles: [&str; 3], image: &[f64], side: usize| {
            let shown = |values: &[f64]| subject.shown(values);
            let pictures = [
                Picture::image(shape, &shown(image))?,
                Picture::gradient(shape, &shown(&self.gradients[side]))?,
                Picture::gradient(shape, &shown(&self.integrated[side].values))?,
            ];
            let panels = titles.into_iter().zip(pictures);
            let panel = |(title, picture): (&str, Picture)| Panel {
                title: title.to_owned(),
                picture,
            };
            anyhow::Ok(panels.map(panel).collect())
        };
        let here = ["image", "gradient", "integrated gradients"];
        let there = [
            "most distorting image found",
            "its gradient",
            "its integrated gradients",
        ];
        Ok(vec![
            row(here, &subject.values, 0)?,
            row(there, &self.worst, 1)?,
        ])
    }
}

impl fmt::Display for Integrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.regions, self.steps) {
            (Some(regions), _) => write!(f, "over {regions} regions")?,
            (_, Some(steps)) => write!(f, "{steps} steps")?,
            _ => {}
        }
        write!(f, ", completeness error {:.2e}", self.completeness_error)?;
        match self.error {
            Some(error) => write!(f, ", each within {error:.1e} ({})", self.guarantee),
            None => write!(f, " ({})", self.guarantee),
        }
    }
}
