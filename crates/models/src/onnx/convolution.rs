//! Operators on images: convolution, padding, pooling, batch normalisation.

use super::{
    graph::size,
    message::Node,
    translator::{Translator, Value},
};
use crate::{
    error::Result,
    spec::{Conv2dConfig, OperatorSpec},
    window::Window2d,
};

pub(super) fn conv<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = image(t, node)?;
    let kernel = t.constant(node, 1)?;
    let [outputs, inputs_per_group, height, width] = kernel.shape[..] else {
        return Err(node.error(format!(
            "a kernel of shape {:?}; supported are 2-D convolutions, [outputs, inputs / groups, height, width]",
            kernel.shape
        )));
    };
    let groups = positive(node, node.int("group", 1))?;
    let window = window(t, node, operand, [height, width])?;
    let inputs = inputs_per_group
        .checked_mul(groups)
        .ok_or_else(|| node.error(format!("{groups} groups")))?;
    let mut parameters = vec![("weight", t.parameter(node, &kernel, false)?)];
    if node.optional_input(2).is_some() {
        let bias = t.constant(node, 2)?;
        if bias.shape != [outputs] {
            return Err(node.error(format!(
                "a bias of shape {:?} for {outputs} output channels",
                bias.shape
            )));
        }
        parameters.push(("bias", t.parameter(node, &bias, false)?));
    }
    let spec = OperatorSpec::Conv2d(Conv2dConfig {
        inputs,
        outputs,
        window,
        groups,
        bias: parameters.len() == 2,
    });
    let index = t.add(node, "", &spec, &parameters, &[operand])?;
    t.set(node, Value::Dynamic(index))
}

pub(super) fn average_pool<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = image(t, node)?;
    let spec = OperatorSpec::AvgPool2d {
        window: pooling_window(t, node, operand)?,
        count_padding: node.int("count_include_pad", 0) != 0,
    };
    let index = t.add(node, "", &spec, &[], &[operand])?;
    t.set(node, Value::Dynamic(index))
}

pub(super) fn global_average_pool<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = image(t, node)?;
    let index = t.add(node, "", &OperatorSpec::GlobalAvgPool, &[], &[operand])?;
    t.set(node, Value::Dynamic(index))
}

pub(super) fn max_pool<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = image(t, node)?;
    let window = pooling_window(t, node, operand)?;
    let spec = OperatorSpec::MaxPool2d { window };
    let index = t.add(node, "", &spec, &[], &[operand])?;
    t.set(node, Value::Dynamic(index))
}

/// In inference mode: an affine map for each channel.
pub(super) fn batch_normalization<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    if node.int("training_mode", 0) != 0 || node.int("spatial", 1) != 1 {
        return Err(
            node.error("is in training mode or not spatial; export the model in inference mode")
        );
    }
    if !t.batched {
        return Err(node.error("needs values with a batch dimension"));
    }
    let operand = t.dynamic(node, 0)?;
    let channels = t.shape_of(operand)[0];
    let mut parameters = Vec::new();
    for (index, name) in ["weight", "bias", "running_mean", "running_var"]
        .into_iter()
        .enumerate()
    {
        let constant = t.constant(node, index + 1)?;
        if constant.shape != [channels] {
            return Err(node.error(format!(
                "its input `{}` has shape {:?} for {channels} channels",
                node.inputs[index + 1],
                constant.shape
            )));
        }
        let values = node.check(constant.to_floats())?;
        if let Some(v) = values.iter().find(|v| name == "running_var" && **v < 0.0) {
            return Err(node.error(format!("a variance of {v}")));
        }
        parameters.push((name, t.parameter(node, &constant, false)?));
    }
    let eps = node.float("epsilon", 1e-5);
    let spec = OperatorSpec::BatchNorm { channels, eps };
    let index = t.add(node, "", &spec, &parameters, &[operand])?;
    t.set(node, Value::Dynamic(index))
}

/// Constant padding. The pads are the second input, before version 11 an attribute.
pub(super) fn pad<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = t.dynamic(node, 0)?;
    let full = t.full_shape(operand);
    let mode = node
        .attribute("mode")
        .and_then(|a| a.text)
        .unwrap_or(b"constant");
    if mode != b"constant" {
        let mode = String::from_utf8_lossy(mode);
        return Err(node.error(format!("pads by mode `{mode}`; supported is `constant`")));
    }
    if node.optional_input(3).is_some() {
        return Err(node.error("names axes; supported are pads for all axes"));
    }
    let value = match node.optional_input(2) {
        Some(_) => {
            let value = t.constant(node, 2)?;
            node.check(value.scalar())?
        }
        None => node.float("value", 0.0),
    };
    let pads = match node.optional_input(1) {
        Some(_) => {
            let pads = t.constant(node, 1)?;
            node.check(pads.to_ints())?.to_vec()
        }
        None => node
            .attribute("pads")
            .map(|a| a.ints.clone())
            .unwrap_or_default(),
    };
    let pads = pads
        .iter()
        .map(|&p| count(node, p))
        .collect::<Result<Vec<_>>>()?;
    if pads.len() != 2 * full.len() {
        return Err(node.error(format!(
            "{} pads for a value of shape {full:?}; two for each dimension",
            pads.len()
        )));
    }
    let (before, after) = pads.split_at(full.len());
    if t.batched && (before[0], after[0]) != (0, 0) {
        return Err(node.error("pads the batch dimension"));
    }
    let skip = usize::from(t.batched);
    let index = if pads.iter().all(|p| *p == 0) {
        operand
    } else {
        let (before, after) = (before[skip..].to_vec(), after[skip..].to_vec());
        let spec = OperatorSpec::Pad {
            before,
            after,
            value,
        };
        t.add(node, "", &spec, &[], &[operand])?
    };
    t.set(node, Value::Dynamic(index))
}

/// The first input, which must have shape `[batch, channels, height, width]`.
fn image<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<usize> {
    let operand = t.dynamic(node, 0)?;
    match (t.batched, t.shape_of(operand)) {
        (true, [_, _, _]) => Ok(operand),
        _ => Err(node.error(format!(
            "takes a value of shape [batch, channels, height, width], found {:?}",
            t.full_shape(operand)
        ))),
    }
}

fn pooling_window<'a>(t: &Translator<'a>, node: &Node<'a>, operand: usize) -> Result<Window2d> {
    if node.int("storage_order", 0) != 0 {
        return Err(node.error("storage_order is set"));
    }
    if node.outputs.get(1).is_some_and(|name| !name.is_empty()) {
        return Err(node.error("has a second output (indices), which is not supported"));
    }
    let kernel = pair(node, "kernel_shape")?.ok_or_else(|| node.error("lacks its kernel_shape"))?;
    let window = window(t, node, operand, kernel)?;
    if node.int("ceil_mode", 0) != 0 {
        for (axis, size) in t.shape_of(operand)[1..].iter().enumerate() {
            let [before, after] = window.padding[axis];
            let reach = window.dilation[axis] * (window.kernel[axis] - 1) + 1;
            let free = (size + before + after).saturating_sub(reach);
            if !free.is_multiple_of(window.stride[axis]) {
                return Err(node.error("ceil_mode is set and windows reach over the border"));
            }
        }
    }
    Ok(window)
}

/// The window's geometry; kernel, strides, dilations and padding are of reasonable size.
fn window<'a>(
    t: &Translator<'a>,
    node: &Node<'a>,
    operand: usize,
    kernel: [usize; 2],
) -> Result<Window2d> {
    if let Some(declared) = pair(node, "kernel_shape")?.filter(|declared| *declared != kernel) {
        return Err(node.error(format!(
            "kernel_shape {declared:?}, and a kernel of {kernel:?}"
        )));
    }
    let stride = pair(node, "strides")?.unwrap_or([1; 2]);
    let dilation = pair(node, "dilations")?.unwrap_or([1; 2]);
    let size_of = |axis: usize| t.shape_of(operand)[axis + 1];
    let reach = |axis: usize| -> Result<usize> {
        let reach = dilation[axis].checked_mul(kernel[axis].saturating_sub(1));
        reach
            .filter(|reach| size(&[*reach]).is_some())
            .map(|reach| reach + 1)
            .ok_or_else(|| node.error(format!("a kernel of {kernel:?} dilated by {dilation:?}")))
    };
    let reach = [reach(0)?, reach(1)?];
    // What makes ceil(n / stride) windows fit; an odd entry goes before or after.
    let same = |axis: usize, more_before: usize| {
        let windows = size_of(axis).div_ceil(stride[axis]);
        let total = ((windows - 1) * stride[axis] + reach[axis]).saturating_sub(size_of(axis));
        let before = (total + more_before) / 2;
        [before, total - before]
    };
    let auto_pad = node.attribute("auto_pad").and_then(|a| a.text);
    let padding = match auto_pad.unwrap_or(b"NOTSET") {
        b"NOTSET" => match node.attribute("pads") {
            None => [[0; 2]; 2],
            Some(pads) => match pads.ints[..] {
                [top, left, bottom, right] => [
                    [count(node, top)?, count(node, bottom)?],
                    [count(node, left)?, count(node, right)?],
                ],
                _ => return Err(node.error(format!("{} pads; four are needed", pads.ints.len()))),
            },
        },
        b"VALID" => [[0; 2]; 2],
        b"SAME_UPPER" => [same(0, 0), same(1, 0)],
        b"SAME_LOWER" => [same(0, 1), same(1, 1)],
        other => {
            let other = String::from_utf8_lossy(other);
            return Err(node.error(format!("auto_pad `{other}`")));
        }
    };
    let padded = |axis: usize| size_of(axis) + padding[axis][0] + padding[axis][1];
    if size(&[t.shape_of(operand)[0], padded(0), padded(1)]).is_none() {
        return Err(node.error(format!("pads of {padding:?} make the value too large")));
    }
    Ok(Window2d {
        kernel,
        stride,
        padding,
        dilation,
    })
}

/// An attribute of two positive numbers.
fn pair(node: &Node<'_>, name: &str) -> Result<Option<[usize; 2]>> {
    let Some(attribute) = node.attribute(name) else {
        return Ok(None);
    };
    match attribute.ints[..] {
        [a, b] => Ok(Some([positive(node, a)?, positive(node, b)?])),
        _ => Err(node.error(format!(
            "{} {name}; two are needed: supported are windows in height and width",
            attribute.ints.len()
        ))),
    }
}

fn positive(node: &Node<'_>, number: i64) -> Result<usize> {
    count(node, number)?
        .checked_sub(1)
        .map(|n| n + 1)
        .ok_or_else(|| node.error("a kernel, stride, dilation or group of 0"))
}

/// A number that is not negative and no larger than any value could be.
fn count(node: &Node<'_>, number: i64) -> Result<usize> {
    usize::try_from(number)
        .ok()
        .filter(|n| size(&[*n]).is_some())
        .ok_or_else(|| {
            node.error(format!(
                "a number of {number}, which is negative or too large"
            ))
        })
}
