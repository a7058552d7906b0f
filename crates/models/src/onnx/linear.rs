//! Matrix products: `MatMul` and `Gemm`.

use super::{
    constant::Constant,
    graph::size,
    message::Node,
    translator::{Translator, Value},
};
use crate::{error::Result, spec::OperatorSpec};
use candle_core::Tensor;

/// `A B` with one of them constant. A constant that is added to the result, and to nothing else, becomes the bias.
pub(super) fn mat_mul<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let (operand, matrix, transposed) = match (t.value(node, 0)?, t.value(node, 1)?) {
        (Value::Dynamic(operand), Value::Constant(matrix)) => (operand, matrix, true),
        (Value::Constant(matrix), Value::Dynamic(operand)) => (operand, matrix, false),
        (Value::Dynamic(_), Value::Dynamic(_)) => {
            return Err(
                node.error("multiplies two values that depend on the input: not piecewise linear")
            );
        }
        _ => return Err(node.error("multiplies two constants: fold constants when exporting")),
    };
    let [rows, columns] = matrix.shape[..] else {
        return Err(node.error(format!(
            "its constant must be a matrix, found shape {:?}",
            matrix.shape
        )));
    };
    // The shape of the result, batch included; a vector has no other dimensions.
    let full = t.full_shape(operand);
    let mut result = full.clone();
    let (inner, replaced) = if transposed {
        (rows, full.len().checked_sub(1))
    } else if full.len() == 1 {
        (columns, Some(0))
    } else {
        (columns, full.len().checked_sub(2))
    };
    let (outputs, Some(axis)) = (if transposed { columns } else { rows }, replaced) else {
        return Err(node.error("multiplies a single number"));
    };
    if full[axis] != inner || size(&full) != Some(inner) || (t.batched && axis == 0) {
        return Err(node.error(format!(
            "a matrix of shape {:?} and a value of shape {full:?}; all dimensions of the value but the one that is summed over must be 1",
            matrix.shape
        )));
    }
    result[axis] = outputs;
    let weight = t.parameter(node, &matrix, transposed)?;
    let fused = bias_after(t, node, &result, outputs)?;
    let bias = match &fused {
        Some((reader, bias)) => Some(t.parameter(reader, bias, false)?),
        None => None,
    };
    let index = linear(t, node, operand, weight, bias)?;
    let result = t.without_batch(node, &result)?;
    let index = t.reshaped(node, index, result)?;
    match fused {
        Some((reader, _)) => t.absorb(reader, Value::Dynamic(index)),
        None => t.set(node, Value::Dynamic(index)),
    }
}

/// The `Add` that alone reads the product of shape `result`, and its constant as a bias.
fn bias_after<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    result: &[usize],
    outputs: usize,
) -> Result<Option<(&'a Node<'a>, Constant)>> {
    let Some((at, reader)) = t.sole_reader(node, "Add") else {
        return Ok(None);
    };
    let bias = t.constant(reader, at)?;
    // Aligned at the last dimension, it must be as large as the result and no larger.
    let fits = bias.shape.len() <= result.len()
        && bias
            .shape
            .iter()
            .rev()
            .zip(result.iter().rev())
            .all(|(b, r)| b == r);
    Ok((fits && bias.len() == outputs).then(|| (reader, bias.reshape(vec![outputs]))))
}

/// `alpha A B + beta C`, `A` and `B` perhaps transposed; `B` and `C` constant.
pub(super) fn gemm<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = t.dynamic(node, 0)?;
    let matrix = t.constant(node, 1)?;
    if node.int("transA", 0) != 0 {
        return Err(node.error("transA is set, which would mix the inputs of a batch"));
    }
    let (true, [inputs], [rows, columns]) = (t.batched, t.shape_of(operand), &matrix.shape[..])
    else {
        return Err(node.error(format!(
            "takes a value of shape [batch, n] and a matrix, found {:?} and {:?}",
            t.full_shape(operand),
            matrix.shape
        )));
    };
    let transposed = node.int("transB", 0) == 0;
    let (inner, outputs) = if transposed {
        (*rows, *columns)
    } else {
        (*columns, *rows)
    };
    if inner != *inputs {
        return Err(node.error(format!(
            "a value of {inputs} features and a matrix for {inner}"
        )));
    }
    let mut weight = t.parameter(node, &matrix, transposed)?;
    let alpha = node.float("alpha", 1.0);
    if alpha != 1.0 {
        t.spend(node, weight.elem_count())?;
        weight = (weight * alpha)?;
    }
    let bias = match node.optional_input(2) {
        Some(_) => {
            let bias = t.constant(node, 2)?;
            let rows = match bias.shape[..] {
                [] | [_] | [1, _] => 1,
                _ => 0,
            };
            if rows != 1 || !(bias.len() == outputs || bias.len() == 1) {
                return Err(node.error(format!(
                    "a bias of shape {:?} for {outputs} outputs",
                    bias.shape
                )));
            }
            let bias = t.parameter(node, &bias, false)?.flatten_all()?;
            t.spend(node, outputs)?;
            let bias = bias.broadcast_as(outputs)?.contiguous()?;
            let beta = node.float("beta", 1.0);
            Some(if beta == 1.0 { bias } else { (bias * beta)? })
        }
        None => None,
    };
    let index = linear(t, node, operand, weight, bias)?;
    t.set(node, Value::Dynamic(index))
}

/// A linear layer with `weight` `[outputs, inputs]` at a node, flattened first where it is no vector.
fn linear<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    operand: usize,
    weight: Tensor,
    bias: Option<Tensor>,
) -> Result<usize> {
    let (outputs, inputs) = weight.dims2()?;
    let operand = t.flattened(node, operand)?;
    let spec = OperatorSpec::Linear {
        inputs,
        outputs,
        bias: bias.is_some(),
    };
    let parameters: Vec<(&str, Tensor)> = [("weight", weight)]
        .into_iter()
        .chain(bias.map(|bias| ("bias", bias)))
        .collect();
    t.add(node, "", &spec, &parameters, &[operand])
}
