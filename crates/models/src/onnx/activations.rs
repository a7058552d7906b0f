//! Piecewise-linear functions of one number.

use super::{
    arithmetic::{beside, number, scaled, shifted},
    constant::Constant,
    element::Element,
    message::Node,
    moves::identity,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::{error::Result, operators::Activation, spec::OperatorSpec};

fn activate<'a>(t: &mut Translator<'a>, node: &Node<'a>, activation: &Activation) -> Result<()> {
    let operand = t.dynamic(node, 0)?;
    let made = t.activated(node, "", &operand, activation)?;
    t.set(node, 0, Value::Dynamic(made))
}

pub(super) fn relu<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    activate(t, node, &Activation::relu())
}

pub(super) fn leaky_relu<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    match node.float("alpha", 0.01) {
        // Nothing changes at 0.
        1.0 => identity(t, node),
        alpha => activate(t, node, &Activation::leaky_relu(alpha)?),
    }
}

pub(super) fn abs<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    activate(t, node, &Activation::new(&[0.0], &[-1.0, 1.0], 0.0)?)
}

/// `x` above `alpha`, otherwise 0: continuous for an `alpha` of 0 alone.
pub(super) fn thresholded_relu<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    match node.float("alpha", 1.0) {
        0.0 => relu(t, node),
        alpha => Err(node.error(format!("with an alpha of {alpha} is not continuous"))),
    }
}

/// Continuous where what is cut off is also taken away.
pub(super) fn shrink<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let (at, bias) = (node.float("lambd", 0.5), node.float("bias", 0.0));
    if at != bias || at < 0.0 {
        return Err(node.error(format!(
            "with a lambd of {at} and a bias of {bias} is not continuous"
        )));
    }
    match at {
        0.0 => identity(t, node),
        at => activate(
            t,
            node,
            &Activation::new(&[-at, at], &[1.0, 0.0, 1.0], 0.0)?,
        ),
    }
}

/// `min(max(alpha x + beta, 0), 1)`.
pub(super) fn hard_sigmoid<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = t.dynamic(node, 0)?;
    let (alpha, beta) = (node.float("alpha", 0.2), node.float("beta", 0.5));
    let scaled = scaled(t, node, ".scale", &operand, &number(alpha))?;
    let shifted = shifted(t, node, ".shift", &scaled, &number(beta), 1.0)?;
    let made = t.activated(node, "", &shifted, &Activation::clip(0.0, 1.0)?)?;
    t.set(node, 0, Value::Dynamic(made))
}

/// `min(max(z, low), high)`; the bounds are inputs, before version 11 attributes.
pub(super) fn clip<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    // Exporters write the largest number of the type, or infinity, for "no bound".
    let mut bound = |index: usize, name: &str, sign: f64| -> Result<Option<f64>> {
        let (bound, most) = match t.optional_constant(node, index)? {
            Some(constant) => (node.check(constant.scalar())?, constant.element.largest()),
            None => match node.attribute(name).and_then(|a| a.float) {
                Some(bound) => (f64::from(bound), Element::Single.largest()),
                None => return Ok(None),
            },
        };
        Ok((bound.is_nan() || sign * bound < most).then_some(bound))
    };
    let low = bound(1, "min", -1.0)?;
    let high = bound(2, "max", 1.0)?;
    let activation = match (low, high) {
        // A constant; the side of the bound stays a neuron.
        (Some(low), Some(high)) if low >= high => Activation::new(&[high], &[0.0, 0.0], high),
        (Some(low), Some(high)) => Activation::new(&[low, high], &[0.0, 1.0, 0.0], low),
        (Some(low), None) => Activation::new(&[low], &[0.0, 1.0], low),
        (None, Some(high)) => Activation::new(&[high], &[1.0, 0.0], high),
        (None, None) => return identity(t, node),
    };
    let activation = activation.map_err(|e| node.error(e.to_string()))?;
    activate(t, node, &activation)
}

/// Slopes of any shape that broadcasts to the value.
pub(super) fn p_relu<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = t.dynamic(node, 0)?;
    let slope = t.constant(node, 1)?;
    let operand = beside(t, node, operand, &slope)?;
    let slope = t.fitted(node, &operand, &slope)?;
    let own = operand.own();
    let channels = slope.len();
    // Aligned at the last dimension, only the first may be other than 1.
    let per_channel =
        channels == 1 || (slope.shape.len() == own.len() && slope.shape[0] == channels);
    if per_channel {
        let made = prelu(t, node, &operand, &slope)?;
        return t.set(node, 0, Value::Dynamic(made));
    }
    // A slope for each number: every number a channel.
    let size: usize = own.iter().product();
    t.spend(node, size.saturating_mul(2))?;
    let slopes = node.check(slope.broadcast_to(&own))?;
    let flat = Dynamic {
        node: t.reshaped(node, operand.node, &[size])?,
        full: vec![size],
        batch: None,
        integer: false,
    };
    let made = prelu(t, node, &flat, &slopes)?;
    let back = t.reshaped(node, made.node, &own)?;
    t.set(
        node,
        0,
        Value::Dynamic(Dynamic {
            node: back,
            ..operand
        }),
    )
}

fn prelu<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    operand: &Dynamic,
    slopes: &Constant,
) -> Result<Dynamic> {
    let channels = slopes.len();
    let weight = t.parameter(node, &slopes.reshape(vec![channels]), false)?;
    let spec = OperatorSpec::Prelu { channels };
    let made = t.add(node, "", &spec, &[("weight", weight)], &[operand.node])?;
    Ok(Dynamic {
        node: made,
        ..operand.clone()
    })
}
