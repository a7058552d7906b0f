//! Constant tensors: decoding the file's, and moving their numbers.

use super::{dims::padded, external, message, wire::Outcome};
use crate::sparse_rows::SparseRows;
use half::{bf16, f16};
use std::{path::Path, sync::Arc};

/// A constant tensor. Floats of every width become `f64`, integers `i64`, without loss.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub(super) shape: Vec<usize>,
    pub(super) values: Values,
}

/// The numbers of a constant in row-major order, shared between its copies.
#[derive(Debug, Clone)]
pub(super) enum Values {
    Floats(Arc<Vec<f64>>),
    Ints(Arc<Vec<i64>>),
}

impl Constant {
    pub(super) fn floats(shape: Vec<usize>, values: Vec<f64>) -> Self {
        Self {
            shape,
            values: Values::Floats(Arc::new(values)),
        }
    }

    pub(super) fn ints(shape: Vec<usize>, values: Vec<i64>) -> Self {
        Self {
            shape,
            values: Values::Ints(Arc::new(values)),
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.values {
            Values::Floats(values) => values.len(),
            Values::Ints(values) => values.len(),
        }
    }

    /// The numbers as floats.
    pub(super) fn to_floats(&self) -> Outcome<Arc<Vec<f64>>> {
        match &self.values {
            Values::Floats(values) => Ok(values.clone()),
            Values::Ints(_) => Err("expected floating-point numbers, found integers".into()),
        }
    }

    /// The numbers as integers.
    pub(super) fn to_ints(&self) -> Outcome<Arc<Vec<i64>>> {
        match &self.values {
            Values::Ints(values) => Ok(values.clone()),
            Values::Floats(_) => Err("expected integers, found floating-point numbers".into()),
        }
    }

    /// The only number.
    pub(super) fn scalar(&self) -> Outcome<f64> {
        match self.to_floats()?[..] {
            [value] => Ok(value),
            _ => Err(format!("expected one number, found shape {:?}", self.shape)),
        }
    }

    /// The same numbers in another shape of the same size.
    pub(super) fn reshape(&self, shape: Vec<usize>) -> Self {
        Self {
            shape,
            values: self.values.clone(),
        }
    }

    /// Dimension `i` of the result is dimension `permutation[i]` of this.
    pub(super) fn transpose(&self, permutation: &[usize]) -> Self {
        let shape: Vec<usize> = permutation.iter().map(|&axis| self.shape[axis]).collect();
        let mut strides = vec![1; self.shape.len()];
        for axis in (1..strides.len()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        let mut sources = Vec::with_capacity(self.len());
        let mut index = vec![0; shape.len()];
        for _ in 0..self.len() {
            sources.push(
                index
                    .iter()
                    .zip(permutation)
                    .map(|(i, &axis)| i * strides[axis])
                    .sum::<usize>(),
            );
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        let values = match &self.values {
            Values::Floats(v) => {
                Values::Floats(Arc::new(sources.into_iter().map(|s| v[s]).collect()))
            }
            Values::Ints(v) => Values::Ints(Arc::new(sources.into_iter().map(|s| v[s]).collect())),
        };
        Self { shape, values }
    }

    /// Weighted sums of entries along dimension `axis`.
    pub(super) fn resample(&self, axis: usize, rows: &SparseRows) -> Outcome<Self> {
        if rows
            .sources
            .iter()
            .any(|source| *source as usize >= self.shape[axis])
        {
            return Err(format!("repeats entries that shape {:?} lacks", self.shape));
        }
        let mut shape = self.shape.clone();
        shape[axis] = rows.len();
        let inner: usize = shape[axis + 1..].iter().product();
        let outer: usize = shape[..axis].iter().product();
        let at = |outer: usize, term: usize, i: usize| {
            (outer * rows.inputs + rows.sources[term] as usize) * inner + i
        };
        let places = (0..outer)
            .flat_map(|o| (0..rows.len()).flat_map(move |r| (0..inner).map(move |i| (o, r, i))));
        let values = match &self.values {
            Values::Floats(own) => {
                let sum = |(o, row, i)| {
                    let terms = rows
                        .span(row)
                        .map(|term| rows.weight(term) * own[at(o, term, i)]);
                    terms.sum()
                };
                Values::Floats(Arc::new(places.map(sum).collect()))
            }
            Values::Ints(own) if rows.weights.is_empty() => {
                let sum = |(o, row, i)| {
                    let terms = rows.span(row).map(|term| own[at(o, term, i)]);
                    terms.fold(0i64, i64::wrapping_add)
                };
                Values::Ints(Arc::new(places.map(sum).collect()))
            }
            Values::Ints(_) => return Err("expected floating-point numbers, found integers".into()),
        };
        Ok(Self { shape, values })
    }

    /// The numbers repeated to a shape that this one broadcasts to.
    pub(super) fn broadcast_to(&self, shape: &[usize]) -> Outcome<Self> {
        let mut found = self.reshape(padded(&self.shape, shape.len()));
        for (axis, &n) in shape.iter().enumerate() {
            if found.shape[axis] != n {
                let rows = SparseRows::copies(found.shape[axis], vec![Some(0); n]);
                found = found.resample(axis, &rows)?;
            }
        }
        Ok(found)
    }

    /// The numbers as floats, integers converted.
    pub(super) fn as_floats(&self) -> Vec<f64> {
        match &self.values {
            Values::Floats(values) => values.to_vec(),
            Values::Ints(values) => values.iter().map(|v| *v as f64).collect(),
        }
    }

    /// The number of numbers, if there is only one: the number.
    pub(super) fn only(&self) -> Option<f64> {
        match self.len() {
            1 => self.as_floats().first().copied(),
            _ => None,
        }
    }

    /// A tensor of the file, its external data (if any) from files in `folder`.
    pub(super) fn decode(
        tensor: &message::Tensor<'_>,
        folder: Option<&Path>,
        ledger: &mut external::Ledger,
    ) -> Outcome<Self> {
        let shape = tensor
            .dims
            .iter()
            .map(|&d| usize::try_from(d).map_err(|_| format!("a dimension of {d}")))
            .collect::<Outcome<Vec<_>>>()?;
        let count = shape
            .iter()
            .try_fold(1usize, |n, d| n.checked_mul(*d))
            .ok_or_else(|| format!("shape {shape:?}, whose size overflows"))?;
        let width = width(tensor.data_type)?;
        let bytes = count
            .checked_mul(width)
            .ok_or_else(|| format!("shape {shape:?}, whose size overflows"))?;
        let values = if tensor.external {
            let data = external::read(&tensor.external_data, bytes, folder, ledger)?;
            from_raw(tensor.data_type, &data)?
        } else if let Some(raw) = tensor.raw.filter(|raw| !raw.is_empty() || count == 0) {
            if raw.len() != bytes {
                return Err(format!(
                    "shape {shape:?} needs {bytes} bytes of data, found {}",
                    raw.len()
                ));
            }
            from_raw(tensor.data_type, raw)?
        } else {
            from_fields(tensor)?
        };
        let constant = Self { shape, values };
        if constant.len() != count {
            return Err(format!(
                "shape {:?} needs {count} numbers, found {}",
                constant.shape,
                constant.len()
            ));
        }
        Ok(constant)
    }
}

/// The numbers in `float_data`, `double_data`, `int32_data`, `int64_data` or `uint64_data`.
fn from_fields(tensor: &message::Tensor<'_>) -> Outcome<Values> {
    let bits = |decode: fn(u16) -> f64| {
        let decoded = tensor.ints.iter().map(|&bits| {
            let bits = u16::try_from(bits).map_err(|_| format!("{bits} is no 16-bit float"))?;
            Ok(decode(bits))
        });
        Ok(Values::Floats(Arc::new(decoded.collect::<Outcome<_>>()?)))
    };
    match tensor.data_type {
        1 | 11 => Ok(Values::Floats(Arc::new(tensor.floats.clone()))),
        10 => bits(|b| f16::from_bits(b).to_f64()),
        16 => bits(|b| bf16::from_bits(b).to_f64()),
        _ => Ok(Values::Ints(Arc::new(tensor.ints.clone()))),
    }
}

/// Bytes of one number of an ONNX data type.
fn width(data_type: i64) -> Outcome<usize> {
    match data_type {
        2 | 3 | 9 => Ok(1),
        4 | 5 | 10 | 16 => Ok(2),
        1 | 6 | 12 => Ok(4),
        7 | 11 | 13 => Ok(8),
        other => Err(format!(
            "data type {other}; supported are FLOAT, DOUBLE, FLOAT16, BFLOAT16, BOOL and integers of 8 to 64 bits"
        )),
    }
}

/// Little-endian numbers; `raw` holds a whole number of them.
fn from_raw(data_type: i64, raw: &[u8]) -> Outcome<Values> {
    fn map<const N: usize, T>(raw: &[u8], decode: impl Fn([u8; N]) -> T) -> Arc<Vec<T>> {
        let (numbers, _) = raw.as_chunks();
        Arc::new(numbers.iter().map(|bytes| decode(*bytes)).collect())
    }
    Ok(match data_type {
        1 => Values::Floats(map(raw, |b| f32::from_le_bytes(b).into())),
        10 => Values::Floats(map(raw, |b| f16::from_le_bytes(b).to_f64())),
        11 => Values::Floats(map(raw, f64::from_le_bytes)),
        16 => Values::Floats(map(raw, |b| bf16::from_le_bytes(b).to_f64())),
        2 | 9 => Values::Ints(map(raw, |b| u8::from_le_bytes(b).into())),
        3 => Values::Ints(map(raw, |b| i8::from_le_bytes(b).into())),
        4 => Values::Ints(map(raw, |b| u16::from_le_bytes(b).into())),
        5 => Values::Ints(map(raw, |b| i16::from_le_bytes(b).into())),
        6 => Values::Ints(map(raw, |b| i32::from_le_bytes(b).into())),
        12 => Values::Ints(map(raw, |b| u32::from_le_bytes(b).into())),
        7 => Values::Ints(map(raw, i64::from_le_bytes)),
        13 => Values::Ints(map(raw, |b| u64::from_le_bytes(b).cast_signed())),
        other => return Err(format!("data type {other}")),
    })
}
