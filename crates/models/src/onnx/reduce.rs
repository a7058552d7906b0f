//! Sums, means and maxima over dimensions.

use super::{
    arithmetic::scaled,
    constant::Constant,
    dims::own_axis,
    largest,
    message::Node,
    moves::axes,
    pooling,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::{error::Result, operators::Activation, sparse_rows::SparseRows, spec::OperatorSpec};

/// Which dimensions a node reduces.
fn reduced<'a>(t: &mut Translator<'a>, node: &Node<'a>, rank: usize) -> Result<Vec<bool>> {
    match axes(t, node, 1)? {
        Some(axes) if !axes.is_empty() => node.axes(&axes, rank),
        _ if node.int("noop_with_empty_axes", 0) != 0 => Ok(vec![false; rank]),
        _ => Ok(vec![true; rank]),
    }
}

/// `ReduceSum`, `ReduceMean`, `ReduceL1`, `ReduceMax`, `ReduceMin`.
pub(super) fn reduce<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.dynamic(node, 0)?;
    let reduced = reduced(t, node, value.full.len())?;
    let made = match node.op_type {
        "ReduceMax" => largest::over(t, node, &value, &reduced, false)?,
        "ReduceMin" => largest::over(t, node, &value, &reduced, true)?,
        "ReduceL1" => {
            let absolute = t.activated(node, ".abs", &value, &Activation::abs())?;
            summed(t, node, &absolute, &reduced, false)?
        }
        kind => summed(t, node, &value, &reduced, kind == "ReduceMean")?,
    };
    let made = match node.int("keepdims", 1) {
        0 => without(t, node, &made, &reduced)?,
        _ => made,
    };
    t.set(node, 0, Value::Dynamic(made))
}

/// Without the dimensions that were reduced to 1.
fn without<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: &Dynamic,
    gone: &[bool],
) -> Result<Dynamic> {
    let kept: Vec<usize> = (0..gone.len()).filter(|axis| !gone[*axis]).collect();
    let full = kept.iter().map(|axis| value.full[*axis]).collect();
    let batch = (value.batch).and_then(|batch| kept.iter().position(|axis| *axis == batch));
    match (batch, value.batch) {
        (None, Some(_)) => {
            let value = t.mixed(node, value)?;
            t.seen_as(node, &value, full, None)
        }
        _ => t.seen_as(node, value, full, batch),
    }
}

/// Sums or means along each of the dimensions, which stay as 1.
fn summed<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    value: &Dynamic,
    reduced: &[bool],
    mean: bool,
) -> Result<Dynamic> {
    let own: Vec<usize> = (0..reduced.len())
        .filter(|axis| Some(*axis) != value.batch && reduced[*axis])
        .map(|axis| own_axis(axis, value.batch))
        .collect();
    let batch_stays = value.batch.is_none_or(|batch| !reduced[batch]);
    let rank = value.own().len();
    if mean && batch_stays && rank > 1 && own.iter().copied().eq(1..rank) {
        return pooled(t, node, value);
    }
    let mut value = value.clone();
    let axes = (0..reduced.len()).filter(|axis| reduced[*axis]);
    let mut terms = 1usize;
    for axis in axes {
        let n = value.full[axis];
        terms = terms.saturating_mul(n);
        let weight = if mean { 1.0 / n as f64 } else { 1.0 };
        t.spend(node, n)?;
        let rows = SparseRows::weighted(n, [(0..n).map(|i| (i, weight)).collect()]);
        let rows = rows.of_terms(terms);
        value = t.resample_dynamic(node, "", &value, axis, rows)?;
    }
    Ok(value)
}

/// The mean of each channel.
fn pooled<'a>(t: &mut Translator<'a>, node: &Node<'a>, value: &Dynamic) -> Result<Dynamic> {
    let spec = OperatorSpec::GlobalAvgPool;
    let made = t.add(node, "", &spec, &[], &[value.node])?;
    let mut full = value.full.clone();
    let channel = (0..full.len()).find(|axis| Some(*axis) != value.batch);
    (0..full.len())
        .filter(|axis| Some(*axis) != value.batch && Some(*axis) != channel)
        .for_each(|axis| full[axis] = 1);
    Ok(Dynamic {
        node: made,
        full,
        batch: value.batch,
        integer: false,
    })
}

/// `GlobalAveragePool`, `GlobalLpPool` of order 1 and `GlobalMaxPool`: over everything but the batch and the channel.
pub(super) fn global_pool<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = t.dynamic(node, 0)?;
    if operand.full.len() < 3 {
        let found = &operand.full;
        return Err(node.error(format!(
            "takes [batch, channels, sizes...], found {found:?}"
        )));
    }
    let made = t.by_channels(node, &operand, |t, operand| {
        let reduced: Vec<bool> = (0..operand.full.len()).map(|axis| axis > 1).collect();
        match node.op_type {
            "GlobalMaxPool" => largest::over(t, node, &operand, &reduced, false),
            "GlobalLpPool" => {
                pooling::of_order_one(node)?;
                let absolute = t.activated(node, ".abs", &operand, &Activation::abs())?;
                summed(t, node, &absolute, &reduced, false)
            }
            _ => pooled(t, node, &operand),
        }
    })?;
    t.set(node, 0, Value::Dynamic(made))
}

/// Running sums along one dimension.
pub(super) fn cum_sum<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let axis = t.constant(node, 1)?;
    let axis = axis
        .only()
        .ok_or_else(|| node.error("sums along several dimensions"))?;
    let axis = node.axis(axis as i64, full.len())?;
    let n = full[axis];
    t.spend(node, n.saturating_mul(n))?;
    let (exclusive, reverse) = (node.int("exclusive", 0) != 0, node.int("reverse", 0) != 0);
    let row = |i: usize| {
        let terms = match (reverse, exclusive) {
            (false, false) => 0..i + 1,
            (false, true) => 0..i,
            (true, false) => i..n,
            (true, true) => i + 1..n,
        };
        terms.map(|source| (source, 1.0)).collect()
    };
    let rows = SparseRows::weighted(n, (0..n).map(row));
    let found = t.resample(node, &value, axis, rows)?;
    t.set(node, 0, found)
}

/// Zeros above or below a diagonal of the last two dimensions.
pub(super) fn trilu<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.dynamic(node, 0)?;
    let k = t
        .optional_constant(node, 1)?
        .and_then(|k| k.only())
        .unwrap_or(0.0) as i64;
    let upper = node.int("upper", 1) != 0;
    let [.., rows, columns] = value.full[..] else {
        return Err(node.error(format!("takes matrices, found {:?}", value.full)));
    };
    if value
        .batch
        .is_some_and(|batch| batch + 2 >= value.full.len())
    {
        return Err(node.error("takes matrices of which the batch is no dimension"));
    }
    t.spend(node, rows.saturating_mul(columns))?;
    let kept = |i: usize| {
        let above = (i % columns) as i64 - (i / columns) as i64;
        if upper { above >= k } else { above <= k }
    };
    let mask: Vec<f64> = (0..rows * columns)
        .map(|i| f64::from(u8::from(kept(i))))
        .collect();
    let mask = Constant::floats(vec![rows, columns], mask);
    let made = scaled(t, node, "", &value, &mask)?;
    t.set(node, 0, Value::Dynamic(made))
}
