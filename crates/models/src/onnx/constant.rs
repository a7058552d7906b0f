//! Constant tensors: decoding the file's, and moving their numbers.

use super::{body::size, dims::padded, element::Element, external, message, wire::Outcome};
use crate::sparse_rows::SparseRows;
use half::{bf16, f16};
use std::{path::Path, sync::Arc};

/// A constant tensor. Floats of every width become `f64`, integers `i64`, without loss; those of 64 bits without a sign are
/// kept as their bits.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub(super) shape: Vec<usize>,
    /// The type that the numbers have in the graph.
    pub(super) element: Element,
    pub(super) values: Values,
}

/// The numbers of a constant in row-major order, shared between its copies.
#[derive(Debug, Clone)]
pub(super) enum Values {
    Floats(Arc<Vec<f64>>),
    Ints(Arc<Vec<i64>>),
}

impl Constant {
    /// Numbers in double precision.
    pub(super) fn floats(shape: Vec<usize>, values: Vec<f64>) -> Self {
        Self {
            shape,
            element: Element::Double,
            values: Values::Floats(Arc::new(values)),
        }
    }

    /// Integers of 64 bits.
    pub(super) fn ints(shape: Vec<usize>, values: Vec<i64>) -> Self {
        Self {
            shape,
            element: Element::Signed(64),
            values: Values::Ints(Arc::new(values)),
        }
    }

    /// The numbers in another type: rounded, cut off at the point, or wrapped.
    pub(super) fn cast(self, to: Element) -> Self {
        if self.element == to {
            return self;
        }
        let (shape, element) = (self.shape, to);
        let values = match self.values {
            Values::Floats(own) if to.is_float() => {
                let mut own = Arc::unwrap_or_clone(own);
                own.iter_mut().for_each(|v| *v = to.round(*v));
                Values::Floats(Arc::new(own))
            }
            Values::Floats(own) => {
                let whole = |v: &f64| match to {
                    Element::Truth => i64::from(*v != 0.0),
                    _ => to.wrap(*v as i128 as i64),
                };
                Values::Ints(Arc::new(own.iter().map(whole).collect()))
            }
            Values::Ints(own) if to.is_float() => {
                let float = |v: &i64| to.round(wide(*v, self.element) as f64);
                Values::Floats(Arc::new(own.iter().map(float).collect()))
            }
            Values::Ints(own) => {
                let mut own = Arc::unwrap_or_clone(own);
                own.iter_mut().for_each(|v| *v = to.wrap(*v));
                Values::Ints(Arc::new(own))
            }
        };
        Self {
            shape,
            element,
            values,
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
            element: self.element,
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
        let element = self.element;
        Self {
            shape,
            element,
            values,
        }
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
        let element = self.element;
        let places = (0..outer)
            .flat_map(|o| (0..rows.len()).flat_map(move |r| (0..inner).map(move |i| (o, r, i))));
        let values = match &self.values {
            Values::Floats(own) => {
                let sum = |(o, row, i)| {
                    let terms = rows
                        .span(row)
                        .map(|term| rows.weight(term) * own[at(o, term, i)]);
                    element.round(terms.sum())
                };
                Values::Floats(Arc::new(places.map(sum).collect()))
            }
            Values::Ints(own) if rows.weights.is_empty() => {
                let sum = |(o, row, i)| {
                    let terms = rows.span(row).map(|term| own[at(o, term, i)]);
                    element.wrap(terms.fold(0i64, i64::wrapping_add))
                };
                Values::Ints(Arc::new(places.map(sum).collect()))
            }
            Values::Ints(_) => return Err("expected floating-point numbers, found integers".into()),
        };
        Ok(Self {
            shape,
            element,
            values,
        })
    }

    /// The numbers repeated to a shape that this one broadcasts to.
    pub(super) fn broadcast_to(&self, shape: &[usize]) -> Outcome<Self> {
        let mut found = self.reshape(padded(&self.shape, shape.len()));
        for (axis, &n) in shape.iter().enumerate() {
            if found.shape[axis] != 1 && found.shape[axis] != n {
                return Err(format!(
                    "a constant of shape {:?} does not broadcast to {shape:?}",
                    self.shape
                ));
            }
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
            Values::Ints(values) => {
                let float = |v: &i64| wide(*v, self.element) as f64;
                values.iter().map(float).collect()
            }
        }
    }

    /// The numbers, if they are integers, with their signs.
    pub(super) fn wide(&self) -> Option<Vec<i128>> {
        match &self.values {
            Values::Ints(values) => Some(values.iter().map(|v| wide(*v, self.element)).collect()),
            Values::Floats(_) => None,
        }
    }

    /// The number of numbers, if there is only one: the number.
    pub(super) fn only(&self) -> Option<f64> {
        match self.len() {
            1 => self.as_floats().first().copied(),
            _ => None,
        }
    }

    /// A tensor of the file, its external data (if any) from files beside `model`.
    pub(super) fn decode(
        tensor: &message::Tensor<'_>,
        model: Option<&Path>,
        ledger: &mut external::Ledger,
    ) -> Outcome<Self> {
        let shape = tensor
            .dims
            .iter()
            .map(|&d| usize::try_from(d).map_err(|_| format!("a dimension of {d}")))
            .collect::<Outcome<Vec<_>>>()?;
        let count = match shape.contains(&0) {
            true => size(&shape).ok_or_else(|| format!("shape {shape:?}, which has no numbers"))?,
            false => shape
                .iter()
                .try_fold(1usize, |n, d| n.checked_mul(*d))
                .ok_or_else(|| format!("shape {shape:?}, whose size overflows"))?,
        };
        let element = Element::of(tensor.data_type)?;
        let bytes = count
            .checked_mul(element.width())
            .ok_or_else(|| format!("shape {shape:?}, whose size overflows"))?;
        let values = if tensor.external {
            let data = external::read(&tensor.external_data, bytes, model, ledger)?;
            from_raw(element, &data)
        } else if let Some(raw) = tensor.raw.filter(|raw| !raw.is_empty() || count == 0) {
            if raw.len() != bytes {
                return Err(format!(
                    "shape {shape:?} needs {bytes} bytes of data, found {}",
                    raw.len()
                ));
            }
            from_raw(element, raw)
        } else {
            from_fields(tensor, element)?
        };
        let constant = Self {
            shape,
            element,
            values,
        };
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

/// An integer of a type with its sign.
fn wide(value: i64, element: Element) -> i128 {
    match element {
        Element::Unsigned(64) => value.cast_unsigned().into(),
        _ => value.into(),
    }
}

/// The numbers in `float_data`, `double_data`, `int32_data`, `int64_data` or `uint64_data`.
fn from_fields(tensor: &message::Tensor<'_>, element: Element) -> Outcome<Values> {
    let bits = |decode: fn(u16) -> f64| {
        let decoded = tensor.ints.iter().map(|&bits| {
            let bits = u16::try_from(bits).map_err(|_| format!("{bits} is no 16-bit float"))?;
            Ok(decode(bits))
        });
        Ok(Values::Floats(Arc::new(decoded.collect::<Outcome<_>>()?)))
    };
    match element {
        Element::Single | Element::Double => Ok(Values::Floats(Arc::new(tensor.floats.clone()))),
        Element::Half => bits(|b| f16::from_bits(b).to_f64()),
        Element::Brain => bits(|b| bf16::from_bits(b).to_f64()),
        whole => {
            let ints = tensor.ints.iter().map(|v| whole.wrap(*v));
            Ok(Values::Ints(Arc::new(ints.collect())))
        }
    }
}

/// Little-endian numbers; `raw` holds a whole number of them.
fn from_raw(element: Element, raw: &[u8]) -> Values {
    fn map<const N: usize, T>(raw: &[u8], decode: impl Fn([u8; N]) -> T) -> Arc<Vec<T>> {
        let (numbers, _) = raw.as_chunks();
        Arc::new(numbers.iter().map(|bytes| decode(*bytes)).collect())
    }
    let wrap = |value: i64| element.wrap(value);
    match element {
        Element::Single => Values::Floats(map(raw, |b| f32::from_le_bytes(b).into())),
        Element::Half => Values::Floats(map(raw, |b| f16::from_le_bytes(b).to_f64())),
        Element::Double => Values::Floats(map(raw, f64::from_le_bytes)),
        Element::Brain => Values::Floats(map(raw, |b| bf16::from_le_bytes(b).to_f64())),
        // What is read too wide, or without its sign, is wrapped to its type.
        whole => Values::Ints(match whole.width() {
            1 => map(raw, |b| wrap(u8::from_le_bytes(b).into())),
            2 => map(raw, |b| wrap(u16::from_le_bytes(b).into())),
            4 => map(raw, |b| wrap(u32::from_le_bytes(b).into())),
            _ => map(raw, i64::from_le_bytes),
        }),
    }
}
