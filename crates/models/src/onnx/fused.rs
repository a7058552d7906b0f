//! Nodes in which ONNX Runtime has put several of the standard's together, as the functions that they are.

use super::{
    message::{Attribute, Function, Node},
    translator::Translator,
};
use crate::error::Result;

/// Where ONNX Runtime keeps its own operators.
const DOMAIN: &str = "com.microsoft";

/// What a node of ONNX Runtime's level "extended" stands for; `None` for any other node.
pub(super) fn function<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
) -> Result<Option<Function<'a>>> {
    match (node.domain, node.op_type) {
        (DOMAIN, "FusedMatMul") => mat_mul(t, node).map(Some),
        _ => Ok(with_activation(node)),
    }
}

/// A product whose matrices may be transposed, and a factor.
fn mat_mul<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<Function<'a>> {
    if ["transBatchA", "transBatchB"]
        .iter()
        .any(|name| node.int(name, 0) != 0)
    {
        return Err(node.error("transposes batches, which is not read"));
    }
    let (mut nodes, mut operands) = (Vec::new(), vec!["a", "b"]);
    let turned = [("transA", "a", "at"), ("transB", "b", "bt")];
    for (index, (name, operand, transposed)) in turned.into_iter().enumerate() {
        let value = t.value(node, index)?;
        let rank = t.shape(node, &value)?.len();
        // A vector has no transpose.
        if node.int(name, 0) != 0 && rank > 1 {
            let mut order: Vec<i64> = (0..rank as i64).collect();
            order.swap(rank - 2, rank - 1);
            let order = Attribute {
                name: "perm",
                ints: order,
                ..Attribute::default()
            };
            nodes.push(Node {
                attributes: vec![order],
                ..inner("Transpose", vec![operand], transposed)
            });
            operands[index] = transposed;
        }
    }
    nodes.push(inner("MatMul", operands, "product"));
    let mut last = "product";
    if let Some(alpha) = node.attribute("alpha").and_then(|alpha| alpha.float)
        && alpha != 1.0
    {
        let factor = Attribute {
            name: "value_float",
            float: Some(alpha),
            ..Attribute::default()
        };
        nodes.push(Node {
            attributes: vec![factor],
            ..inner("Constant", Vec::new(), "alpha")
        });
        nodes.push(inner("Mul", vec![last, "alpha"], "scaled"));
        last = "scaled";
    }
    Ok(Function {
        inputs: vec!["a", "b"],
        outputs: vec![last],
        nodes,
        ..Function::default()
    })
}

/// A product, perhaps a sum, and an activation.
fn with_activation<'a>(node: &Node<'a>) -> Option<Function<'a>> {
    let (op_type, inputs): (_, &[&str]) = match (node.domain, node.op_type) {
        (DOMAIN, "FusedConv") => ("Conv", &["x", "w", "b", "z"]),
        (DOMAIN, "FusedGemm") => ("Gemm", &["x", "w", "b"]),
        _ => return None,
    };
    let own = node.attributes.iter();
    let product = Node {
        attributes: own.filter(|a| !is_of_activation(a)).cloned().collect(),
        ..inner(op_type, vec!["x", "w", "b"], "product")
    };
    let mut nodes = vec![product];
    let mut last = "product";
    // What is added has the shape of the product.
    if inputs.len() > 3 && node.optional_input(3).is_some() {
        nodes.push(inner("Add", vec![last, "z"], "sum"));
        last = "sum";
    }
    if let Some(activation) = activation(node, last) {
        nodes.push(activation);
        last = "activation";
    }
    Some(Function {
        inputs: inputs.to_vec(),
        outputs: vec![last],
        nodes,
        ..Function::default()
    })
}

fn is_of_activation(attribute: &Attribute<'_>) -> bool {
    attribute.name.starts_with("activation")
}

/// The activation of a node's product, if it has one, with the parameters of the standard's operator.
fn activation<'a>(node: &Node<'a>, operand: &'static str) -> Option<Node<'a>> {
    let name = node.attribute("activation")?.text?;
    // One that is no text has no rule either.
    let name = str::from_utf8(name).unwrap_or("activation");
    let names: &[&str] = match name {
        "" => return None,
        "LeakyRelu" | "ThresholdedRelu" => &["alpha"],
        "HardSigmoid" => &["alpha", "beta"],
        "Clip" => &["min", "max"],
        _ => &[],
    };
    let given = |at: usize| {
        let in_list = node.attribute("activation_params");
        let in_list = in_list.and_then(|a| a.floats.get(at).map(|v| *v as f32));
        let alone = ["activation_alpha", "activation_beta"].get(at);
        let alone = alone.and_then(|name| node.attribute(name)?.float);
        in_list.or(alone)
    };
    let parameters = names.iter().enumerate().map(|(at, name)| Attribute {
        name,
        float: given(at),
        ..Attribute::default()
    });
    let parameters = parameters.filter(|parameter| parameter.float.is_some());
    Some(Node {
        attributes: parameters.collect(),
        ..inner(name, vec![operand], "activation")
    })
}

fn inner<'a>(op_type: &'a str, inputs: Vec<&'a str>, output: &'a str) -> Node<'a> {
    Node {
        op_type,
        inputs,
        outputs: vec![output],
        ..Node::default()
    }
}
