//! Moving the numbers of values: one description for constants and for what depends on the input.

use super::{
    body::size,
    dims::{batch_after, broadcast, own, own_axis, padded},
    message::Node,
    refusals,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::{
    error::{Error, Result},
    sparse_rows::SparseRows,
    spec::OperatorSpec,
};

/// What is wrong with a sequence, or with what failed, where numbers are asked for.
fn no_tensor(node: &Node<'_>, value: &Value) -> Error {
    node.error(match value {
        Value::Sequence(_) => "takes a sequence where a tensor must be",
        _ => "reads what cannot be had",
    })
}

impl<'a> Translator<'a> {
    /// Shape of a value, batch included.
    pub(super) fn shape(&self, node: &Node<'a>, value: &Value) -> Result<Vec<usize>> {
        match value {
            Value::Constant(constant) => Ok(constant.shape.clone()),
            Value::Dynamic(dynamic) => Ok(dynamic.full.clone()),
            Value::Greater(both) => {
                let (a, b) = (self.shape(node, &both.0)?, self.shape(node, &both.1)?);
                broadcast(&[&a, &b]).ok_or_else(|| node.error("compares shapes that do not fit"))
            }
            Value::Sequence(_) | Value::Failed(_) => Err(no_tensor(node, value)),
        }
    }

    /// An error where inputs of a batch would have to be told apart.
    fn one_input(&self, node: &Node<'a>) -> Result<()> {
        match self.batch {
            1 => Ok(()),
            n => Err(node.error(refusals::mixes(n))),
        }
    }

    /// The same value with the batch as one more dimension, for a node that computes one number of several entries along it.
    pub(super) fn mixed(&mut self, node: &Node<'a>, value: &Dynamic) -> Result<Dynamic> {
        match (value.batch, self.batch) {
            (Some(_), 2..) if self.open => Err(node.error(refusals::MIXES_OPEN)),
            _ => self.unbatched(node, value),
        }
    }

    /// The same value with the batch as one more dimension of a single input.
    pub(super) fn unbatched(&mut self, node: &Node<'a>, value: &Dynamic) -> Result<Dynamic> {
        if value.batch.is_none() {
            return Ok(value.clone());
        }
        self.one_input(node)?;
        self.seen_as(node, value, value.full.clone(), None)
    }

    /// The same value with the batch as its first dimension.
    pub(super) fn batch_first(&mut self, node: &Node<'a>, value: &Dynamic) -> Result<Dynamic> {
        match (value.batch, value.full.first()) {
            (Some(0), _) => Ok(value.clone()),
            (_, Some(1)) if self.batch == 1 => {
                self.seen_as(node, value, value.full.clone(), Some(0))
            }
            _ => Err(node.error(format!(
                "takes a value of shape [batch, ...], found {:?}, whose first dimension is not the batch",
                value.full
            ))),
        }
    }

    /// The same value with the batch as its first dimension, or without one.
    pub(super) fn batch_first_or_none(
        &mut self,
        node: &Node<'a>,
        value: &Dynamic,
    ) -> Result<Dynamic> {
        match self.batch_first(node, value) {
            Err(_) if value.batch.is_none() => Ok(value.clone()),
            found => found,
        }
    }

    /// What a node computes of each channel of `[batch, channels, ...]` for itself, by `of`. Several images of one input are one image of as many
    /// channels more.
    pub(super) fn by_channels(
        &mut self,
        node: &Node<'a>,
        value: &Dynamic,
        of: impl FnOnce(&mut Self, Dynamic) -> Result<Dynamic>,
    ) -> Result<Dynamic> {
        let value = self.batch_first_or_none(node, value)?;
        let (None, [images, channels, inner @ ..]) = (value.batch, &value.full[..]) else {
            return of(self, value);
        };
        let full = [&[1, images * channels], inner].concat();
        let together = self.seen_as(node, &value, full, Some(0))?;
        let made = of(self, together)?;
        let full = [&[*images, *channels], &made.full[2..]].concat();
        self.seen_as(node, &made, full, None)
    }

    /// The same numbers in the shape `full`.
    pub(super) fn seen_as(
        &mut self,
        node: &Node<'a>,
        value: &Dynamic,
        full: Vec<usize>,
        batch: Option<usize>,
    ) -> Result<Dynamic> {
        Ok(Dynamic {
            node: self.reshaped(node, value.node, &own(&full, batch))?,
            full,
            batch,
            integer: value.integer,
        })
    }

    /// A value in another shape of the same size, in row-major order.
    pub(super) fn reshape(
        &mut self,
        node: &Node<'a>,
        value: &Value,
        full: Vec<usize>,
    ) -> Result<Value> {
        Ok(match value {
            Value::Constant(constant) if size(&full) == Some(constant.len()) => {
                Value::Constant(constant.reshape(full))
            }
            Value::Constant(constant) => {
                return Err(node.error(format!("cannot reshape {:?} to {full:?}", constant.shape)));
            }
            Value::Dynamic(dynamic) => Value::Dynamic(self.reshape_dynamic(node, dynamic, full)?),
            Value::Greater(_) => {
                self.compared(node, value, |t, side| t.reshape(node, side, full.clone()))?
            }
            Value::Sequence(_) | Value::Failed(_) => return Err(no_tensor(node, value)),
        })
    }

    pub(super) fn reshape_dynamic(
        &mut self,
        node: &Node<'a>,
        value: &Dynamic,
        full: Vec<usize>,
    ) -> Result<Dynamic> {
        let Some(batch) = value.batch else {
            return self.seen_as(node, value, full, None);
        };
        match batch_after(&value.full, batch, &full) {
            Some(batch) => self.seen_as(node, value, full, Some(batch)),
            None => {
                self.one_input(node)?;
                self.seen_as(node, value, full, None)
            }
        }
    }

    /// Dimension `i` of the result is dimension `permutation[i]` of the value.
    pub(super) fn transpose(
        &mut self,
        node: &Node<'a>,
        value: &Value,
        permutation: &[usize],
    ) -> Result<Value> {
        match value {
            Value::Constant(constant) => Ok(Value::Constant(constant.transpose(permutation))),
            Value::Dynamic(dynamic) => {
                let made = self.transpose_dynamic(node, "", dynamic, permutation)?;
                Ok(Value::Dynamic(made))
            }
            Value::Greater(_) => {
                self.compared(node, value, |t, side| t.transpose(node, side, permutation))
            }
            Value::Sequence(_) | Value::Failed(_) => Err(no_tensor(node, value)),
        }
    }

    pub(super) fn transpose_dynamic(
        &mut self,
        node: &Node<'a>,
        suffix: &str,
        value: &Dynamic,
        permutation: &[usize],
    ) -> Result<Dynamic> {
        let others = permutation
            .iter()
            .filter(|axis| Some(**axis) != value.batch);
        let own: Vec<usize> = others.map(|axis| own_axis(*axis, value.batch)).collect();
        let full: Vec<usize> = permutation.iter().map(|axis| value.full[*axis]).collect();
        let batch = permutation
            .iter()
            .position(|axis| Some(*axis) == value.batch);
        let made = match own.is_sorted() {
            true => value.node,
            false => {
                let spec = OperatorSpec::Transpose { permutation: own };
                self.add(node, suffix, &spec, &[], &[value.node])?
            }
        };
        Ok(Dynamic {
            node: made,
            full,
            batch,
            integer: value.integer,
        })
    }

    /// Each entry along dimension `axis` becomes a weighted sum of entries.
    pub(super) fn resample(
        &mut self,
        node: &Node<'a>,
        value: &Value,
        axis: usize,
        rows: SparseRows,
    ) -> Result<Value> {
        self.spend(node, rows.sources.len() + rows.len())?;
        match value {
            Value::Constant(constant) => {
                let mut shape = constant.shape.clone();
                shape[axis] = rows.len();
                let count = size(&shape).ok_or_else(|| node.error("makes a value too large"))?;
                let inner = constant.len() / rows.inputs.max(1);
                self.spend(node, count)?;
                self.spend_work(
                    node,
                    count.saturating_add(inner.saturating_mul(rows.sources.len())),
                )?;
                Ok(Value::Constant(node.check(constant.resample(axis, &rows))?))
            }
            Value::Dynamic(dynamic) => Ok(Value::Dynamic(
                self.resample_dynamic(node, "", dynamic, axis, rows)?,
            )),
            Value::Greater(_) if rows.weights.is_empty() && rows.longest() <= 1 => {
                self.compared(node, value, |t, side| {
                    t.resample(node, side, axis, rows.clone())
                })
            }
            Value::Greater(_) => Err(node.error("computes with the result of a comparison")),
            Value::Sequence(_) | Value::Failed(_) => Err(no_tensor(node, value)),
        }
    }

    pub(super) fn resample_dynamic(
        &mut self,
        node: &Node<'a>,
        suffix: &str,
        value: &Dynamic,
        axis: usize,
        rows: SparseRows,
    ) -> Result<Dynamic> {
        if rows.is_identity() {
            return Ok(value.clone());
        }
        let value = match value.batch == Some(axis) {
            true => self.mixed(node, value)?,
            false => value.clone(),
        };
        let mut full = value.full.clone();
        full[axis] = rows.len();
        if rows.is_empty() {
            return Err(node.error(format!("has an output of shape {full:?}, which is empty")));
        }
        let axis = own_axis(axis, value.batch);
        let spec = match rows.as_slice() {
            Some((start, length)) => OperatorSpec::Slice {
                axis,
                start,
                length,
            },
            None => {
                // The operator keeps the transposed rows too.
                self.spend(node, rows.inputs)?;
                OperatorSpec::Resample { axis, rows }
            }
        };
        let made = self.add(node, suffix, &spec, &[], &[value.node])?;
        Ok(Dynamic {
            node: made,
            full,
            ..value
        })
    }

    /// A comparison of what `moved` makes of its two sides, each in the shape of both.
    fn compared(
        &mut self,
        node: &Node<'a>,
        comparison: &Value,
        mut moved: impl FnMut(&mut Self, &Value) -> Result<Value>,
    ) -> Result<Value> {
        let Value::Greater(both) = comparison else {
            return Err(node.error("moves what is no comparison"));
        };
        let shape = self.shape(node, comparison)?;
        let mut side = |side: &Value| {
            let whole = self.broadcast_to(node, side, &shape)?;
            moved(self, &whole)
        };
        let first = side(&both.0)?;
        Ok(Value::Greater((first, side(&both.1)?).into()))
    }

    /// A value repeated along dimensions of 1 to the shape `full`, to which it must broadcast.
    pub(super) fn broadcast_to(
        &mut self,
        node: &Node<'a>,
        value: &Value,
        full: &[usize],
    ) -> Result<Value> {
        let count = size(full).ok_or_else(|| node.error("makes a value too large"))?;
        match value {
            Value::Constant(constant) => {
                if constant.shape != full {
                    self.spend(node, count.saturating_mul(2))?;
                }
                Ok(Value::Constant(node.check(constant.broadcast_to(full))?))
            }
            Value::Dynamic(dynamic) => {
                Ok(Value::Dynamic(self.broadcast_dynamic(node, dynamic, full)?))
            }
            Value::Greater(both) => {
                let a = self.broadcast_to(node, &both.0, full)?;
                Ok(Value::Greater(
                    (a, self.broadcast_to(node, &both.1, full)?).into(),
                ))
            }
            Value::Sequence(_) | Value::Failed(_) => Err(no_tensor(node, value)),
        }
    }

    fn broadcast_dynamic(
        &mut self,
        node: &Node<'a>,
        value: &Dynamic,
        full: &[usize],
    ) -> Result<Dynamic> {
        let more = full.len() - value.full.len();
        let batch = value.batch.map(|batch| batch + more);
        let start = padded(&value.full, full.len());
        let mut found = self.seen_as(node, value, start, batch)?;
        for (axis, &n) in full.iter().enumerate() {
            if found.full[axis] != 1 && found.full[axis] != n {
                return Err(node.error(format!(
                    "a value of shape {:?} does not broadcast to {full:?}",
                    value.full
                )));
            }
            if found.full[axis] != n {
                self.spend(node, n)?;
                let rows = SparseRows::copies(1, vec![Some(0); n]);
                found = self.resample_dynamic(node, ".expand", &found, axis, rows)?;
            }
        }
        Ok(found)
    }

    /// Values that depend on the input, in one shape to which all of `shapes` broadcast, with one batch.
    pub(super) fn aligned(
        &mut self,
        node: &Node<'a>,
        values: &[Dynamic],
        shapes: &[&[usize]],
    ) -> Result<Vec<Dynamic>> {
        let all: Vec<&[usize]> = values
            .iter()
            .map(|v| &v.full[..])
            .chain(shapes.iter().copied())
            .collect();
        let full = broadcast(&all)
            .ok_or_else(|| node.error(format!("shapes {all:?} do not broadcast to one another")))?;
        if size(&full).is_none() {
            return Err(node.error(format!(
                "makes a value of shape {full:?}, which is too large"
            )));
        }
        let place = |value: &Dynamic| {
            value
                .batch
                .map(|batch| batch + full.len() - value.full.len())
        };
        let first = values.first().and_then(place);
        let shared = values.iter().all(|value| place(value) == first)
            && first.is_none_or(|batch| full[batch] == self.batch);
        let mut found = Vec::new();
        for value in values {
            let value = match shared {
                true => value.clone(),
                false => self.unbatched(node, value)?,
            };
            found.push(self.broadcast_dynamic(node, &value, &full)?);
        }
        Ok(found)
    }
}
