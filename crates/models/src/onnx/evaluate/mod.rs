//! Nodes whose inputs are all constant: what they compute, in bounded memory and time, and of what type it is.

mod allow;
mod elementwise;
mod quantized;
mod reductions;
mod tables;

use self::allow::Allow;
use super::{constant::Constant, element::Element, message::Node, wire::Outcome};

/// The output of a node with constant inputs; `None` where it is not computed here. Every result is rounded, or wrapped,
/// to its type.
pub(super) fn evaluate(
    node: &Node<'_>,
    inputs: &[Option<Constant>],
    opset: i64,
    allow: &mut Allow<'_>,
) -> Outcome<Option<Constant>> {
    let element = element(node, inputs)?;
    let given: Vec<&Constant> = inputs.iter().flatten().collect();
    let found = match elementwise::evaluate(node, &given, allow)? {
        Some(found) => Some(found),
        None => match quantized::evaluate(node, &given, allow)? {
            Some(found) => Some(found),
            None => match reductions::evaluate(node, inputs, opset, allow)? {
                Some(found) => Some(found),
                None => tables::evaluate(node, inputs, allow)?,
            },
        },
    };
    Ok(found.map(|found| found.cast(element)))
}

/// The type of what a node computes of constants, whose types must be those that the standard allows together.
fn element(node: &Node<'_>, inputs: &[Option<Constant>]) -> Outcome<Element> {
    let input = |index: usize| {
        let given = inputs.get(index).and_then(Option::as_ref);
        given.map(|constant| constant.element)
    };
    let attribute = |name: &str| node.attribute(name).and_then(|a| a.int);
    let alike = match node.op_type {
        "Where" => inputs.get(1..).unwrap_or_default(),
        "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Equal" | "Greater" | "GreaterOrEqual" | "Less"
        | "LessOrEqual" | "Max" | "Min" | "Sum" | "Mean" | "Clip" | "Concat" | "MatMul"
        | "Gemm" | "Range" => inputs,
        _ => &[],
    };
    let mut alike = alike.iter().flatten().map(|constant| constant.element);
    if let Some(first) = alike.next()
        && let Some(other) = alike.find(|other| *other != first)
    {
        return Err(format!(
            "has constants of the types {first:?} and {other:?}, which must be the same"
        ));
    }
    let first = || inputs.iter().flatten().next().map(|c| c.element);
    let found = match node.op_type {
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" | "Xor"
        | "Not" => Some(Element::Truth),
        "NonZero" => Some(Element::Signed(64)),
        "Cast" => Some(Element::of(node.int("to", 0))?),
        "CastLike" | "Where" => input(1),
        "DequantizeLinear" => match attribute("output_dtype").filter(|to| *to != 0) {
            Some(to) => Some(Element::of(to)?),
            None => input(1),
        },
        "QuantizeLinear" => Some(quantized::target(node, input(2))?),
        "ConstantOfShape" => {
            let value = node.attribute("value").and_then(|a| a.tensor.as_ref());
            Some(Element::of(value.map_or(1, |tensor| tensor.data_type))?)
        }
        "EyeLike" => match attribute("dtype") {
            Some(to) => Some(Element::of(to)?),
            None => first(),
        },
        _ => first(),
    };
    found.ok_or_else(|| "has no inputs".into())
}
