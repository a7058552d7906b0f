//! Slopes that piecewise-linear nodes leave to their readers, who multiply with them while they read: a pass over memory less, and
//! no tensor of products.

use crate::{
    network::Node,
    operator::{BehindSlopes, Operator},
    record::ActivationRecord,
};
use candle_core::{DType, Tensor};
use loclin_tensor::SlopesAt;

/// The slopes that the nodes of a network left during a walk from the input.
pub(crate) struct LeftSlopes {
    /// Nodes all of whose readers can multiply with slopes.
    ready: Vec<bool>,
    left: Vec<Option<SlopesAt>>,
}

impl LeftSlopes {
    /// None yet.
    pub(crate) fn of(nodes: &[Node]) -> Self {
        let mut readers = vec![0; nodes.len()];
        let mut others = vec![false; nodes.len()];
        for node in nodes {
            for operand in &node.operands {
                readers[*operand] += 1;
                others[*operand] |= behind(node).is_none();
            }
        }
        let ready = readers.iter().zip(others);
        Self {
            ready: ready
                .map(|(readers, other)| *readers > 0 && !other)
                .collect(),
            left: vec![None; nodes.len()],
        }
    }

    /// Whether node `index`, which recorded at `B` inputs, leaves the slopes for its operand `[B, ...]` to its readers: its result is then
    /// the operand itself.
    pub(crate) fn leave(
        &mut self,
        index: usize,
        record: &ActivationRecord,
        operand: &Tensor,
    ) -> bool {
        let Some((pieces, at)) = record.two_pieces().filter(|_| self.ready[index]) else {
            return false;
        };
        let served = at.device().is_cpu() && matches!(at.dtype(), DType::F32 | DType::F64);
        let alike = operand.dtype() == at.dtype() && operand.dims().first() == at.dims().first();
        if !(served && alike && at.rank() == 4) {
            return false;
        }
        let at = at.clone();
        self.left[index] = Some(SlopesAt { pieces, at });
        true
    }

    /// What a node multiplies its operand with, if slopes were left to it.
    pub(crate) fn to<'a>(&self, node: &'a Node) -> Option<(&SlopesAt, &'a dyn BehindSlopes)> {
        let slopes = self.left[*node.operands.first()?].as_ref()?;
        Some((slopes, behind(node)?))
    }
}

/// The operator of a node as one that multiplies with slopes.
fn behind(node: &Node) -> Option<&dyn BehindSlopes> {
    match &node.operator {
        Operator::Affine(operator) if operator.normalization().is_none() => {
            operator.behind_slopes()
        }
        _ => None,
    }
}
