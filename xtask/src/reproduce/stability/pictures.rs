//! Grey images on the 256 levels of a pixel.

use anyhow::{Context, ensure};
use loclin_data::Dataset;

/// How far a stored number may be from a level, in levels: far more than rounding, far less than half a level.
const NEAR: f64 = 1e-3;

/// Grey images of one size.
pub(super) struct Pictures {
    pub(super) height: usize,
    pub(super) width: usize,
    /// Which rows of the data they are.
    pub(super) rows: Vec<usize>,
    /// The numbers of each, as the network takes them: shares of the highest level.
    pub(super) values: Vec<Vec<f64>>,
    /// The level of each pixel.
    pub(super) levels: Vec<Vec<u8>>,
}

impl Pictures {
    /// Rows of a data set of grey pixels in [0, 1].
    pub(super) fn of(data: &Dataset, rows: Vec<usize>) -> anyhow::Result<Self> {
        let name = data.name();
        let (height, width) = match *data.input_shape() {
            [1, height, width] | [height, width] => (height, width),
            ref other => anyhow::bail!("{name}: shape {other:?}, expected grey images"),
        };
        let values: Vec<Vec<f64>> = rows
            .iter()
            .map(|row| data.rows_f64(&[*row]))
            .collect::<Result<_, _>>()?;
        let levels = values.iter().map(|image| levels(image));
        let levels = levels.collect::<Option<Vec<_>>>();
        let levels =
            levels.with_context(|| format!("{name}: numbers that are no multiples of 1/255"))?;
        Ok(Self {
            height,
            width,
            rows,
            values,
            levels,
        })
    }

    /// Other levels of the same images as numbers; pixels whose level stays keep their number.
    pub(super) fn with(&self, changed: &[Vec<u8>]) -> anyhow::Result<Vec<Vec<f64>>> {
        ensure!(
            changed.len() == self.levels.len(),
            "{} images of {}",
            changed.len(),
            self.levels.len()
        );
        let image = |image: usize| {
            let own = self.values[image].iter().zip(&self.levels[image]);
            let number = |((value, before), after): ((&f64, &u8), &u8)| match before == after {
                true => *value,
                false => f64::from(*after) / 255.0,
            };
            own.zip(&changed[image]).map(number).collect()
        };
        Ok((0..changed.len()).map(image).collect())
    }
}

/// The levels of numbers in [0, 1]; none if one is no level.
pub(super) fn levels(values: &[f64]) -> Option<Vec<u8>> {
    let level = |value: &f64| {
        let level = (value * 255.0).round();
        let is_one = (0.0..=255.0).contains(&level) && (value * 255.0 - level).abs() < NEAR;
        is_one.then_some(level as u8)
    };
    values.iter().map(level).collect()
}
