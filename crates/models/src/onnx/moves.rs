//! Operators that move numbers without changing them: shapes and their dimensions.

use super::{
    body::size,
    constant::Constant,
    dims::own_axis,
    element::Element,
    message::Node,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::{error::Result, spec::OperatorSpec};

/// The output is the first input.
pub(super) fn identity<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    t.set(node, 0, value)
}

/// Inference is without dropout.
pub(super) fn dropout<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    if let Some(training) = t.optional_constant(node, 2)?
        && training.as_floats().iter().any(|v| *v != 0.0)
    {
        return Err(node.error("is in training mode; export the model in inference mode"));
    }
    if let Some(mask) = node.outputs.get(1) {
        let error = node.error("gives a mask, which is not read");
        t.fail_outputs(&[*mask], error);
    }
    identity(t, node)
}

/// `ai.onnx.ml`'s `Imputer` of what is no number, which no input here has.
pub(super) fn imputer<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    match node.float("replaced_value_float", 0.0).is_nan() {
        true => identity(t, node),
        false => Err(node.error("replaces a number by another: not continuous")),
    }
}

/// A constant given as an attribute.
pub(super) fn constant<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let [attribute] = &node.attributes[..] else {
        return Err(node.error(format!(
            "needs one attribute, found {}",
            node.attributes.len()
        )));
    };
    let says = |cause| node.error(format!("attribute `{}`: {cause}", attribute.name));
    let constant = match (attribute.name, &attribute.tensor) {
        ("value", Some(tensor)) => t.decode(tensor).map_err(says)?,
        ("value_float", _) => {
            let values = vec![node.float("value_float", 0.0)];
            Constant::floats(vec![], values).cast(Element::Single)
        }
        ("value_int", _) => Constant::ints(vec![], vec![node.int("value_int", 0)]),
        ("value_floats", _) => {
            let values = attribute.floats.clone();
            Constant::floats(vec![values.len()], values).cast(Element::Single)
        }
        ("value_ints", _) => Constant::ints(vec![attribute.ints.len()], attribute.ints.clone()),
        _ => return Err(says("not supported".into())),
    };
    t.set(node, 0, Value::Constant(constant))
}

/// The shape, which is known, as a constant.
pub(super) fn shape<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let rank = full.len() as i64;
    let place = |name: &str, default: i64| {
        let at = node.int(name, default);
        let at = if at < 0 { at.saturating_add(rank) } else { at };
        at.clamp(0, rank) as usize
    };
    let (start, end) = (place("start", 0), place("end", rank));
    let chosen = full.get(start..end).unwrap_or_default();
    let numbers: Vec<i64> = chosen.iter().map(|n| *n as i64).collect();
    let found = Constant::ints(vec![numbers.len()], numbers);
    t.set(node, 0, Value::Constant(found))
}

/// How many numbers, as a constant.
pub(super) fn size_of<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let count = size(&full).ok_or_else(|| node.error("a value too large"))?;
    t.set(
        node,
        0,
        Value::Constant(Constant::ints(vec![], vec![count as i64])),
    )
}

pub(super) fn flatten<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let axis = node.int("axis", 1);
    // Here the axis may also be the rank.
    let split = match axis == full.len() as i64 {
        true => full.len(),
        false => node.axis(axis, full.len())?,
    };
    let (first, second) = full.split_at(split);
    let (Some(rows), Some(columns)) = (size(first), size(second)) else {
        return Err(node.error(format!("a value of shape {full:?} is too large")));
    };
    set_shape(t, node, &value, vec![rows, columns])
}

pub(super) fn reshape<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let wanted = t.constant(node, 1)?;
    let wanted = node.check(wanted.to_ints())?;
    let full = t.shape(node, &value)?;
    let impossible = || node.error(format!("cannot reshape {full:?} to {wanted:?}"));
    let total = size(&full).ok_or_else(impossible)?;
    let mut shape = Vec::with_capacity(wanted.len());
    for (axis, &dimension) in wanted.iter().enumerate() {
        shape.push(match dimension {
            0 if node.int("allowzero", 0) == 0 => *full.get(axis).ok_or_else(impossible)?,
            // Filled in below.
            -1 => 1,
            d => usize::try_from(d).map_err(|_| impossible())?,
        });
    }
    let known = size(&shape).ok_or_else(impossible)?;
    let mut open = (0..wanted.len()).filter(|&axis| wanted[axis] == -1);
    match (open.next(), open.next()) {
        (None, _) if known == total => {}
        (Some(axis), None) if known > 0 && total.is_multiple_of(known) => {
            shape[axis] = total / known
        }
        _ => return Err(impossible()),
    }
    set_shape(t, node, &value, shape)
}

pub(super) fn squeeze<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let removed = match axes(t, node, 1)? {
        Some(axes) => node.axes(&axes, full.len())?,
        None => (0..full.len()).map(|axis| full[axis] == 1).collect(),
    };
    if let Some(axis) = (0..full.len()).find(|&axis| removed[axis] && full[axis] != 1) {
        return Err(node.error(format!(
            "removes dimension {axis} of {full:?}, which is not 1"
        )));
    }
    let kept = (0..full.len()).filter(|&axis| !removed[axis]);
    let shape = kept.map(|axis| full[axis]).collect();
    set_shape(t, node, &value, shape)
}

pub(super) fn unsqueeze<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let axes = axes(t, node, 1)?.ok_or_else(|| node.error("lacks its axes"))?;
    let added = node.axes(&axes, full.len() + axes.len())?;
    let made = unsqueezed(t, node, &value, &added)?;
    t.set(node, 0, made)
}

/// A value with dimensions of 1 where they are `added`, of all that it then has.
pub(super) fn unsqueezed<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: &Value,
    added: &[bool],
) -> Result<Value> {
    let shape = with_ones(&t.shape(node, value)?, added);
    let Value::Dynamic(dynamic) = value else {
        return t.reshape(node, value, shape);
    };
    // The batch moves with its dimension, whatever other dimensions of 1 there are.
    let places: Vec<usize> = (0..added.len()).filter(|at| !added[*at]).collect();
    let batch = dynamic.batch.map(|batch| places[batch]);
    Ok(Value::Dynamic(t.seen_as(node, dynamic, shape, batch)?))
}

fn with_ones(full: &[usize], added: &[bool]) -> Vec<usize> {
    let mut rest = full.iter();
    (added.iter())
        .filter_map(|added| {
            if *added {
                Some(1)
            } else {
                rest.next().copied()
            }
        })
        .collect()
}

pub(super) fn transpose<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let rank = t.shape(node, &value)?.len();
    let permutation = match node.ints("perm") {
        Some(perm) => {
            let axes = perm.iter().map(|&axis| usize::try_from(axis).ok());
            axes.collect::<Option<Vec<_>>>()
        }
        None => Some((0..rank).rev().collect()),
    };
    let permutation = permutation
        .filter(|permutation| {
            let mut sorted = permutation.clone();
            sorted.sort_unstable();
            sorted.into_iter().eq(0..rank)
        })
        .ok_or_else(|| node.error(format!("perm is no permutation of {rank} dimensions")))?;
    let moved = t.transpose(node, &value, &permutation)?;
    t.set(node, 0, moved)
}

pub(super) fn concat<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let mut values = Vec::new();
    for index in 0..node.inputs.len() {
        values.push(t.value(node, index)?);
    }
    let Some(first) = values.first() else {
        return Err(node.error("has no inputs"));
    };
    let rank = t.shape(node, first)?.len();
    let axis = node
        .attribute("axis")
        .and_then(|a| a.int)
        .ok_or_else(|| node.error("lacks its axis"))?;
    let axis = node.axis(axis, rank)?;
    let made = joined(t, node, &values, axis)?;
    t.set(node, 0, Value::Dynamic(made))
}

/// Values side by side along dimension `axis`, at least one of which depends on the input.
pub(super) fn joined<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    values: &[Value],
    axis: usize,
) -> Result<Dynamic> {
    let dynamic = values.iter().filter_map(|value| match value {
        Value::Dynamic(dynamic) => Some(dynamic),
        _ => None,
    });
    let batches: Vec<_> = dynamic.map(|dynamic| dynamic.batch).collect();
    let shared = batches.first().copied().flatten();
    let shared = shared.filter(|batch| *batch != axis && batches.iter().all(|b| *b == shared));
    let integer = values.iter().any(Value::is_integer);
    let (mut operands, mut shapes) = (Vec::new(), Vec::new());
    for value in values {
        let operand = match value {
            Value::Dynamic(dynamic) if shared.is_some() => dynamic.clone(),
            Value::Dynamic(dynamic) => t.unbatched(node, dynamic)?,
            Value::Constant(constant) if constant.len() == 0 => continue,
            Value::Constant(constant) => {
                if shared.is_some_and(|batch| constant.shape.get(batch) != Some(&t.batch)) {
                    return Err(node.error("joins a constant that lacks the batch dimension"));
                }
                t.lifted(node, constant, shared)?
            }
            _ => return Err(node.error("joins the result of a comparison")),
        };
        operands.push(operand.node);
        shapes.push(operand.full);
    }
    let own = own_axis(axis, shared);
    let total = shapes.iter().filter_map(|shape| shape.get(axis)).sum();
    let Some(mut full) = shapes.into_iter().next() else {
        return Err(node.error("has no inputs"));
    };
    let spec = OperatorSpec::Concat { axis: own };
    let made = t.add(node, "", &spec, &[], &operands)?;
    full[axis] = total;
    Ok(Dynamic {
        node: made,
        full,
        batch: shared,
        integer,
    })
}

/// The value in the shape `full`, which includes the batch dimension and has the same size.
fn set_shape<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: &Value,
    full: Vec<usize>,
) -> Result<()> {
    let made = t.reshape(node, value, full)?;
    t.set(node, 0, made)
}

/// The axes of a node: an attribute, or in later versions input `index`.
pub(super) fn axes<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    index: usize,
) -> Result<Option<Vec<i64>>> {
    match t.optional_constant(node, index)? {
        Some(axes) => Ok(Some(node.check(axes.to_ints())?.to_vec())),
        None => Ok(node.ints("axes").map(<[i64]>::to_vec)),
    }
}
