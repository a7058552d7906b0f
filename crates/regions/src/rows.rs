//! Tables of numbers on the host: a row for each input, or for each neuron.

use crate::Result;
use candle_core::{DType, Device, Tensor};
use std::ops::Index;

/// Rows of equally many numbers, in one piece of memory: values of neurons `[B, |I|]`, gradients `[|I|, D]`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use loclin_regions::Rows;
///
/// let rows = Rows::of_tensor(&Tensor::new(&[[1.0, 2.0], [3.0, 4.0]], &Device::Cpu)?)?;
/// assert_eq!((rows.len(), rows.width(), rows[1][0]), (2, 2, 3.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    values: Vec<f64>,
    len: usize,
    width: usize,
}

impl Rows {
    /// `len` rows of `width` zeros.
    pub(crate) fn zeros(len: usize, width: usize) -> Self {
        Self {
            values: vec![0.0; len * width],
            len,
            width,
        }
    }

    /// Of numbers row by row, `width` in each of `len` rows; what is missing is 0.
    pub(crate) fn new(mut values: Vec<f64>, len: usize, width: usize) -> Self {
        values.resize(len * width, 0.0);
        Self { values, len, width }
    }

    /// Of a tensor `[len, width]`, in float64.
    ///
    /// # Errors
    /// A tensor of another rank, or one that cannot be read.
    pub fn of_tensor(tensor: &Tensor) -> Result<Self> {
        let (len, width) = tensor.dims2()?;
        let values = tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        Ok(Self { values, len, width })
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Numbers in each row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// One row; `None` if there are fewer.
    pub fn get(&self, row: usize) -> Option<&[f64]> {
        (row < self.len).then(|| &self.values[row * self.width..][..self.width])
    }

    /// The rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f64]> + Clone {
        (0..self.len).map(|row| &self.values[row * self.width..][..self.width])
    }

    /// All numbers, row by row.
    pub fn as_slice(&self) -> &[f64] {
        &self.values
    }

    /// The rows in order.
    pub(crate) fn rows_mut(&mut self) -> Vec<&mut [f64]> {
        let mut rest = &mut self.values[..];
        let next = |_| {
            let (own, others) = std::mem::take(&mut rest).split_at_mut(self.width);
            rest = others;
            own
        };
        (0..self.len).map(next).collect()
    }

    /// One row alone.
    pub(crate) fn only(&self, row: usize) -> Self {
        Self::new(self[row].to_vec(), 1, self.width)
    }

    /// One row, to be changed.
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f64] {
        let width = self.width;
        &mut self.values[row * width..][..width]
    }

    /// Sets one number of each of the rows from `first` on.
    pub(crate) fn set_column(&mut self, first: usize, column: usize, numbers: &[f64]) {
        let rows = self.values.chunks_exact_mut(self.width.max(1)).skip(first);
        rows.zip(numbers)
            .for_each(|(row, number)| row[column] = *number);
    }

    /// As a tensor `[len, width]`.
    ///
    /// # Errors
    /// A type of number or a device that the tensor library refuses.
    pub fn to_tensor(&self, dtype: DType, device: &Device) -> Result<Tensor> {
        let tensor = Tensor::from_slice(&self.values, (self.len, self.width), device)?;
        Ok(tensor.to_dtype(dtype)?)
    }
}

/// As of a slice, a panic if there are fewer rows.
impl Index<usize> for Rows {
    type Output = [f64];

    fn index(&self, row: usize) -> &[f64] {
        &self.values[row * self.width..][..self.width]
    }
}
