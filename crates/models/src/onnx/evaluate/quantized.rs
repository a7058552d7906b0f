//! Numbers as integers with a scale and a zero point, and back.

use super::{allow::Allow, elementwise::spread};
use crate::onnx::{constant::Constant, element::Element, message::Node, wire::Outcome};

/// The constant that such a node computes.
pub(super) fn evaluate(
    node: &Node<'_>,
    inputs: &[&Constant],
    allow: &mut Allow<'_>,
) -> Outcome<Option<Constant>> {
    let quantizes = match node.op_type {
        "QuantizeLinear" => true,
        "DequantizeLinear" => false,
        _ => return Ok(None),
    };
    let [x, scale, rest @ ..] = inputs else {
        return Err("needs a value and a scale".into());
    };
    if node.int("block_size", 0) != 0 {
        return Err("works by blocks, which is not supported".into());
    }
    let none = Constant::ints(vec![], vec![0]);
    let zero = rest.first().copied().unwrap_or(&none);
    let scale = along(node, x, scale)?;
    let [x, scale, zeros] = spread([x, &scale, &along(node, x, zero)?], allow)?;
    let (numbers, scales, zeros) = (x.as_floats(), scale.as_floats(), zeros.as_floats());
    let all = 0..x.len();
    if !quantizes {
        let values = all.map(|i| (numbers[i] - zeros[i]) * scales[i]);
        return Ok(Some(Constant::floats(x.shape.clone(), values.collect())));
    }
    let given = rest.first().map(|zero| zero.element);
    let to = target(node, given)?;
    let range = to.range().ok_or("quantises to what is no integer")?;
    let [least, most] = range.map(|bound| bound as f64);
    // The quotient is one of the value's type, and which integer is nearest is decided by it.
    let one = |i: usize| x.element.round(numbers[i] / scales[i]).round_ties_even() + zeros[i];
    let values = all.map(|i| one(i).clamp(least, most) as i64).collect();
    Ok(Some(Constant::ints(x.shape.clone(), values)))
}

/// The type that numbers are quantised to, given that of the zero point.
pub(super) fn target(node: &Node<'_>, zero: Option<Element>) -> Outcome<Element> {
    match (zero, node.int("output_dtype", 0)) {
        (Some(zero), _) => Ok(zero),
        (None, 0) => Ok(Element::Unsigned(8)),
        (None, to) => Element::of(to),
    }
}

/// Scales or zero points, one for all numbers or one for each entry of a dimension, so that they broadcast to the value.
fn along(node: &Node<'_>, x: &Constant, constant: &Constant) -> Outcome<Constant> {
    let rank = x.shape.len();
    if constant.len() == 1 {
        return Ok(constant.reshape(vec![1; rank]));
    }
    let axis = node.int("axis", 1);
    let axis = if axis < 0 {
        axis.saturating_add(rank as i64)
    } else {
        axis
    };
    let fits = usize::try_from(axis)
        .ok()
        .filter(|axis| x.shape.get(*axis) == Some(&constant.len()));
    let axis = fits.ok_or_else(|| format!("scales of shape {:?}", constant.shape))?;
    let mut shape = vec![1; rank];
    shape[axis] = constant.len();
    Ok(constant.reshape(shape))
}
