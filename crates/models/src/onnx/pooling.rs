//! Pooling over one, two or three dimensions.

use super::{
    convolution::image,
    geometry::{Along, list, pair, still, windows},
    largest,
    message::Node,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::{error::Result, operators::Activation, sparse_rows::SparseRows, spec::OperatorSpec};

/// The windows of a pooling node.
fn pooling_windows<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    operand: &Dynamic,
) -> Result<Vec<Along>> {
    if node.int("storage_order", 0) != 0 {
        return Err(node.error("storage_order is set"));
    }
    if node.outputs.get(1).is_some_and(|name| !name.is_empty()) {
        return Err(node.error("has a second output (indices), which is not supported"));
    }
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

pub(super) fn average_pool<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = image(t, node)?;
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
        let made = Dynamic {
            node: made,
            full,
            batch: operand.batch,
        };
        return t.set(node, 0, Value::Dynamic(made));
    }
    // The mean over a window is the mean along one dimension of the means along the others.
    let mut made = operand;
    for (axis, along) in windows.iter().enumerate() {
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
        made = t.resample_dynamic(node, "", &made, axis + 2, rows)?;
    }
    t.set(node, 0, Value::Dynamic(made))
}

/// A mean times the number of entries, of absolute values: `LpPool` of order 1.
pub(super) fn lp_pool<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    if node.int("p", 2) != 1 {
        return Err(node.error("of an order other than 1 is not piecewise linear"));
    }
    let operand = image(t, node)?;
    let windows = pooling_windows(t, node, &operand)?;
    let mut made = t.activated(node, ".abs", &operand, &Activation::abs())?;
    for (axis, along) in windows.iter().enumerate() {
        t.spend(node, along.positions().saturating_mul(along.kernel))?;
        let row = |position: usize| along.under(position).map(|entry| (entry, 1.0)).collect();
        let rows = SparseRows::weighted(along.entries, (0..along.positions()).map(row));
        made = t.resample_dynamic(node, "", &made, axis + 2, rows)?;
    }
    t.set(node, 0, Value::Dynamic(made))
}

pub(super) fn max_pool<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = image(t, node)?;
    let windows = pooling_windows(t, node, &operand)?;
    if windows
        .iter()
        .any(|w| (0..w.positions()).any(|p| w.under(p).next().is_none()))
    {
        return Err(node.error("has a window on padding alone, which has no largest entry"));
    }
    let made = match &windows[..] {
        _ if windows.iter().all(|w| longest(w) == 1) => strided(t, node, operand, &windows)?,
        [columns] => {
            let (channels, wide) = (operand.full[1], operand.full[2]);
            let plane = t.reshaped(node, operand.node, &[channels, 1, wide])?;
            planar(t, node, plane, (&still(), columns), &operand, &windows)?
        }
        [rows, columns] => planar(t, node, operand.node, (rows, columns), &operand, &windows)?,
        _ => gathered(t, node, operand, &windows)?,
    };
    t.set(node, 0, Value::Dynamic(made))
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
    };
    t.seen_as(node, &made, full, operand.batch)
}

/// The entries under every window side by side, and the largest of them.
fn gathered<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    operand: Dynamic,
    windows: &[Along],
) -> Result<Dynamic> {
    if windows
        .iter()
        .any(|w| (0..w.positions()).any(|p| w.under(p).count() != w.kernel))
    {
        return Err(node.error(
            "has windows of three dimensions that reach into padding; supported are those without padding",
        ));
    }
    let full = pooled_shape(&operand, windows);
    let (batch, channels) = (operand.full[0], operand.full[1]);
    let mut made = operand;
    for (axis, along) in windows.iter().enumerate() {
        let sources = (0..along.positions()).flat_map(|position| along.under(position));
        let rows = SparseRows::copies(along.entries, sources.map(Some));
        t.spend(node, rows.len())?;
        made = t.resample_dynamic(node, ".windows", &made, axis + 2, rows)?;
    }
    let mut split = vec![batch, channels];
    split.extend(windows.iter().flat_map(|w| [w.positions(), w.kernel]));
    let reduced: Vec<bool> = (0..split.len()).map(|at| at > 2 && at % 2 == 1).collect();
    let made = t.seen_as(node, &made, split, Some(0))?;
    let made = largest::over(t, node, &made, &reduced, false)?;
    t.seen_as(node, &made, full, Some(0))
}
