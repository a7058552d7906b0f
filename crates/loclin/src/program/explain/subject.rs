//! The input that is explained: an image file, or a row of a dataset.

use anyhow::{Context, bail, ensure};
use candle_core::{DType, Device, Tensor};
use loclin_data::{Data, Dataset, Rows};

use super::options::Args;
use crate::program::errors::Usage;
use crate::program::opened::Opened;
use crate::program::options::{Global, InputOptions};

/// One image.
pub struct Subject {
    /// What it is called: "photo.png", or "input 17 of cifar10".
    pub name: String,
    /// Channels (1 or 3), height and width.
    pub shape: [usize; 3],
    /// Its values in the order in which the network takes them.
    pub values: Vec<f64>,
    /// Its class, where it is known.
    pub label: Option<u32>,
    /// For each value of the picture, channel by channel, its place among those of the network.
    places: Vec<usize>,
}

/// The model and what `--input` names: the row `index` of the data, or else a file.
pub(super) fn open(args: &Args, index: Option<usize>, global: &Global) -> anyhow::Result<Opened> {
    let Some(index) = index else {
        let inputs = InputOptions {
            data: Some(args.input.clone()),
            ..args.inputs.clone()
        };
        return Opened::new(&args.source, &inputs, Rows::All, global);
    };
    let opened = Opened::new(&args.source, &args.inputs, Rows::One(index), global);
    opened.map_err(|error| match error.downcast_ref() {
        Some(loclin_data::Error::RowRange { name, rows, .. }) => no_row(index, name, *rows).into(),
        _ => error,
    })
}

impl Subject {
    /// The only row of the data, which is the input `index` of its dataset.
    pub(super) fn of(data: Data, index: Option<usize>) -> anyhow::Result<Self> {
        let data = data.into_table()?;
        let count = data.len();
        if index.is_none() && count != 1 {
            let message = format!(
                "--input {}: it has {count} inputs; one is explained",
                data.name()
            );
            return Err(Usage::new(message).into());
        }
        let name = match index {
            Some(index) => format!("input {index} of {}", data.name()),
            None => data.name().to_owned(),
        };
        Self::only(&data, name)
    }

    /// Row `index` of a dataset of images, for a network of inputs of shape `wanted`.
    ///
    /// # Errors
    /// When there is no such row, or the inputs are no images, or not the network's.
    pub fn of_row(data: &Dataset, index: usize, wanted: &[usize]) -> anyhow::Result<Self> {
        if index >= data.len() {
            return Err(no_row(index, data.name(), data.len()).into());
        }
        let name = format!("input {index} of {}", data.name());
        Self::only(&data.subset(&[index])?.fit(wanted)?, name)
    }

    fn only(data: &Dataset, name: String) -> anyhow::Result<Self> {
        let Some((shape, places)) = data.picture() else {
            bail!(
                "{}: inputs of shape {:?}, which are no images",
                data.name(),
                data.input_shape()
            );
        };
        let label = data.labels().and_then(|labels| labels.first().copied());
        Ok(Self {
            name,
            shape,
            values: data.rows_f64(&[0])?,
            label,
            places,
        })
    }

    /// Values in the order of the network in that of pictures.
    pub(super) fn shown(&self, values: &[f64]) -> Vec<f64> {
        let at = |place: &usize| values.get(*place).copied().unwrap_or(0.0);
        self.places.iter().map(at).collect()
    }

    /// The image as an input of shape `shape`.
    ///
    /// # Errors
    /// When the number of values differs.
    pub fn tensor(&self, shape: &[usize], dtype: DType, device: &Device) -> anyhow::Result<Tensor> {
        let count = shape.iter().product::<usize>();
        ensure!(
            self.values.len() == count,
            "{}: {} values; the model takes {shape:?}",
            self.name,
            self.values.len()
        );
        let tensor = Tensor::from_slice(&self.values, shape, device);
        let tensor = tensor.with_context(|| self.name.clone())?;
        Ok(tensor.to_dtype(dtype)?)
    }
}

/// There is no row `index` among the `rows` of the dataset `name`.
fn no_row(index: usize, name: &str, rows: usize) -> Usage {
    Usage::new(format!(
        "--input {index}: {name} has {rows} inputs, numbered from 0"
    ))
}
