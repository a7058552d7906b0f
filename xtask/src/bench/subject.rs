//! A network in training, as the measurements need it: one step of each kind on a batch at hand.

use std::num::NonZeroUsize;

use anyhow::Context;
use candle_core::{DType, Device, Tensor, Var};
use loclin_data::{Dataset, batches};
use loclin_models::{Mlp, Module, Network};
use loclin_tensor::{Optimizer, OptimizerConfig, Parameters, SgdConfig, random};

use super::machine::median_seconds;
use loclin::program::config::{Config, Gamma, Here, Loss, Settings};
use loclin::program::progress::Bar;
use loclin::program::tensors;
use loclin::program::train::Parts;

/// The paper's: Table 1, second row.
pub(super) const LAMBDA: f64 = 2.0;
pub(super) const C: f64 = 0.25;
/// `D'` of Table 2.
pub(super) const AXES: usize = 3;

/// A kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The task loss alone.
    Vanilla,
    /// Exact ROLL, `gamma = 100`.
    Exact,
    /// Approximate ROLL as the library would have it.
    Approximate,
    /// Approximate ROLL by the paper's random axes.
    Axes,
}

/// A mini-batch: inputs, as the network takes them, and labels.
pub(super) type Batch = (Tensor, Tensor);

/// A network in training.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) network: Network,
    parameters: Parameters,
    optimizer: Box<dyn Optimizer>,
    hidden: usize,
    steps: u64,
}

impl Subject {
    pub(super) fn new(
        config: &Mlp,
        dtype: DType,
        device: &Device,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let parameters = Parameters::seeded(seed);
        let network = config.build(parameters.builder(dtype, device))?;
        let optimizer = optimizer(&parameters, 0.01)?;
        Ok(Self {
            network,
            parameters,
            optimizer,
            hidden: config.hidden.len(),
            steps: 0,
        })
    }

    /// One step: forward, backward, update.
    pub(super) fn step(&mut self, (x, y): &Batch, way: Way) -> anyhow::Result<()> {
        self.steps += 1;
        if way == Way::Vanilla {
            let loss = candle_nn::loss::cross_entropy(&self.network.forward(x)?, y)?;
            return Ok(self.optimizer.step(&loss.backward()?)?);
        }
        let trace = self.network.trace(x)?;
        let task = candle_nn::loss::cross_entropy(trace.output(), y)?;
        let objective = match way {
            Way::Vanilla => Loss::Vanilla,
            Way::Exact => Loss::Roll,
            Way::Approximate => Loss::Sampled,
            Way::Axes => Loss::Axes,
        };
        let settings = Settings {
            c: C,
            gamma: Gamma::Percent(100.0),
            axes: AXES,
            ..Config::default().settings()
        };
        let rng = &mut random::stream(0, &[self.steps]);
        let here = Here {
            trace: &trace,
            inputs: x,
            labels: y,
        };
        let regulariser = objective.regulariser(&[here], &settings, rng)?;
        Parts { task, regulariser }.descend(LAMBDA, &mut *self.optimizer)?;
        Ok(())
    }

    /// One epoch over the training data.
    pub(super) fn train(
        &mut self,
        data: &Dataset,
        way: Way,
        seed: u64,
        epoch: u64,
    ) -> anyhow::Result<()> {
        let all = batches(data.len(), BATCH, seed, epoch);
        let bar = Bar::count("training the network to be measured", all.len() as u64);
        for rows in all {
            let batch = batch(data, &rows, &self.network)?;
            self.step(&batch, way)?;
            bar.advance(1);
        }
        Ok(())
    }

    /// The median time of a step, in seconds; the network stays what it is.
    pub(super) fn seconds(
        &mut self,
        batches: &[Batch],
        way: Way,
        runs: usize,
    ) -> anyhow::Result<f64> {
        // Steps of length 0 are the same work.
        let trained = std::mem::replace(&mut self.optimizer, optimizer(&self.parameters, 0.0)?);
        let seconds = median_seconds(runs, |run| self.step(&batches[run % batches.len()], way));
        self.optimizer = trained;
        seconds
    }

    /// The hidden layers' weights, in order of their names.
    pub(super) fn weights(&self) -> Vec<(String, Var)> {
        let head = format!("layers.{}.weight", self.hidden);
        let mut weights = self.parameters.named();
        weights.retain(|(name, _)| name.ends_with(".weight") && *name != head);
        weights
    }

    /// The mean share of active units of the hidden layers, over some batches.
    pub(super) fn active(&self, batches: &[Batch]) -> anyhow::Result<f64> {
        let mut sum = 0.0;
        for (x, _) in batches {
            let trace = self.network.detached()?.trace(x)?;
            let signs = trace.signs()?.context("a network without neurons")?;
            let mean = signs.mean_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            sum += 0.5 * (1.0 + mean);
        }
        Ok(sum / batches.len() as f64)
    }
}

/// Inputs of a step.
pub(super) const BATCH: NonZeroUsize = match NonZeroUsize::new(64) {
    Some(size) => size,
    None => NonZeroUsize::MIN,
};

/// Rows of a dataset, normalised.
pub(super) fn batch(data: &Dataset, rows: &[usize], network: &Network) -> anyhow::Result<Batch> {
    let (dtype, device) = (network.dtype(), network.device());
    let x = tensors::inputs(data, rows, dtype, device)?;
    let x = match tensors::normalization(data) {
        Some(normalization) => normalization.apply(&x)?,
        None => x,
    };
    Ok((x, tensors::labels(data, rows, device)?))
}

/// The paper's optimiser.
fn optimizer(parameters: &Parameters, learning_rate: f64) -> anyhow::Result<Box<dyn Optimizer>> {
    let config = OptimizerConfig::Sgd(SgdConfig {
        learning_rate,
        momentum: 0.5,
        nesterov: true,
        weight_decay: 0.0,
    });
    Ok(config.build(parameters.named())?)
}

/// The network of Table 1 for a dataset.
pub(super) fn table1(data: &Dataset) -> anyhow::Result<Mlp> {
    let outputs = data
        .classes()
        .with_context(|| format!("{}: expected labelled data", data.name()))?;
    Ok(Mlp {
        inputs: data.input_shape().to_vec(),
        hidden: vec![300; 4],
        outputs,
        negative_slope: 0.0,
    })
}
