//! One question about one input.

use std::time::{Duration, Instant};

use anyhow::Context;
use candle_core::{DType, Device, Tensor};
use loclin_models::Network;
use loclin_regions::reduced::{Bound, Limits, Question, Surroundings, one_output};
use loclin_regions::{Budget, Domain, Estimate, Linearization, Method, Norm};

/// A network at one input.
pub(super) struct At {
    pub(super) here: Linearization,
    /// The largest output.
    pub(super) class: usize,
}

/// An answer and how long it took.
pub(super) struct Answer {
    pub(super) bound: Bound,
    pub(super) seconds: f64,
}

impl At {
    /// Within the interval that every number of an input comes from, if there is one.
    pub(super) fn new(
        network: &Network,
        x: &[f64],
        domain: Option<[f64; 2]>,
    ) -> anyhow::Result<Self> {
        let shape = [&[1], network.input_shape()].concat();
        let x = Tensor::from_slice(x, shape, &Device::Cpu)?;
        let here = Linearization::new(network, &x, Budget::default())?;
        let here = match domain {
            Some([low, high]) => here.within(Domain::uniform(network.input_size(), low, high)?)?,
            None => here,
        };
        let outputs = here
            .trace()
            .output()
            .flatten_all()?
            .to_dtype(DType::F64)?
            .to_vec1::<f64>()?;
        let class = (0..outputs.len()).max_by(|a, b| outputs[*a].total_cmp(&outputs[*b]));
        Ok(Self {
            here,
            class: class.context("a network without outputs")?,
        })
    }

    pub(super) fn margin(&self, norm: Norm) -> anyhow::Result<f64> {
        Ok(self.here.margins(&[norm], Default::default())?[0].radius[0])
    }

    /// The margin by whatever costs least.
    pub(super) fn nearest(&self, norm: Norm) -> anyhow::Result<f64> {
        let method = Method::Probable(Estimate::default());
        Ok(self.here.margins(&[norm], method)?[0].radius[0])
    }

    pub(super) fn around(&self, norm: Norm) -> anyhow::Result<Surroundings> {
        Ok(self.here.surroundings(0, norm)?)
    }
}

/// How much the gradient of one output changes, in l1.
pub(super) fn change_in_l1(outputs: usize, output: usize) -> Question {
    Question::Change {
        weights: one_output(outputs, output),
        norm: Norm::L1,
    }
}

/// With branching for so many seconds.
pub(super) fn limits(seconds: f64) -> Limits {
    Limits {
        time: Some(Duration::from_secs_f64(seconds)),
        parts: usize::MAX,
        proof: false,
    }
}

/// Asks, and takes the time.
pub(super) fn ask(
    around: &Surroundings,
    radius: f64,
    question: &Question,
    limits: Limits,
) -> anyhow::Result<Answer> {
    let start = Instant::now();
    let bound = around.bound(radius, question, limits)?;
    Ok(Answer {
        bound,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// The median of some numbers; NaN of none.
pub(super) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => numbers[middle],
        _ => 0.5 * (numbers[middle - 1] + numbers[middle]),
    }
}
