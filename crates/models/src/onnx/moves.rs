//! Operators that move numbers without changing them.

use super::{
    constant::Constant,
    graph::size,
    message::Node,
    translator::{Translator, Value},
};
use crate::{error::Result, spec::OperatorSpec};

/// The output is the first input.
pub(super) fn identity<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    t.set(node, value)
}

/// Inference is without dropout.
pub(super) fn dropout<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    if node.optional_input(2).is_some() {
        let training = t.constant(node, 2)?;
        if node.check(training.to_ints())?.iter().any(|v| *v != 0) {
            return Err(node.error("is in training mode; export the model in inference mode"));
        }
    }
    identity(t, node)
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
        ("value_float", _) => Constant::floats(vec![], vec![node.float("value_float", 0.0)]),
        ("value_int", _) => Constant::ints(vec![], vec![node.int("value_int", 0)]),
        ("value_floats", _) => {
            Constant::floats(vec![attribute.floats.len()], attribute.floats.clone())
        }
        ("value_ints", _) => Constant::ints(vec![attribute.ints.len()], attribute.ints.clone()),
        _ => return Err(says("not supported".into())),
    };
    t.set(node, Value::Constant(constant))
}

pub(super) fn flatten<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.full_shape_of(&value);
    let axis = node.int("axis", 1);
    // Here the axis may also be the rank.
    let split = match axis == full.len() as i64 {
        true => full.len(),
        false => resolve_axis(node, axis, full.len())?,
    };
    let (first, second) = full.split_at(split);
    let (Some(rows), Some(columns)) = (size(first), size(second)) else {
        return Err(node.error(format!("a value of shape {full:?} is too large")));
    };
    set_shape(t, node, value, vec![rows, columns])
}

pub(super) fn reshape<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let wanted = t.constant(node, 1)?;
    let wanted = node.check(wanted.to_ints())?;
    let full = t.full_shape_of(&value);
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
    let known = size(&shape).filter(|n| *n > 0).ok_or_else(impossible)?;
    let mut open = (0..wanted.len()).filter(|&axis| wanted[axis] == -1);
    match (open.next(), open.next()) {
        (None, _) if known == total => {}
        (Some(axis), None) if total % known == 0 => shape[axis] = total / known,
        _ => return Err(impossible()),
    }
    set_shape(t, node, value, shape)
}

pub(super) fn squeeze<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.full_shape_of(&value);
    let removed = match axes(t, node)? {
        Some(axes) => resolve_axes(node, &axes, full.len())?,
        None => (0..full.len()).map(|axis| full[axis] == 1).collect(),
    };
    if let Some(axis) = (0..full.len()).find(|&axis| removed[axis] && full[axis] != 1) {
        return Err(node.error(format!(
            "removes dimension {axis} of {full:?}, which is not 1"
        )));
    }
    let kept = (0..full.len()).filter(|&axis| !removed[axis]);
    let shape = kept.map(|axis| full[axis]).collect();
    set_shape(t, node, value, shape)
}

pub(super) fn unsqueeze<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.full_shape_of(&value);
    let axes = axes(t, node)?.ok_or_else(|| node.error("lacks its axes"))?;
    let added = resolve_axes(node, &axes, full.len() + axes.len())?;
    let mut rest = full.into_iter();
    let shape = added
        .into_iter()
        .filter_map(|added| if added { Some(1) } else { rest.next() })
        .collect();
    set_shape(t, node, value, shape)
}

pub(super) fn transpose<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let rank = t.full_shape_of(&value).len();
    let permutation = match node.attribute("perm") {
        Some(perm) => {
            let axes = perm.ints.iter().map(|&axis| usize::try_from(axis).ok());
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
    match value {
        Value::Constant(constant) => t.set(node, Value::Constant(constant.transpose(&permutation))),
        Value::Dynamic(operand) => {
            let permutation = match (t.batched, &permutation[..]) {
                (false, all) => all.to_vec(),
                (true, [0, rest @ ..]) => rest.iter().map(|axis| axis - 1).collect(),
                (true, _) => return Err(node.error("moves the batch dimension")),
            };
            let index = if permutation.is_sorted() {
                operand
            } else {
                let spec = OperatorSpec::Transpose { permutation };
                t.add(node, "", &spec, &[], &[operand])?
            };
            t.set(node, Value::Dynamic(index))
        }
    }
}

pub(super) fn concat<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let mut operands = Vec::new();
    for index in 0..node.inputs.len() {
        operands.push(t.dynamic(node, index)?);
    }
    let Some(&first) = operands.first() else {
        return Err(node.error("has no inputs"));
    };
    let axis = node
        .attribute("axis")
        .and_then(|a| a.int)
        .ok_or_else(|| node.error("lacks its axis"))?;
    let axis = resolve_axis(node, axis, t.full_shape(first).len())?;
    let axis = axis
        .checked_sub(usize::from(t.batched))
        .ok_or_else(|| node.error("concatenates along the batch dimension"))?;
    let index = t.add(node, "", &OperatorSpec::Concat { axis }, &[], &operands)?;
    t.set(node, Value::Dynamic(index))
}

/// The value in the shape `full`, which includes the batch dimension and has the same size.
fn set_shape<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: Value,
    full: Vec<usize>,
) -> Result<()> {
    match value {
        Value::Constant(constant) => t.set(node, Value::Constant(constant.reshape(full))),
        Value::Dynamic(operand) => {
            let shape = t.without_batch(node, &full)?;
            let index = t.reshaped(node, operand, shape)?;
            t.set(node, Value::Dynamic(index))
        }
    }
}

/// The axes of a `Squeeze` or `Unsqueeze`: an attribute, or from version 13 on the second input.
fn axes<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<Option<Vec<i64>>> {
    if node.optional_input(1).is_some() {
        let axes = t.constant(node, 1)?;
        return Ok(Some(node.check(axes.to_ints())?.to_vec()));
    }
    Ok(node.attribute("axes").map(|a| a.ints.clone()))
}

/// Which of `rank` dimensions the axes are; negative ones count from the end.
fn resolve_axes(node: &Node<'_>, axes: &[i64], rank: usize) -> Result<Vec<bool>> {
    let mut chosen = vec![false; rank];
    for &axis in axes {
        let axis = resolve_axis(node, axis, rank)?;
        if std::mem::replace(&mut chosen[axis], true) {
            return Err(node.error(format!("names dimension {axis} twice")));
        }
    }
    Ok(chosen)
}

fn resolve_axis(node: &Node<'_>, axis: i64, rank: usize) -> Result<usize> {
    let positive = if axis < 0 {
        axis.checked_add(rank as i64)
    } else {
        Some(axis)
    };
    positive
        .and_then(|axis| usize::try_from(axis).ok())
        .filter(|axis| *axis < rank)
        .ok_or_else(|| node.error(format!("names dimension {axis} of {rank}")))
}
