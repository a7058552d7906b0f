//! Max pooling.

use super::{maxima::Maxima, selection::Groups};
use crate::{
    operator::{ShapeResult, Terms},
    patch::Patch,
    record::ActivationRecord,
    spec::OperatorSpec,
    window::Window2d,
};
use candle_core::{Error, Result, Tensor};

/// Entries under all windows together: indices must fit 32 bits, and an absurd shape must not cost memory.
const LIMIT: usize = 1 << 28;

/// The largest entry under each window, per channel; padding is never selected.
///
/// The selected entry of a window is its piece of the pattern, the first in row-major order where several are
/// equal. A window of `N` entries contributes the `N - 1` neurons "selected minus other >= 0" (App. E), the
/// others in row-major order, window after window. Windows may overlap.
///
/// The paper advises average pooling or strided convolutions instead: each window adds `N - 1` half-spaces.
#[derive(Debug)]
pub struct MaxPool2d {
    window: Window2d,
}

impl MaxPool2d {
    /// Pooling over `window`, which must hold at least two entries and cover an entry of the operand wherever
    /// it stands.
    ///
    /// # Errors
    /// A window with sizes of 0.
    pub fn new(window: Window2d) -> crate::error::Result<Self> {
        window.check("max_pool2d")?;
        Ok(Self { window })
    }

    /// The unit that a neuron belongs to.
    fn unit_of(&self, neuron: usize, operand: &[usize]) -> Result<Option<usize>> {
        let counts = |axis: usize| {
            let counts = self.window.counts(axis, operand[axis + 1]);
            Ok::<Vec<usize>, Error>(counts.map_err(Error::Msg)?.collect())
        };
        let (rows, columns) = (counts(0)?, counts(1)?);
        let across: usize = columns.iter().sum();
        let of_row = |row: &usize| row * across - columns.len();
        let channel: usize = rows.iter().map(of_row).sum();
        let mut left = neuron % channel.max(1);
        let mut unit = neuron / channel.max(1) * rows.len() * columns.len();
        for row in &rows {
            if left >= of_row(row) {
                (left, unit) = (left - of_row(row), unit + columns.len());
                continue;
            }
            for column in &columns {
                let own = row * column - 1;
                if left < own {
                    return Ok((neuron / channel < operand[0]).then_some(unit));
                }
                (left, unit) = (left - own, unit + 1);
            }
        }
        Ok(None)
    }
}

/// The entry that each of so many units selected.
fn selected(record: &ActivationRecord, units: usize) -> Result<Tensor> {
    record.own()?.narrow(1, 0, units)?.get(0)
}

impl Maxima for MaxPool2d {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::MaxPool2d {
            window: self.window.clone(),
        })
    }

    fn output_shape(&self, operand: &[usize]) -> ShapeResult {
        let output = self.window.output(operand)?;
        let size = |shape: &[usize]| shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        let under = [&output[..], &self.window.kernel].concat();
        if [size(operand), size(&under)]
            .iter()
            .any(|n| n.is_none_or(|n| n > LIMIT))
        {
            return Err(format!(
                "an operand {operand:?} with {output:?} windows {:?} has more than {LIMIT} entries",
                self.window.kernel
            ));
        }
        let mut longest = 1;
        for axis in 0..2 {
            let counts = self.window.counts(axis, operand[axis + 1])?;
            let (least, most) = counts.fold((usize::MAX, 0), |(least, most), n| {
                (least.min(n), most.max(n))
            });
            if least == 0 {
                return Err(format!(
                    "a window {:?} over {operand:?} stands on padding alone",
                    self.window
                ));
            }
            longest *= most;
        }
        if longest < 2 {
            return Err(
                "windows of one entry have nothing to choose from: use average pooling".into(),
            );
        }
        Ok(output)
    }

    fn groups(&self, operand: &[usize]) -> Result<Groups> {
        let axis = |axis: usize| {
            self.window
                .members(axis, operand[axis + 1])
                .map_err(Error::Msg)
        };
        let (rows, columns) = (axis(0)?, axis(1)?);
        let (height, width) = (operand[1], operand[2]);
        let window = |channel: usize, rows: &[usize], columns: &[usize]| {
            let entry =
                |row: usize, column: usize| ((channel * height + row) * width + column) as u32;
            rows.iter()
                .flat_map(|row| columns.iter().map(move |column| entry(*row, *column)))
                .collect()
        };
        let (rows, columns) = (&rows, &columns);
        Ok(Groups::new((0..operand[0]).flat_map(|channel| {
            rows.iter().flat_map(move |rows| {
                columns
                    .iter()
                    .map(move |columns| window(channel, rows, columns))
            })
        })))
    }

    fn pull_patch(
        &self,
        cotangent: &Tensor,
        patch: &Patch,
        record: &ActivationRecord,
        operand: &[usize],
    ) -> Result<Option<(Tensor, Patch)>> {
        let units = self.pooled(operand)?;
        let all = selected(record, units.iter().product())?;
        let selected = patch
            .of(&all.reshape(units)?)?
            .flatten_all()?
            .to_vec1::<u32>()?;
        let (height, width) = (operand[1], operand[2]);
        let under = [0, 1].map(|axis| self.window.under(axis, operand[axis + 1], patch));
        let below = Patch {
            first: under.map(|(first, _)| first),
            size: under.map(|(_, size)| size),
        };
        let place = |entry: &u32| {
            let (pixel, channel) = (
                *entry as usize % (height * width),
                *entry as usize / (height * width),
            );
            let (row, column) = (
                pixel / width - below.first[0],
                pixel % width - below.first[1],
            );
            ((channel * below.size[0] + row) * below.size[1] + column) as u32
        };
        let places: Vec<u32> = selected.iter().map(place).collect();
        let places = Tensor::new(places, cotangent.device())?;
        let flat = cotangent.flatten_from(2)?.squeeze(0)?.contiguous()?;
        let [rows, columns] = below.size;
        let zeros = Tensor::zeros(
            (flat.dim(0)?, operand[0] * rows * columns),
            flat.dtype(),
            flat.device(),
        )?;
        let pulled = zeros.index_add(&places, &flat, 1)?;
        let pulled = pulled.reshape((1, flat.dim(0)?, operand[0], rows, columns))?;
        Ok(Some((pulled, below)))
    }

    fn terms(&self, neuron: usize, record: &ActivationRecord, operand: &[usize]) -> Result<Terms> {
        let Some(unit) = self.unit_of(neuron, operand)? else {
            return Ok(None);
        };
        let units: usize = self.pooled(operand)?.iter().product();
        let entry = |at: usize| {
            record
                .own()?
                .narrow(1, at, 1)?
                .flatten_all()?
                .to_vec1::<u32>()
        };
        let [selected, other] =
            [entry(unit)?, entry(units + neuron)?].map(|found| found[0] as usize);
        Ok(Some(vec![(selected, 1.0), (other, -1.0)]))
    }

    fn under(&self, operand: &[usize]) -> usize {
        let [height, width] = self.window.kernel;
        let units: usize = self
            .window
            .output(operand)
            .map_or(0, |o| o.iter().product());
        units.saturating_mul(height).saturating_mul(width)
    }

    fn readers(&self, operand: &[usize]) -> Result<usize> {
        let mut readers = 1;
        for axis in 0..2 {
            let mut windows = vec![0usize; operand[axis + 1]];
            let members = self.window.members(axis, operand[axis + 1]);
            for entry in members.map_err(Error::Msg)?.into_iter().flatten() {
                windows[entry] += 1;
            }
            readers *= windows.into_iter().max().unwrap_or(0);
        }
        Ok(readers)
    }
}
