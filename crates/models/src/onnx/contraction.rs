//! `Einsum`, and every other product with a constant that is summed over dimensions.

use super::{
    body::size,
    constant::Constant,
    message::Node,
    refusals,
    translator::Translator,
    value::{Dynamic, Value},
    wire::Outcome,
};
use crate::{
    error::Result,
    sparse_rows::SparseRows,
    spec::{Conv2dConfig, OperatorSpec},
    window::Window2d,
};
use candle_core::Tensor;
use std::collections::BTreeMap;

pub(super) fn einsum<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let mut ranks = Vec::new();
    for index in 0..node.inputs.len() {
        let value = t.value(node, index)?;
        ranks.push(t.shape(node, &value)?.len());
    }
    let equation = node.check(written_out(&node.text("equation", ""), &ranks))?;
    let (left, out) = match equation.split_once("->") {
        Some((left, out)) => (left.to_string(), out.as_bytes().to_vec()),
        None => {
            let mut once: Vec<u8> = equation.bytes().filter(|b| *b != b',').collect();
            once.sort_unstable();
            let times = |b: &u8| equation.bytes().filter(|other| other == b).count();
            (
                equation.clone(),
                once.into_iter().filter(|b| times(b) == 1).collect(),
            )
        }
    };
    let operands: Vec<&[u8]> = left.split(',').map(str::as_bytes).collect();
    let one = Constant::floats(vec![], vec![1.0]);
    let made = match (&operands[..], node.inputs.len()) {
        ([x], 1) => {
            let operand = t.dynamic(node, 0)?;
            contract(t, node, (&operand, x), (&one, b""), &out)?
        }
        ([x, c], 2) => match (t.value(node, 0)?, t.value(node, 1)?) {
            (Value::Dynamic(operand), Value::Constant(constant)) => {
                contract(t, node, (&operand, x), (&constant, c), &out)?
            }
            (Value::Constant(constant), Value::Dynamic(operand)) => {
                contract(t, node, (&operand, c), (&constant, x), &out)?
            }
            (Value::Constant(_), Value::Constant(_)) => {
                return Err(node.error(
                    "has two constants that are not computed here: fold constants when exporting",
                ));
            }
            _ => {
                return Err(node.error(
                    "multiplies two values that depend on the input: not piecewise linear",
                ));
            }
        },
        _ => return Err(node.error("takes one or two operands, one of which depends on the input")),
    };
    t.set(node, 0, Value::Dynamic(made))
}

/// The equation without spaces, and with digits for the dimensions that an ellipsis stands for.
fn written_out(equation: &str, ranks: &[usize]) -> Outcome<String> {
    let plain: String = equation.chars().filter(|c| *c != ' ').collect();
    if !plain.contains("...") {
        return Ok(plain);
    }
    let (left, right) = plain
        .split_once("->")
        .ok_or("has an ellipsis and no result")?;
    let hidden = |(operand, rank): (&str, &usize)| match operand.split_once("...") {
        Some((before, after)) => rank.saturating_sub(before.len() + after.len()),
        None => 0,
    };
    let terms = || left.split(',').zip(ranks);
    let most = terms().map(hidden).max().unwrap_or(0);
    if most > 9 {
        return Err("has an ellipsis of many dimensions".into());
    }
    let digits = |count: usize| {
        (most - count..most)
            .map(|i| i.to_string())
            .collect::<String>()
    };
    let term = |term: (&str, &usize)| term.0.replace("...", &digits(hidden(term)));
    let left: Vec<String> = terms().map(term).collect();
    Ok(format!(
        "{}->{}",
        left.join(","),
        right.replace("...", &digits(most))
    ))
}

/// What the letters of a product are: groups are in both operands and the result, summed ones in the value but not in the
/// result, free ones in the value and the result alone, new ones in the constant and the result alone.
struct Parts {
    groups: Vec<u8>,
    summed: Vec<u8>,
    free: Vec<u8>,
    new: Vec<u8>,
    lengths: BTreeMap<u8, usize>,
}

impl Parts {
    fn of(x: &[u8], c: &[u8], out: &[u8], lengths: BTreeMap<u8, usize>) -> Self {
        let pick = |from: &[u8], keep: &dyn Fn(&u8) -> bool| -> Vec<u8> {
            from.iter().copied().filter(|l| keep(l)).collect()
        };
        Self {
            groups: pick(x, &|l| c.contains(l) && out.contains(l)),
            summed: pick(x, &|l| !out.contains(l)),
            free: pick(x, &|l| !c.contains(l) && out.contains(l)),
            new: pick(c, &|l| !x.contains(l) && out.contains(l)),
            lengths,
        }
    }

    fn shape(&self, letters: &[u8]) -> Vec<usize> {
        let length = |l: &u8| self.lengths.get(l).copied().unwrap_or(1);
        letters.iter().map(length).collect()
    }

    fn count(&self, letters: &[u8]) -> usize {
        self.shape(letters).iter().product()
    }
}

/// For each letter its place among others.
fn places(letters: &[u8], among: &[u8]) -> Vec<usize> {
    let place = |l: &u8| among.iter().position(|m| m == l).unwrap_or(0);
    letters.iter().map(place).collect()
}

/// The product of a value and a constant, summed over letters that the result lacks; each dimension has a letter.
///
/// It is a convolution with windows of one entry: what both have and the result too are groups, what is summed over are
/// channels, what only the value has are pixels.
pub(super) fn contract<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    (x, x_letters): (&Dynamic, &[u8]),
    (c, c_letters): (&Constant, &[u8]),
    out: &[u8],
) -> Result<Dynamic> {
    let fits = x_letters.len() == x.full.len() && c_letters.len() == c.shape.len();
    let twice = |letters: &[u8]| (1..letters.len()).any(|i| letters[..i].contains(&letters[i]));
    if !fits || twice(x_letters) || twice(c_letters) || twice(out) {
        return Err(node.error("names dimensions twice, or not all of them"));
    }
    let mut lengths = BTreeMap::new();
    let sizes = x_letters
        .iter()
        .zip(&x.full)
        .chain(c_letters.iter().zip(&c.shape));
    for (letter, n) in sizes {
        let length = lengths.entry(*letter).or_insert(*n);
        *length = (*length).max(*n);
    }
    if out.iter().any(|l| !lengths.contains_key(l)) {
        return Err(node.error("has a result with dimensions that no operand has"));
    }
    let batch = x.batch.map(|batch| x_letters[batch]);
    let apart = |letter: &u8| out.contains(letter) && !c_letters.contains(letter);
    let x = match batch.as_ref().is_none_or(apart) {
        true => x.clone(),
        false if batch.is_some_and(|letter| out.contains(&letter)) => t.unbatched(node, x)?,
        false => t.mixed(node, x)?,
    };
    let batch = batch.filter(apart);
    let mut x = repeated(t, node, x, x_letters, &lengths)?;
    let mut letters: Vec<u8> = x_letters
        .iter()
        .copied()
        .filter(|l| Some(*l) != batch)
        .collect();
    // What the constant alone has and the result lacks is summed over with the rest: its sum alone would be rounded.
    for letter in c_letters {
        if !x_letters.contains(letter) && !out.contains(letter) {
            x = along(t, node, x, lengths[letter])?;
            letters.push(*letter);
        }
    }
    let parts = Parts::of(&letters, c_letters, out, lengths);
    let weight = weights(t, node, (c, c_letters), &parts)?;
    let made = product(t, node, (&x, &letters), &weight, &parts)?;
    let found = [&parts.groups[..], &parts.new, &parts.free].concat();
    let wanted: Vec<u8> = out.iter().copied().filter(|l| Some(*l) != batch).collect();
    let made = match found.is_empty() {
        true => made,
        false => {
            let made = t.seen_as(node, &made, parts.shape(&found), None)?;
            t.transpose_dynamic(node, ".back", &made, &places(&wanted, &found))?
        }
    };
    Ok(Dynamic {
        node: made.node,
        full: parts.shape(out),
        batch: out.iter().position(|l| Some(*l) == batch),
        integer: false,
    })
}

/// [`contract`] for a matrix product, in which dimensions that are summed over are equally long: none of 1 is repeated.
pub(super) fn matrix_product<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    (x, x_letters): (&Dynamic, &[u8]),
    (c, c_letters): (&Constant, &[u8]),
    out: &[u8],
) -> Result<Dynamic> {
    let lengths: BTreeMap<u8, usize> = c_letters
        .iter()
        .copied()
        .zip(c.shape.iter().copied())
        .collect();
    for (at, (letter, n)) in x_letters.iter().zip(&x.full).enumerate() {
        let other = lengths.get(letter).unwrap_or(n);
        if out.contains(letter) || n == other {
            continue;
        }
        return Err(node.error(match t.open && x.batch == Some(at) {
            true => refusals::MIXES_OPEN.to_owned(),
            false => format!(
                "sums over dimension {at} of a value of shape {:?}, which has {n} entries where the constant of shape {:?} has {other}; \
                 both must have as many",
                x.full, c.shape
            ),
        }));
    }
    contract(t, node, (x, x_letters), (c, c_letters), out)
}

/// A dimension of 1 beside a longer one of the constant is repeated.
fn repeated<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    mut x: Dynamic,
    letters: &[u8],
    lengths: &BTreeMap<u8, usize>,
) -> Result<Dynamic> {
    for (axis, letter) in letters.iter().enumerate() {
        let n = lengths.get(letter).copied().unwrap_or(1);
        if x.full[axis] == n {
            continue;
        }
        if x.full[axis] != 1 {
            return Err(node.error(format!("a value of shape {:?} does not broadcast to {n} entries along dimension {axis}, which the constant has", x.full)));
        }
        t.spend(node, n)?;
        let rows = SparseRows::copies(1, vec![Some(0); n]);
        x = t.resample_dynamic(node, ".expand", &x, axis, rows)?;
    }
    Ok(x)
}

/// The product as a flat value, groups first, then new letters, then free ones.
fn product<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    (x, letters): (&Dynamic, &[u8]),
    weight: &Constant,
    parts: &Parts,
) -> Result<Dynamic> {
    let order = [&parts.groups[..], &parts.summed, &parts.free].concat();
    let one = Dynamic {
        node: x.node,
        full: x.own(),
        batch: None,
        integer: false,
    };
    let turned = match order.is_empty() {
        true => one,
        false => t.transpose_dynamic(node, ".transpose", &one, &places(&order, letters))?,
    };
    let [g, s, f, m] =
        [&parts.groups, &parts.summed, &parts.free, &parts.new].map(|letters| parts.count(letters));
    let made = match (g, f) {
        (1, 1) => {
            let weight = t.parameter(node, &weight.reshape(vec![m, s]), false)?;
            linear(t, node, turned.node, weight, None)?
        }
        _ => pixels(t, node, &turned, weight, [g, s, f, m])?,
    };
    Ok(Dynamic {
        node: made,
        full: vec![g * m * f],
        batch: None,
        integer: false,
    })
}

/// The value repeated along a new last dimension.
fn along<'a>(t: &mut Translator<'a>, node: &Node<'a>, x: Dynamic, n: usize) -> Result<Dynamic> {
    let full = [&x.full[..], &[1]].concat();
    let x = t.seen_as(node, &x, full, x.batch)?;
    t.spend(node, size(&x.own()).unwrap_or(usize::MAX).saturating_mul(n))?;
    let rows = SparseRows::copies(1, vec![Some(0); n]);
    t.resample_dynamic(node, ".along", &x, x.full.len() - 1, rows)
}

/// The constant as `[groups, new, summed]`: letters that it lacks are repeated.
fn weights<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    (c, letters): (&Constant, &[u8]),
    parts: &Parts,
) -> Result<Constant> {
    let wanted = [&parts.groups[..], &parts.new, &parts.summed].concat();
    let c = Constant::floats(c.shape.clone(), node.check(c.to_floats())?.to_vec());
    t.spend(node, c.len())?;
    let missing: Vec<u8> = wanted
        .iter()
        .copied()
        .filter(|l| !letters.contains(l))
        .collect();
    let shape: Vec<usize> = [&vec![1; missing.len()], &c.shape[..]].concat();
    let letters = [&missing[..], letters].concat();
    let c = c.reshape(shape).transpose(&places(&wanted, &letters));
    let whole = parts.shape(&wanted);
    t.spend(node, size(&whole).unwrap_or(usize::MAX))?;
    node.check(c.broadcast_to(&whole))
}

/// Windows of one entry over `f` pixels: `[g * s, f]` to `[g * m, f]`.
fn pixels<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    turned: &Dynamic,
    weight: &Constant,
    [g, s, f, m]: [usize; 4],
) -> Result<usize> {
    let weight = t.parameter(node, &weight.reshape(vec![g * m, s, 1, 1]), false)?;
    let image = t.reshaped(node, turned.node, &[g * s, f, 1])?;
    let spec = OperatorSpec::Conv2d(Conv2dConfig {
        inputs: g * s,
        outputs: g * m,
        window: Window2d::square(1, 1, 0),
        groups: g,
        bias: false,
    });
    t.add(node, "", &spec, &[("weight", weight)], &[image])
}

/// A linear layer with `weight` `[outputs, inputs]` at a node, flattened first where it is no vector.
pub(super) fn linear<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    operand: usize,
    weight: Tensor,
    bias: Option<Tensor>,
) -> Result<usize> {
    let (outputs, inputs) = weight.dims2()?;
    let operand = t.reshaped(node, operand, &[inputs])?;
    let spec = OperatorSpec::Linear {
        inputs,
        outputs,
        bias: bias.is_some(),
    };
    let parameters: Vec<(&str, Tensor)> = [("weight", weight)]
        .into_iter()
        .chain(bias.map(|bias| ("bias", bias)))
        .collect();
    t.add(node, "", &spec, &parameters, &[operand])
}
