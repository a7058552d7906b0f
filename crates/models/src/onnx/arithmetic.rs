//! Sums, and products with constants.

use super::{
    body::refused,
    constant::Constant,
    dims::broadcast,
    element::Element,
    message::Node,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::{error::Result, spec::OperatorSpec};

/// The two operands of a sum or product: which depends on the input, and the constant if one is constant.
pub(super) enum Operands {
    /// Both depend on the input.
    Both(Dynamic, Dynamic),
    /// The first does.
    First(Dynamic, Constant),
    /// The second does.
    Second(Constant, Dynamic),
}

pub(super) fn operands<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<Operands> {
    match (t.value(node, 0)?, t.value(node, 1)?) {
        (Value::Dynamic(a), Value::Dynamic(b)) => {
            let both = t.aligned(node, &[a, b], &[])?;
            Ok(Operands::Both(both[0].clone(), both[1].clone()))
        }
        (Value::Dynamic(a), Value::Constant(b)) => Ok(Operands::First(beside(t, node, a, &b)?, b)),
        (Value::Constant(a), Value::Dynamic(b)) => {
            let b = beside(t, node, b, &a)?;
            Ok(Operands::Second(a, b))
        }
        (Value::Greater(_), _) | (_, Value::Greater(_)) => Err(node.error(
            "computes with the result of a comparison: not continuous, unless Where selects by it",
        )),
        _ => Err(node
            .error("has two constants that are not computed here: fold constants when exporting")),
    }
}

/// The value repeated so that it needs no larger shape beside the constant.
pub(super) fn beside<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: Dynamic,
    constant: &Constant,
) -> Result<Dynamic> {
    let mut found = t.aligned(node, &[value], &[&constant.shape])?;
    found.pop().ok_or_else(|| refused("a value is lost"))
}

pub(super) fn add<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let made = match operands(t, node)? {
        Operands::Both(a, b) => sum(t, node, "", &[a, b])?,
        Operands::First(a, b) | Operands::Second(b, a) => shifted(t, node, "", &a, &b, 1.0)?,
    };
    t.set(node, 0, Value::Dynamic(made))
}

pub(super) fn sub<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let made = match operands(t, node)? {
        Operands::Both(a, b) => {
            let negated = negated(t, node, &b)?;
            sum(t, node, "", &[a, negated])?
        }
        Operands::First(a, b) => shifted(t, node, "", &a, &b, -1.0)?,
        Operands::Second(a, b) => {
            let negated = negated(t, node, &b)?;
            shifted(t, node, "", &negated, &a, 1.0)?
        }
    };
    t.set(node, 0, Value::Dynamic(made))
}

pub(super) fn mul<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let made = match operands(t, node)? {
        Operands::Both(..) => {
            return Err(
                node.error("multiplies two values that depend on the input: not piecewise linear")
            );
        }
        Operands::First(a, b) | Operands::Second(b, a) => scaled(t, node, "", &a, &b)?,
    };
    t.set(node, 0, Value::Dynamic(made))
}

pub(super) fn div<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let Operands::First(a, b) = operands(t, node)? else {
        return Err(
            node.error("divides by a value that depends on the input: not piecewise linear")
        );
    };
    let made = divided(t, node, "", &a, &b)?;
    t.set(node, 0, Value::Dynamic(made))
}

pub(super) fn neg<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = t.dynamic(node, 0)?;
    let made = scaled(t, node, "", &operand, &number(-1.0))?;
    t.set(node, 0, Value::Dynamic(made))
}

/// A power of 1, which exporters write.
pub(super) fn pow<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let exponent = t.constant(node, 1)?;
    match exponent.as_floats().iter().all(|e| *e == 1.0) {
        true => {
            let operand = t.dynamic(node, 0)?;
            let made = beside(t, node, operand, &exponent)?;
            t.set(node, 0, Value::Dynamic(made))
        }
        false => Err(node.error("raises to a power other than 1: not piecewise linear")),
    }
}

/// `Sum` and `Mean` of any number of values.
pub(super) fn sum_of_all<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let (mut dynamics, mut constants) = (Vec::new(), Vec::new());
    for index in 0..node.inputs.len() {
        match t.value(node, index)? {
            Value::Dynamic(dynamic) => dynamics.push(dynamic),
            Value::Constant(constant) => constants.push(constant),
            _ => return Err(node.error("adds the result of a comparison: not continuous")),
        }
    }
    let shapes: Vec<&[usize]> = constants.iter().map(|c| &c.shape[..]).collect();
    let mut dynamics = t.aligned(node, &dynamics, &shapes)?;
    let mut made = match (&dynamics[..], &constants[..]) {
        ([one], [constant]) => shifted(t, node, ".constant", one, constant, 1.0)?,
        ([], _) => {
            return Err(node.error(
                "adds constants that are not computed here: fold constants when exporting",
            ));
        }
        _ => {
            // All of them in one sum, in whatever order it is taken.
            for constant in &constants {
                let beside = t.lifted_beside(node, constant, &dynamics[0])?;
                dynamics.push(beside);
            }
            sum(t, node, "", &dynamics)?
        }
    };
    if node.op_type == "Mean" {
        made = divided(t, node, ".mean", &made, &number(node.inputs.len() as f64))?;
    }
    t.set(node, 0, Value::Dynamic(made))
}

/// One number as a constant.
pub(super) fn number(value: f64) -> Constant {
    Constant::floats(vec![1], vec![value])
}

pub(super) fn negated<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    operand: &Dynamic,
) -> Result<Dynamic> {
    scaled(t, node, ".negated", operand, &number(-1.0))
}

/// The sum of values of one shape.
pub(super) fn sum<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    suffix: &str,
    values: &[Dynamic],
) -> Result<Dynamic> {
    let Some(first) = values.first() else {
        return Err(node.error("adds nothing"));
    };
    if values.len() == 1 {
        return Ok(first.clone());
    }
    let operands: Vec<usize> = values.iter().map(|value| value.node).collect();
    let made = t.add(node, suffix, &OperatorSpec::Add, &[], &operands)?;
    Ok(Dynamic {
        node: made,
        ..first.clone()
    })
}

/// Adds `sign` times a constant that broadcasts to the value; nothing if that is 0.
pub(super) fn shifted<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    suffix: &str,
    operand: &Dynamic,
    constant: &Constant,
    sign: f64,
) -> Result<Dynamic> {
    let constant = t.fitted(node, operand, constant)?;
    let values = node.check(constant.to_floats())?;
    if values.iter().all(|v| *v == 0.0) {
        return Ok(operand.clone());
    }
    let signed = match sign {
        1.0 => constant,
        _ => Constant::floats(constant.shape, values.iter().map(|v| sign * v).collect()),
    };
    let spec = |shape| OperatorSpec::Translate { shape };
    by_constant(t, node, suffix, operand, (&signed, "shift", &spec))
}

/// An operator with a constant that fits the value, its parameter of that name.
fn by_constant<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    suffix: &str,
    operand: &Dynamic,
    (constant, name, spec): (&Constant, &'static str, &dyn Fn(Vec<usize>) -> OperatorSpec),
) -> Result<Dynamic> {
    let parameter = t.parameter(node, constant, false)?;
    let spec = spec(constant.shape.clone());
    let made = t.add(node, suffix, &spec, &[(name, parameter)], &[operand.node])?;
    Ok(Dynamic {
        node: made,
        ..operand.clone()
    })
}

/// Multiplies by a constant that broadcasts to the value; nothing if that is 1.
pub(super) fn scaled<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    suffix: &str,
    operand: &Dynamic,
    constant: &Constant,
) -> Result<Dynamic> {
    let constant = t.fitted(node, operand, constant)?;
    let values = node.check(constant.to_floats())?;
    if values.iter().all(|v| *v == 1.0) {
        return Ok(operand.clone());
    }
    let spec = |shape| OperatorSpec::Scale { shape };
    by_constant(t, node, suffix, operand, (&constant, "scale", &spec))
}

/// A value divided by a constant: times its inverse where that is a floating-point number, normal as the constant is in every type of
/// an evaluation, otherwise by the constant itself.
pub(super) fn divided<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    suffix: &str,
    operand: &Dynamic,
    constant: &Constant,
) -> Result<Dynamic> {
    let values = node.check(constant.to_floats())?;
    let inverse: Vec<f64> = values.iter().map(|v| 1.0 / v).collect();
    // The inverse of a power of two has no digits but one.
    let is_power = |v: &f64| v.is_normal() && v.to_bits() << 12 == 0;
    // In float16 smaller ones, and the inverses of larger ones, may be taken for 0.
    let moderate = 2f64.powi(-14)..=2f64.powi(14);
    if values
        .iter()
        .all(|v| is_power(v) && moderate.contains(&v.abs()))
    {
        let inverse = Constant::floats(constant.shape.clone(), inverse);
        return scaled(t, node, suffix, operand, &inverse);
    }
    if let Some(at) = inverse.iter().position(|v| !v.is_finite()) {
        return Err(node.error(format!("divides by {}", values[at])));
    }
    let constant = t.fitted(node, operand, constant)?;
    let spec = |shape| OperatorSpec::Divide { shape };
    by_constant(t, node, suffix, operand, (&constant, "divisor", &spec))
}

/// `(x - offset) * scale` of `ai.onnx.ml`, which is what a `StandardScaler` becomes.
pub(super) fn scaler<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = t.dynamic(node, 0)?;
    t.saw(Element::Single);
    let floats = |name: &str| {
        let values = node.attribute(name).map(|a| a.floats.clone());
        let values = values.unwrap_or_default();
        Constant::floats(vec![values.len()], values)
    };
    // It reads integers as numbers.
    let integer = false;
    let mut made = Dynamic { integer, ..operand };
    for (name, sign) in [("offset", Some(-1.0)), ("scale", None)] {
        let constant = floats(name);
        if constant.len() == 0 {
            continue;
        }
        if broadcast(&[&made.full, &constant.shape]).as_ref() != Some(&made.full) {
            let found = &made.full;
            return Err(node.error(format!(
                "{} entries of `{name}` for {found:?}",
                constant.len()
            )));
        }
        made = match sign {
            Some(sign) => shifted(t, node, ".offset", &made, &constant, sign)?,
            None => scaled(t, node, "", &made, &constant)?,
        };
    }
    t.set(node, 0, Value::Dynamic(made))
}

fn is_small_and_whole(constant: &Constant) -> bool {
    let of = |v: &f64| v.fract() == 0.0 && v.abs() <= 256.0;
    constant.as_floats().iter().all(of)
}

/// Between floating-point types nothing happens but rounding, which is not counted; from an integer input neither.
pub(super) fn cast<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let to = match node.op_type {
        "CastLike" => match t.value(node, 1)? {
            Value::Constant(like) => Some(like.element),
            Value::Dynamic(like) if !like.integer => None,
            _ => Some(Element::Truth),
        },
        _ => Some(node.check(Element::of(node.int("to", 0)))?),
    };
    let floats = to.is_none_or(Element::is_float);
    if let (Some(to), true) = (to, floats) {
        t.saw(to);
    }
    match t.value(node, 0)? {
        Value::Dynamic(operand) if floats => {
            let integer = false;
            t.set(node, 0, Value::Dynamic(Dynamic { integer, ..operand }))
        }
        value @ Value::Greater(_) => t.set(node, 0, value),
        Value::Constant(constant)
            if let (true, Some(to)) = (floats, t.float()) =>
        {
            t.spend(node, constant.len())?;
            t.set(node, 0, Value::Constant(constant.cast(to)))
        }
        // Small whole numbers are the same in every floating-point type.
        Value::Constant(constant) if floats && is_small_and_whole(&constant) => {
            let made = Constant::floats(constant.shape.clone(), constant.as_floats());
            t.set(node, 0, Value::Constant(made))
        }
        Value::Constant(_) => Err(node.error(
            "casts a constant like a value that depends on the input: fold constants when exporting",
        )),
        _ => Err(node.error("casts to integers or truths: steps, which are not continuous")),
    }
}

/// In inference mode: an affine map for each channel.
pub(super) fn batch_normalization<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let more = node.outputs.iter().skip(1).any(|name| !name.is_empty());
    if node.int("training_mode", 0) != 0 || node.int("spatial", 1) != 1 || more {
        return Err(
            node.error("is in training mode or not spatial; export the model in inference mode")
        );
    }
    let operand = t.dynamic(node, 0)?;
    let operand = t.batch_first_or_none(node, &operand)?;
    if operand.full.len() < 2 {
        return Err(node.error("needs values with a batch dimension and channels"));
    }
    let channels = operand.full[1];
    // Of several images of one input the channels come first too.
    let mut exchanged: Vec<usize> = (0..operand.full.len()).collect();
    if operand.batch.is_none() {
        exchanged.swap(0, 1);
    }
    let operand = t.transpose_dynamic(node, ".channels", &operand, &exchanged)?;
    let mut parameters = Vec::new();
    for (index, name) in ["weight", "bias", "running_mean", "running_var"]
        .into_iter()
        .enumerate()
    {
        let constant = t.constant(node, index + 1)?;
        if constant.shape != [channels] {
            return Err(node.error(format!(
                "its input `{}` has shape {:?} for {channels} channels",
                node.inputs[index + 1],
                constant.shape
            )));
        }
        let values = node.check(constant.to_floats())?;
        if let Some(v) = values.iter().find(|v| name == "running_var" && **v < 0.0) {
            return Err(node.error(format!("a variance of {v}")));
        }
        parameters.push((name, t.parameter(node, &constant, false)?));
    }
    let eps = node.float("epsilon", 1e-5);
    let spec = OperatorSpec::BatchNorm { channels, eps };
    let made = Dynamic {
        node: t.add(node, "", &spec, &parameters, &[operand.node])?,
        ..operand
    };
    let made = t.transpose_dynamic(node, ".images", &made, &exchanged)?;
    t.set(node, 0, Value::Dynamic(made))
}
