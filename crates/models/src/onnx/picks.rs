//! Operators that pick and repeat entries: slices, splits, gathers, tiles, paddings.

use super::{
    body::size,
    constant::Constant,
    message::Node,
    moves::axes,
    translator::Translator,
    value::{Value, broadcast},
};
use crate::{error::Result, sparse_rows::SparseRows, spec::OperatorSpec};

pub(super) fn slice<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let mut value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let mut numbers = |index: usize, name: &str| -> Result<Option<Vec<i64>>> {
        match t.optional_constant(node, index)? {
            Some(numbers) => Ok(Some(node.check(numbers.to_ints())?.to_vec())),
            None => Ok(node.ints(name).map(<[i64]>::to_vec)),
        }
    };
    let (starts, ends) = (numbers(1, "starts")?, numbers(2, "ends")?);
    let (axes, steps) = (numbers(3, "axes")?, numbers(4, "steps")?);
    let (Some(starts), Some(ends)) = (starts, ends) else {
        return Err(node.error("lacks where to start and end"));
    };
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(node.error("has starts, ends, axes and steps of different lengths"));
    }
    node.axes(&axes, full.len())?;
    for (i, &axis) in axes.iter().enumerate() {
        let axis = node.axis(axis, full.len())?;
        let n = full[axis] as i64;
        let step = steps[i];
        if step == 0 {
            return Err(node.error("has a step of 0"));
        }
        let wrapped = |at: i64| if at < 0 { at.saturating_add(n) } else { at };
        let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
        let start = wrapped(starts[i]).clamp(low.max(0), high);
        let end = wrapped(ends[i]).clamp(low, high);
        let mut sources = Vec::new();
        let mut at = start;
        while (step > 0 && at < end) || (step < 0 && at > end) {
            sources.push(Some(at as usize));
            at = at.saturating_add(step);
        }
        value = t.resample(node, &value, axis, SparseRows::copies(full[axis], sources))?;
    }
    t.set(node, 0, value)
}

pub(super) fn split<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let axis = node.axis(node.int("axis", 0), full.len())?;
    let n = full[axis];
    let parts = match t.optional_constant(node, 1)? {
        Some(parts) => Some(node.check(parts.to_ints())?.to_vec()),
        None => node.ints("split").map(<[i64]>::to_vec),
    };
    let count = node.outputs.len();
    let parts: Vec<usize> = match parts {
        Some(parts) => {
            let parts = parts.iter().map(|p| usize::try_from(*p).ok());
            parts.collect::<Option<_>>().unwrap_or_default()
        }
        None => {
            let each = n.div_ceil(count);
            (0..count)
                .map(|i| each.min(n.saturating_sub(i * each)))
                .collect()
        }
    };
    if parts.len() != count || parts.iter().sum::<usize>() != n {
        return Err(node.error(format!("splits {n} entries into {count} parts {parts:?}")));
    }
    let mut start = 0;
    for (index, length) in parts.into_iter().enumerate() {
        if !node.outputs[index].is_empty() {
            let rows = SparseRows::copies(n, (start..start + length).map(Some));
            let part = t.resample(node, &value, axis, rows)?;
            t.set(node, index, part)?;
        }
        start += length;
    }
    Ok(())
}

/// Indices that may count from the end.
fn entries(node: &Node<'_>, indices: &[i64], n: usize) -> Result<Vec<usize>> {
    let one = |&index: &i64| node.axis(index, n);
    indices.iter().map(one).collect()
}

pub(super) fn gather<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let indices = t.constant(node, 1)?;
    let full = t.shape(node, &value)?;
    let axis = node.axis(node.int("axis", 0), full.len())?;
    let chosen = entries(node, &node.check(indices.to_ints())?, full[axis])?;
    let rows = SparseRows::copies(full[axis], chosen.into_iter().map(Some));
    let picked = t.resample(node, &value, axis, rows)?;
    let shape = [&full[..axis], &indices.shape, &full[axis + 1..]].concat();
    let picked = t.reshape(node, &picked, shape)?;
    t.set(node, 0, picked)
}

/// Entries of the flattened value, in the shape `full`.
fn picked<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: &Value,
    sources: Vec<Option<usize>>,
    full: Vec<usize>,
) -> Result<Value> {
    let whole = match value {
        Value::Dynamic(dynamic) => Value::Dynamic(t.unbatched(node, dynamic)?),
        other => other.clone(),
    };
    let n = t.shape(node, &whole)?.iter().product();
    let flat = t.reshape(node, &whole, vec![n])?;
    let rows = SparseRows::copies(n, sources);
    let found = t.resample(node, &flat, 0, rows)?;
    t.reshape(node, &found, full)
}

pub(super) fn gather_elements<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let indices = t.constant(node, 1)?;
    let full = t.shape(node, &value)?;
    let axis = node.axis(node.int("axis", 0), full.len())?;
    let fits = indices.shape.len() == full.len()
        && (0..full.len()).all(|i| i == axis || indices.shape[i] <= full[i]);
    if !fits {
        let found = &indices.shape;
        return Err(node.error(format!(
            "indices of shape {found:?} for a value of {full:?}"
        )));
    }
    t.spend(node, indices.len())?;
    let chosen = entries(node, &node.check(indices.to_ints())?, full[axis])?;
    let place = |(flat, entry): (usize, usize)| {
        let mut index = unravel(flat, &indices.shape);
        index[axis] = entry;
        Some(ravel(&index, &full))
    };
    let sources = chosen.into_iter().enumerate().map(place).collect();
    let found = picked(t, node, &value, sources, indices.shape.clone())?;
    t.set(node, 0, found)
}

pub(super) fn gather_nd<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let indices = t.constant(node, 1)?;
    let full = t.shape(node, &value)?;
    let shared = usize::try_from(node.int("batch_dims", 0)).unwrap_or(usize::MAX);
    let Some((&depth, outer)) = indices.shape.split_last() else {
        return Err(node.error("indices that are one number"));
    };
    if shared > outer.len()
        || shared.saturating_add(depth) > full.len()
        || full[..shared] != outer[..shared]
    {
        return Err(node.error(format!(
            "indices of shape {:?} for a value of {full:?}",
            indices.shape
        )));
    }
    // Where the indices name leading dimensions alone, the others, among them perhaps the batch, stay as they are.
    let numbers = node.check(indices.to_ints())?;
    let (named, inner) = full[shared..].split_at(depth);
    let sizes: usize = named.iter().product();
    let mut rows = Vec::new();
    for tuple in numbers.chunks(depth.max(1)) {
        let entry = tuple.iter().zip(named).map(|(i, n)| node.axis(*i, *n));
        rows.push(ravel(&entry.collect::<Result<Vec<_>>>()?, named));
    }
    let shape = [outer, inner].concat();
    if shared == 0 {
        let merged = t.reshape(node, &value, [&[sizes], inner].concat())?;
        let rows = SparseRows::copies(sizes, rows.into_iter().map(Some));
        let found = t.resample(node, &merged, 0, rows)?;
        let found = t.reshape(node, &found, shape)?;
        return t.set(node, 0, found);
    }
    let count: usize = inner.iter().product();
    let each = rows.len() / full[..shared].iter().product::<usize>().max(1);
    t.spend(node, rows.len().saturating_mul(count))?;
    let sources = rows.iter().enumerate().flat_map(|(i, row)| {
        let block = i / each.max(1) * sizes + row;
        (0..count).map(move |at| Some(block * count + at))
    });
    let sources = sources.collect();
    let found = picked(t, node, &value, sources, shape)?;
    t.set(node, 0, found)
}

pub(super) fn compress<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let keep = t.constant(node, 1)?.as_floats();
    let full = t.shape(node, &value)?;
    let kept = |n: usize| {
        let kept = (0..n).filter(|i| keep.get(*i).is_some_and(|k| *k != 0.0));
        kept.map(Some).collect::<Vec<_>>()
    };
    let found = match node.attribute("axis").and_then(|a| a.int) {
        Some(axis) => {
            let axis = node.axis(axis, full.len())?;
            let rows = SparseRows::copies(full[axis], kept(full[axis]));
            t.resample(node, &value, axis, rows)?
        }
        None => {
            let n = size(&full).ok_or_else(|| node.error("a value too large"))?;
            let sources = kept(n.min(keep.len()));
            let count = sources.len();
            picked(t, node, &value, sources, vec![count])?
        }
    };
    t.set(node, 0, found)
}

pub(super) fn tile<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let mut value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let repeats = t.constant(node, 1)?;
    let repeats = node.check(repeats.to_ints())?;
    if repeats.len() != full.len() {
        return Err(node.error(format!(
            "{} repeats for a value of shape {full:?}",
            repeats.len()
        )));
    }
    for (axis, &times) in repeats.iter().enumerate() {
        let n = full[axis];
        let count = usize::try_from(times)
            .ok()
            .and_then(|times| n.checked_mul(times));
        let count = count.filter(|count| size(&[*count]).is_some());
        let count =
            count.ok_or_else(|| node.error(format!("repeats {n} entries {times} times")))?;
        t.spend(node, count)?;
        let rows = SparseRows::copies(n, (0..count).map(|i| Some(i % n)));
        value = t.resample(node, &value, axis, rows)?;
    }
    t.set(node, 0, value)
}

pub(super) fn expand<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let wanted = t.constant(node, 1)?;
    let wanted = node.check(wanted.to_ints())?;
    let wanted: Option<Vec<usize>> = wanted.iter().map(|n| usize::try_from(*n).ok()).collect();
    let full = t.shape(node, &value)?;
    let shape = wanted.and_then(|wanted| broadcast(&[&full, &wanted]));
    let shape = shape.ok_or_else(|| node.error(format!("cannot expand {full:?} to that shape")))?;
    let found = t.broadcast_to(node, &value, &shape)?;
    t.set(node, 0, found)
}

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
        (before[axis], after[axis]) = (pads[i], pads[i + named.len()]);
    }
    let mode = node.text("mode", "constant");
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
    let pads_batch = |batch: usize| before[batch] != 0 || after[batch] != 0;
    let mut found = match dynamic.batch.is_some_and(pads_batch) {
        true => t.unbatched(node, dynamic)?,
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
    let mut values = constant.as_floats();
    for (flat, value) in values.iter_mut().enumerate() {
        if holes.contains(&unravel(flat, &constant.shape)[axis]) {
            *value = fill;
        }
    }
    match constant.to_ints() {
        Ok(_) => {
            let ints = values.iter().map(|v| *v as i64).collect();
            Constant::ints(constant.shape.clone(), ints)
        }
        Err(_) => Constant::floats(constant.shape.clone(), values),
    }
}

pub(super) fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, n) in index.iter_mut().zip(shape).rev() {
        (*i, flat) = (flat % n, flat / n);
    }
    index
}

pub(super) fn ravel(index: &[usize], shape: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |flat, (i, n)| flat * n + i)
}

pub(super) fn depth_to_space<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let block = usize::try_from(node.int("blocksize", 0)).unwrap_or(0);
    let square = block.checked_mul(block).filter(|n| *n > 0);
    let ([n, c, h, w], Some(square)) = (&full[..], square) else {
        return Err(node.error(format!(
            "takes [batch, channels, height, width], found {full:?}"
        )));
    };
    let inner = c / square;
    if inner * square != *c {
        return Err(node.error(format!("{c} channels in blocks of {block}")));
    }
    let (split, moved) = match &node.text("mode", "DCR")[..] {
        "DCR" => (vec![*n, block, block, inner, *h, *w], [0, 3, 4, 1, 5, 2]),
        _ => (vec![*n, inner, block, block, *h, *w], [0, 1, 4, 2, 5, 3]),
    };
    let value = t.reshape(node, &value, split)?;
    let value = t.transpose(node, &value, &moved)?;
    let value = t.reshape(node, &value, vec![*n, inner, h * block, w * block])?;
    t.set(node, 0, value)
}

pub(super) fn space_to_depth<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let block = usize::try_from(node.int("blocksize", 0)).unwrap_or(0);
    let [n, c, h, w] = full[..] else {
        return Err(node.error(format!(
            "takes [batch, channels, height, width], found {full:?}"
        )));
    };
    if block == 0 || !h.is_multiple_of(block) || !w.is_multiple_of(block) {
        return Err(node.error(format!("an image of {h} x {w} in blocks of {block}")));
    }
    let (rows, columns) = (h / block, w / block);
    let value = t.reshape(node, &value, vec![n, c, rows, block, columns, block])?;
    let order = match &node.text("mode", "DCR")[..] {
        "DCR" => [0, 3, 5, 1, 2, 4],
        _ => [0, 1, 3, 5, 2, 4],
    };
    let value = t.transpose(node, &value, &order)?;
    let value = t.reshape(node, &value, vec![n, c * block * block, rows, columns])?;
    t.set(node, 0, value)
}
