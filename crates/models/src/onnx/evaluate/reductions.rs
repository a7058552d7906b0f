//! Sums, maxima and products over dimensions, and matrix products.

use super::allow::Allow;
use crate::onnx::{
    body::size,
    constant::{Constant, Values},
    dims::{broadcast, padded},
    message::Node,
    wire::Outcome,
};

/// The constant that a reduction or a matrix product computes.
pub(super) fn evaluate(
    node: &Node<'_>,
    inputs: &[Option<Constant>],
    opset: i64,
    allow: &mut Allow<'_>,
) -> Outcome<Option<Constant>> {
    match (node.op_type, inputs) {
        ("Softmax" | "LogSoftmax", [Some(x)]) => softmax(node, x, opset, allow).map(Some),
        ("MatMul", [Some(a), Some(b)]) => mat_mul(a, b, allow).map(Some),
        ("Gemm", [Some(a), Some(b), rest @ ..]) => {
            let bias = rest.first().and_then(Option::as_ref);
            gemm(node, a, b, bias, allow).map(Some)
        }
        (kind, [Some(x), rest @ ..]) => match function(kind) {
            Some((first, step, last)) => {
                let axes = rest.first().and_then(Option::as_ref);
                reduce(node, x, axes, (first, step, last), allow).map(Some)
            }
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

type Step = (f64, fn(f64, f64) -> f64, fn(f64, f64) -> f64);

/// Where a reduction starts, what it does with each number, and what with the total and the count.
fn function(kind: &str) -> Option<Step> {
    Some(match kind {
        "ReduceSum" => (0.0, |a, b| a + b, |t, _| t),
        "ReduceMean" => (0.0, |a, b| a + b, |t, n| t / n),
        "ReduceMax" => (f64::NEG_INFINITY, f64::max, |t, _| t),
        "ReduceMin" => (f64::INFINITY, f64::min, |t, _| t),
        "ReduceProd" => (1.0, |a, b| a * b, |t, _| t),
        "ReduceL1" => (0.0, |a, b| a + b.abs(), |t, _| t),
        "ReduceL2" => (0.0, |a, b| a + b * b, |t, _| t.sqrt()),
        "ReduceSumSquare" => (0.0, |a, b| a + b * b, |t, _| t),
        _ => return None,
    })
}

fn reduce(
    node: &Node<'_>,
    x: &Constant,
    axes: Option<&Constant>,
    (first, step, last): Step,
    allow: &mut Allow<'_>,
) -> Outcome<Constant> {
    allow(x.len(), x.len())?;
    let rank = x.shape.len();
    let axes = match axes {
        Some(axes) => Some(axes.to_ints()?.to_vec()),
        None => node.ints("axes").map(<[i64]>::to_vec),
    };
    let reduced = match axes {
        Some(axes) if !axes.is_empty() => {
            node.axes(&axes, rank).map_err(|error| error.to_string())?
        }
        _ if node.int("noop_with_empty_axes", 0) != 0 => vec![false; rank],
        _ => vec![true; rank],
    };
    let mut kept = x.shape.clone();
    (0..rank)
        .filter(|axis| reduced[*axis])
        .for_each(|axis| kept[axis] = 1);
    let count = size(&kept).ok_or("makes a value too large")?;
    allow(count, 0)?;
    let mut totals = vec![first; count];
    for (flat, value) in x.as_floats().into_iter().enumerate() {
        let (mut rest, mut place, mut stride) = (flat, 0, 1);
        for axis in (0..rank).rev() {
            let index = rest % x.shape[axis];
            rest /= x.shape[axis];
            if !reduced[axis] {
                place += index * stride;
                stride *= x.shape[axis];
            }
        }
        totals[place] = step(totals[place], value);
    }
    let each = x.len() as f64 / (count as f64).max(1.0);
    let totals: Vec<f64> = totals.into_iter().map(|total| last(total, each)).collect();
    if node.int("keepdims", 1) == 0 {
        kept = (0..rank)
            .filter(|axis| !reduced[*axis])
            .map(|axis| x.shape[axis])
            .collect();
    }
    Ok(match x.values {
        Values::Ints(_) => Constant::ints(kept, totals.iter().map(|v| *v as i64).collect()),
        Values::Floats(_) => Constant::floats(kept, totals),
    })
}

/// Shares of exponentials along one dimension, or before version 13 along all from one on; or their logarithms.
fn softmax(node: &Node<'_>, x: &Constant, opset: i64, allow: &mut Allow<'_>) -> Outcome<Constant> {
    let axis = node.int("axis", if opset < 13 { 1 } else { -1 });
    let says = |error: crate::error::Error| error.to_string();
    let axis = node.axis(axis, x.shape.len()).map_err(says)?;
    let inner: usize = match opset < 13 {
        true => 1,
        false => x.shape[axis + 1..].iter().product(),
    };
    let count = match opset < 13 {
        true => x.shape[axis..].iter().product(),
        false => x.shape[axis],
    };
    allow(x.len().saturating_mul(2), x.len())?;
    let mut values = x.as_floats();
    let block = count * inner;
    for start in (0..values.len()).step_by(block.max(1)) {
        for first in start..start + inner {
            let places = || (first..start + block).step_by(inner.max(1));
            let most = places()
                .map(|i| values[i])
                .fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = places().map(|i| (values[i] - most).exp()).sum();
            for i in places() {
                values[i] = match node.op_type {
                    "LogSoftmax" => values[i] - most - total.ln(),
                    _ => (values[i] - most).exp() / total,
                };
            }
        }
    }
    Ok(Constant::floats(x.shape.clone(), values))
}

fn mat_mul(a: &Constant, b: &Constant, allow: &mut Allow<'_>) -> Outcome<Constant> {
    let (vector_a, vector_b) = (a.shape.len() == 1, b.shape.len() == 1);
    let wide = |c: &Constant, vector: bool, at: usize| {
        let mut shape = c.shape.clone();
        if vector {
            shape.insert(at, 1);
        }
        c.reshape(shape)
    };
    let (a, b) = (wide(a, vector_a, 0), wide(b, vector_b, 1));
    let (Some((outer_a, &[m, k])), Some((outer_b, &[l, n]))) = (
        a.shape.split_last_chunk::<2>(),
        b.shape.split_last_chunk::<2>(),
    ) else {
        return Err("multiplies single numbers".into());
    };
    let outer = broadcast(&[outer_a, outer_b]).filter(|_| k == l);
    let outer = outer.ok_or_else(|| format!("shapes {:?} and {:?}", a.shape, b.shape))?;
    let full = [&outer[..], &[m, n]].concat();
    let count = size(&full).ok_or("makes a value too large")?;
    let wide_a = [&outer[..], &[m, k]].concat();
    let wide_b = [&outer[..], &[k, n]].concat();
    let copies = size(&wide_a)
        .unwrap_or(usize::MAX)
        .saturating_add(size(&wide_b).unwrap_or(usize::MAX));
    allow(count.saturating_add(copies), count.saturating_mul(k))?;
    let (x, y) = (
        a.broadcast_to(&wide_a)?.as_floats(),
        b.broadcast_to(&wide_b)?.as_floats(),
    );
    let mut values = vec![0.0; count];
    for (at, value) in values.iter_mut().enumerate() {
        let (block, row, column) = (at / (m * n), at / n % m, at % n);
        *value = (0..k)
            .map(|i| x[(block * m + row) * k + i] * y[(block * k + i) * n + column])
            .sum();
    }
    let mut shape = outer;
    shape.extend((!vector_a).then_some(m));
    shape.extend((!vector_b).then_some(n));
    Ok(Constant::floats(shape, values))
}

fn gemm(
    node: &Node<'_>,
    a: &Constant,
    b: &Constant,
    bias: Option<&Constant>,
    allow: &mut Allow<'_>,
) -> Outcome<Constant> {
    let turned = |c: &Constant, name: &str| match node.int(name, 0) {
        _ if c.shape.len() != 2 => Err(format!("a matrix of shape {:?}", c.shape)),
        0 => Ok(c.clone()),
        _ => Ok(c.transpose(&[1, 0])),
    };
    allow(a.len().saturating_add(b.len()), 0)?;
    let product = mat_mul(&turned(a, "transA")?, &turned(b, "transB")?, allow)?;
    let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
    let mut values = product.as_floats();
    values.iter_mut().for_each(|v| *v *= alpha);
    if let Some(bias) = bias {
        let fits = broadcast(&[&product.shape, &bias.shape]).as_ref() == Some(&product.shape);
        if !fits {
            return Err(format!("a bias of shape {:?}", bias.shape));
        }
        let bias = bias
            .reshape(padded(&bias.shape, 2))
            .broadcast_to(&product.shape)?;
        let pairs = values.iter_mut().zip(bias.as_floats());
        pairs.for_each(|(v, b)| *v += beta * b);
    }
    Ok(Constant::floats(product.shape, values))
}
