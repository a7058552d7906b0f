//! The largest numbers of a few, in order: `TopK`, as sorts are written.

use super::{
    geometry::count,
    largest::between,
    message::Node,
    moves::joined,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::{error::Result, sparse_rows::SparseRows};

/// Numbers that are sorted: as many rounds of comparisons.
const MOST: usize = 32;

/// Neighbours are compared and exchanged in as many rounds as there are numbers, which sorts them. The places of the
/// numbers jump.
pub(super) fn top_k<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.dynamic(node, 0)?;
    let rank = value.full.len();
    let axis = node.axis(node.int("axis", -1), rank)?;
    let n = value.full[axis];
    let k = match t.optional_constant(node, 1)? {
        Some(k) => match node.check(k.to_ints())?[..] {
            [k] => k,
            _ => return Err(node.error(format!("takes numbers of shape {:?}", k.shape))),
        },
        None => node.int("k", 0),
    };
    let k = count(node, k)?;
    if k == 0 || k > n {
        return Err(node.error(format!("takes {k} of {n} numbers")));
    }
    if n > MOST {
        return Err(node.error(format!("sorts {n} numbers; at most {MOST} are read")));
    }
    let mut sorted = value;
    for round in 0..n {
        sorted = exchanged(t, node, sorted, axis, round % 2)?;
    }
    let kept: Vec<usize> = match node.int("largest", 1) {
        0 => (n - k..n).rev().collect(),
        _ => (0..k).collect(),
    };
    let made = taken(t, node, ".first", &sorted, axis, &kept)?;
    if let Some(places) = node.outputs.get(1) {
        let error = node.error("gives the places of numbers, which jump: they are not read");
        t.fail_outputs(&[*places], error);
    }
    t.set(node, 0, Value::Dynamic(made))
}

/// Of neighbours from entry `first` on, two by two, the larger before the smaller.
fn exchanged<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: Dynamic,
    axis: usize,
    first: usize,
) -> Result<Dynamic> {
    let n = value.full[axis];
    let pairs: Vec<usize> = (first..n.saturating_sub(1)).step_by(2).collect();
    if pairs.is_empty() {
        return Ok(value);
    }
    let others: Vec<usize> = pairs.iter().map(|at| at + 1).collect();
    let left = taken(t, node, ".left", &value, axis, &pairs)?;
    let right = taken(t, node, ".right", &value, axis, &others)?;
    let both = [left, right];
    let mut parts = vec![
        Value::Dynamic(between(t, node, &both, false)?),
        Value::Dynamic(between(t, node, &both, true)?),
    ];
    let rest: Vec<usize> = (0..n)
        .filter(|at| !pairs.contains(at) && !others.contains(at))
        .collect();
    if !rest.is_empty() {
        let rest = taken(t, node, ".rest", &value, axis, &rest)?;
        parts.push(Value::Dynamic(rest));
    }
    let joined = joined(t, node, &parts, axis)?;
    // Where each entry lies now.
    let now = [pairs, others, rest].concat();
    let mut order = vec![0; n];
    now.iter()
        .enumerate()
        .for_each(|(at, entry)| order[*entry] = at);
    taken(t, node, ".order", &joined, axis, &order)
}

/// Entries along a dimension.
fn taken<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    suffix: &str,
    value: &Dynamic,
    axis: usize,
    entries: &[usize],
) -> Result<Dynamic> {
    let entries = entries.iter().map(|at| Some(*at));
    let rows = SparseRows::copies(value.full[axis], entries);
    t.spend(node, rows.sources.len() + rows.len())?;
    t.resample_dynamic(node, suffix, value, axis, rows)
}
