//! What stands for a value of the ONNX graph during translation.

use super::{constant::Constant, dims::own};
use std::rc::Rc;

/// A value of the graph.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// It does not depend on the input.
    Constant(Constant),
    /// It does.
    Dynamic(Dynamic),
    /// Whether the first is greater than the second, entry by entry.
    Greater(Rc<(Value, Value)>),
    /// Several values, one after the other.
    Sequence(Rc<[Value]>),
    /// Nothing could be made of it: the number of the failure.
    Failed(usize),
}

/// A value that depends on the input: the result of a node of the network.
#[derive(Debug, Clone)]
pub(super) struct Dynamic {
    /// The network's node, of shape [`Dynamic::own`].
    pub(super) node: usize,
    /// The shape as the graph has it.
    pub(super) full: Vec<usize>,
    /// Which dimension is the batch; `None` if the value is all of one input.
    pub(super) batch: Option<usize>,
    /// Whether it holds integers, which wrap and are cut off where numbers are computed with.
    pub(super) integer: bool,
}

impl Value {
    /// Whether it holds integers that depend on the input, or one of a sequence does.
    pub(super) fn is_integer(&self) -> bool {
        match self {
            Value::Dynamic(value) => value.integer,
            Value::Sequence(values) => values.iter().any(Self::is_integer),
            Value::Constant(_) | Value::Greater(_) | Value::Failed(_) => false,
        }
    }

    /// The same as integers.
    pub(super) fn into_integers(self) -> Self {
        match self {
            Value::Dynamic(value) => Value::Dynamic(Dynamic {
                integer: true,
                ..value
            }),
            Value::Sequence(values) => {
                Value::Sequence(values.iter().cloned().map(Self::into_integers).collect())
            }
            other => other,
        }
    }
}

impl Dynamic {
    /// The shape of one input's value: that of the graph without the batch, and never without dimensions.
    pub(super) fn own(&self) -> Vec<usize> {
        own(&self.full, self.batch)
    }
}
