//! Values with some entries replaced by those of another, or added to.

use super::{
    body::size,
    constant::{Constant, Values},
    dims::{ravel, unravel},
    geometry::{Along, count, windows},
    message::Node,
    moves::joined,
    picks::element_places,
    translator::Translator,
    value::Value,
};
use crate::{error::Result, sparse_rows::SparseRows};

/// `ScatterND`: each tuple of indices names a block.
pub(super) fn scatter_nd<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let indices = t.constant(node, 1)?;
    let data = t.value(node, 0)?;
    let full = t.shape(node, &data)?;
    let Some((&depth, outer)) = indices.shape.split_last() else {
        return Err(node.error("indices that are one number"));
    };
    if depth == 0 || depth > full.len() {
        let found = &indices.shape;
        return Err(node.error(format!(
            "indices of shape {found:?} for a value of {full:?}"
        )));
    }
    let (named, inner) = full.split_at(depth);
    let block: usize = inner.iter().product();
    let count = outer.iter().product::<usize>().saturating_mul(block);
    t.spend(node, count)?;
    let numbers = node.check(indices.to_ints())?;
    let mut places = Vec::with_capacity(count);
    for tuple in numbers.chunks(depth) {
        let index = tuple.iter().zip(named).map(|(i, n)| node.axis(*i, *n));
        let first = ravel(&index.collect::<Result<Vec<_>>>()?, named) * block;
        places.extend(first..first + block);
    }
    scattered(t, node, &data, &full, &places)
}

/// `Col2Im`: columns of blocks as they lie in an image, added where they overlap.
pub(super) fn columns_to_image<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = t.dynamic(node, 0)?;
    let operand = t.batch_first(node, &operand)?;
    let mut sizes = [Vec::new(), Vec::new()];
    for (index, sizes) in sizes.iter_mut().enumerate() {
        let numbers = t.constant(node, index + 1)?;
        let numbers = node.check(numbers.to_ints())?;
        *sizes = numbers
            .iter()
            .map(|n| count(node, *n))
            .collect::<Result<_>>()?;
    }
    let [image, block] = sizes;
    let along = windows(node, &image, &block)?;
    let positions: Vec<usize> = along.iter().map(Along::positions).collect();
    let [places, entries, columns] = [&image, &block, &positions].map(|n| size(n).unwrap_or(0));
    let [_, rows, found] = operand.full[..] else {
        let found = &operand.full;
        return Err(node.error(format!("takes [batch, rows, columns], found {found:?}")));
    };
    if found != columns || entries == 0 || !rows.is_multiple_of(entries) {
        return Err(node.error(format!(
            "{rows} rows and {found} columns for {columns} blocks of {entries} entries"
        )));
    }
    let channels = rows / entries;
    t.spend(node, places.saturating_add(entries.saturating_mul(columns)))?;
    let mut terms = vec![Vec::new(); places];
    for entry in 0..entries {
        let within = unravel(entry, &block);
        for column in 0..columns {
            let position = unravel(column, &positions);
            let at = along.iter().enumerate().map(|(axis, along)| {
                let padded = position[axis] * along.stride + within[axis] * along.dilation;
                let at = padded.checked_sub(along.before)?;
                (at < along.entries).then_some(at)
            });
            if let Some(at) = at.collect::<Option<Vec<_>>>() {
                terms[ravel(&at, &image)].push((entry * columns + column, 1.0));
            }
        }
    }
    let batch = operand.full[0];
    let flat = t.seen_as(
        node,
        &operand,
        vec![batch, channels, entries * columns],
        operand.batch,
    )?;
    let rows = SparseRows::weighted(entries * columns, terms);
    t.spend(node, rows.sources.len() + rows.len())?;
    let made = t.resample_dynamic(node, "", &flat, 2, rows)?;
    let full = [&[batch, channels], &image[..]].concat();
    let made = t.seen_as(node, &made, full, operand.batch)?;
    t.set(node, 0, Value::Dynamic(made))
}

/// `ScatterElements`, once called `Scatter`: indices along one dimension.
pub(super) fn scatter_elements<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let indices = t.constant(node, 1)?;
    let data = t.value(node, 0)?;
    let full = t.shape(node, &data)?;
    let places = element_places(t, node, &indices, &full)?;
    scattered(t, node, &data, &full, &places)
}

/// The data with updates at `places`, in their order.
fn scattered<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    data: &Value,
    full: &[usize],
    places: &[usize],
) -> Result<()> {
    let updates = t.value(node, 2)?;
    let add = match &node.text("reduction", "none")[..] {
        "none" => false,
        "add" => true,
        other => return Err(node.error(format!("reduces by `{other}`, which is not supported"))),
    };
    let n: usize = full.iter().product();
    if t.shape(node, &updates)?.iter().product::<usize>() != places.len() {
        return Err(node.error("has as many updates as no indices name"));
    }
    t.spend(node, n.saturating_mul(3))?;
    let data = flat(t, node, data, n)?;
    let updates = flat(t, node, &updates, places.len())?;
    let both = match (&data, &updates) {
        (Value::Constant(a), Value::Constant(b)) => Value::Constant(beside(a, b)),
        _ => Value::Dynamic(joined(t, node, &[data, updates], 0)?),
    };
    let mut terms: Vec<Vec<(usize, f64)>> = (0..n).map(|i| vec![(i, 1.0)]).collect();
    for (update, place) in places.iter().enumerate() {
        if !add {
            terms[*place].clear();
        }
        terms[*place].push((n + update, 1.0));
    }
    let rows = SparseRows::weighted(n + places.len(), terms);
    let found = t.resample(node, &both, 0, rows)?;
    let found = t.reshape(node, &found, full.to_vec())?;
    t.set(node, 0, found)
}

fn flat<'a>(t: &mut Translator<'a>, node: &Node<'a>, value: &Value, count: usize) -> Result<Value> {
    let whole = match value {
        Value::Dynamic(dynamic) => Value::Dynamic(t.unbatched(node, dynamic)?),
        other => other.clone(),
    };
    t.reshape(node, &whole, vec![count])
}

/// Two lists one after the other, of the type of the first.
fn beside(a: &Constant, b: &Constant) -> Constant {
    let shape = vec![a.len() + b.len()];
    let both = match (&a.values, &b.values) {
        (Values::Ints(x), Values::Ints(y)) => Constant::ints(shape, [&x[..], y].concat()),
        _ => Constant::floats(shape, [a.as_floats(), b.as_floats()].concat()),
    };
    both.cast(a.element)
}
