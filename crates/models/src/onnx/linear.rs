//! Matrix products with a constant: `MatMul` and `Gemm`.

use super::{
    arithmetic::{beside, negated, number, scaled, shifted, sum},
    body::size,
    constant::Constant,
    contraction::{linear, matrix_product},
    element::Element,
    message::Node,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::error::Result;

/// `A B` with one of them constant. A constant that is added to the result, and to nothing else, becomes the bias.
pub(super) fn mat_mul<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let (operand, matrix, right) = match (t.value(node, 0)?, t.value(node, 1)?) {
        (Value::Dynamic(operand), Value::Constant(matrix)) => (operand, matrix, true),
        (Value::Constant(matrix), Value::Dynamic(operand)) => (operand, matrix, false),
        (Value::Dynamic(_), Value::Dynamic(_)) => {
            return Err(
                node.error("multiplies two values that depend on the input: not piecewise linear")
            );
        }
        _ => return Err(node.error("multiplies what is no number")),
    };
    if let Some((result, outputs, transposed)) = as_layer(t, &operand, &matrix, right) {
        return layer(t, node, &operand, &matrix, (result, outputs, transposed));
    }
    let mut matrix = matrix;
    // A leading dimension of 1 repeats nothing.
    while matrix.shape.len() > 2 && matrix.shape.len() <= operand.full.len() && matrix.shape[0] == 1
    {
        matrix = matrix.reshape(matrix.shape[1..].to_vec());
    }
    // One letter for each dimension; both operands are matrices, or vectors at the side where they meet.
    let (x, c) = (operand.full.len(), matrix.shape.len());
    if x == 0 || c == 0 || x.max(c) > 20 {
        return Err(node.error("multiplies a single number"));
    }
    let [first, second] = if right { [x, c] } else { [c, x] };
    let outer = first.max(second).max(2) - 2;
    let letters = |rank: usize, place: [u8; 2], vector: u8| -> Vec<u8> {
        match rank {
            1 => vec![vector],
            _ => {
                let leading = (outer + 2 - rank..outer).map(|i| b'a' + i as u8);
                leading.chain(place).collect()
            }
        }
    };
    let one = letters(first, *b"yz", b'z');
    let two = letters(second, *b"zw", b'z');
    let mut out: Vec<u8> = (0..outer).map(|i| b'a' + i as u8).collect();
    out.extend((first > 1).then_some(b'y'));
    out.extend((second > 1).then_some(b'w'));
    let (mine, other) = if right { (one, two) } else { (two, one) };
    let made = matrix_product(t, node, (&operand, &mine), (&matrix, &other), &out)?;
    t.set(node, 0, Value::Dynamic(made))
}

/// What becomes of a product with a matrix where all dimensions of the value but the one that is summed over are 1: the
/// full shape of the result, its numbers, and whether the matrix is transposed to `[outputs, inputs]`.
fn as_layer(
    t: &Translator<'_>,
    operand: &Dynamic,
    matrix: &Constant,
    right: bool,
) -> Option<(Vec<usize>, usize, bool)> {
    let [rows, columns] = matrix.shape[..] else {
        return None;
    };
    let mut result = operand.full.clone();
    let (inner, outputs, axis) = match right {
        true => (rows, columns, result.len().checked_sub(1)?),
        false if result.len() == 1 => (columns, rows, 0),
        false => (columns, rows, result.len().checked_sub(2)?),
    };
    let alone = result[axis] == inner && size(&operand.own()) == Some(inner);
    if !alone || operand.batch == Some(axis) || (operand.batch.is_none() && t.batch > 1) {
        return None;
    }
    result[axis] = outputs;
    Some((result, outputs, right))
}

fn layer<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    operand: &Dynamic,
    matrix: &Constant,
    (result, outputs, transposed): (Vec<usize>, usize, bool),
) -> Result<()> {
    let weight = t.parameter(node, matrix, transposed)?;
    let fused = bias_after(t, node, &result, outputs)?;
    let bias = match &fused {
        Some((reader, bias)) => Some(t.parameter(reader, bias, false)?),
        None => None,
    };
    let made = linear(t, node, operand.node, weight, bias)?;
    let flat = Dynamic {
        node: made,
        full: result.clone(),
        batch: operand.batch,
        integer: false,
    };
    let made = t.seen_as(node, &flat, result, operand.batch)?;
    match fused {
        Some((reader, _)) => {
            if let Some(frame) = t.frames.last_mut() {
                frame.absorb(&reader);
            }
            t.set(&reader, 0, Value::Dynamic(made))
        }
        None => t.set(node, 0, Value::Dynamic(made)),
    }
}

/// The `Add` that alone reads the product of shape `result`, and its constant as a bias.
fn bias_after<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    result: &[usize],
    outputs: usize,
) -> Result<Option<(Node<'a>, Constant)>> {
    let reader = t
        .frames
        .last()
        .and_then(|frame| frame.sole_reader(node, "Add"));
    let Some((at, reader)) = reader else {
        return Ok(None);
    };
    let bias = t.constant(&reader, at)?;
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

/// `x W^T + b` of `ai.onnx.ml`, with a row of `W` for each target.
pub(super) fn regressor<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = t.dynamic(node, 0)?;
    t.saw(Element::Single);
    let after = node.text("post_transform", "NONE");
    if after != "NONE" {
        return Err(node.error(format!("with a post_transform of {after}")));
    }
    let floats = |name: &str| {
        let values = node.attribute(name).map(|a| a.floats.clone());
        values.unwrap_or_default()
    };
    let (coefficients, intercepts) = (floats("coefficients"), floats("intercepts"));
    let targets = usize::try_from(node.int("targets", 1)).unwrap_or(0);
    let features = coefficients.len().checked_div(targets).unwrap_or(0);
    let whole = features > 0 && features * targets == coefficients.len();
    if !whole || !(intercepts.is_empty() || intercepts.len() == targets) {
        return Err(node.error(format!(
            "{} coefficients and {} intercepts for {targets} targets",
            coefficients.len(),
            intercepts.len()
        )));
    }
    let matrix = Constant::floats(vec![targets, features], coefficients);
    let turned = matrix.transpose(&[1, 0]);
    let Some((result, _, _)) = as_layer(t, &operand, &turned, true) else {
        let found = &operand.full;
        return Err(node.error(format!("takes rows of {features} numbers, found {found:?}")));
    };
    let weight = t.parameter(node, &matrix, false)?;
    let bias = match intercepts.is_empty() {
        true => None,
        false => Some(t.parameter(node, &Constant::floats(vec![targets], intercepts), false)?),
    };
    let flat = Dynamic {
        node: linear(t, node, operand.node, weight, bias)?,
        full: result.clone(),
        batch: operand.batch,
        integer: false,
    };
    let made = t.seen_as(node, &flat, result, operand.batch)?;
    t.set(node, 0, Value::Dynamic(made))
}

/// `alpha A B + beta C`, `A` and `B` perhaps transposed; one of them constant.
pub(super) fn gemm<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let (a, b) = (t.value(node, 0)?, t.value(node, 1)?);
    let turned = [node.int("transA", 0) != 0, node.int("transB", 0) != 0];
    let c = match node.optional_input(2) {
        Some(_) => Some(t.value(node, 2)?),
        None => None,
    };
    if let (
        Value::Dynamic(operand),
        Value::Constant(matrix),
        [false, _],
        None | Some(Value::Constant(_)),
    ) = (&a, &b, turned, &c)
        && operand.batch == Some(0)
        && operand.full.len() == 2
    {
        let bias = match &c {
            Some(Value::Constant(bias)) => Some(bias),
            _ => None,
        };
        let rows = bias.is_none_or(|bias| matches!(bias.shape[..], [] | [_] | [1, _]));
        // A product with another factor is a number that an evaluation rounds, loses or cannot hold.
        let plain = ["alpha", "beta"].map(|name| node.float(name, 1.0)) == [1.0; 2];
        if rows && plain && matrix.shape.len() == 2 {
            return gemm_layer(t, node, operand, matrix, bias);
        }
    }
    let place = |turned: bool, letters: [u8; 2]| match turned {
        true => [letters[1], letters[0]],
        false => letters,
    };
    let (one, two) = (place(turned[0], *b"yz"), place(turned[1], *b"zw"));
    let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
    if let (Value::Constant(a), Value::Constant(b), Some(Value::Dynamic(bias))) = (&a, &b, &c) {
        let product = t.computed(node, &[Some(a.clone()), Some(b.clone())])?;
        let product = product.ok_or_else(|| node.error("multiplies what is no number"))?;
        let bias = scaled(t, node, ".beta", bias, &number(beta))?;
        let bias = beside(t, node, bias, &product)?;
        let made = shifted(t, node, "", &bias, &product, 1.0)?;
        return t.set(node, 0, Value::Dynamic(made));
    }
    // How many products an entry is the sum of.
    let inner = match (&a, &b) {
        (Value::Constant(m), _) if m.shape.len() == 2 => m.shape[usize::from(!turned[0])],
        (_, Value::Constant(m)) if m.shape.len() == 2 => m.shape[usize::from(turned[1])],
        _ => 1,
    };
    let product = match (&a, &b) {
        (Value::Dynamic(x), Value::Constant(m)) => {
            matrix_product(t, node, (x, &one), (m, &two), b"yw")?
        }
        (Value::Constant(m), Value::Dynamic(x)) => {
            matrix_product(t, node, (x, &two), (m, &one), b"yw")?
        }
        _ => {
            return Err(
                node.error("multiplies two values that depend on the input: not piecewise linear")
            );
        }
    };
    let product = scaled(t, node, ".alpha", &product, &number(alpha))?;
    let made = match c {
        None => product,
        Some(Value::Constant(bias)) => {
            let product = beside(t, node, product, &bias)?;
            let bias = t.lifted_beside(node, &bias, &product)?;
            let bias = scaled(t, node, ".beta", &bias, &number(beta))?;
            accumulated(t, node, product, bias, inner)?
        }
        Some(Value::Dynamic(bias)) => {
            let bias = scaled(t, node, ".beta", &bias, &number(beta))?;
            let both = t.aligned(node, &[product, bias], &[])?;
            accumulated(t, node, both[0].clone(), both[1].clone(), inner)?
        }
        Some(_) => return Err(node.error("adds the result of a comparison: not continuous")),
    };
    t.set(node, 0, Value::Dynamic(made))
}

/// A sum of `inner` products and a value that they may be added to one by one: each addition rounds it, too. That is said by `inner` times
/// the value less the same, which is 0 and bounded like them.
fn accumulated<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    product: Dynamic,
    value: Dynamic,
    inner: usize,
) -> Result<Dynamic> {
    let rounded = scaled(t, node, ".rounded", &value, &number(inner as f64 + 1.0))?;
    let back = negated(t, node, &rounded)?;
    // First what is 0 as it is computed here, too.
    sum(t, node, ".sum", &[rounded, back, product, value])
}

/// A fully connected layer, `alpha` and `beta` 1.
fn gemm_layer<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    operand: &Dynamic,
    matrix: &Constant,
    bias: Option<&Constant>,
) -> Result<()> {
    let transposed = node.int("transB", 0) == 0;
    let (rows, columns) = (matrix.shape[0], matrix.shape[1]);
    let (inner, outputs) = if transposed {
        (rows, columns)
    } else {
        (columns, rows)
    };
    let inputs = operand.full[1];
    if inner != inputs {
        return Err(node.error(format!(
            "a value of {inputs} features and a matrix for {inner}"
        )));
    }
    let weight = t.parameter(node, matrix, transposed)?;
    let bias = match bias {
        Some(bias) => {
            if !(bias.len() == outputs || bias.len() == 1) {
                return Err(node.error(format!(
                    "a bias of shape {:?} for {outputs} outputs",
                    bias.shape
                )));
            }
            let bias = t.parameter(node, bias, false)?.flatten_all()?;
            t.spend(node, outputs)?;
            Some(bias.broadcast_as(outputs)?.contiguous()?)
        }
        None => None,
    };
    let made = linear(t, node, operand.node, weight, bias)?;
    let made = Dynamic {
        node: made,
        full: vec![operand.full[0], outputs],
        batch: Some(0),
        integer: false,
    };
    t.set(node, 0, Value::Dynamic(made))
}
