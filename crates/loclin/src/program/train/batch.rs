//! Mini-batches of a dataset as traces of the network.

use candle_core::{Device, Tensor};
use loclin_data::{Augmentation, Data, Dataset, Part};
use loclin_models::{BatchStatistics, Model, ModelFile, Network, Normalization, Trace};

use super::parts::Traced;
use crate::program::config::Config;
use crate::program::tensors;

/// Where mini-batches come from, and how a model takes them.
pub(super) struct Batches<'a> {
    pub(super) config: &'a Config,
    pub(super) data: &'a Data,
    pub(super) device: &'a Device,
    pub(super) normalization: Option<&'a Normalization>,
}

impl Batches<'_> {
    /// A mini-batch of training inputs, augmented and normalised, those of one shape together, in training mode.
    pub(super) fn training(
        &self,
        model: &ModelFile,
        rows: &[usize],
        epoch: usize,
    ) -> anyhow::Result<Vec<Traced>> {
        let mut prepared = Vec::new();
        for Part { positions, inputs } in self.data.tables(rows)? {
            let rows: Vec<usize> = positions.iter().map(|&at| rows[at]).collect();
            let x = self.augmented(&inputs, &rows, epoch)?;
            prepared.push((self.normalized(x)?, self.labels(&inputs)?));
        }
        traced(model, prepared, |network, x| Ok(network.trace_train(x)?))
    }

    /// A mini-batch of validation inputs.
    pub(super) fn validation(
        &self,
        model: &ModelFile,
        rows: &[usize],
    ) -> anyhow::Result<Vec<Traced>> {
        let mut prepared = Vec::new();
        for Part { inputs, .. } in self.data.tables(rows)? {
            let all: Vec<usize> = (0..inputs.len()).collect();
            let x = tensors::inputs(&inputs, &all, self.config.dtype.candle(), self.device)?;
            prepared.push((self.normalized(x)?, self.labels(&inputs)?));
        }
        traced(model, prepared, |network, x| {
            Ok((network.trace(x)?, Vec::new()))
        })
    }

    /// Training inputs as the epoch sees them; `rows` are their numbers in the training data.
    fn augmented(&self, inputs: &Dataset, rows: &[usize], epoch: usize) -> anyhow::Result<Tensor> {
        let Config {
            seed,
            crop_padding: padding,
            flip,
            ..
        } = *self.config;
        let dtype = self.config.dtype.candle();
        let all: Vec<usize> = (0..inputs.len()).collect();
        if padding == 0 && !flip {
            return tensors::inputs(inputs, &all, dtype, self.device);
        }
        let (augmentation, shape) = (Augmentation { padding, flip }, inputs.input_shape());
        let mut values = inputs.rows_f64(&all)?;
        augmentation.apply(&mut values, shape, rows, seed, epoch as u64)?;
        let shape = [&[rows.len()], shape].concat();
        Ok(Tensor::from_vec(values, shape, self.device)?.to_dtype(dtype)?)
    }

    fn normalized(&self, x: Tensor) -> anyhow::Result<Tensor> {
        match self.normalization {
            Some(normalization) => Ok(normalization.apply(&x)?),
            None => Ok(x),
        }
    }

    fn labels(&self, inputs: &Dataset) -> anyhow::Result<Tensor> {
        let all: Vec<usize> = (0..inputs.len()).collect();
        tensors::labels(inputs, &all, self.device)
    }
}

/// A mini-batch of inputs and their labels, those of one shape together, traced: by a recurrent network all shapes together, by others
/// as `trace` does.
fn traced(
    model: &ModelFile,
    batch: Vec<(Tensor, Tensor)>,
    trace: impl Fn(&Network, &Tensor) -> anyhow::Result<(Trace, Vec<BatchStatistics>)>,
) -> anyhow::Result<Vec<Traced>> {
    let traces = match model {
        ModelFile::Network(Model { network, .. }) => {
            let traces = batch.iter().map(|(x, _)| trace(network, x));
            traces.collect::<anyhow::Result<Vec<_>>>()?
        }
        ModelFile::Recurrent(rnn) => {
            let inputs: Vec<Tensor> = batch.iter().map(|(x, _)| x.clone()).collect();
            let traces = rnn.traces(&inputs)?;
            traces
                .into_iter()
                .map(|trace| (trace, Vec::new()))
                .collect()
        }
    };
    let both = traces.into_iter().zip(batch);
    let both = both.map(|((trace, statistics), (inputs, labels))| Traced {
        trace,
        inputs,
        labels,
        statistics,
    });
    Ok(both.collect())
}
