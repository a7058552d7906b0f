//! Constants made of sizes: ranges, constants of a shape, places of numbers that are not 0.

use super::allow::Allow;
use crate::onnx::{
    body::size,
    constant::{Constant, Values},
    external,
    message::Node,
    wire::Outcome,
};

/// The constant that such a node computes.
pub(super) fn evaluate(
    node: &Node<'_>,
    inputs: &[Option<Constant>],
    allow: &mut Allow<'_>,
) -> Outcome<Option<Constant>> {
    match (node.op_type, inputs) {
        ("ConstantOfShape", [Some(shape)]) => constant_of_shape(node, shape, allow).map(Some),
        ("Range", [Some(start), Some(limit), Some(delta)]) => {
            range(start, limit, delta, allow).map(Some)
        }
        ("NonZero", [Some(x)]) => non_zero(x, allow).map(Some),
        ("EyeLike", [Some(x)]) => eye(node, x).map(Some),
        ("Trilu", [Some(x), rest @ ..]) => {
            trilu(node, x, rest.first().and_then(Option::as_ref)).map(Some)
        }
        ("Concat", _) => concat(node, inputs, allow).map(Some),
        _ => Ok(None),
    }
}

fn constant_of_shape(
    node: &Node<'_>,
    shape: &Constant,
    allow: &mut Allow<'_>,
) -> Outcome<Constant> {
    let dims = shape.to_ints()?;
    let dims: Option<Vec<usize>> = dims.iter().map(|d| usize::try_from(*d).ok()).collect();
    let dims = dims
        .filter(|dims| size(dims).is_some())
        .ok_or("makes a value too large")?;
    let count: usize = dims.iter().product();
    allow(count, 0)?;
    let value = match node.attribute("value").and_then(|a| a.tensor.as_ref()) {
        Some(tensor) => Constant::decode(tensor, None, &mut external::Ledger::new())?,
        None => Constant::floats(vec![1], vec![0.0]),
    };
    match (&value.values, value.len()) {
        (Values::Ints(own), 1) => Ok(Constant::ints(dims, vec![own[0]; count])),
        (Values::Floats(own), 1) => Ok(Constant::floats(dims, vec![own[0]; count])),
        (_, n) => Err(format!("has a value of {n} numbers")),
    }
}

fn range(
    start: &Constant,
    limit: &Constant,
    delta: &Constant,
    allow: &mut Allow<'_>,
) -> Outcome<Constant> {
    let one = |c: &Constant| c.only().ok_or("takes single numbers");
    let (first, end, step) = (one(start)?, one(limit)?, one(delta)?);
    let count = ((end - first) / step).ceil().max(0.0);
    if !count.is_finite() || size(&[count as usize]).is_none() {
        return Err(format!("counts from {first} to {end} by {step}"));
    }
    let count = count as usize;
    allow(count, 0)?;
    match (start.to_ints(), delta.to_ints()) {
        (Ok(first), Ok(step)) => {
            let at = |i: usize| first[0].wrapping_add(step[0].wrapping_mul(i as i64));
            Ok(Constant::ints(vec![count], (0..count).map(at).collect()))
        }
        _ => {
            let values = (0..count).map(|i| first + step * i as f64).collect();
            Ok(Constant::floats(vec![count], values))
        }
    }
}

fn non_zero(x: &Constant, allow: &mut Allow<'_>) -> Outcome<Constant> {
    let rank = x.shape.len();
    let places: Vec<usize> = (x.as_floats().iter().enumerate())
        .filter(|(_, v)| **v != 0.0)
        .map(|(i, _)| i)
        .collect();
    allow(places.len().saturating_mul(rank.max(1)), 0)?;
    let mut rows = Vec::new();
    for axis in 0..rank {
        let inner: usize = x.shape[axis + 1..].iter().product();
        rows.extend(places.iter().map(|p| (p / inner % x.shape[axis]) as i64));
    }
    Ok(Constant::ints(vec![rank, places.len()], rows))
}

/// Ones on a diagonal, which are cast to the type that the node asks for.
fn eye(node: &Node<'_>, x: &Constant) -> Outcome<Constant> {
    let [_, columns] = x.shape[..] else {
        return Err(format!("takes a matrix, found shape {:?}", x.shape));
    };
    let k = node.int("k", 0);
    let one = |i: usize| ((i % columns) as i64).saturating_sub((i / columns) as i64) == k;
    let ones = (0..x.len()).map(|i| i64::from(one(i))).collect();
    Ok(Constant::ints(x.shape.clone(), ones))
}

fn trilu(node: &Node<'_>, x: &Constant, k: Option<&Constant>) -> Outcome<Constant> {
    let [.., rows, columns] = x.shape[..] else {
        return Err(format!("takes matrices, found shape {:?}", x.shape));
    };
    let k = k.and_then(Constant::only).unwrap_or(0.0) as i64;
    let upper = node.int("upper", 1) != 0;
    let kept = |i: usize| {
        let above = (i % columns) as i64 - (i / columns % rows) as i64;
        if upper { above >= k } else { above <= k }
    };
    Ok(match &x.values {
        Values::Ints(own) => {
            let own = own
                .iter()
                .enumerate()
                .map(|(i, v)| if kept(i) { *v } else { 0 });
            Constant::ints(x.shape.clone(), own.collect())
        }
        Values::Floats(own) => {
            let own = own
                .iter()
                .enumerate()
                .map(|(i, v)| if kept(i) { *v } else { 0.0 });
            Constant::floats(x.shape.clone(), own.collect())
        }
    })
}

fn concat(
    node: &Node<'_>,
    inputs: &[Option<Constant>],
    allow: &mut Allow<'_>,
) -> Outcome<Constant> {
    let parts: Vec<&Constant> = inputs.iter().flatten().collect();
    let first = parts.first().ok_or("has no inputs")?;
    let axis = node
        .attribute("axis")
        .and_then(|a| a.int)
        .ok_or("lacks its axis")?;
    let axis = node
        .axis(axis, first.shape.len())
        .map_err(|error| error.to_string())?;
    let mut shape = first.shape.clone();
    let fits = parts.iter().all(|part| {
        part.shape.len() == shape.len()
            && (0..shape.len()).all(|at| at == axis || part.shape[at] == shape[at])
    });
    if !fits {
        return Err("joins shapes that do not fit".into());
    }
    shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
    allow(size(&shape).ok_or("makes a value too large")?, 0)?;
    let outer: usize = shape[..axis].iter().product();
    let inner: usize = shape[axis + 1..].iter().product();
    // All have one type.
    let mut found = (Vec::new(), Vec::new());
    for block in 0..outer {
        for part in &parts {
            let length = part.shape[axis] * inner;
            let span = block * length..(block + 1) * length;
            match &part.values {
                Values::Ints(own) => found.0.extend(&own[span]),
                Values::Floats(own) => found.1.extend(&own[span]),
            }
        }
    }
    Ok(match first.values {
        Values::Ints(_) => Constant::ints(shape, found.0),
        Values::Floats(_) => Constant::floats(shape, found.1),
    })
}
