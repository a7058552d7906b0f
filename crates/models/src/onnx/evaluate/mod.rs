//! Nodes whose inputs are all constant: what they compute, in bounded memory and time.

mod allow;
mod elementwise;
mod reductions;
mod tables;

use self::allow::Allow;
use super::{constant::Constant, message::Node, wire::Outcome};

/// The output of a node with constant inputs; `None` where it is not computed here.
pub(super) fn evaluate(
    node: &Node<'_>,
    inputs: &[Option<Constant>],
    allow: &mut Allow<'_>,
) -> Outcome<Option<Constant>> {
    let given: Vec<&Constant> = inputs.iter().flatten().collect();
    if let Some(found) = elementwise::evaluate(node, &given, allow)? {
        return Ok(Some(found));
    }
    if let Some(found) = reductions::evaluate(node, inputs, allow)? {
        return Ok(Some(found));
    }
    tables::evaluate(node, inputs, allow)
}
