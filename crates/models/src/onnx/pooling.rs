//! Pooling over one, two or three dimensions.

use super::{
    convolution::images,
    geometry::{Along, list, pair, still, windows},
    largest,
    message::Node,
    moves::joined,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::{error::Result, operators::Activation, sparse_rows::SparseRows, spec::OperatorSpec};

/// Blocks of windows of three dimensions that are alike: at most three along each dimension where padding is less than a
/// window, and a few more for odd strides.
const MAX_BLOCKS: usize = 512;

/// Entries under all windows of an input together: each is compared, and a small file can ask for any number.
const MAX_COMPARED: usize = 1 << 26;

/// The windows of a pooling node.
fn pooling_windows<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    operand: &Dynamic,
) -> Result<Vec<Along>> {
    let sizes = &operand.full[2..];
    let kernel = list(node, "kernel_shape", sizes.len())?;
    let kernel = kernel.ok_or_else(|| node.error("lacks its kernel_shape"))?;
    let windows = windows(node, sizes, &kernel)?;
    for window in &windows {
        t.spend_work(node, window.positions().saturating_mul(window.kernel))?;
    }
    Ok(windows)
}

fn pooled_shape(operand: &Dynamic, windows: &[Along]) -> Vec<usize> {
    let positions = windows.iter().map(Along::positions);
    operand.full[..2].iter().copied().chain(positions).collect()
}

/// What a node computes of each channel of its first input.
fn pooled<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    of: impl FnOnce(&mut Translator<'a>, &Node<'a>, Dynamic) -> Result<Dynamic>,
) -> Result<()> {
    let operand = images(t, node)?;
    let made = t.by_channels(node, &operand, |t, operand| of(t, node, operand))?;
    t.set(node, 0, Value::Dynamic(made))
}

pub(super) fn average_pool<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    pooled(t, node, means)
}

fn means<'a>(t: &mut Translator<'a>, node: &Node<'a>, operand: Dynamic) -> Result<Dynamic> {
    let windows = pooling_windows(t, node, &operand)?;
    let count_padding = node.int("count_include_pad", 0) != 0;
    if !count_padding
        && windows
            .iter()
            .any(|w| (0..w.positions()).any(|p| w.under(p).next().is_none()))
    {
        return Err(node.error("has a window on padding alone, whose mean is not a number"));
    }
    let plain = windows.iter().all(|w| w.dilation == 1 && w.beyond == 0);
    if let ([rows, columns], true) = (&windows[..], plain) {
        let spec = OperatorSpec::AvgPool2d {
            window: pair(rows, columns),
            count_padding,
        };
        let made = t.add(node, "", &spec, &[], &[operand.node])?;
        let full = pooled_shape(&operand, &windows);
        return Ok(Dynamic {
            node: made,
            full,
            batch: operand.batch,
            integer: false,
        });
    }
    // The mean over a window is the mean along one dimension of the means along the others.
    let (mut made, mut terms) = (operand, 1usize);
    for (axis, along) in windows.iter().enumerate() {
        terms = terms.saturating_mul(along.kernel);
        t.spend(node, along.positions().saturating_mul(along.kernel))?;
        let row = |position: usize| {
            let count = match count_padding {
                true => along.counted(position),
                false => along.under(position).count(),
            };
            let weight = 1.0 / count as f64;
            along.under(position).map(|entry| (entry, weight)).collect()
        };
        let rows = SparseRows::weighted(along.entries, (0..along.positions()).map(row));
        let rows = rows.of_terms(terms);
        made = t.resample_dynamic(node, "", &made, axis + 2, rows)?;
    }
    Ok(made)
}

/// A mean times the number of entries, of absolute values: `LpPool` of order 1.
pub(super) fn lp_pool<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    of_order_one(node)?;
    pooled(t, node, absolute_sums)
}

fn absolute_sums<'a>(t: &mut Translator<'a>, node: &Node<'a>, operand: Dynamic) -> Result<Dynamic> {
    let windows = pooling_windows(t, node, &operand)?;
    let mut made = t.activated(node, ".abs", &operand, &Activation::abs())?;
    let mut terms = 1usize;
    for (axis, along) in windows.iter().enumerate() {
        t.spend(node, along.positions().saturating_mul(along.kernel))?;
        terms = terms.saturating_mul(along.kernel);
        let row = |position: usize| along.under(position).map(|entry| (entry, 1.0)).collect();
        let rows = SparseRows::weighted(along.entries, (0..along.positions()).map(row));
        let rows = rows.of_terms(terms);
        made = t.resample_dynamic(node, "", &made, axis + 2, rows)?;
    }
    Ok(made)
}

/// The order of an l_p norm is 1.
pub(super) fn of_order_one(node: &Node<'_>) -> Result<()> {
    match node.int("p", 2) {
        1 => Ok(()),
        _ => Err(node.error("of an order other than 1 is not piecewise linear")),
    }
}

pub(super) fn max_pool<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    pooled(t, node, maxima)
}

fn maxima<'a>(t: &mut Translator<'a>, node: &Node<'a>, operand: Dynamic) -> Result<Dynamic> {
    let windows = pooling_windows(t, node, &operand)?;
    if windows
        .iter()
        .any(|w| (0..w.positions()).any(|p| w.under(p).next().is_none()))
    {
        return Err(node.error("has a window on padding alone, which has no largest entry"));
    }
    let entries = |w: &Along| w.positions().saturating_mul(longest(w));
    let compared = windows.iter().map(entries);
    let compared = compared.fold(operand.full[1], usize::saturating_mul);
    if compared > MAX_COMPARED {
        return Err(node.error(format!(
            "has windows of {compared} entries in all, more than the {MAX_COMPARED} that are compared"
        )));
    }
    if let Some(indices) = node.outputs.get(1) {
        let error =
            node.error("gives the places of largest entries, which jump: its indices are not read");
        t.fail_outputs(&[*indices], error);
    }
    match &windows[..] {
        _ if windows.iter().all(|w| longest(w) == 1) => strided(t, node, operand, &windows),
        [columns] => {
            let (channels, wide) = (operand.full[1], operand.full[2]);
            let plane = t.reshaped(node, operand.node, &[channels, 1, wide])?;
            planar(t, node, plane, (&still(), columns), &operand, &windows)
        }
        [rows, columns] => planar(t, node, operand.node, (rows, columns), &operand, &windows),
        _ => {
            let blocks = windows.iter().map(runs).fold(1usize, usize::saturating_mul);
            if blocks > MAX_BLOCKS {
                return Err(node.error("has windows that reach into padding in too many ways"));
            }
            gathered(t, node, operand, &windows, &mut Vec::new())
        }
    }
}

/// How many runs of windows with as many entries there are.
fn runs(window: &Along) -> usize {
    let count = |position: usize| window.under(position).count();
    1 + (1..window.positions())
        .filter(|at| count(*at) != count(at - 1))
        .count()
}

/// The most entries under a window.
fn longest(window: &Along) -> usize {
    let counts = (0..window.positions()).map(|position| window.under(position).count());
    counts.max().unwrap_or(0)
}

/// Windows of one entry choose nothing.
fn strided<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    operand: Dynamic,
    windows: &[Along],
) -> Result<Dynamic> {
    let mut made = operand;
    for (axis, along) in windows.iter().enumerate() {
        let sources = (0..along.positions()).map(|position| along.under(position).next());
        let rows = SparseRows::copies(along.entries, sources);
        made = t.resample_dynamic(node, "", &made, axis + 2, rows)?;
    }
    Ok(made)
}

fn planar<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    plane: usize,
    (rows, columns): (&Along, &Along),
    operand: &Dynamic,
    windows: &[Along],
) -> Result<Dynamic> {
    let spec = OperatorSpec::MaxPool2d {
        window: pair(rows, columns),
    };
    let made = t.add(node, "", &spec, &[], &[plane])?;
    let full = pooled_shape(operand, windows);
    let made = Dynamic {
        node: made,
        full: full.clone(),
        batch: operand.batch,
        integer: false,
    };
    t.seen_as(node, &made, full, operand.batch)
}

/// The entries under every window side by side, and the largest of them: block by block of windows that have as many
/// entries, which at the border are fewer.
fn gathered<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    made: Dynamic,
    windows: &[Along],
    done: &mut Vec<[usize; 2]>,
) -> Result<Dynamic> {
    let axis = done.len();
    let Some(along) = windows.get(axis) else {
        return block(t, node, made, done);
    };
    let count = |position: usize| along.under(position).count();
    let (mut parts, mut start) = (Vec::new(), 0);
    while start < along.positions() {
        let alike = |position: &usize| count(*position) == count(start);
        let end = (start..along.positions())
            .take_while(alike)
            .last()
            .map_or(start, |p| p + 1);
        let sources = (start..end).flat_map(|position| along.under(position));
        let rows = SparseRows::copies(along.entries, sources.map(Some));
        t.spend(node, rows.len())?;
        let part = t.resample_dynamic(node, ".windows", &made, axis + 2, rows)?;
        done.push([end - start, count(start)]);
        parts.push(Value::Dynamic(gathered(t, node, part, windows, done)?));
        done.pop();
        start = end;
    }
    match &parts[..] {
        [Value::Dynamic(only)] => Ok(only.clone()),
        parts => joined(t, node, parts, axis + 2),
    }
}

/// The largest of windows whose entries lie side by side: for each dimension how many windows of how many entries.
fn block<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    made: Dynamic,
    windows: &[[usize; 2]],
) -> Result<Dynamic> {
    let split: Vec<usize> = made.full[..2]
        .iter()
        .chain(windows.as_flattened())
        .copied()
        .collect();
    let pooled = made.full[..2]
        .iter()
        .copied()
        .chain(windows.iter().map(|w| w[0]))
        .collect();
    let reduced: Vec<bool> = (0..split.len()).map(|at| at > 2 && at % 2 == 1).collect();
    let made = t.seen_as(node, &made, split, Some(0))?;
    let made = largest::over(t, node, &made, &reduced, false)?;
    t.seen_as(node, &made, pooled, Some(0))
}
