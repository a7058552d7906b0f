//! Padding, by a number and by entries of the value itself, and cutting.

use super::{
    body::size,
    constant::{Constant, Values},
    dims::unravel,
    geometry::count,
    message::Node,
    moves::axes,
    translator::Translator,
    value::Value,
};
use crate::{error::Result, sparse_rows::SparseRows, spec::OperatorSpec};

/// Padding of every mode. The pads are the second input, before version 11 an attribute; negative ones cut.
pub(super) fn pad<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let pads = match t.optional_constant(node, 1)? {
        Some(pads) => node.check(pads.to_ints())?.to_vec(),
        None => node.ints("pads").map(<[i64]>::to_vec).unwrap_or_default(),
    };
    let fill = match t.optional_constant(node, 2)? {
        Some(fill) => fill
            .only()
            .ok_or_else(|| node.error("pads with several numbers"))?,
        None => node.float("value", 0.0),
    };
    let named = axes(t, node, 3)?.unwrap_or_else(|| (0..full.len() as i64).collect());
    node.axes(&named, full.len())?;
    let (mut before, mut after) = (vec![0; full.len()], vec![0; full.len()]);
    if pads.len() != 2 * named.len() {
        return Err(node.error(format!(
            "{} pads for {} dimensions of a value of shape {full:?}; two for each",
            pads.len(),
            named.len()
        )));
    }
    for (i, axis) in named.iter().enumerate() {
        let axis = node.axis(*axis, full.len())?;
        let pair = [pads[i], pads[i + named.len()]];
        if pair.iter().any(|n| n.unsigned_abs() > u64::from(u32::MAX)) {
            return Err(node.error(format!("pads {pair:?}, which is too many")));
        }
        [before[axis], after[axis]] = pair;
    }
    let mode = node.text("mode", "constant");
    if mode == "wrap" && before.iter().chain(&after).any(|n| *n < 0) {
        return Err(node.error(
            "wraps round and cuts (negative pads), which runtimes do in another order than the standard's reference: export a Slice before it",
        ));
    }
    let found = match (&value, &mode[..]) {
        (Value::Dynamic(_), "constant") if before.iter().chain(&after).all(|n| *n >= 0) => {
            pad_with(t, node, &value, &before, &after, fill)?
        }
        (Value::Constant(_), "constant") | (_, "reflect" | "edge" | "wrap") => {
            moved_over(t, node, &value, &before, &after, (&mode, fill))?
        }
        (Value::Dynamic(_), "constant") => {
            let cut = |pads: &[i64]| pads.iter().map(|n| (*n).min(0)).collect::<Vec<_>>();
            let grown = |pads: &[i64]| pads.iter().map(|n| (*n).max(0)).collect::<Vec<_>>();
            // What is cut away may reach into the padding of the other side, so that comes first.
            let padded = pad_with(t, node, &value, &grown(&before), &grown(&after), fill)?;
            moved_over(t, node, &padded, &cut(&before), &cut(&after), ("edge", 0.0))?
        }
        (_, mode) => return Err(node.error(format!("pads by mode `{mode}`"))),
    };
    t.set(node, 0, found)
}

/// The middle of each dimension, or zeros on both sides of it; an odd entry is cut or added at the end.
pub(super) fn center_crop_pad<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let wanted = t.constant(node, 1)?;
    let wanted = node.check(wanted.to_ints())?;
    let axes = match node.ints("axes") {
        Some(axes) => {
            node.axes(axes, full.len())?;
            axes.iter()
                .map(|axis| node.axis(*axis, full.len()))
                .collect::<Result<Vec<_>>>()?
        }
        None => (0..full.len()).collect(),
    };
    if axes.len() != wanted.len() {
        return Err(node.error(format!(
            "{} sizes for {} dimensions",
            wanted.len(),
            axes.len()
        )));
    }
    let (mut before, mut after) = (vec![0; full.len()], vec![0; full.len()]);
    for (&axis, &size) in axes.iter().zip(wanted.iter()) {
        let more = count(node, size)? as i64 - full[axis] as i64;
        before[axis] = more / 2;
        after[axis] = more - more / 2;
    }
    let found = moved_over(t, node, &value, &before, &after, ("constant", 0.0))?;
    t.set(node, 0, found)
}

/// `fill` around a value.
fn pad_with<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: &Value,
    before: &[i64],
    after: &[i64],
    fill: f64,
) -> Result<Value> {
    let Value::Dynamic(dynamic) = value else {
        return Err(node.error("pads a constant"));
    };
    if before.iter().chain(after).all(|n| *n == 0) {
        return Ok(value.clone());
    }
    if !fill.is_finite() {
        return Err(node.error(format!(
            "pads by {fill}, which no network here holds; give the MaxPool after it these pads instead"
        )));
    }
    let pads_batch = |batch: usize| before[batch] != 0 || after[batch] != 0;
    let mut found = match dynamic.batch.is_some_and(pads_batch) {
        true => t.mixed(node, dynamic)?,
        false => dynamic.clone(),
    };
    let too_large = || {
        node.error(format!(
            "pads {before:?} and {after:?} make the value too large"
        ))
    };
    let (mut befores, mut afters) = (Vec::new(), Vec::new());
    for axis in 0..found.full.len() {
        let [b, a] = [before[axis], after[axis]].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let n = found.full[axis]
            .checked_add(b)
            .and_then(|n| n.checked_add(a));
        found.full[axis] = n.ok_or_else(too_large)?;
        if Some(axis) != found.batch {
            befores.push(b);
            afters.push(a);
        }
    }
    if size(&found.full).is_none() {
        return Err(too_large());
    }
    let spec = OperatorSpec::Pad {
        before: befores,
        after: afters,
        value: fill,
    };
    found.node = t.add(node, "", &spec, &[], &[found.node])?;
    Ok(Value::Dynamic(found))
}

/// Every dimension with entries of its own before and after, or without some.
fn moved_over<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: &Value,
    before: &[i64],
    after: &[i64],
    (mode, fill): (&str, f64),
) -> Result<Value> {
    let mut value = value.clone();
    for axis in 0..before.len() {
        let n = t.shape(node, &value)?[axis] as i64;
        let count = n
            .checked_add(before[axis])
            .and_then(|n| n.checked_add(after[axis]));
        let count = count.filter(|n| usize::try_from(*n).is_ok_and(|n| size(&[n]).is_some()));
        let count =
            count.ok_or_else(|| node.error("has pads that are too large or cut too much"))?;
        t.spend(node, count as usize)?;
        if n == 0 && mode != "constant" {
            return Err(node.error("pads by entries of a dimension that has none"));
        }
        let source = |i: i64| {
            let at = i - before[axis];
            let inside = match mode {
                "edge" => at.clamp(0, n - 1),
                "wrap" => at.rem_euclid(n.max(1)),
                "reflect" if n > 1 => {
                    let round = at.rem_euclid(2 * (n - 1));
                    round.min(2 * (n - 1) - round)
                }
                "reflect" => 0,
                _ => at,
            };
            (0..n).contains(&inside).then_some(inside as usize)
        };
        let sources: Vec<_> = (0..count).map(source).collect();
        let holes: Vec<usize> = (0..sources.len())
            .filter(|i| sources[*i].is_none())
            .collect();
        let rows = SparseRows::copies(n as usize, sources);
        if rows.is_identity() {
            continue;
        }
        value = t.resample(node, &value, axis, rows)?;
        if let (Value::Constant(constant), false) = (&value, holes.is_empty() || fill == 0.0) {
            value = Value::Constant(filled(constant, axis, &holes, fill));
        }
    }
    Ok(value)
}

/// `fill` in the places `holes` of dimension `axis`.
fn filled(constant: &Constant, axis: usize, holes: &[usize], fill: f64) -> Constant {
    let shape = constant.shape.clone();
    let hole = |flat: usize| holes.contains(&unravel(flat, &constant.shape)[axis]);
    let found = match &constant.values {
        Values::Ints(own) => {
            let filled = |(i, v): (usize, &i64)| if hole(i) { fill as i64 } else { *v };
            Constant::ints(shape, own.iter().enumerate().map(filled).collect())
        }
        Values::Floats(own) => {
            let filled = |(i, v): (usize, &f64)| if hole(i) { fill } else { *v };
            Constant::floats(shape, own.iter().enumerate().map(filled).collect())
        }
    };
    found.cast(constant.element)
}
