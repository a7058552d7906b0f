//! Operators that pick and repeat entries: slices, splits, gathers, tiles.

use super::{
    body::size,
    constant::Constant,
    dims::{broadcast, ravel, unravel},
    message::Node,
    refusals,
    translator::Translator,
    value::Value,
};
use crate::{error::Result, sparse_rows::SparseRows};

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
        if n == 0 {
            continue;
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
    for (index, rows) in rows_of_parts(&parts).enumerate() {
        if !node.outputs[index].is_empty() {
            match t.resample(node, &value, axis, rows) {
                Ok(part) => t.set(node, index, part)?,
                // A part that is empty is in nobody's way until it is read.
                Err(error) => t.fail_outputs(&node.outputs[index..=index], error),
            }
        }
    }
    Ok(())
}

/// The first entries along one dimension in reverse order, of each entry along another as many as a constant says.
pub(super) fn reverse_sequence<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let along = node.axis(node.int("time_axis", 0), full.len())?;
    let each = node.axis(node.int("batch_axis", 1), full.len())?;
    let lengths = t.constant(node, 1)?;
    let lengths = node.check(lengths.to_ints())?;
    let lengths = lengths.iter().map(|n| usize::try_from(*n).ok());
    let lengths = lengths.map(|n| n.filter(|n| *n <= full[along]));
    let lengths: Option<Vec<usize>> = lengths.collect();
    let lengths = lengths.filter(|lengths| along != each && lengths.len() == full[each]);
    let lengths = lengths.ok_or_else(|| {
        node.error(format!(
            "must have a length of at most {} for each of {} entries along dimension {each}",
            full[along], full[each]
        ))
    })?;
    let source = |at: usize, length: usize| if at < length { length - 1 - at } else { at };
    let first = lengths.first().copied().unwrap_or(0);
    if lengths.iter().all(|length| *length == first) {
        let sources = (0..full[along]).map(|at| Some(source(at, first)));
        let rows = SparseRows::copies(full[along], sources);
        let made = t.resample(node, &value, along, rows)?;
        return t.set(node, 0, made);
    }
    let count = size(&full).ok_or_else(|| node.error("makes a value too large"))?;
    t.spend(node, count)?;
    let sources = (0..count).map(|flat| {
        let mut index = unravel(flat, &full);
        index[along] = source(index[along], lengths[index[each]]);
        Some(ravel(&index, &full))
    });
    let sources = sources.collect();
    let made = picked(t, node, &value, sources, full)?;
    t.set(node, 0, made)
}

/// What picks each of several parts that lie one after the other, of lengths that add up to the whole.
pub(super) fn rows_of_parts(lengths: &[usize]) -> impl Iterator<Item = SparseRows> {
    let n = lengths.iter().sum();
    let mut start = 0;
    lengths.iter().map(move |length| {
        let own = start..start + length;
        start = own.end;
        SparseRows::copies(n, own.map(Some))
    })
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
    let indices_of = node.check(indices.to_ints())?;
    let beyond = |index: &i64| !(-1..1).contains(index);
    if t.open
        && matches!(&value, Value::Dynamic(d) if d.batch == Some(axis))
        && indices_of.iter().any(beyond)
    {
        return Err(node.error(refusals::MIXES_OPEN));
    }
    let chosen = entries(node, &indices_of, full[axis])?;
    let rows = SparseRows::copies(full[axis], chosen.into_iter().map(Some));
    let picked = t.resample(node, &value, axis, rows)?;
    let shape = [&full[..axis], &indices.shape, &full[axis + 1..]].concat();
    let picked = t.reshape(node, &picked, shape)?;
    t.set(node, 0, picked)
}

/// `ai.onnx.ml`'s `ArrayFeatureExtractor`: entries along the last dimension, as a selection of columns becomes.
pub(super) fn extract<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let indices = t.constant(node, 1)?;
    let full = t.shape(node, &value)?;
    if full.len() < 2 {
        return Err(node.error(format!("takes [batch, features], found {full:?}")));
    }
    let axis = full.len() - 1;
    let chosen = entries(node, &node.check(indices.to_ints())?, full[axis])?;
    let rows = SparseRows::copies(full[axis], chosen.into_iter().map(Some));
    let picked = t.resample(node, &value, axis, rows)?;
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
    let sources = element_places(t, node, &indices, &full)?;
    let sources = sources.into_iter().map(Some).collect();
    let found = picked(t, node, &value, sources, indices.shape.clone())?;
    t.set(node, 0, found)
}

/// Where in a flattened value of shape `full` the entries stand that indices along one dimension name.
pub(super) fn element_places<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    indices: &Constant,
    full: &[usize],
) -> Result<Vec<usize>> {
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
        ravel(&index, full)
    };
    Ok(chosen.into_iter().enumerate().map(place).collect())
}

pub(super) fn gather_nd<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let indices = t.constant(node, 1)?;
    let full = t.shape(node, &value)?;
    let shared = usize::try_from(node.int("batch_dims", 0)).unwrap_or(usize::MAX);
    let Some((&depth, outer)) = indices.shape.split_last() else {
        return Err(node.error("indices that are one number"));
    };
    if depth == 0
        || shared > outer.len()
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
        let kept = (0..n.min(keep.len())).filter(|i| keep[*i] != 0.0);
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
            let sources = kept(n);
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
