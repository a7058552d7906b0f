//! Maxima and minima: of several values, over dimensions, and under windows of any number of dimensions.

use super::{
    arithmetic::{beside, negated, number, scaled, shifted},
    body::size,
    constant::Constant,
    dims::own_axis,
    message::Node,
    moves::joined,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::{error::Result, operators::Activation, spec::OperatorSpec};

/// `Max` and `Min` of several values, constants among them.
pub(super) fn max_of_all<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let (mut dynamics, mut constants) = (Vec::new(), Vec::new());
    for index in 0..node.inputs.len() {
        match t.value(node, index)? {
            Value::Dynamic(dynamic) => dynamics.push(dynamic),
            Value::Constant(constant) => constants.push(constant),
            _ => return Err(node.error("compares the result of a comparison: not continuous")),
        }
    }
    let min = node.op_type == "Min";
    let shapes: Vec<&[usize]> = constants.iter().map(|c| &c.shape[..]).collect();
    let dynamics = t.aligned(node, &dynamics, &shapes)?;
    let mut made = match &dynamics[..] {
        [one] => one.clone(),
        several => between(t, node, several, min)?,
    };
    for constant in constants {
        made = with_constant(t, node, made, &constant, min)?;
    }
    t.set(node, 0, Value::Dynamic(made))
}

/// The larger of a value and a constant, or the smaller.
fn with_constant<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: Dynamic,
    constant: &Constant,
    min: bool,
) -> Result<Dynamic> {
    let slopes = if min { [1.0, 0.0] } else { [0.0, 1.0] };
    let never = if min {
        f64::INFINITY
    } else {
        f64::NEG_INFINITY
    };
    if constant.as_floats().iter().all(|v| *v == never) {
        return beside(t, node, value, constant);
    }
    if let Some(bound) = constant.only() {
        let value = beside(t, node, value, constant)?;
        if let Some(clipped) = clipped(t, node, &value, (bound, min))? {
            return Ok(clipped);
        }
        let activation = Activation::new(&[bound], &slopes, bound);
        let activation = activation.map_err(|e| node.error(e.to_string()))?;
        let made = t.activated(node, "", &value, &activation)?;
        t.bounded.insert(made.node);
        return Ok(made);
    }
    let value = beside(t, node, value, constant)?;
    let below = shifted(t, node, ".difference", &value, constant, -1.0)?;
    let activation = Activation::new(&[0.0], &slopes, 0.0)?;
    let kept = t.activated(node, "", &below, &activation)?;
    shifted(t, node, ".back", &kept, constant, 1.0)
}

/// `min(max(z, low), high)` as the one activation that it is, given the outer bound and whether it is the upper one.
fn clipped<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: &Dynamic,
    (bound, min): (f64, bool),
) -> Result<Option<Dynamic>> {
    if !t.bounded.contains(&value.node) {
        return Ok(None);
    }
    let inner = if min { [0.0, 1.0] } else { [1.0, 0.0] };
    let (operator, operands) = t.nodes().get(value.node);
    let (
        Some(OperatorSpec::Activation {
            breakpoints,
            slopes,
            anchor,
        }),
        &[operand],
    ) = (operator.spec(), operands)
    else {
        return Ok(None);
    };
    let (&[at], true) = (&breakpoints[..], slopes[..] == inner) else {
        return Ok(None);
    };
    let [low, high] = if min { [at, bound] } else { [bound, at] };
    if at != anchor || !(low < high && low.is_finite() && high.is_finite()) {
        return Ok(None);
    }
    let operand = Dynamic {
        node: operand,
        ..value.clone()
    };
    let clip = Activation::clip(low, high)?;
    t.activated(node, "", &operand, &clip).map(Some)
}

/// The largest, or smallest, of values of one shape, number by number.
pub(super) fn between<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    values: &[Dynamic],
    min: bool,
) -> Result<Dynamic> {
    let Some(first) = values.first() else {
        return Err(node.error("has nothing to compare"));
    };
    let own = first.own();
    let mut rows = Vec::new();
    for value in values {
        let mut shape = vec![1];
        shape.extend(&own);
        let row = Dynamic {
            node: t.reshaped(node, value.node, &shape)?,
            full: shape,
            batch: None,
            integer: false,
        };
        rows.push(Value::Dynamic(row));
    }
    let joined = joined(t, node, &rows, 0)?;
    let made = of_first(t, node, joined, min)?;
    Ok(Dynamic {
        node: t.reshaped(node, made.node, &own)?,
        ..first.clone()
    })
}

/// The largest, or smallest, along the first dimension, which stays as 1; the value has no batch.
pub(super) fn of_first<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: Dynamic,
    min: bool,
) -> Result<Dynamic> {
    let pieces = value.full[0];
    let mut full = value.full.clone();
    full[0] = 1;
    if pieces == 1 {
        return Ok(value);
    }
    let value = if min {
        negated(t, node, &value)?
    } else {
        value
    };
    let spec = OperatorSpec::Maxout { pieces };
    let made = t.add(node, "", &spec, &[], &[value.node])?;
    let made = Dynamic {
        node: made,
        full,
        batch: None,
        integer: false,
    };
    match min {
        true => scaled(t, node, ".back", &made, &number(-1.0)),
        false => Ok(made),
    }
}

/// The largest over some dimensions, which stay as 1.
pub(super) fn over<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: &Dynamic,
    reduced: &[bool],
    min: bool,
) -> Result<Dynamic> {
    let value = match value.batch {
        Some(batch) if reduced[batch] => t.mixed(node, value)?,
        _ => value.clone(),
    };
    let own_reduced: Vec<usize> = (0..reduced.len())
        .filter(|axis| Some(*axis) != value.batch && reduced[*axis])
        .map(|axis| own_axis(axis, value.batch))
        .collect();
    let own = value.own();
    let mut full = value.full.clone();
    (0..full.len())
        .filter(|axis| reduced[*axis])
        .for_each(|axis| full[axis] = 1);
    let kept: Vec<usize> = (0..own.len())
        .filter(|axis| !own_reduced.contains(axis))
        .collect();
    let pieces = own_reduced.iter().map(|axis| own[*axis]).product();
    let inner: usize = kept.iter().map(|axis| own[*axis]).product();
    if size(&[pieces, inner]).is_none() {
        return Err(node.error("compares too many numbers"));
    }
    let one = Dynamic {
        node: value.node,
        full: own.clone(),
        batch: None,
        integer: false,
    };
    let order = [own_reduced, kept].concat();
    let turned = t.transpose_dynamic(node, ".transpose", &one, &order)?;
    let rows = t.seen_as(node, &turned, vec![pieces, inner], None)?;
    let found = of_first(t, node, rows, min)?;
    t.seen_as(node, &found, full, value.batch)
}
