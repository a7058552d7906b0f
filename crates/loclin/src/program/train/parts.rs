//! The loss of a configuration: task loss and regulariser.

use anyhow::Context;
use candle_core::Tensor;
use candle_core::backprop::GradStore;
use loclin_models::{BatchStatistics, Trace};
use loclin_tensor::{Optimizer, random};

use super::outcome::Diverged;
use crate::program::config::{Config, Here, Loss};
use crate::program::objective;

/// The two parts of the loss on a mini-batch, both scalars `[]`.
#[derive(Debug)]
pub struct Parts {
    /// Mean softmax cross entropy.
    pub task: Tensor,
    /// The regulariser, not yet times lambda; `None` for the vanilla objective.
    pub regulariser: Option<Tensor>,
}

/// Inputs of one shape among those of a mini-batch, traced.
#[derive(Debug)]
pub(super) struct Traced {
    /// Their network at `B` inputs.
    pub(super) trace: Trace,
    /// What was traced, `[B, in...]`.
    pub(super) inputs: Tensor,
    /// Their labels, `[B]`.
    pub(super) labels: Tensor,
    /// What batch normalisations saw, in training mode.
    pub(super) statistics: Vec<BatchStatistics>,
}

impl Traced {
    fn here(&self) -> Here<'_> {
        Here {
            trace: &self.trace,
            inputs: &self.inputs,
            labels: &self.labels,
        }
    }
}

impl Parts {
    /// Both parts of `loss` at a mini-batch, means over all its inputs; `path` names the random draw, if there is one.
    pub(super) fn new(
        config: &Config,
        loss: Loss,
        batch: &[Traced],
        path: &[u64],
    ) -> anyhow::Result<Self> {
        let rng = &mut random::stream(config.seed, path);
        let batch: Vec<Here> = batch.iter().map(Traced::here).collect();
        let task = objective::mean(&batch, |here| {
            candle_nn::loss::cross_entropy(here.trace.output(), here.labels)
        });
        let task = task.context("the labels do not fit the network's outputs")?;
        let regulariser = loss.regulariser(&batch, &config.settings(), rng);
        let regulariser = regulariser.map_err(|error| match error {
            loclin_objectives::Error::Tensor(error @ loclin_tensor::Error::NanScore { .. }) => {
                Diverged(format!("the loss of a neuron is not finite ({error})")).into()
            }
            error => anyhow::Error::from(error),
        })?;
        Ok(Self { task, regulariser })
    }

    /// A step of the optimiser down their sum, the regulariser times the present `lambda`; the gradients that it went down.
    ///
    /// # Errors
    /// Those of the tensor library and of the optimiser.
    pub fn descend(&self, lambda: f64, optimizer: &mut dyn Optimizer) -> anyhow::Result<GradStore> {
        let gradients = self.total(lambda)?.backward()?;
        optimizer.step(&gradients)?;
        Ok(gradients)
    }

    /// What training minimises, the regulariser times the present `lambda`: a scalar `[]`.
    ///
    /// # Errors
    /// Those of the tensor library.
    pub fn total(&self, lambda: f64) -> candle_core::Result<Tensor> {
        match &self.regulariser {
            Some(regulariser) => &self.task + (regulariser * lambda)?,
            None => Ok(self.task.clone()),
        }
    }

    /// The task loss and the regulariser (0 if there is none) as numbers.
    pub(super) fn values(&self) -> candle_core::Result<[f64; 2]> {
        let number = |tensor: &Tensor| tensor.to_dtype(candle_core::DType::F64)?.to_scalar::<f64>();
        let regulariser = self.regulariser.as_ref().map_or(Ok(0.0), number)?;
        Ok([number(&self.task)?, regulariser])
    }
}
