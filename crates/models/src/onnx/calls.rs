//! Calls of functions that the model defines: what a call gives to the nodes within, those of subgraphs included.

use super::message::{Attribute, Function, Node};

/// What a call gives.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// Attributes under the function's names: the call's, and defaults of those that it leaves out.
    attributes: Vec<Attribute<'a>>,
    /// The function's inputs that the call leaves out.
    omitted: Vec<&'a str>,
}

impl<'a> Call<'a> {
    pub(super) fn new(node: &Node<'a>, function: &Function<'a>) -> Self {
        let defaults = function.defaults.iter();
        let left_out = defaults.filter(|default| node.attribute(default.name).is_none());
        let inputs = function.inputs.iter().enumerate();
        let omitted = inputs.filter(|(index, _)| node.optional_input(*index).is_none());
        Self {
            attributes: node.attributes.iter().chain(left_out).cloned().collect(),
            omitted: omitted.map(|(_, name)| *name).collect(),
        }
    }

    /// A node within with the attributes and inputs that it has in this call; those that the call lacks it lacks too.
    pub(super) fn applied(&self, inner: &Node<'a>) -> Node<'a> {
        let given = |attribute: &Attribute<'a>| {
            if attribute.reference.is_empty() {
                return Some(attribute.clone());
            }
            let mut same = self.attributes.iter();
            let mut given = same.find(|a| a.name == attribute.reference)?.clone();
            given.name = attribute.name;
            Some(given)
        };
        let input = |name: &&'a str| match self.omitted.contains(name) {
            true => "",
            false => *name,
        };
        Node {
            name: inner.name,
            op_type: inner.op_type,
            domain: inner.domain,
            overload: inner.overload,
            inputs: inner.inputs.iter().map(input).collect(),
            outputs: inner.outputs.clone(),
            attributes: inner.attributes.iter().filter_map(given).collect(),
        }
    }
}
