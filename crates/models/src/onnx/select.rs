//! Comparisons, and selections by them that are continuous.

use super::{
    arithmetic::{self, divided, negated, number, scaled, shifted, sum},
    constant::Constant,
    dims::broadcast,
    message::Node,
    refusals, scalar,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::{error::Result, operators::Activation};
use dashu_ratio::RBig;
use std::cmp::Ordering;

/// Of a selection that may jump.
const UNKNOWN: &str = "selects values of which it is not known that they are the same where the comparison changes, so that it may not be continuous";

/// `Greater`, `Less` and the same with equality, which makes no difference where what they select is continuous.
pub(super) fn compare<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let (a, b) = (t.value(node, 0)?, t.value(node, 1)?);
    let both = match node.op_type {
        "Less" | "LessOrEqual" => (b, a),
        _ => (a, b),
    };
    if matches!(both, (Value::Greater(_), _) | (_, Value::Greater(_))) {
        return Err(node.error("compares results of comparisons: not continuous"));
    }
    let comparison = Value::Greater(both.into());
    t.shape(node, &comparison)?;
    t.set(node, 0, comparison)
}

pub(super) fn not<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let opposite = opposite(node, &t.value(node, 0)?)?;
    t.set(node, 0, opposite)
}

/// `IsNaN` and `IsInf`: of what depends on the input neither, as inputs and all that is computed of them are finite.
pub(super) fn is_no_number<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = Value::Dynamic(t.dynamic(node, 0)?);
    let never = false_of(t.shape(node, &value)?);
    t.set(node, 0, never)
}

/// `Equal` to infinity or to what is no number, which never holds; another one jumps.
pub(super) fn equal<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let ((Value::Dynamic(value), Value::Constant(constant))
    | (Value::Constant(constant), Value::Dynamic(value))) = (t.value(node, 0)?, t.value(node, 1)?)
    else {
        return Err(node.error(refusals::JUMPS));
    };
    if constant.as_floats().iter().any(|number| number.is_finite()) {
        return Err(node.error(refusals::JUMPS));
    }
    let full = broadcast(&[&value.full, &constant.shape]);
    let full = full.ok_or_else(|| node.error("compares shapes that do not fit"))?;
    t.set(node, 0, false_of(full))
}

/// `And` and `Or` with a constant that decides, or leaves all to the other.
pub(super) fn both<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let ((Value::Constant(constant), other) | (other, Value::Constant(constant))) =
        (t.value(node, 0)?, t.value(node, 1)?)
    else {
        return Err(node.error(refusals::IN_NO_FORM));
    };
    let full = broadcast(&[&constant.shape, &t.shape(node, &other)?]);
    let full = full.ok_or_else(|| node.error("joins shapes that do not fit"))?;
    let leaves = node.op_type == "And";
    let values = constant.as_floats();
    let all = |wanted: bool| values.iter().all(|value| (*value != 0.0) == wanted);
    let found = match (all(leaves), all(!leaves)) {
        (true, _) => t.broadcast_to(node, &other, &full)?,
        (_, true) => {
            let decided = Value::Constant(constant);
            t.broadcast_to(node, &decided, &full)?
        }
        _ => return Err(node.error(refusals::IN_NO_FORM)),
    };
    t.set(node, 0, found)
}

fn false_of(shape: Vec<usize>) -> Value {
    let count = shape.iter().product();
    Value::Constant(Constant::ints(shape, vec![0; count]))
}

/// A product with a constant, or with a comparison as 0 and 1.
pub(super) fn mul<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let (condition, kept) = match (t.value(node, 0)?, t.value(node, 1)?) {
        (condition @ Value::Greater(_), kept) | (kept, condition @ Value::Greater(_)) => {
            (condition, kept)
        }
        _ => return arithmetic::mul(t, node),
    };
    let zero = Value::Constant(number(0.0));
    let made = selected(t, node, &condition, &kept, &zero)?;
    t.set(node, 0, made)
}

/// A difference; 1 less a comparison as 0 and 1 is the opposite comparison.
pub(super) fn sub<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let (ones, comparison) = match (t.value(node, 0)?, t.value(node, 1)?) {
        (Value::Constant(ones), comparison @ Value::Greater(_))
            if ones.as_floats().iter().all(|one| *one == 1.0) =>
        {
            (ones, comparison)
        }
        _ => return arithmetic::sub(t, node),
    };
    let full = broadcast(&[&ones.shape, &t.shape(node, &comparison)?]);
    let full = full.ok_or_else(|| node.error("subtracts shapes that do not fit"))?;
    let comparison = t.broadcast_to(node, &comparison, &full)?;
    let opposite = opposite(node, &comparison)?;
    t.set(node, 0, opposite)
}

fn opposite(node: &Node<'_>, comparison: &Value) -> Result<Value> {
    match comparison {
        Value::Greater(both) => Ok(Value::Greater((both.1.clone(), both.0.clone()).into())),
        _ => Err(node.error("negates what is no comparison")),
    }
}

pub(super) fn choose<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let condition = t.value(node, 0)?;
    let (first, second) = (t.value(node, 1)?, t.value(node, 2)?);
    let made = selected(t, node, &condition, &first, &second)?;
    t.set(node, 0, made)
}

/// The first where the condition holds, otherwise the second.
fn selected<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    condition: &Value,
    first: &Value,
    second: &Value,
) -> Result<Value> {
    match condition {
        Value::Constant(mask) => masked(t, node, mask, first, second).map(Value::Dynamic),
        Value::Greater(both) => {
            by_comparison(t, node, [&both.0, &both.1, first, second]).map(Value::Dynamic)
        }
        _ => Err(node.error("selects by a number that depends on the input: not continuous")),
    }
}

/// A selection that is the same for all inputs.
fn masked<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    mask: &Constant,
    first: &Value,
    second: &Value,
) -> Result<Dynamic> {
    t.spend(node, mask.len().saturating_mul(3))?;
    let ones: Vec<f64> = mask
        .as_floats()
        .iter()
        .map(|m| f64::from(*m != 0.0))
        .collect();
    let zeros = ones.iter().map(|m| 1.0 - m).collect();
    let ones = Constant::floats(mask.shape.clone(), ones);
    let zeros = Constant::floats(mask.shape.clone(), zeros);
    let found = spread(t, node, &[first, second], &[&mask.shape])?;
    let mut kept = Vec::new();
    for (value, mask) in found.iter().zip([&ones, &zeros]) {
        kept.push(match value {
            Value::Dynamic(value) => Value::Dynamic(scaled(t, node, ".kept", value, mask)?),
            Value::Constant(constant) => {
                let shape = broadcast(&[&constant.shape, &mask.shape]);
                let shape = shape.ok_or_else(|| node.error("selects shapes that do not fit"))?;
                let constant = node.check(constant.broadcast_to(&shape))?;
                let mask = node.check(mask.broadcast_to(&shape))?;
                let numbers = constant.as_floats();
                let product = numbers.iter().zip(mask.as_floats());
                let product = product
                    .map(|(a, b)| if b == 0.0 { 0.0 } else { *a })
                    .collect();
                Value::Constant(Constant::floats(constant.shape.clone(), product))
            }
            _ => return Err(node.error("selects a comparison")),
        });
    }
    match &kept[..] {
        [Value::Dynamic(a), Value::Dynamic(b)] => sum(t, node, "", &[a.clone(), b.clone()]),
        [Value::Dynamic(a), Value::Constant(b)] | [Value::Constant(b), Value::Dynamic(a)] => {
            shifted(t, node, "", a, b, 1.0)
        }
        _ => Err(node.error("selects between constants")),
    }
}

/// All values in the shape to which they and the given shapes broadcast; a constant of one number stays that.
fn spread<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    values: &[&Value],
    shapes: &[&[usize]],
) -> Result<Vec<Value>> {
    let (mut dynamics, mut all) = (Vec::new(), shapes.to_vec());
    for value in values {
        match value {
            Value::Dynamic(dynamic) => dynamics.push(dynamic.clone()),
            Value::Constant(constant) => all.push(&constant.shape),
            _ => return Err(node.error("selects a comparison")),
        }
    }
    let mut dynamics = t.aligned(node, &dynamics, &all)?.into_iter();
    let full = dynamics
        .as_slice()
        .first()
        .map(|d| d.full.clone())
        .unwrap_or_default();
    let mut found = Vec::new();
    for value in values {
        found.push(match value {
            Value::Constant(constant) if constant.len() == 1 => {
                Value::Constant(constant.reshape(Vec::new()))
            }
            Value::Constant(_) => t.broadcast_to(node, value, &full)?,
            _ => Value::Dynamic(
                dynamics
                    .next()
                    .ok_or_else(|| node.error("a value is lost"))?,
            ),
        });
    }
    Ok(found)
}

/// `u` where `a > b`, otherwise `v`: continuous if `u - v` is a multiple `k` of `a - b`, number by number. Where `a` and `b` are constants or
/// numbers that `u` and `v` are made of, it is `v + s relu(s (u - v))` with the sign `s` of `k`. Where they are computed themselves, what
/// rounding does to them decides, and it is `v + k relu(a - b)`, with the two numbers that `k` is the quotient of.
fn by_comparison<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    values: [&Value; 4],
) -> Result<Dynamic> {
    let found = spread(t, node, &values, &[])?;
    let place = found.iter().find_map(|value| match value {
        Value::Dynamic(dynamic) => Some(dynamic.clone()),
        _ => None,
    });
    let place = place.ok_or_else(|| node.error("selects between constants"))?;
    let own = place.own();
    let mut forms = Vec::new();
    for value in &found {
        let value = match value {
            Value::Constant(constant) => Value::Constant(t.fitted(node, &place, constant)?),
            value => value.clone(),
        };
        forms.push(t.form(node, &value, &own)?);
    }
    let is_plain = forms[0].is_plain() && forms[1].is_plain();
    let difference = forms[0].clone().minus(&forms[1]);
    let gain = forms[2].clone().minus(&forms[3]);
    let Some(factors) = gain.multiple_of(&difference) else {
        return by_threshold(t, node, &found);
    };
    let (first, second) = (&found[2], &found[3]);
    if factors.iter().all(RBig::is_zero) {
        return match (first, second) {
            (Value::Dynamic(first), Value::Dynamic(second)) => {
                evaluated(t, node, second.clone(), first)
            }
            (_, Value::Dynamic(same)) | (Value::Dynamic(same), _) => Ok(same.clone()),
            _ => Err(node.error("selects between constants")),
        };
    }
    // Constants of operators have the shape of one input; the batch is its dimension of 1.
    let mut shape = place.full.clone();
    if let Some(batch) = place.batch {
        shape[batch] = 1;
    }
    let constant = |numbers: Vec<f64>| match numbers.iter().all(|n| *n == numbers[0]) {
        true => number(numbers[0]),
        false => Constant::floats(shape.clone(), numbers),
    };
    let gained = if is_plain {
        let signs = constant(factors.iter().map(sign).collect());
        let apart = subtracted(t, node, first, second)?;
        let turned = scaled(t, node, ".turned", &apart, &signs)?;
        let above = t.activated(node, "", &turned, &Activation::relu())?;
        scaled(t, node, ".gain", &above, &signs)?
    } else {
        let ratios = factors.iter().map(ratio).collect::<Option<Vec<_>>>();
        let ratios = ratios.ok_or_else(|| {
            node.error("selects by a factor that is neither a sum nor a quotient of two floating-point numbers")
        })?;
        let [over, rest, under]: [Vec<f64>; 3] =
            [0, 1, 2].map(|at| ratios.iter().map(|own| own[at]).collect());
        let apart = subtracted(t, node, &found[0], &found[1])?;
        let above = t.activated(node, "", &apart, &Activation::relu())?;
        let part = divided(t, node, ".part", &above, &constant(under))?;
        let has_rest = rest.iter().any(|own| *own != 0.0);
        let mut gained = scaled(t, node, ".gain", &part, &constant(over))?;
        if has_rest {
            let more = scaled(t, node, ".rest", &part, &constant(rest))?;
            gained = sum(t, node, ".gains", &[gained, more])?;
        }
        match first {
            Value::Dynamic(first) => evaluated(t, node, gained, first)?,
            _ => gained,
        }
    };
    match second {
        Value::Dynamic(v) => sum(t, node, ".sum", &[v.clone(), gained]),
        Value::Constant(v) => shifted(t, node, ".sum", &gained, v, 1.0),
        _ => Err(node.error("selects a comparison")),
    }
}

/// `u` where `a > b`, otherwise `v`, where one of `a` and `b` is one constant number and `u` and `v` are functions of the other: selections
/// within selections, such as clips and soft thresholds written out. They are one function.
fn by_threshold<'a>(t: &mut Translator<'a>, node: &Node<'a>, found: &[Value]) -> Result<Dynamic> {
    let (z, constant, sides) = match found {
        [Value::Dynamic(z), Value::Constant(at), u, v] => (z, at, [v, u]),
        [Value::Constant(at), Value::Dynamic(z), u, v] => (z, at, [u, v]),
        _ => return Err(node.error(UNKNOWN)),
    };
    let numbers = constant.as_floats();
    let same = numbers
        .first()
        .filter(|at| numbers.iter().all(|own| own == *at));
    let activation = match same {
        Some(at) => scalar::chosen(t, node, (z, *at), sides)?,
        None => None,
    };
    let activation = activation.ok_or_else(|| node.error(UNKNOWN))?;
    let mut made = t.activated(node, "", z, &activation)?;
    for side in sides {
        if let Value::Dynamic(side) = side
            && side.node != z.node
        {
            made = evaluated(t, node, made, side)?;
        }
    }
    Ok(made)
}

/// A value beside another one that an evaluation takes in its place: that less itself is 0, and as uncertain as it is.
fn evaluated<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: Dynamic,
    other: &Dynamic,
) -> Result<Dynamic> {
    if value.node == other.node {
        return Ok(value);
    }
    let back = negated(t, node, other)?;
    // First what is 0 as it is computed here, too.
    sum(t, node, ".evaluated", &[other.clone(), back, value])
}

/// -1, 0 or 1.
fn sign(of: &RBig) -> f64 {
    match of.cmp(&RBig::ZERO) {
        Ordering::Less => -1.0,
        Ordering::Equal => 0.0,
        Ordering::Greater => 1.0,
    }
}

/// Three floats, the first two of which added and divided by the third are a number: 1 less a slope is two, where it has more digits
/// than one.
fn ratio(of: &RBig) -> Option<[f64; 3]> {
    let float = |number: &RBig| {
        let found = number.to_f64().value();
        (RBig::try_from(found).ok()? == *number).then_some(found)
    };
    let nearest = of.to_f64().value();
    let rest = of - RBig::try_from(nearest).ok()?;
    if let Some(rest) = float(&rest) {
        return Some([nearest, rest, 1.0]);
    }
    let (over, under) = of.clone().into_parts();
    Some([float(&over.into())?, 0.0, float(&under.into())?])
}

fn subtracted<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    a: &Value,
    b: &Value,
) -> Result<Dynamic> {
    match (a, b) {
        (Value::Dynamic(a), Value::Dynamic(b)) => {
            let b = negated(t, node, b)?;
            sum(t, node, ".difference", &[a.clone(), b])
        }
        (Value::Dynamic(a), Value::Constant(b)) => shifted(t, node, ".difference", a, b, -1.0),
        (Value::Constant(a), Value::Dynamic(b)) => {
            let b = negated(t, node, b)?;
            shifted(t, node, ".difference", &b, a, 1.0)
        }
        _ => Err(node.error("selects between constants")),
    }
}
