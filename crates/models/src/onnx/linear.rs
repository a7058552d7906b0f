//! Matrix products with a constant: `MatMul`, `Gemm` and `Einsum`.

use super::{
    arithmetic::{beside, number, scaled, shifted, sum},
    body::size,
    constant::Constant,
    message::Node,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::{
    error::Result,
    sparse_rows::SparseRows,
    spec::{Conv2dConfig, OperatorSpec},
    window::Window2d,
};
use candle_core::Tensor;

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
    let made = contract(t, node, (&operand, &mine), (&matrix, &other), &out)?;
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
        if rows && matrix.shape.len() == 2 {
            return gemm_layer(t, node, operand, matrix, bias);
        }
    }
    let place = |turned: bool, letters: [u8; 2]| match turned {
        true => [letters[1], letters[0]],
        false => letters,
    };
    let (one, two) = (place(turned[0], *b"yz"), place(turned[1], *b"zw"));
    let product = match (&a, &b) {
        (Value::Dynamic(x), Value::Constant(m)) => contract(t, node, (x, &one), (m, &two), b"yw")?,
        (Value::Constant(m), Value::Dynamic(x)) => contract(t, node, (x, &two), (m, &one), b"yw")?,
        _ => {
            return Err(
                node.error("multiplies two values that depend on the input: not piecewise linear")
            );
        }
    };
    let product = scaled(
        t,
        node,
        ".alpha",
        &product,
        &number(node.float("alpha", 1.0)),
    )?;
    let beta = node.float("beta", 1.0);
    let made = match c {
        None => product,
        Some(Value::Constant(bias)) => {
            let product = beside(t, node, product, &bias)?;
            t.spend(node, bias.len())?;
            let times = node
                .check(bias.to_floats())?
                .iter()
                .map(|v| beta * v)
                .collect();
            let bias = Constant::floats(bias.shape.clone(), times);
            shifted(t, node, ".bias", &product, &bias, 1.0)?
        }
        Some(Value::Dynamic(bias)) => {
            let bias = scaled(t, node, ".beta", &bias, &number(beta))?;
            let both = t.aligned(node, &[product, bias], &[])?;
            sum(t, node, ".sum", &both)?
        }
        Some(_) => return Err(node.error("adds the result of a comparison: not continuous")),
    };
    t.set(node, 0, Value::Dynamic(made))
}

/// A fully connected layer.
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
    let mut weight = t.parameter(node, matrix, transposed)?;
    let alpha = node.float("alpha", 1.0);
    if alpha != 1.0 {
        t.spend(node, weight.elem_count())?;
        weight = (weight * alpha)?;
    }
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
            let bias = bias.broadcast_as(outputs)?.contiguous()?;
            let beta = node.float("beta", 1.0);
            Some(if beta == 1.0 { bias } else { (bias * beta)? })
        }
        None => None,
    };
    let made = linear(t, node, operand.node, weight, bias)?;
    let made = Dynamic {
        node: made,
        full: vec![operand.full[0], outputs],
        batch: Some(0),
    };
    t.set(node, 0, Value::Dynamic(made))
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
    let operand = t.reshaped(node, operand, &[inputs])?;
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

pub(super) fn einsum<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let equation: Vec<u8> = node
        .text("equation", "")
        .bytes()
        .filter(|b| *b != b' ')
        .collect();
    let equation = String::from_utf8_lossy(&equation).into_owned();
    if equation.contains('.') {
        return Err(node.error("has an ellipsis; write the dimensions out"));
    }
    let (left, out) = match equation.split_once("->") {
        Some((left, out)) => (left.to_string(), out.as_bytes().to_vec()),
        None => {
            let mut once: Vec<u8> = equation.bytes().filter(|b| *b != b',').collect();
            once.sort_unstable();
            let times = |b: &u8| equation.bytes().filter(|other| other == b).count();
            (
                equation.clone(),
                once.into_iter().filter(|b| times(b) == 1).collect(),
            )
        }
    };
    let operands: Vec<&[u8]> = left.split(',').map(str::as_bytes).collect();
    let one = Constant::floats(vec![], vec![1.0]);
    let made = match (&operands[..], node.inputs.len()) {
        ([x], 1) => {
            let operand = t.dynamic(node, 0)?;
            contract(t, node, (&operand, x), (&one, b""), &out)?
        }
        ([x, c], 2) => match (t.value(node, 0)?, t.value(node, 1)?) {
            (Value::Dynamic(operand), Value::Constant(constant)) => {
                contract(t, node, (&operand, x), (&constant, c), &out)?
            }
            (Value::Constant(constant), Value::Dynamic(operand)) => {
                contract(t, node, (&operand, c), (&constant, x), &out)?
            }
            _ => {
                return Err(node.error(
                    "multiplies two values that depend on the input: not piecewise linear",
                ));
            }
        },
        _ => return Err(node.error("takes one or two operands, one of which depends on the input")),
    };
    t.set(node, 0, Value::Dynamic(made))
}

/// The product of a value and a constant, summed over letters that the result lacks; each dimension has a letter.
///
/// It is a convolution with windows of one entry: what both have and the result too are groups, what is summed over are
/// channels, what only the value has are pixels.
pub(super) fn contract<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    (x, x_letters): (&Dynamic, &[u8]),
    (c, c_letters): (&Constant, &[u8]),
    out: &[u8],
) -> Result<Dynamic> {
    let fits = x_letters.len() == x.full.len() && c_letters.len() == c.shape.len();
    let twice = |letters: &[u8]| {
        letters
            .iter()
            .any(|l| letters.iter().filter(|m| *m == l).count() > 1)
    };
    if !fits || twice(x_letters) || twice(c_letters) || twice(out) {
        return Err(node.error("names dimensions twice, or not all of them"));
    }
    let batch = x.batch.map(|batch| x_letters[batch]);
    let apart = batch.is_none_or(|l| out.contains(&l) && !c_letters.contains(&l));
    let x = if apart {
        x.clone()
    } else {
        t.unbatched(node, x)?
    };
    let batch = batch.filter(|_| apart);
    let sizes = x.full.clone();
    let length = |letter: u8| {
        let of = |letters: &[u8], shape: &[usize]| {
            letters
                .iter()
                .position(|l| *l == letter)
                .map(|at| shape[at])
        };
        of(x_letters, &sizes)
            .into_iter()
            .chain(of(c_letters, &c.shape))
            .max()
    };
    let mut x = x;
    for (axis, letter) in x_letters.iter().enumerate() {
        // A dimension of 1 beside a longer one is repeated.
        let n = length(*letter).unwrap_or(1);
        if x.full[axis] != n && Some(*letter) != batch {
            if x.full[axis] != 1 {
                return Err(node.error(format!("sums {} products of {n} entries", x.full[axis])));
            }
            t.spend(node, n)?;
            let rows = SparseRows::copies(1, vec![Some(0); n]);
            x = t.resample_dynamic(node, ".expand", &x, axis, rows)?;
        }
    }
    let letters: Vec<u8> = x_letters
        .iter()
        .copied()
        .filter(|l| Some(*l) != batch)
        .collect();
    let in_c = |l: &u8| c_letters.contains(l);
    let pick = |from: &[u8], keep: &dyn Fn(&u8) -> bool| -> Vec<u8> {
        from.iter().copied().filter(|l| keep(l)).collect()
    };
    let groups = pick(&letters, &|l| in_c(l) && out.contains(l));
    let summed = pick(&letters, &|l| !out.contains(l));
    let free = pick(&letters, &|l| !in_c(l) && out.contains(l));
    let new = pick(c_letters, &|l| !x_letters.contains(l) && out.contains(l));
    if out.iter().any(|l| length(*l).is_none()) {
        return Err(node.error("has a result with dimensions that no operand has"));
    }
    let count = |letters: &[u8]| {
        letters
            .iter()
            .map(|l| length(*l).unwrap_or(1))
            .product::<usize>()
    };
    let (g, s, f, m) = (count(&groups), count(&summed), count(&free), count(&new));
    let weight = weights(t, node, (c, c_letters), [&groups, &new, &summed], &length)?;
    let order = [&groups[..], &summed, &free].concat();
    let one = Dynamic {
        node: x.node,
        full: x.own(),
        batch: None,
    };
    let place = |l: &u8| letters.iter().position(|m| m == l).unwrap_or(0);
    let permutation: Vec<usize> = order.iter().map(place).collect();
    let turned = match permutation.is_empty() {
        true => one,
        false => t.transpose_dynamic(node, ".transpose", &one, &permutation)?,
    };
    let made = match (g, f) {
        (1, 1) => {
            let weight = t.parameter(node, &weight.reshape(vec![m, s]), false)?;
            linear(t, node, turned.node, weight, None)?
        }
        _ => pixels(t, node, &turned, &weight, [g, s, f, m])?,
    };
    let found = [&groups[..], &new, &free].concat();
    let shape: Vec<usize> = found.iter().map(|l| length(*l).unwrap_or(1)).collect();
    let made = Dynamic {
        node: made,
        full: vec![g * m * f],
        batch: None,
    };
    let made = match shape.is_empty() {
        true => made,
        false => {
            let made = t.seen_as(node, &made, shape, None)?;
            let wanted = out.iter().filter(|l| Some(**l) != batch);
            let order: Vec<usize> = wanted
                .map(|l| found.iter().position(|m| m == l).unwrap_or(0))
                .collect();
            t.transpose_dynamic(node, ".back", &made, &order)?
        }
    };
    let full = out.iter().map(|l| {
        if Some(*l) == batch {
            t.batch
        } else {
            length(*l).unwrap_or(1)
        }
    });
    let batch = out.iter().position(|l| Some(*l) == batch);
    Ok(Dynamic {
        node: made.node,
        full: full.collect(),
        batch,
    })
}

/// The constant as `[groups, new, summed]`: letters that it alone has and the result lacks are summed, letters that it lacks
/// are repeated.
fn weights<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    (c, letters): (&Constant, &[u8]),
    parts: [&[u8]; 3],
    length: &dyn Fn(u8) -> Option<usize>,
) -> Result<Constant> {
    let wanted = parts.concat();
    let mut c = Constant::floats(c.shape.clone(), node.check(c.to_floats())?.to_vec());
    t.spend(node, c.len())?;
    let mut letters = letters.to_vec();
    for axis in (0..letters.len()).rev() {
        if !wanted.contains(&letters[axis]) {
            let n = c.shape[axis];
            let rows = SparseRows::weighted(n, [(0..n).map(|i| (i, 1.0)).collect()]);
            c = node.check(c.resample(axis, &rows))?;
            let mut shape = c.shape.clone();
            shape.remove(axis);
            c = c.reshape(shape);
            letters.remove(axis);
        }
    }
    let missing = wanted.iter().filter(|l| !letters.contains(l));
    let missing: Vec<u8> = missing.copied().collect();
    let shape: Vec<usize> = [&vec![1; missing.len()], &c.shape[..]].concat();
    let letters = [missing, letters].concat();
    let permutation: Vec<usize> = wanted
        .iter()
        .map(|l| letters.iter().position(|m| m == l).unwrap_or(0))
        .collect();
    let c = c.reshape(shape).transpose(&permutation);
    let whole: Vec<usize> = wanted.iter().map(|l| length(*l).unwrap_or(1)).collect();
    t.spend(node, size(&whole).unwrap_or(usize::MAX))?;
    node.check(c.broadcast_to(&whole))
}

/// Windows of one entry over `f` pixels: `[g * s, f]` to `[g * m, f]`.
fn pixels<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    turned: &Dynamic,
    weight: &Constant,
    [g, s, f, m]: [usize; 4],
) -> Result<usize> {
    let weight = t.parameter(node, &weight.reshape(vec![g * m, s, 1, 1]), false)?;
    let image = t.reshaped(node, turned.node, &[g * s, f, 1])?;
    let spec = OperatorSpec::Conv2d(Conv2dConfig {
        inputs: g * s,
        outputs: g * m,
        window: Window2d::square(1, 1, 0),
        groups: g,
        bias: false,
    });
    t.add(node, "", &spec, &[("weight", weight)], &[image])
}
