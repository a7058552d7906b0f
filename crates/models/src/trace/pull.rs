//! Cotangents through the transpose of the fixed-pattern network, from the output or a neuron to the input.

use super::Trace;
use crate::{
    error::{Error, Result},
    network::Node,
    operator::Operator,
};
use candle_core::Tensor;
use std::collections::BTreeSet;

/// How far a pull has come: the cotangents that are at a node, `[B or 1, K, shape...]`. Through the Jacobians of all
/// nodes reached, they add up to the gradients asked for.
#[derive(Debug, Clone, Copy)]
pub struct Reached<'a> {
    /// Index of the node.
    pub node: usize,
    /// The cotangents of its output.
    pub cotangents: &'a Tensor,
}

/// Which rows of a pull go on, given how far it has come: their numbers among those that are left, ascending, or `None`
/// for all of them.
pub type Keep<'a> = dyn FnMut(&[Reached<'_>]) -> Result<Option<Vec<u32>>> + 'a;

/// Sees the slope changes of a piecewise-linear node, [`Trace::pull_slope_changes`].
pub(super) type SlopeChanges<'a> = dyn FnMut(usize, Tensor) -> Result<()> + 'a;

impl Trace {
    /// Pulls cotangents `[B or 1, K, L]` of the output back to the input: `[B or 1, K, in...]`.
    ///
    /// # Errors
    /// [`Error::TangentShape`] for cotangents of another shape.
    pub fn pull(&self, cotangents: &Tensor) -> Result<Tensor> {
        let pulled = self.back(self.at_output(cotangents)?, None, None)?;
        pulled.map_or_else(|| self.no_cotangent(cotangents.dim(1)?), Ok)
    }

    /// Pulls cotangents `[B or 1, K, m]` of the `m` neurons of piecewise-linear node `node` back to the input:
    /// `[B or 1, K, in...]`.
    ///
    /// # Errors
    /// [`Error::Graph`] for a node without neurons, [`Error::TangentShape`] for cotangents of another shape.
    pub fn pull_neurons(&self, node: usize, cotangents: &Tensor) -> Result<Tensor> {
        let pulled = self.back(
            Self::beginning(self.at_neurons(node, cotangents)?),
            None,
            None,
        )?;
        pulled.map_or_else(|| self.no_cotangent(cotangents.dim(1)?), Ok)
    }

    /// [`Trace::pull_neurons`] with rows dropped on the way: after each node `keep` sees how far the pull has come
    /// and says which of the `K` rows that are left go on. The result has
    /// those kept to the end, and is `None` if there are none or if nothing leads to the input.
    ///
    /// # Errors
    /// Those of [`Trace::pull_neurons`], and what `keep` returns.
    pub fn pull_neurons_while(
        &self,
        node: usize,
        cotangents: &Tensor,
        keep: &mut Keep<'_>,
    ) -> Result<Option<Tensor>> {
        self.back(
            Self::beginning(self.at_neurons(node, cotangents)?),
            None,
            Some(keep),
        )
    }

    /// Cotangents of the output, where [`Trace::back`] begins.
    pub(super) fn at_output(&self, cotangents: &Tensor) -> Result<Vec<Option<Tensor>>> {
        self.check_cotangents(cotangents, self.network.output_size())?;
        let mut begin = vec![None; self.network.nodes().len() - 1];
        begin.push(Some(cotangents.clone()));
        Ok(begin)
    }

    /// Cotangents of one node alone, where [`Trace::back`] begins.
    fn beginning((node, cotangents): (usize, Tensor)) -> Vec<Option<Tensor>> {
        let mut begin = vec![None; node];
        begin.push(Some(cotangents));
        begin
    }

    /// Cotangents of a node's neurons as those of the node's operand, which is named by its index.
    pub(super) fn at_neurons(&self, node: usize, cotangents: &Tensor) -> Result<(usize, Tensor)> {
        let nodes = self.network.nodes();
        match (nodes.get(node), self.records.get(node)) {
            (
                Some(Node {
                    operator: Operator::PiecewiseLinear(operator),
                    operands,
                    ..
                }),
                Some(Some(record)),
            ) => {
                self.check_cotangents(cotangents, record.pre_activations().dim(1)?)?;
                let operand = operands[0];
                let pulled = operator.pull_neurons(cotangents, record, &nodes[operand].shape)?;
                Ok((operand, pulled))
            }
            _ => Err(Error::Graph(format!("node {node} has no neurons"))),
        }
    }

    fn check_cotangents(&self, cotangents: &Tensor, width: usize) -> Result<()> {
        match cotangents.dims() {
            [batch, _, last] if (*batch == 1 || *batch == self.batch) && *last == width => Ok(()),
            found => {
                let expected = format!("[1 or {}, K, {width}]", self.batch);
                Err(Error::TangentShape {
                    what: "cotangents",
                    expected,
                    found: found.to_vec(),
                })
            }
        }
    }

    /// Walks from the last node that has one of `cotangents`, those of the nodes' outputs by index, down to the input;
    /// `None` if nothing arrives. `slope_changes` sees what [`Trace::pull_slope_changes`] says.
    pub(super) fn back(
        &self,
        mut cotangents: Vec<Option<Tensor>>,
        mut slope_changes: Option<&mut SlopeChanges<'_>>,
        mut keep: Option<&mut Keep<'_>>,
    ) -> Result<Option<Tensor>> {
        let nodes = self.network.nodes();
        // The nodes that have one, so that a look at them does not pass all nodes.
        let present = cotangents.iter().enumerate();
        let present = present.filter(|(_, cotangent)| cotangent.is_some());
        let mut present: BTreeSet<usize> = present.map(|(node, _)| node).collect();
        for index in (1..cotangents.len()).rev() {
            let Some(cotangent) = cotangents[index].take() else {
                continue;
            };
            present.remove(&index);
            let node = &nodes[index];
            let shapes: Vec<&[usize]> =
                node.operands.iter().map(|&i| &nodes[i].shape[..]).collect();
            let pulled = match (&node.operator, &self.records[index]) {
                (Operator::Affine(operator), _) => operator.pull(&cotangent, &shapes)?,
                (Operator::PiecewiseLinear(operator), Some(record)) => {
                    if let Some(slope_changes) = &mut slope_changes {
                        slope_changes(index, operator.slope_changes(&cotangent, shapes[0])?)?;
                    }
                    vec![operator.pull(&cotangent, record, shapes[0])?]
                }
                _ => vec![],
            };
            for (&operand, part) in node.operands.iter().zip(pulled) {
                add(&mut cotangents[operand], part)?;
                present.insert(operand);
            }
            if let Some(keep) = &mut keep
                && !self.thin(&mut cotangents, &present, *keep)?
            {
                return Ok(None);
            }
        }
        Ok(cotangents.into_iter().next().flatten())
    }

    /// Drops the rows that `keep` does not want of the cotangents, which are those of the nodes `present`; whether any
    /// are left.
    fn thin(
        &self,
        cotangents: &mut [Option<Tensor>],
        present: &BTreeSet<usize>,
        keep: &mut Keep<'_>,
    ) -> Result<bool> {
        let reached = present.iter().filter_map(|&node| {
            let cotangents = cotangents[node].as_ref()?;
            Some(Reached { node, cotangents })
        });
        let reached: Vec<Reached> = reached.collect();
        let Some(rows) = keep(&reached)? else {
            return Ok(true);
        };
        if rows.is_empty() {
            return Ok(false);
        }
        let rows = Tensor::new(rows, self.network.device())?;
        for &node in present {
            let Some(cotangent) = &mut cotangents[node] else {
                continue;
            };
            *cotangent = cotangent.contiguous()?.index_select(&rows, 1)?;
        }
        Ok(true)
    }

    /// `count` cotangents of the input that are zero: no path leads there.
    pub(super) fn no_cotangent(&self, count: usize) -> Result<Tensor> {
        let shape = [&[1, count], self.network.input_shape()].concat();
        let network = &self.network;
        Ok(Tensor::zeros(shape, network.dtype(), network.device())?)
    }
}

/// Adds a part of a cotangent to those that have arrived.
pub(super) fn add(sum: &mut Option<Tensor>, part: Tensor) -> Result<()> {
    *sum = Some(match sum.take() {
        Some(sum) => sum.broadcast_add(&part)?,
        None => part,
    });
    Ok(())
}
