//! The loss of a configuration: task loss and regulariser.

use anyhow::Context;
use candle_core::Tensor;
use candle_ext::random;
use roll_models::Trace;
use roll_objectives::{Probes, RollConfig, SampledConfig, distance, relaxed, roll, sampled};

use crate::config::{Config, Loss};

/// The two parts of the loss on a mini-batch, both scalars `[]`.
#[derive(Debug)]
pub(super) struct Parts {
    /// Mean softmax cross entropy.
    pub(super) task: Tensor,
    /// The regulariser, not yet times lambda; `None` for the vanilla objective.
    pub(super) regulariser: Option<Tensor>,
}

impl Parts {
    /// Both parts at a traced batch with labels `[B]`; `path` names the random draw, if there is one.
    pub(super) fn new(
        config: &Config,
        trace: &Trace,
        labels: &Tensor,
        path: &[u64],
    ) -> anyhow::Result<Self> {
        let task = candle_nn::loss::cross_entropy(trace.output(), labels)
            .context("the labels do not fit the network's outputs")?;
        let c = config.c;
        let regulariser = match config.loss {
            Loss::Vanilla => None,
            Loss::Distance => Some(distance(trace)?),
            Loss::Relaxed => Some(relaxed(trace, c)?),
            Loss::Roll => Some(roll(
                trace,
                RollConfig {
                    c,
                    gamma: config.gamma,
                },
            )?),
            Loss::Sampled | Loss::Axes => {
                let probes = match config.loss {
                    Loss::Axes => Probes::Axes(config.axes),
                    _ => Probes::Signs(1),
                };
                let rng = &mut random::stream(config.seed, path);
                Some(sampled(trace, SampledConfig { c, probes }, rng)?)
            }
        };
        Ok(Self { task, regulariser })
    }

    /// What training minimises, the regulariser times the present `lambda`.
    pub(super) fn total(&self, lambda: f64) -> candle_core::Result<Tensor> {
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
