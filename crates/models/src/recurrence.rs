//! Recurrences, recognised in a graph.

use crate::{chain::parameter, network::Node, spec::OperatorSpec, structure::Recurrence};

/// The recurrence that the nodes are, if they are one: a graph as [`crate::architectures::RnnConfig::spec`] builds it.
///
/// The `t`-th piecewise-linear node is step `t`, so that [`crate::Trace::records`] lists the steps in order, each with
/// one neuron and one selected slope for each unit.
pub(crate) fn of_nodes(nodes: &[Node]) -> Option<Recurrence> {
    let [steps, _] = nodes.first()?.shape[..] else {
        return None;
    };
    let (mut encoder, mut recurrent): (Option<&Node>, Option<&Node>) = (None, None);
    let mut cursor = Cursor { nodes, next: 1 };
    let mut state = None;
    for t in 0..steps {
        let step = cursor.take(&[0])?;
        match nodes[step].operator.spec()? {
            OperatorSpec::Select { axis: 0, index } if index == t => {}
            _ => return None,
        }
        let mut z = cursor.take_same(&[step], &mut encoder)?;
        if let Some(state) = state {
            let fed = cursor.take_same(&[state], &mut recurrent)?;
            z = match cursor.take(&[z, fed]) {
                Some(sum) if matches!(nodes[sum].operator.spec()?, OperatorSpec::Add) => sum,
                _ => return None,
            };
        } else if let Some(shifted) = cursor.take_shift(z) {
            // The bias of a state of 0, which no linear layer takes.
            z = shifted;
        }
        let activation = cursor.take(&[z])?;
        match nodes[activation].operator.spec()? {
            OperatorSpec::Activation { breakpoints, .. } if breakpoints.len() == 1 => {}
            _ => return None,
        }
        state = Some(activation);
    }
    match nodes.get(cursor.next..)? {
        [] => {}
        [output]
            if output.operands == [state?]
                && matches!(output.operator.spec()?, OperatorSpec::Linear { .. }) => {}
        _ => return None,
    }
    let recurrent = match recurrent {
        Some(node) => Some(parameter(node, "weight")?.clone()),
        None => None,
    };
    Some(Recurrence {
        steps,
        input: parameter(encoder?, "weight")?.clone(),
        recurrent,
    })
}

/// A walk along the nodes in their order.
struct Cursor<'a> {
    nodes: &'a [Node],
    next: usize,
}

impl<'a> Cursor<'a> {
    /// The next node, if it reads just these.
    fn take(&mut self, operands: &[usize]) -> Option<usize> {
        let index = self.next;
        self.next += 1;
        (self.nodes.get(index)?.operands == operands).then_some(index)
    }

    /// The next node, if it adds a constant to this one; else it stays the next.
    fn take_shift(&mut self, operand: usize) -> Option<usize> {
        let node = self.nodes.get(self.next)?;
        let is_shift = matches!(node.operator.spec()?, OperatorSpec::Translate { .. });
        (is_shift && node.operands == [operand]).then_some(())?;
        self.take(&[operand])
    }

    /// The next node, if it reads just these and is the linear layer `known`, which it becomes if there is none.
    fn take_same(&mut self, operands: &[usize], known: &mut Option<&'a Node>) -> Option<usize> {
        let index = self.take(operands)?;
        let node = &self.nodes[index];
        let same = match known {
            Some(known) => known.operator.identity() == node.operator.identity(),
            None => matches!(node.operator.spec()?, OperatorSpec::Linear { .. }),
        };
        known.get_or_insert(node);
        same.then_some(index)
    }
}
