//! The input that is explained: an image file, or a row of a dataset.

use std::path::Path;

use anyhow::{bail, ensure};
use candle_core::{DType, Device, Tensor};
use loclin_data::{Data, Dataset, ImageFiles, Rows, Values};

use super::options::Args;
use crate::program::errors::Usage;
use crate::program::opened;
use crate::program::options::Global;
use crate::program::run_directory::Trained;

/// One image.
pub struct Subject {
    /// What it is called: "photo.png", or "input 17 of cifar10".
    pub name: String,
    /// Channels (1 or 3), height and width.
    pub shape: [usize; 3],
    /// Its pixels in [0, 1], channel by channel.
    pub values: Vec<f64>,
    /// Its class, where it is known.
    pub label: Option<u32>,
}

impl Subject {
    /// What `--input` names, for a network of inputs of shape `wanted`.
    pub(super) fn find(
        args: &Args,
        wanted: &[usize],
        run: Option<&Trained>,
        global: &Global,
    ) -> anyhow::Result<Self> {
        if let Ok(index) = args.input.parse::<usize>() {
            let Some(name) = args.data.as_ref().or(run.map(|run| &run.dataset)) else {
                let message = "--input: a number counts in --data, which is needed where --model is not a run directory";
                return Err(Usage::new(message).into());
            };
            let seed = global.seed.or(run.map(|run| run.seed));
            let place = &args.place.data_dir;
            let row = Rows::One(index);
            let data = opened::rows_of(name, args.split, place, seed.unwrap_or(0), row);
            let data = data.map_err(|error| match error.downcast_ref() {
                Some(loclin_data::Error::RowRange { name, rows, .. }) => {
                    no_row(index, name, *rows).into()
                }
                _ => error,
            })?;
            let Data::Table(data) = data else {
                bail!("{}: sequences, which are no images", data.name());
            };
            return Self::numbered(&data, 0, index, wanted);
        }
        Self::of_file(Path::new(&args.input), wanted, args.resize)
    }

    /// Row `index` of a dataset of images.
    ///
    /// # Errors
    /// When there is no such row, or the inputs are no images, or not the network's.
    pub fn of_row(data: &Dataset, index: usize, wanted: &[usize]) -> anyhow::Result<Self> {
        if index >= data.len() {
            return Err(no_row(index, data.name(), data.len()).into());
        }
        Self::numbered(data, index, index, wanted)
    }

    /// Row `row` of `data`, which is the input `index` of its dataset.
    fn numbered(
        data: &Dataset,
        row: usize,
        index: usize,
        wanted: &[usize],
    ) -> anyhow::Result<Self> {
        let shape = match *data.input_shape() {
            [channels @ (1 | 3), height, width] => [channels, height, width],
            [height, width] => [1, height, width],
            ref other => bail!(
                "{}: inputs of shape {other:?}, which are no images",
                data.name()
            ),
        };
        ensure!(
            data.features() == wanted.iter().product::<usize>(),
            "{}: inputs of shape {:?}; the model takes shape {wanted:?}",
            data.name(),
            data.input_shape()
        );
        Ok(Self {
            name: format!("input {index} of {}", data.name()),
            shape,
            values: data.rows_f64(&[row])?,
            label: data.labels().map(|labels| labels[row]),
        })
    }

    fn of_file(path: &Path, wanted: &[usize], resize: bool) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let size = match (resize, wanted) {
            (false, _) => None,
            (true, [_, height, width]) => Some([*height, *width]),
            (true, _) => bail!(
                "{name}: --resize: the model takes inputs of shape {wanted:?}, which says no height and width"
            ),
        };
        let files = ImageFiles::one(path, size)?;
        let [_, height, width] = files.shape();
        let image = Dataset::new(&name, &files.shape(), Values::Files(files))?;
        let mut values = image.rows_f64(&[0])?;
        let area = height * width;
        let mut channels = 3;
        if wanted.iter().product::<usize>() == area {
            let grey = (0..area)
                .all(|i| values[i] == values[area + i] && values[i] == values[2 * area + i]);
            ensure!(
                grey,
                "{name}: an image in colour; the model takes inputs of shape {wanted:?}, one channel"
            );
            values.truncate(area);
            channels = 1;
        }
        ensure!(
            values.len() == wanted.iter().product::<usize>(),
            "{name}: an image of {height} x {width} pixels; the model takes inputs of shape {wanted:?}{}",
            match (resize, wanted) {
                (false, [_, _, _]) => "; --resize makes it fit",
                _ => "",
            }
        );
        Ok(Self {
            name,
            shape: [channels, height, width],
            values,
            label: None,
        })
    }

    /// The image as an input of shape `shape`.
    ///
    /// # Errors
    /// When the number of values differs.
    pub fn tensor(&self, shape: &[usize], dtype: DType, device: &Device) -> anyhow::Result<Tensor> {
        let tensor = Tensor::from_slice(&self.values, shape, device)?;
        Ok(tensor.to_dtype(dtype)?)
    }
}

/// There is no row `index` among the `rows` of the dataset `name`.
fn no_row(index: usize, name: &str, rows: usize) -> Usage {
    Usage::new(format!(
        "--input {index}: {name} has {rows} inputs, numbered from 0"
    ))
}
