//! Matrix products into memory the caller owns.
//!
//! Candle's products allocate their result and share one product among all
//! threads. Work made of very many small products, one or more for each input
//! of a batch, wants the opposite: a thread for each input, one thread for a
//! product, and buffers used again. The kernels are Candle's own (`gemm`).

use candle_core::{CpuStorage, Device, Layout, Storage, Tensor, WithDType};

use rayon::prelude::*;

use crate::{Error, Result, own_loops};

/// A number type with matrix kernels: `f32` or `f64`.
pub trait Real: WithDType + sealed::Sealed {}

impl Real for f32 {}
impl Real for f64 {}

/// Rows of a block: enough to keep a kernel busy, few enough to share the work.
const BLOCK: usize = 64;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A matrix to be read.
#[derive(Debug, Clone, Copy)]
pub struct View<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> View<'a, T> {
    /// The first `rows * columns` numbers of `data`, in row-major order.
    ///
    /// # Errors
    /// [`Error::Product`] if there are fewer.
    pub fn new(data: &'a [T], rows: usize, columns: usize) -> Result<Self> {
        check(data.len(), rows, columns, columns)?;
        Ok(Self {
            data,
            rows,
            columns,
            row_stride: columns,
            column_stride: 1,
        })
    }

    /// Its number of rows.
    pub fn row_count(self) -> usize {
        self.rows
    }

    /// Its number of columns.
    pub fn column_count(self) -> usize {
        self.columns
    }

    /// One entry; a panic, as of a slice, if there is none.
    pub(crate) fn at(self, row: usize, column: usize) -> T
    where
        T: Copy,
    {
        self.data[row * self.row_stride + column * self.column_stride]
    }

    /// Rows `start .. start + count`.
    ///
    /// # Errors
    /// [`Error::Product`] if there are fewer.
    pub fn rows(self, start: usize, count: usize) -> Result<Self> {
        if start.checked_add(count).is_none_or(|end| end > self.rows) || count == 0 {
            return Err(Error::Product(format!(
                "{count} rows from row {start} of {}",
                self.rows
            )));
        }
        Ok(Self {
            data: &self.data[start * self.row_stride..],
            rows: count,
            ..self
        })
    }

    /// Columns `start .. start + count`.
    ///
    /// # Errors
    /// [`Error::Product`] if there are fewer.
    pub fn columns(self, start: usize, count: usize) -> Result<Self> {
        Ok(self.t().rows(start, count)?.t())
    }

    /// The transpose, in the same memory.
    pub fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A matrix to be written, row-major with a distance between rows.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a, T> ViewMut<'a, T> {
    /// The first `rows * columns` numbers of `data`, in row-major order.
    ///
    /// # Errors
    /// [`Error::Product`] if there are fewer.
    pub fn new(data: &'a mut [T], rows: usize, columns: usize) -> Result<Self> {
        Self::strided(data, rows, columns, columns)
    }

    /// `rows` rows of `columns` numbers that begin every `row_stride` numbers
    /// of `data`, `row_stride >= columns`.
    ///
    /// # Errors
    /// [`Error::Product`] if `data` is too short or the rows overlap.
    pub fn strided(
        data: &'a mut [T],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Result<Self> {
        check(data.len(), rows, columns, row_stride)?;
        Ok(Self {
            data,
            rows,
            columns,
            row_stride,
        })
    }
}

/// What becomes of the numbers that are in the result's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// They are overwritten, and never read.
    Replace,
    /// The product is added to them.
    Add,
}

/// `result = factor * lhs * rhs`, or `result += factor * lhs * rhs`, on the
/// calling thread. The same numbers give the same bits.
///
/// # Errors
/// [`Error::Product`] if the shapes do not fit.
///
/// ```
/// use loclin_tensor::product::{View, ViewMut, Write, multiply};
/// let (a, b) = ([1.0, 2.0, 3.0, 4.0], [1.0, 1.0]);
/// let mut result = [0.0; 2];
/// let column = ViewMut::new(&mut result, 2, 1)?;
/// multiply(column, Write::Replace, 10.0, View::new(&a, 2, 2)?, View::new(&b, 2, 1)?)?;
/// assert_eq!(result, [30.0, 70.0]);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
pub fn multiply<T: Real>(
    result: ViewMut<T>,
    write: Write,
    factor: f64,
    lhs: View<T>,
    rhs: View<T>,
) -> Result<()> {
    kernel(result, write, factor, lhs, rhs, gemm::Parallelism::None)
}

/// [`multiply`], the one product shared out among all threads of the current
/// pool.
///
/// # Errors
/// Those of [`multiply`].
pub fn multiply_by_all<T: Real>(
    result: ViewMut<T>,
    write: Write,
    factor: f64,
    lhs: View<T>,
    rhs: View<T>,
) -> Result<()> {
    let parallelism = match rayon::current_num_threads() {
        1 => gemm::Parallelism::None,
        threads => gemm::Parallelism::Rayon(threads),
    };
    kernel(result, write, factor, lhs, rhs, parallelism)
}

fn kernel<T: Real>(
    result: ViewMut<T>,
    write: Write,
    factor: f64,
    lhs: View<T>,
    rhs: View<T>,
    parallelism: gemm::Parallelism,
) -> Result<()> {
    let (m, k, n) = (lhs.rows, lhs.columns, rhs.columns);
    if rhs.rows != k || result.rows != m || result.columns != n {
        return Err(Error::Product(format!(
            "[{m}, {k}] times [{}, {n}] into [{}, {}]",
            rhs.rows, result.rows, result.columns
        )));
    }
    if k == 0 && write == Write::Replace {
        let rows = result.data.chunks_mut(result.row_stride.max(1));
        rows.take(m).for_each(|row| row[..n].fill(T::zero()));
    }
    if m == 0 || n == 0 || k == 0 {
        return Ok(());
    }
    let stride = |s: usize| s as isize;
    // SAFETY: the constructors checked that every element of the three views
    // lies within its slice, whose length `isize` can hold; `result` is
    // borrowed mutably, so it overlaps neither operand, and its rows do not
    // overlap one another. `Real` is sealed to two types that `gemm` supports.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            result.data.as_mut_ptr(),
            1,
            stride(result.row_stride),
            write == Write::Add,
            lhs.data.as_ptr(),
            stride(lhs.column_stride),
            stride(lhs.row_stride),
            rhs.data.as_ptr(),
            stride(rhs.column_stride),
            stride(rhs.row_stride),
            T::one(),
            T::from_f64(factor),
            false,
            false,
            false,
            parallelism,
        );
    }
    Ok(())
}

/// [`multiply`] into a row-major matrix, its rows shared out among the threads
/// in blocks of fixed size: the result does not depend on their number.
///
/// # Errors
/// Those of [`multiply`].
pub fn multiply_shared<T: Real>(
    result: &mut [T],
    write: Write,
    factor: f64,
    lhs: View<T>,
    rhs: View<T>,
) -> Result<()> {
    let columns = rhs.columns;
    // Eight parts of a few hundred rows: whatever the number of threads, they can be divided evenly.
    let height = lhs.rows.div_ceil(8).next_multiple_of(8).clamp(32, BLOCK);
    result
        .par_chunks_mut((height * columns).max(1))
        .enumerate()
        .try_for_each(|(block, rows)| {
            let count = rows.len() / columns;
            let lhs = lhs.rows(block * height, count)?;
            multiply(ViewMut::new(rows, count, columns)?, write, factor, lhs, rhs)
        })
}

/// `a a^T`, row-major, the work shared out as in [`multiply_shared`], the half
/// below the diagonal copied from the other.
///
/// # Errors
/// Those of [`multiply`].
pub fn gram<T: Real>(a: View<T>) -> Result<Vec<T>> {
    let n = a.rows;
    let mut result = vec![T::zero(); n * n];
    result
        .par_chunks_mut((BLOCK * n).max(1))
        .enumerate()
        .try_for_each(|(block, rows)| {
            let (start, count) = (block * BLOCK, rows.len() / n);
            let right = ViewMut::strided(&mut rows[start..], count, n - start, n)?;
            let rhs = a.rows(start, n - start)?.t();
            multiply(right, Write::Replace, 1.0, a.rows(start, count)?, rhs)
        })?;
    for row in 1..n {
        for column in 0..row / BLOCK * BLOCK {
            result[row * n + column] = result[column * n + row];
        }
    }
    Ok(result)
}

/// The numbers of a contiguous tensor on the CPU, without a copy, from its
/// [`Tensor::storage_and_layout`].
///
/// # Errors
/// [`Error::Product`] if it is not contiguous or not on the CPU, Candle's if it
/// has another type.
pub fn slice<'a, T: Real>(storage: &'a Storage, layout: &Layout) -> Result<&'a [T]> {
    match storage {
        Storage::Cpu(storage) => slice_of(storage, layout),
        _ => Err(Error::Product(format!(
            "a tensor on {:?}, expected one on the CPU",
            storage.device().location()
        ))),
    }
}

/// [`slice()`] of the storage of a CPU, as custom operations see it.
///
/// # Errors
/// Those of [`slice()`].
pub fn slice_of<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    if own_loops::are_withheld() {
        let cause = "a tensor of a device whose memory no loop may read";
        return Err(Error::Product(cause.into()));
    }
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| {
        let strides = layout.stride();
        Error::Product(format!(
            "a tensor with strides {strides:?}, expected a contiguous one"
        ))
    })?;
    Ok(&T::cpu_storage_as_slice(storage)?[start..end])
}

/// A tensor on the CPU from its numbers in row-major order.
///
/// # Errors
/// Candle's, if they do not fill the shape.
pub fn tensor<T: Real>(values: Vec<T>, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

fn check(len: usize, rows: usize, columns: usize, row_stride: usize) -> Result<()> {
    let needed = match rows {
        0 => Some(0),
        _ => (rows - 1)
            .checked_mul(row_stride)
            .and_then(|n| n.checked_add(columns)),
    };
    match needed {
        Some(needed) if needed <= len && columns <= row_stride => Ok(()),
        _ => Err(Error::Product(format!(
            "{len} numbers for a matrix [{rows}, {columns}] with {row_stride} from row to row"
        ))),
    }
}
