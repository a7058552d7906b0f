//! Convolutions and their transposes over one, two or three dimensions.

use super::{
    arithmetic::shifted,
    body::size,
    constant::Constant,
    geometry::{Along, count, list, pair, positive, still, windows},
    message::Node,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::{
    error::Result,
    sparse_rows::SparseRows,
    spec::{Conv2dConfig, OperatorSpec},
};

pub(super) fn conv<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = images(t, node)?;
    let kernel = t.constant(node, 1)?;
    let Some((&[outputs, inputs], sizes)) = kernel.shape.split_first_chunk::<2>() else {
        return Err(node.error(format!(
            "a kernel of shape {:?}; it must be [outputs, inputs / groups, sizes...]",
            kernel.shape
        )));
    };
    let groups = positive(node, count(node, node.int("group", 1))?)?;
    let windows = windows(node, &operand.full[2..], sizes)?;
    let bias = match t.optional_constant(node, 2)? {
        Some(bias) if bias.shape != [outputs] => {
            return Err(node.error(format!(
                "a bias of shape {:?} for {outputs} output channels",
                bias.shape
            )));
        }
        bias => bias,
    };
    if Some(operand.full[1]) != inputs.checked_mul(groups) || !outputs.is_multiple_of(groups) {
        return Err(node.error(format!(
            "a kernel of shape {:?} in {groups} groups for {} channels",
            kernel.shape, operand.full[1]
        )));
    }
    let filter = Filter {
        kernel: &kernel,
        bias: bias.as_ref(),
        windows: &windows,
        groups,
    };
    let made = convolved(t, node, &operand, &filter)?;
    t.set(node, 0, Value::Dynamic(made))
}

/// What a convolution multiplies with, and where.
struct Filter<'k> {
    /// `[outputs, inputs / groups, sizes...]`.
    kernel: &'k Constant,
    bias: Option<&'k Constant>,
    windows: &'k [Along],
    groups: usize,
}

/// A convolution of `[batch, channels, sizes...]`, or of several images of one input.
fn convolved<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    operand: &Dynamic,
    filter: &Filter<'_>,
) -> Result<Dynamic> {
    if operand.batch.is_none() {
        return below_one_another(t, node, operand, filter);
    }
    let &Filter {
        kernel,
        bias,
        windows,
        groups,
    } = filter;
    let outputs = kernel.shape[0];
    let mut full = vec![operand.full[0], outputs];
    full.extend(windows.iter().map(Along::positions));
    let whole_bias = bias;
    let (plane, kernel, bias) = match windows {
        [columns] => {
            let (channels, wide) = (operand.full[1], operand.full[2]);
            let image = t.reshaped(node, operand.node, &[channels, 1, wide])?;
            let shape = [&kernel.shape[..2], &[1], &kernel.shape[2..]].concat();
            (
                (image, pair(&still(), columns)),
                kernel.reshape(shape),
                bias.cloned(),
            )
        }
        [rows, columns] => (
            (operand.node, pair(rows, columns)),
            kernel.clone(),
            bias.cloned(),
        ),
        [deep, rows, columns] => {
            let image = slices_as_channels(t, node, operand, groups)?;
            let kernel = banded(t, node, kernel, deep, groups)?;
            ((image, pair(rows, columns)), kernel, None)
        }
        _ => return Err(node.error("supported are windows over one, two and three dimensions")),
    };
    let mut parameters = vec![("weight", t.parameter(node, &kernel, false)?)];
    if let Some(bias) = &bias {
        parameters.push(("bias", t.parameter(node, bias, false)?));
    }
    let (image, window) = plane;
    let spec = OperatorSpec::Conv2d(Conv2dConfig {
        inputs: kernel.shape[1] * groups,
        outputs: kernel.shape[0],
        window,
        groups,
        bias: parameters.len() == 2,
    });
    let made = t.add(node, "", &spec, &parameters, &[image])?;
    let found = Dynamic {
        node: made,
        full: vec![size(&full).unwrap_or(0)],
        batch: None,
        integer: false,
    };
    if windows.len() < 3 {
        return t.seen_as(node, &found, full, operand.batch);
    }
    let made = channels_as_slices(t, node, &found, full, (outputs, groups))?;
    match whole_bias {
        Some(bias) => {
            let bias = bias.reshape(vec![outputs, 1, 1, 1]);
            shifted(t, node, ".bias", &made, &bias, 1.0)
        }
        None => Ok(made),
    }
}

/// A convolution of several images of one input, `[images, channels, sizes...]`: one of all of them below one another, each with so many rows
/// that the windows of the next begin with it.
fn below_one_another<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    operand: &Dynamic,
    filter: &Filter<'_>,
) -> Result<Dynamic> {
    let windows = filter.windows;
    let (rows, columns) = match windows {
        [columns] => (&still(), columns),
        [rows, columns] => (rows, columns),
        _ => return Err(node.error("takes one volume of an input, found several")),
    };
    let (images, channels) = (operand.full[0], operand.full[1]);
    let planes = vec![images, channels, rows.entries, columns.entries];
    let planes = t.seen_as(node, operand, planes, None)?;
    let planes = t.transpose_dynamic(node, ".channels", &planes, &[1, 0, 2, 3])?;
    // Rows that windows of an image lie on: padding is made of zeros.
    let (positions, reach) = (rows.positions(), rows.reach());
    let each = ((positions - 1) * rows.stride + reach).next_multiple_of(rows.stride);
    t.spend(node, each)?;
    let row = |place: usize| place.checked_sub(rows.before);
    let padded = (0..each).map(|place| row(place).filter(|row| *row < rows.entries));
    let padded = SparseRows::copies(rows.entries, padded);
    let padded = t.resample_dynamic(node, ".rows", &planes, 2, padded)?;
    let entries = size(&[images, each]).ok_or_else(|| node.error("makes a value too large"))?;
    let all = vec![1, channels, entries, columns.entries];
    let all = t.seen_as(node, &padded, all, Some(0))?;
    let rows = Along {
        before: 0,
        // So that windows begin at every row, the last ones on nothing.
        after: reach.saturating_sub(rows.stride),
        beyond: 0,
        entries,
        ..*rows
    };
    let (channels, sizes) = filter.kernel.shape.split_at(2);
    let shape = [channels, &vec![1; 2 - sizes.len()], sizes].concat();
    let planar = Filter {
        kernel: &filter.kernel.reshape(shape),
        windows: &[rows, *columns],
        ..*filter
    };
    let made = convolved(t, node, &all, &planar)?;
    let split = vec![made.full[1], images, each / rows.stride, made.full[3]];
    let split = t.seen_as(node, &made, split, None)?;
    let kept = SparseRows::copies(each / rows.stride, (0..positions).map(Some));
    let kept = t.resample_dynamic(node, ".positions", &split, 2, kept)?;
    let turned = t.transpose_dynamic(node, ".images", &kept, &[1, 0, 2, 3])?;
    let full = [images, made.full[1]].into_iter();
    let full = full.chain(windows.iter().map(Along::positions));
    t.seen_as(node, &turned, full.collect(), None)
}

/// `[g * c, d, h, w]` to `[g * d * c, h, w]`: every slice of depth is a channel of its group.
fn slices_as_channels<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    operand: &Dynamic,
    groups: usize,
) -> Result<usize> {
    let own = operand.own();
    let [channels, d, h, w] = own[..] else {
        return Err(node.error(format!("takes volumes, found {:?}", operand.full)));
    };
    let split = vec![groups, channels / groups, d, h * w];
    let split = t.seen_as(node, &plain(operand.node), split, None)?;
    let turned = t.transpose_dynamic(node, ".slices", &split, &[0, 2, 1, 3])?;
    t.reshaped(node, turned.node, &[channels * d, h, w])
}

/// The way back: `[g * d * m, h, w]` to `full`, `[batch, g * m, d, h, w]`.
fn channels_as_slices<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    found: &Dynamic,
    full: Vec<usize>,
    (outputs, groups): (usize, usize),
) -> Result<Dynamic> {
    let (d, inner) = (full[2], full[3] * full[4]);
    let split = vec![groups, d, outputs / groups, inner];
    let split = t.seen_as(node, found, split, None)?;
    let turned = t.transpose_dynamic(node, ".volume", &split, &[0, 2, 1, 3])?;
    let made = t.seen_as(node, &turned, full.clone(), Some(0))?;
    Ok(Dynamic { full, ..made })
}

/// A node's numbers whatever their shape.
fn plain(node: usize) -> Dynamic {
    Dynamic {
        node,
        full: Vec::new(),
        batch: None,
        integer: false,
    }
}

/// The kernel `[g * m, c, kd, kh, kw]` as one over slices, `[g * d' * m, d * c, kh, kw]`: a band of it for every slice of the
/// result.
fn banded<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    kernel: &Constant,
    deep: &Along,
    groups: usize,
) -> Result<Constant> {
    let [outputs, inputs, kd, kh, kw] = kernel.shape[..] else {
        return Err(node.error("a kernel of other dimensions"));
    };
    let (slices, entries, plane) = (deep.positions(), deep.entries, kh * kw);
    let shape = vec![outputs * slices, inputs * entries, kh, kw];
    let count = size(&shape).ok_or_else(|| node.error("is too large"))?;
    t.spend(node, count)?;
    let own = node.check(kernel.to_floats())?;
    let mut values = vec![0.0; count];
    let each = outputs / groups;
    for output in 0..outputs {
        for slice in 0..slices {
            let row = (output / each * slices + slice) * each + output % each;
            for k in 0..kd {
                let entry = (slice * deep.stride + k * deep.dilation).checked_sub(deep.before);
                let Some(entry) = entry.filter(|entry| *entry < entries) else {
                    continue;
                };
                for input in 0..inputs {
                    let from = ((output * inputs + input) * kd + k) * plane;
                    let to = (row * entries * inputs + entry * inputs + input) * plane;
                    values[to..to + plane].copy_from_slice(&own[from..from + plane]);
                }
            }
        }
    }
    Ok(Constant::floats(shape, values))
}

/// The transpose of a convolution: entries spread apart with zeros between and around them, and a convolution of these.
pub(super) fn conv_transpose<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = images(t, node)?;
    let kernel = t.constant(node, 1)?;
    let Some((&[inputs, each], sizes)) = kernel.shape.split_first_chunk::<2>() else {
        return Err(node.error(format!("a kernel of shape {:?}", kernel.shape)));
    };
    let groups = positive(node, count(node, node.int("group", 1))?)?;
    if operand.full[1] != inputs
        || !inputs.is_multiple_of(groups)
        || sizes.len() + 2 != operand.full.len()
    {
        return Err(node.error(format!(
            "a kernel of shape {:?} in {groups} groups for a value of shape {:?}",
            kernel.shape, operand.full
        )));
    }
    let rank = sizes.len();
    let strides = list(node, "strides", rank)?.unwrap_or_else(|| vec![1; rank]);
    let dilations = list(node, "dilations", rank)?.unwrap_or_else(|| vec![1; rank]);
    let mut spread = operand;
    let mut alongs = Vec::new();
    for axis in 0..rank {
        let n = spread.full[axis + 2];
        positive(node, sizes[axis])?;
        let reach = dilations[axis]
            .checked_mul(sizes[axis] - 1)
            .filter(|r| size(&[*r]).is_some());
        let reach = reach.ok_or_else(|| node.error("is dilated too far"))?;
        let (begin, end) = borders(node, (axis, rank), (n, strides[axis], reach))?;
        let between = (n - 1).saturating_mul(strides[axis]) + 1;
        let total = (between as i64).saturating_add(begin).saturating_add(end);
        let total = usize::try_from(total)
            .ok()
            .filter(|total| size(&[*total]).is_some());
        let total = total.filter(|total| *total > reach);
        let total = total.ok_or_else(|| node.error("has pads that leave nothing, or too much"))?;
        t.spend(node, total)?;
        let source = |i: usize| {
            let at = usize::try_from(i as i64 - begin).ok()?;
            (at < between && at.is_multiple_of(strides[axis])).then_some(at / strides[axis])
        };
        let rows = SparseRows::copies(n, (0..total).map(source));
        spread = t.resample_dynamic(node, ".spread", &spread, axis + 2, rows)?;
        alongs.push(Along {
            kernel: sizes[axis],
            dilation: dilations[axis],
            entries: total,
            ..still()
        });
    }
    let filter = Filter {
        kernel: &flipped(t, node, &kernel, groups)?,
        bias: None,
        windows: &alongs,
        groups,
    };
    let made = convolved(t, node, &spread, &filter)?;
    let made = match t.optional_constant(node, 2)? {
        Some(bias) => {
            let shape = [&[each * groups][..], &vec![1; rank]].concat();
            if bias.shape != [each * groups] {
                return Err(node.error(format!("a bias of shape {:?}", bias.shape)));
            }
            shifted(t, node, ".bias", &made, &bias.reshape(shape), 1.0)?
        }
        None => made,
    };
    t.set(node, 0, Value::Dynamic(made))
}

/// How many zeros come before and after the spread entries of a dimension; negative numbers cut.
fn borders(
    node: &Node<'_>,
    (axis, rank): (usize, usize),
    (n, stride, reach): (usize, usize, usize),
) -> Result<(i64, i64)> {
    let at = |name: &str, index: usize| {
        let numbers = node.ints(name);
        numbers.map(|numbers| numbers.get(index).copied().unwrap_or(0))
    };
    let more = at("output_padding", axis).unwrap_or(0);
    let more = count(node, more)? as i64;
    let pads = [at("pads", axis), at("pads", axis + rank)].map(|pad| pad.unwrap_or(0));
    let mode = node.text("auto_pad", "NOTSET");
    let wanted = match (at("output_shape", axis), &mode[..]) {
        (Some(wanted), _) => Some(count(node, wanted)?),
        (None, "SAME_UPPER" | "SAME_LOWER") => Some(n.saturating_mul(stride)),
        _ => None,
    };
    let (n, stride, reach) = (n as i64, stride as i64, reach as i64);
    let [before, after] = match wanted {
        Some(wanted) => {
            let total = stride.saturating_mul(n - 1) + more + reach + 1 - wanted as i64;
            match &mode[..] {
                // What is missing comes at the end.
                _ if total < 0 => [0, total],
                "SAME_UPPER" => [total / 2, total - total / 2],
                _ => [total - total / 2, total / 2],
            }
        }
        None if mode == "VALID" => [0, 0],
        None => pads,
    };
    if [before, after]
        .iter()
        .any(|pad| pad.unsigned_abs() > u64::from(u32::MAX))
    {
        return Err(node.error("has pads that are too large"));
    }
    Ok((reach - before, reach - after + more))
}

/// The kernel `[g * c, m, k...]` turned round in every direction, its channels exchanged: `[g * m, c, k...]`.
fn flipped<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    kernel: &Constant,
    groups: usize,
) -> Result<Constant> {
    t.spend(node, kernel.len().saturating_mul(2))?;
    let (inputs, each) = (kernel.shape[0], kernel.shape[1]);
    let sizes = &kernel.shape[2..];
    let taps: usize = sizes.iter().product();
    let split = kernel.reshape(vec![groups, inputs / groups, each, taps]);
    let turned = split.transpose(&[0, 2, 1, 3]);
    let backwards = SparseRows::copies(taps, (0..taps).rev().map(Some));
    let turned = node.check(turned.resample(3, &backwards))?;
    Ok(turned.reshape([&[groups * each, inputs / groups], sizes].concat()))
}

/// The first input, which must have shape `[batch, channels, sizes...]`; without a batch, those are several images of one input.
pub(super) fn images<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<Dynamic> {
    let operand = t.dynamic(node, 0)?;
    let operand = t.batch_first_or_none(node, &operand)?;
    match operand.full.len() {
        3..=5 => Ok(operand),
        _ => Err(node.error(format!(
            "takes a value of shape [batch, channels, sizes...], found {:?}",
            operand.full
        ))),
    }
}
