//! Arithmetic with constants, sums, and activations.

use super::{
    constant::Constant,
    message::Node,
    translator::{Translator, Value},
};
use crate::{error::Result, operators::Activation, spec::OperatorSpec};

/// The two operands of a sum or product: which depends on the input, and the constant if one is constant.
enum Operands {
    /// Both depend on the input.
    Both(usize, usize),
    /// The first does.
    First(usize, Constant),
    /// The second does.
    Second(Constant, usize),
}

fn operands<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<Operands> {
    match (t.value(node, 0)?, t.value(node, 1)?) {
        (Value::Dynamic(a), Value::Dynamic(b)) => Ok(Operands::Both(a, b)),
        (Value::Dynamic(a), Value::Constant(b)) => Ok(Operands::First(a, b)),
        (Value::Constant(a), Value::Dynamic(b)) => Ok(Operands::Second(a, b)),
        _ => Err(node.error("both inputs are constant: fold constants when exporting")),
    }
}

pub(super) fn add<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let index = match operands(t, node)? {
        Operands::Both(a, b) => sum(t, node, a, b)?,
        Operands::First(a, b) | Operands::Second(b, a) => shift(t, node, "", a, &b, 1.0)?,
    };
    t.set(node, Value::Dynamic(index))
}

pub(super) fn sub<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let index = match operands(t, node)? {
        Operands::Both(a, b) => {
            let negated = negated(t, node, b)?;
            sum(t, node, a, negated)?
        }
        Operands::First(a, b) => shift(t, node, "", a, &b, -1.0)?,
        Operands::Second(a, b) => {
            let negated = negated(t, node, b)?;
            shift(t, node, "", negated, &a, 1.0)?
        }
    };
    t.set(node, Value::Dynamic(index))
}

pub(super) fn mul<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let index = match operands(t, node)? {
        Operands::Both(..) => {
            return Err(
                node.error("multiplies two values that depend on the input: not piecewise linear")
            );
        }
        Operands::First(a, b) | Operands::Second(b, a) => scale(t, node, "", a, &b)?,
    };
    t.set(node, Value::Dynamic(index))
}

pub(super) fn div<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let Operands::First(a, b) = operands(t, node)? else {
        return Err(
            node.error("divides by a value that depends on the input: not piecewise linear")
        );
    };
    let values = node.check(b.to_floats())?;
    let inverse = Constant::floats(b.shape, values.iter().map(|v| 1.0 / v).collect());
    let index = scale(t, node, "", a, &inverse)?;
    t.set(node, Value::Dynamic(index))
}

pub(super) fn neg<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = t.dynamic(node, 0)?;
    let index = scale(t, node, "", operand, &Constant::floats(vec![1], vec![-1.0]))?;
    t.set(node, Value::Dynamic(index))
}

fn negated<'a>(t: &mut Translator<'a>, node: &Node<'a>, operand: usize) -> Result<usize> {
    scale(
        t,
        node,
        ".negated",
        operand,
        &Constant::floats(vec![1], vec![-1.0]),
    )
}

fn sum<'a>(t: &mut Translator<'a>, node: &Node<'a>, a: usize, b: usize) -> Result<usize> {
    if t.shape_of(a) != t.shape_of(b) {
        return Err(node.error(format!(
            "adds values of shapes {:?} and {:?}; they must be the same",
            t.shape_of(a),
            t.shape_of(b)
        )));
    }
    t.add(node, "", &OperatorSpec::Add, &[], &[a, b])
}

/// Adds `sign` times a constant; nothing if that is 0.
fn shift<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    suffix: &str,
    operand: usize,
    constant: &Constant,
    sign: f64,
) -> Result<usize> {
    let constant = fitted(t, node, operand, constant)?;
    let values = node.check(constant.to_floats())?;
    if values.iter().all(|v| *v == 0.0) {
        return Ok(operand);
    }
    let signed = match sign {
        1.0 => constant,
        _ => Constant::floats(constant.shape, values.iter().map(|v| sign * v).collect()),
    };
    let shape = signed.shape.clone();
    let parameter = t.parameter(node, &signed, false)?;
    let spec = OperatorSpec::Translate { shape };
    t.add(node, suffix, &spec, &[("shift", parameter)], &[operand])
}

/// Multiplies by a constant; nothing if that is 1.
fn scale<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    suffix: &str,
    operand: usize,
    constant: &Constant,
) -> Result<usize> {
    let constant = fitted(t, node, operand, constant)?;
    let values = node.check(constant.to_floats())?;
    if values.iter().all(|v| *v == 1.0) {
        return Ok(operand);
    }
    let shape = constant.shape.clone();
    let parameter = t.parameter(node, &constant, false)?;
    let spec = OperatorSpec::Scale { shape };
    t.add(node, suffix, &spec, &[("scale", parameter)], &[operand])
}

/// The constant without the batch dimension; it must broadcast to the operand and not enlarge it.
fn fitted<'a>(
    t: &Translator<'a>,
    node: &Node<'a>,
    operand: usize,
    constant: &Constant,
) -> Result<Constant> {
    let full = t.full_shape(operand);
    let fits = constant.shape.len() <= full.len()
        && constant.len() > 0
        && constant
            .shape
            .iter()
            .rev()
            .zip(full.iter().rev())
            .all(|(c, f)| *c == 1 || c == f);
    if !fits {
        return Err(node.error(format!(
            "a constant of shape {:?} does not broadcast to a value of shape {full:?}",
            constant.shape
        )));
    }
    let shape = match (t.batched, constant.len()) {
        (_, 1) => vec![1],
        (true, _) if constant.shape.len() == full.len() => constant.shape[1..].to_vec(),
        _ => constant.shape.clone(),
    };
    Ok(constant.reshape(shape))
}

pub(super) fn relu<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    t.activate(node, &Activation::relu())
}

pub(super) fn leaky_relu<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    t.activate(node, &Activation::leaky_relu(node.float("alpha", 0.01))?)
}

pub(super) fn abs<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    t.activate(node, &Activation::new(&[0.0], &[-1.0, 1.0], 0.0)?)
}

/// `min(max(z, low), high)`; the bounds are inputs, before version 11 attributes.
pub(super) fn clip<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let mut bound = |index: usize, name: &str| -> Result<Option<f64>> {
        if node.optional_input(index).is_some() {
            let constant = t.constant(node, index)?;
            return Ok(Some(node.check(constant.scalar())?));
        }
        Ok(node.attribute(name).and_then(|a| a.float).map(f64::from))
    };
    // Exporters write the largest float for "no bound".
    let most = f64::from(f32::MAX);
    let low = bound(1, "min")?.filter(|low| low.is_nan() || *low > -most);
    let high = bound(2, "max")?.filter(|high| high.is_nan() || *high < most);
    let activation = match (low, high) {
        (Some(low), Some(high)) => Activation::new(&[low, high], &[0.0, 1.0, 0.0], low),
        (Some(low), None) => Activation::new(&[low], &[0.0, 1.0], low),
        (None, Some(high)) => Activation::new(&[high], &[1.0, 0.0], high),
        (None, None) => {
            let operand = t.dynamic(node, 0)?;
            return t.set(node, Value::Dynamic(operand));
        }
    };
    let activation = activation.map_err(|e| node.error(e.to_string()))?;
    t.activate(node, &activation)
}

/// The slope is one number, or one for each channel (the first dimension of an input).
pub(super) fn p_relu<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = t.dynamic(node, 0)?;
    let slope = t.constant(node, 1)?;
    let slope = fitted(t, node, operand, &slope)?;
    let channels = slope.len();
    let rank = t.shape_of(operand).len();
    // Aligned at the last dimension, only the first may be other than 1.
    if channels != 1 && (slope.shape.len() != rank || slope.shape[0] != channels) {
        return Err(node.error(format!(
            "slopes of shape {:?} for a value of shape {:?}; one number, or one for each channel",
            slope.shape,
            t.full_shape(operand)
        )));
    }
    let weight = t.parameter(node, &slope.reshape(vec![channels]), false)?;
    let spec = OperatorSpec::Prelu { channels };
    let index = t.add(node, "", &spec, &[("weight", weight)], &[operand])?;
    t.set(node, Value::Dynamic(index))
}
