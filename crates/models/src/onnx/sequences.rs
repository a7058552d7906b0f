//! Sequences of values: how PyTorch's exporter writes `chunk` and `split`.

use super::{
    constant::Constant,
    message::Node,
    moves::{joined, unsqueezed},
    picks::rows_of_parts,
    translator::Translator,
    value::Value,
};
use crate::error::Result;

/// `SplitToSequence`: parts of one length or of given lengths along a dimension.
pub(super) fn split_to_sequence<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let axis = node.axis(node.int("axis", 0), full.len())?;
    let n = full[axis];
    let given = t.optional_constant(node, 1)?;
    let squeezed = given.is_none() && node.int("keepdims", 1) == 0;
    let lengths: Option<Vec<usize>> = match &given {
        None => Some(vec![1; n]),
        Some(lengths) => {
            let numbers = node.check(lengths.to_ints())?;
            let numbers = numbers.iter().map(|length| usize::try_from(*length).ok());
            match (
                numbers.collect::<Option<Vec<_>>>(),
                lengths.shape.is_empty(),
            ) {
                // Of one length, of which the last part may have less.
                (Some(each), true) if each.iter().all(|each| *each > 0) => {
                    let each = each.first().copied().unwrap_or(n).max(1);
                    let starts = (0..n).step_by(each);
                    Some(starts.map(|start| each.min(n - start)).collect())
                }
                (all, is_one) => all.filter(|_| !is_one),
            }
        }
    };
    let lengths = lengths.filter(|all| all.iter().sum::<usize>() == n && !all.contains(&0));
    let lengths = lengths.ok_or_else(|| {
        node.error(format!(
            "splits {n} entries along dimension {axis} into parts whose lengths are not positive or do not add up to {n}"
        ))
    })?;
    let parts = rows_of_parts(&lengths).map(|rows| t.resample(node, &value, axis, rows));
    let mut parts = parts.collect::<Result<Vec<_>>>()?;
    if squeezed {
        let kept = (0..full.len()).filter(|at| *at != axis);
        let shape: Vec<usize> = kept.map(|at| full[at]).collect();
        for part in &mut parts {
            *part = t.reshape(node, part, shape.clone())?;
        }
    }
    t.set(node, 0, Value::Sequence(parts.into()))
}

/// `SequenceConstruct`: values one after the other.
pub(super) fn construct<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let values = (0..node.inputs.len()).map(|index| t.value(node, index));
    let values = values.collect::<Result<Vec<_>>>()?;
    t.set(node, 0, Value::Sequence(values.into()))
}

/// The values of input 0, a sequence.
fn sequence<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<std::rc::Rc<[Value]>> {
    match t.value(node, 0)? {
        Value::Sequence(values) => Ok(values),
        _ => Err(node.error("takes a sequence, found a tensor")),
    }
}

/// `SequenceAt`: the value at a place, which may count from the end.
pub(super) fn at<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let values = sequence(t, node)?;
    let place = t.constant(node, 1)?;
    let place = node.check(place.to_ints())?.first().copied();
    let from_end = |place: i64| {
        if place < 0 {
            place.saturating_add(values.len() as i64)
        } else {
            place
        }
    };
    let value = place.and_then(|place| values.get(usize::try_from(from_end(place)).ok()?));
    let value = value.cloned().ok_or_else(|| {
        let count = values.len();
        node.error(format!(
            "names value {} of a sequence of {count}",
            place.unwrap_or_default()
        ))
    })?;
    t.set(node, 0, value)
}

/// `SequenceLength`: how many values there are.
pub(super) fn length<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let count = sequence(t, node)?.len() as i64;
    t.set(
        node,
        0,
        Value::Constant(Constant::ints(vec![], vec![count])),
    )
}

/// `ConcatFromSequence`: the values side by side along a dimension, or along a new one.
pub(super) fn concatenated<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let values = sequence(t, node)?;
    let first = values
        .first()
        .ok_or_else(|| node.error("joins a sequence of no values"))?;
    let is_new = node.int("new_axis", 0) != 0;
    let rank = t.shape(node, first)?.len() + usize::from(is_new);
    let axis = node.attribute("axis").and_then(|a| a.int);
    let axis = node.axis(axis.ok_or_else(|| node.error("lacks its axis"))?, rank)?;
    let mut parts = values.to_vec();
    if is_new {
        let added: Vec<bool> = (0..rank).map(|at| at == axis).collect();
        for part in &mut parts {
            *part = unsqueezed(t, node, part, &added)?;
        }
    }
    if !parts.iter().any(|part| matches!(part, Value::Dynamic(_))) {
        return Err(node.error("joins constants alone: fold constants when exporting"));
    }
    let made = joined(t, node, &parts, axis)?;
    t.set(node, 0, Value::Dynamic(made))
}
