//! The input that is explained: a file, or a row of a dataset.

use anyhow::{Context, ensure};
use candle_core::{DType, Device, Tensor};
use loclin_data::{Data, Dataset, Pictured, Rows};

use crate::program::errors::Usage;
use crate::program::opened::{Loaded, Opened};
use crate::program::options::InputOptions;

/// One input.
pub struct Subject {
    /// What it is called: "photo.png", or "input 17 of cifar10".
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values in the order in which the network takes them.
    pub values: Vec<f64>,
    /// Its class, where it is known.
    pub label: Option<u32>,
    /// How it is seen as a picture, where it is one.
    picture: Option<Pictured>,
}

/// The model with one of the inputs that are named: a row of the data, or else a file.
pub(super) fn open(
    loaded: &Loaded<'_>,
    data: &InputOptions,
    input: &str,
) -> anyhow::Result<(Opened, Subject)> {
    let Ok(index) = input.parse::<usize>() else {
        let file = InputOptions {
            data: Some(input.to_owned()),
            ..data.clone()
        };
        let opened = loaded.open(&file, Rows::All)?;
        let subject = Subject::of(&opened.data, None)?;
        return Ok((opened, subject));
    };
    let opened = loaded.open(data, Rows::One(index));
    let opened = opened.map_err(|error| match error.downcast_ref() {
        Some(loclin_data::Error::RowRange { name, rows, .. }) => no_row(index, name, *rows).into(),
        _ => error,
    })?;
    let subject = Subject::of(&opened.data, Some(index))?;
    Ok((opened, subject))
}

impl Subject {
    /// The only row of the data, which is the input `index` of its dataset.
    fn of(data: &Data, index: Option<usize>) -> anyhow::Result<Self> {
        let count = data.len();
        if index.is_none() && count != 1 {
            let message = format!(
                "{}: it has {count} inputs; each that is explained is named, as by --data {} --input 0",
                data.name(),
                data.name()
            );
            return Err(Usage::new(message).into());
        }
        let name = match index {
            Some(index) => format!("input {index} of {}", data.name()),
            None => data.name().to_owned(),
        };
        let part = data.tables(&[0])?.into_iter().next();
        Self::only(&part.context("no input")?.inputs, name)
    }

    /// Row `index` of a dataset, for a network of inputs of shape `wanted`.
    ///
    /// # Errors
    /// When there is no such row, or the inputs are not the network's.
    pub fn of_row(data: &Dataset, index: usize, wanted: &[usize]) -> anyhow::Result<Self> {
        if index >= data.len() {
            return Err(no_row(index, data.name(), data.len()).into());
        }
        let name = format!("input {index} of {}", data.name());
        Self::only(&data.subset(&[index])?.fit(wanted)?, name)
    }

    fn only(data: &Dataset, name: String) -> anyhow::Result<Self> {
        let label = data.labels().and_then(|labels| labels.first().copied());
        Ok(Self {
            name,
            shape: data.input_shape().to_vec(),
            values: data.rows_f64(&[0])?,
            label,
            picture: data.picture(),
        })
    }

    /// The shape that it is drawn in, and whether as an image: what is neither an image nor in [0, 1], such as a sequence, is drawn in
    /// colours, and a line of numbers is not drawn.
    pub fn drawn(&self) -> Option<([usize; 3], bool)> {
        let picture = self.picture.as_ref().filter(|own| !own.is_line())?;
        Some((picture.shape, picture.is_image(&self.values)))
    }

    /// Values in the order of the network as pixels in that of pictures.
    pub fn pixels(&self, values: &[f64]) -> Vec<f64> {
        match &self.picture {
            Some(picture) => picture.pixels(values),
            None => values.to_vec(),
        }
    }

    /// Values in the order of the network in that of pictures.
    pub fn shown(&self, values: &[f64]) -> Vec<f64> {
        match &self.picture {
            Some(picture) => picture.shown(values),
            None => values.to_vec(),
        }
    }

    /// Where number `at` is, such as "3" or "2, 0".
    pub fn place(&self, mut at: usize) -> String {
        let mut places = Vec::with_capacity(self.shape.len());
        for size in self.shape.iter().rev() {
            places.push((at % size.max(&1)).to_string());
            at /= size.max(&1);
        }
        places.reverse();
        places.join(", ")
    }

    /// It as an input of shape `shape`.
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
