//! Functions of numbers in the same place.

use super::allow::Allow;
use crate::onnx::{
    body::size,
    constant::{Constant, Values},
    dims::broadcast,
    message::Node,
    wire::Outcome,
};
use std::cmp::Ordering;

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
        // Every result is cast to its type.
        ("Cast", [value]) | ("CastLike", [value, _]) => return Ok(Some((*value).clone())),
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
pub(super) fn spread<const N: usize>(
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

/// Integers, of which the lowest 64 bits are kept.
fn integers(shape: Vec<usize>, values: impl Iterator<Item = i128>) -> Constant {
    Constant::ints(shape, values.map(|v| v as i64).collect())
}

/// One number to one number.
fn unary(kind: &str, x: &Constant) -> Option<Constant> {
    if let Some(values) = x.wide() {
        let f: fn(i128) -> i128 = match kind {
            "Neg" => |v| -v,
            "Abs" => i128::abs,
            "Not" => |v| i128::from(v == 0),
            "Sign" => i128::signum,
            "Relu" => |v| v.max(0),
            "BitwiseNot" => |v| !v,
            _ => return None,
        };
        return Some(integers(x.shape.clone(), values.into_iter().map(f)));
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
    if let Some(truth) = comparison(node.op_type) {
        let [a, b] = spread([a, b], allow)?;
        let found = match (a.wide(), b.wide()) {
            (Some(x), Some(y)) => {
                let pairs = x.iter().zip(&y);
                pairs.map(|(x, y)| truth(Some(x.cmp(y)))).collect()
            }
            _ => {
                let pairs = a.as_floats().into_iter().zip(b.as_floats());
                let truths = pairs.map(|(x, y)| truth(x.partial_cmp(&y)));
                truths.collect::<Vec<bool>>()
            }
        };
        let found = found.into_iter().map(i64::from).collect();
        return Ok(Some(Constant::ints(a.shape, found)));
    }
    let truth: Option<fn(bool, bool) -> bool> = match node.op_type {
        "And" => Some(|a, b| a && b),
        "Or" => Some(|a, b| a || b),
        "Xor" => Some(|a, b| a != b),
        _ => None,
    };
    if let Some(truth) = truth {
        let [a, b] = spread([a, b], allow)?;
        let pairs = a.as_floats().into_iter().zip(b.as_floats());
        let found = pairs.map(|(a, b)| i64::from(truth(a != 0.0, b != 0.0)));
        return Ok(Some(Constant::ints(a.shape.clone(), found.collect())));
    }
    if let (Ok(_), Ok(_)) = (a.to_ints(), b.to_ints()) {
        let Some(f) = of_ints(node) else {
            return Ok(None);
        };
        let [a, b] = spread([a, b], allow)?;
        let pairs = a
            .wide()
            .into_iter()
            .flatten()
            .zip(b.wide().into_iter().flatten());
        let found = pairs.map(|(x, y)| f(x, y)).collect::<Option<Vec<_>>>();
        let found = found.ok_or("divides by 0, or raises to what is no exponent of an integer")?;
        return Ok(Some(integers(a.shape, found.into_iter())));
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

/// What a comparison says of an order; there is none with what is no number.
fn comparison(kind: &str) -> Option<fn(Option<Ordering>) -> bool> {
    Some(match kind {
        "Equal" => |order| order == Some(Ordering::Equal),
        "Greater" => |order| order == Some(Ordering::Greater),
        "GreaterOrEqual" => |order| order.is_some_and(Ordering::is_ge),
        "Less" => |order| order == Some(Ordering::Less),
        "LessOrEqual" => |order| order.is_some_and(Ordering::is_le),
        _ => return None,
    })
}

/// Functions of integers of up to 64 bits, of whose results the lowest bits are kept.
fn of_ints(node: &Node<'_>) -> Option<fn(i128, i128) -> Option<i128>> {
    Some(match node.op_type {
        "Add" => |a, b| Some(a + b),
        "Sub" => |a, b| Some(a - b),
        "Mul" => |a, b| Some(a.wrapping_mul(b)),
        "Div" => i128::checked_div,
        "Mod" if node.int("fmod", 0) != 0 => i128::checked_rem,
        // The sign is that of the divisor.
        "Mod" => |a, b| {
            let rest = a.checked_rem(b)?;
            let other = rest != 0 && (rest < 0) != (b < 0);
            Some(if other { rest + b } else { rest })
        },
        "Pow" => |a, b| Some(a.wrapping_pow(u32::try_from(b).ok()?)),
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
    let of_ints: fn(i128, i128) -> i128 = match kind {
        "Max" => i128::max,
        "Min" => i128::min,
        _ => |a, b| a + b,
    };
    let mut total = first.clone();
    for other in rest {
        let [a, b] = spread([&total, other], allow)?;
        total = match (a.wide(), b.wide()) {
            (Some(x), Some(y)) => {
                let pairs = x.into_iter().zip(y);
                integers(a.shape, pairs.map(|(x, y)| of_ints(x, y)))
            }
            _ => {
                let pairs = a.as_floats().into_iter().zip(b.as_floats());
                Constant::floats(a.shape.clone(), pairs.map(|(a, b)| f(a, b)).collect())
            }
        };
        total = total.cast(first.element);
    }
    if kind != "Mean" {
        return Ok(total);
    }
    let count = 1.0 + rest.len() as f64;
    let means = total.as_floats().iter().map(|v| v / count).collect();
    Ok(Constant::floats(total.shape, means))
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
