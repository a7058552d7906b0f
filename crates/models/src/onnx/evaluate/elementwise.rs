//! Functions of numbers in the same place.

use super::allow::Allow;
use crate::onnx::{
    body::size,
    constant::{Constant, Values},
    dims::broadcast,
    message::Node,
    wire::Outcome,
};
use half::{bf16, f16};

/// The constant that an elementwise node computes.
pub(super) fn evaluate(
    node: &Node<'_>,
    inputs: &[&Constant],
    allow: &mut Allow<'_>,
) -> Outcome<Option<Constant>> {
    match (node.op_type, inputs) {
        ("Where", [condition, first, second]) => {
            let [condition, first, second] = spread([condition, first, second], allow)?;
            let chosen: Vec<bool> = condition.as_floats().iter().map(|c| *c != 0.0).collect();
            return Ok(Some(chosen_from(&chosen, &first, &second)));
        }
        ("Clip", [value, bounds @ ..]) => return clip(node, value, bounds).map(Some),
        ("Cast", [value]) => return cast(value, node.int("to", 0)).map(Some),
        ("CastLike", [value, like]) => {
            let to = if like.to_ints().is_ok() { 7 } else { 1 };
            return cast(value, to).map(Some);
        }
        ("DequantizeLinear", _) => return dequantize(node, inputs, allow).map(Some),
        ("Max" | "Min" | "Sum" | "Mean", [first, rest @ ..]) => {
            return folded(node.op_type, first, rest, allow).map(Some);
        }
        _ => {}
    }
    match inputs {
        [x] => Ok(unary(node.op_type, x)),
        [a, b] => binary(node, a, b, allow),
        _ => Ok(None),
    }
}

fn chosen_from(chosen: &[bool], first: &Constant, second: &Constant) -> Constant {
    if let (Ok(a), Ok(b)) = (first.to_ints(), second.to_ints()) {
        let picked = chosen
            .iter()
            .enumerate()
            .map(|(i, first)| if *first { a[i] } else { b[i] });
        return Constant::ints(first.shape.clone(), picked.collect());
    }
    let (a, b) = (first.as_floats(), second.as_floats());
    let picked = chosen
        .iter()
        .enumerate()
        .map(|(i, first)| if *first { a[i] } else { b[i] });
    Constant::floats(first.shape.clone(), picked.collect())
}

/// All in the shape to which they broadcast.
fn spread<const N: usize>(
    constants: [&Constant; N],
    allow: &mut Allow<'_>,
) -> Outcome<[Constant; N]> {
    let shapes = constants.map(|constant| &constant.shape[..]);
    let full = broadcast(&shapes).filter(|full| size(full).is_some());
    let full = full.ok_or_else(|| format!("shapes {shapes:?} do not broadcast to one another"))?;
    let count: usize = full.iter().product();
    allow(count.saturating_mul(N), count)?;
    let mut failed = None;
    let spread = constants.map(|constant| match constant.broadcast_to(&full) {
        Ok(spread) => spread,
        Err(cause) => {
            failed = Some(cause);
            constant.clone()
        }
    });
    match failed {
        Some(cause) => Err(cause),
        None => Ok(spread),
    }
}

/// One number to one number.
fn unary(kind: &str, x: &Constant) -> Option<Constant> {
    if let Ok(values) = x.to_ints() {
        let f: fn(i64) -> i64 = match kind {
            "Neg" => i64::wrapping_neg,
            "Abs" => i64::wrapping_abs,
            "Not" => |v| i64::from(v == 0),
            "Sign" => i64::signum,
            "Relu" => |v| v.max(0),
            "BitwiseNot" => |v| !v,
            _ => return None,
        };
        return Some(Constant::ints(
            x.shape.clone(),
            values.iter().map(|v| f(*v)).collect(),
        ));
    }
    let f: fn(f64) -> f64 = match kind {
        "Neg" => |v| -v,
        "Abs" => f64::abs,
        "Sqrt" => f64::sqrt,
        "Reciprocal" => |v| 1.0 / v,
        "Exp" => f64::exp,
        "Log" => f64::ln,
        "Floor" => f64::floor,
        "Ceil" => f64::ceil,
        "Round" => f64::round_ties_even,
        "Sign" => |v| if v == 0.0 { 0.0 } else { v.signum() },
        "Relu" => |v| v.max(0.0),
        "Sigmoid" => |v| 1.0 / (1.0 + (-v).exp()),
        "Tanh" => f64::tanh,
        "Sin" => f64::sin,
        "Cos" => f64::cos,
        "Softplus" => |v| v.exp().ln_1p(),
        _ => return None,
    };
    let values = x.as_floats().iter().map(|v| f(*v)).collect();
    Some(Constant::floats(x.shape.clone(), values))
}

fn binary(
    node: &Node<'_>,
    a: &Constant,
    b: &Constant,
    allow: &mut Allow<'_>,
) -> Outcome<Option<Constant>> {
    let truth: Option<fn(f64, f64) -> bool> = match node.op_type {
        "Equal" => Some(|a, b| a == b),
        "Greater" => Some(|a, b| a > b),
        "GreaterOrEqual" => Some(|a, b| a >= b),
        "Less" => Some(|a, b| a < b),
        "LessOrEqual" => Some(|a, b| a <= b),
        "And" => Some(|a, b| a != 0.0 && b != 0.0),
        "Or" => Some(|a, b| a != 0.0 || b != 0.0),
        "Xor" => Some(|a, b| (a != 0.0) != (b != 0.0)),
        _ => None,
    };
    if let Some(truth) = truth {
        let [a, b] = spread([a, b], allow)?;
        let pairs = a.as_floats().into_iter().zip(b.as_floats());
        let found = pairs.map(|(a, b)| i64::from(truth(a, b))).collect();
        return Ok(Some(Constant::ints(a.shape.clone(), found)));
    }
    if let (Ok(_), Ok(_)) = (a.to_ints(), b.to_ints()) {
        let Some(f) = of_ints(node) else {
            return Ok(None);
        };
        let [a, b] = spread([a, b], allow)?;
        let (x, y) = (a.to_ints()?, b.to_ints()?);
        let found = x
            .iter()
            .zip(y.iter())
            .map(|(x, y)| f(*x, *y))
            .collect::<Option<Vec<_>>>();
        let found = found.ok_or("overflows, or divides by 0")?;
        return Ok(Some(Constant::ints(a.shape, found)));
    }
    let f: fn(f64, f64) -> f64 = match node.op_type {
        "Add" => |a, b| a + b,
        "Sub" => |a, b| a - b,
        "Mul" => |a, b| a * b,
        "Div" => |a, b| a / b,
        "Pow" => f64::powf,
        "Mod" => |a, b| a % b,
        "PRelu" => |a, b| if a < 0.0 { a * b } else { a },
        _ => return Ok(None),
    };
    let whole = node.op_type == "Pow" && a.to_ints().is_ok();
    let [a, b] = spread([a, b], allow)?;
    let pairs = a.as_floats().into_iter().zip(b.as_floats());
    let found: Vec<f64> = pairs.map(|(a, b)| f(a, b)).collect();
    Ok(Some(match whole {
        true => Constant::ints(a.shape.clone(), found.iter().map(|v| *v as i64).collect()),
        false => Constant::floats(a.shape.clone(), found),
    }))
}

fn of_ints(node: &Node<'_>) -> Option<fn(i64, i64) -> Option<i64>> {
    Some(match node.op_type {
        "Add" => i64::checked_add,
        "Sub" => i64::checked_sub,
        "Mul" => i64::checked_mul,
        "Div" => i64::checked_div,
        "Mod" if node.int("fmod", 0) != 0 => i64::checked_rem,
        // The sign is that of the divisor.
        "Mod" => |a, b| {
            let rest = a.checked_rem(b)?;
            let other = rest != 0 && (rest < 0) != (b < 0);
            if other {
                rest.checked_add(b)
            } else {
                Some(rest)
            }
        },
        "Pow" => |a, b| a.checked_pow(u32::try_from(b).ok()?),
        _ => return None,
    })
}

fn folded(
    kind: &str,
    first: &Constant,
    rest: &[&Constant],
    allow: &mut Allow<'_>,
) -> Outcome<Constant> {
    let f: fn(f64, f64) -> f64 = match kind {
        "Max" => f64::max,
        "Min" => f64::min,
        _ => |a, b| a + b,
    };
    let mut total = first.clone();
    let ints = first.to_ints().is_ok();
    for other in rest {
        let [a, b] = spread([&total, other], allow)?;
        let pairs = a.as_floats().into_iter().zip(b.as_floats());
        total = Constant::floats(a.shape.clone(), pairs.map(|(a, b)| f(a, b)).collect());
    }
    let mut values = total.as_floats();
    if kind == "Mean" {
        let count = 1.0 + rest.len() as f64;
        values.iter_mut().for_each(|v| *v /= count);
    }
    Ok(match ints {
        true => Constant::ints(total.shape, values.iter().map(|v| *v as i64).collect()),
        false => Constant::floats(total.shape, values),
    })
}

fn clip(node: &Node<'_>, value: &Constant, bounds: &[&Constant]) -> Outcome<Constant> {
    let given = |index: usize, name: &str| -> Option<f64> {
        match node.optional_input(index + 1) {
            // Of the inputs that are given, this is the first if the one before it is left out.
            Some(_) => {
                let before = usize::from(index == 1 && node.optional_input(1).is_some());
                bounds.get(before).and_then(|bound| bound.only())
            }
            None => node.attribute(name).and_then(|a| a.float).map(f64::from),
        }
    };
    let low = given(0, "min").unwrap_or(f64::NEG_INFINITY);
    let high = given(1, "max").unwrap_or(f64::INFINITY);
    let clipped = |v: f64| v.max(low).min(high);
    Ok(match &value.values {
        Values::Ints(own) => {
            let own = own.iter().map(|v| clipped(*v as f64) as i64).collect();
            Constant::ints(value.shape.clone(), own)
        }
        Values::Floats(own) => Constant::floats(
            value.shape.clone(),
            own.iter().map(|v| clipped(*v)).collect(),
        ),
    })
}

fn cast(value: &Constant, to: i64) -> Outcome<Constant> {
    let shape = value.shape.clone();
    let floats = |round: fn(f64) -> f64| {
        let values = value.as_floats().iter().map(|v| round(*v)).collect();
        Constant::floats(shape.clone(), values)
    };
    Ok(match to {
        1 => floats(|v| f64::from(v as f32)),
        10 => floats(|v| f16::from_f64(v).to_f64()),
        11 => floats(|v| v),
        16 => floats(|v| bf16::from_f64(v).to_f64()),
        9 => {
            let truths = value
                .as_floats()
                .iter()
                .map(|v| i64::from(*v != 0.0))
                .collect();
            Constant::ints(shape, truths)
        }
        2..=7 | 12 | 13 => match value.to_ints() {
            Ok(_) => value.clone(),
            Err(_) => {
                let values = value.as_floats().iter().map(|v| *v as i64).collect();
                Constant::ints(shape, values)
            }
        },
        other => return Err(format!("casts to data type {other}")),
    })
}

/// `(x - zero) * scale`, one of each for all numbers or for each entry of a dimension.
fn dequantize(node: &Node<'_>, inputs: &[&Constant], allow: &mut Allow<'_>) -> Outcome<Constant> {
    let [x, scale, rest @ ..] = inputs else {
        return Err("needs a value and a scale".into());
    };
    if node.int("block_size", 0) != 0 {
        return Err("dequantises by blocks, which is not supported".into());
    }
    let rank = x.shape.len() as i64;
    let axis = node.int("axis", 1);
    let axis = if axis < 0 { axis + rank } else { axis };
    let shaped = |constant: &Constant| -> Outcome<Constant> {
        if constant.len() == 1 {
            return Ok(constant.reshape(vec![1; x.shape.len()]));
        }
        let fits = usize::try_from(axis)
            .ok()
            .filter(|axis| x.shape.get(*axis) == Some(&constant.len()));
        let axis = fits.ok_or_else(|| format!("scales of shape {:?}", constant.shape))?;
        let mut shape = vec![1; x.shape.len()];
        shape[axis] = constant.len();
        Ok(constant.reshape(shape))
    };
    let none = Constant::ints(vec![], vec![0]);
    let zero = shaped(rest.first().copied().unwrap_or(&none))?;
    let scale = shaped(scale)?;
    let [x, scale, zero] = spread([x, &scale, &zero], allow)?;
    let (x_values, scales, zeros) = (x.as_floats(), scale.as_floats(), zero.as_floats());
    let values = (0..x.len()).map(|i| (x_values[i] - zeros[i]) * scales[i]);
    Ok(Constant::floats(x.shape.clone(), values.collect()))
}
