//! The network in the making: its nodes, of which some may turn out not to be needed.

use super::{
    body::{refused, size},
    wire::Outcome,
};
use crate::{
    builder::NetworkBuilder, error::Result, network::Network, operator::Operator, spec::INPUT,
};
use candle_core::{DType, Device};
use std::collections::HashMap;

/// Nodes of a network, the input first.
pub(super) struct Nodes {
    made: Vec<Made>,
    /// How often each name was asked for.
    names: HashMap<String, usize>,
}

struct Made {
    name: String,
    operator: Operator,
    operands: Vec<usize>,
    shape: Vec<usize>,
    /// The node whose numbers these are in another shape.
    same_as: Option<usize>,
}

impl Nodes {
    pub(super) fn new(input: &[usize]) -> Self {
        let input = Made {
            name: INPUT.into(),
            operator: Operator::Input,
            operands: Vec::new(),
            shape: input.to_vec(),
            same_as: None,
        };
        Self {
            made: vec![input],
            names: HashMap::from([(INPUT.to_string(), 1)]),
        }
    }

    /// Shape of a node's value for one input.
    pub(super) fn shape(&self, index: usize) -> &[usize] {
        &self.made[index].shape
    }

    /// Operator and operands of a node.
    pub(super) fn get(&self, index: usize) -> (&Operator, &[usize]) {
        (&self.made[index].operator, &self.made[index].operands)
    }

    /// Adds a node and returns its index.
    pub(super) fn push(
        &mut self,
        name: &str,
        operator: Operator,
        operands: &[usize],
    ) -> Outcome<usize> {
        let shapes: Vec<&[usize]> = operands.iter().map(|&i| self.shape(i)).collect();
        let shape = operator.output_shape(&shapes)?;
        if size(&shape).is_none_or(|n| n == 0) {
            return Err(format!(
                "has an output of shape {shape:?}, which is too large or empty"
            ));
        }
        let name = self.unique(name);
        self.made.push(Made {
            name,
            operator,
            operands: operands.to_vec(),
            shape,
            same_as: None,
        });
        Ok(self.made.len() - 1)
    }

    /// The node whose numbers a node's are, in their first shape.
    pub(super) fn source(&self, index: usize) -> usize {
        self.made[index].same_as.unwrap_or(index)
    }

    /// The node itself or its source, if that has a shape.
    pub(super) fn in_shape(&self, index: usize, shape: &[usize]) -> Option<usize> {
        let known = [index, self.source(index)];
        known.into_iter().find(|i| self.shape(*i) == shape)
    }

    /// Says that a node's numbers are those of another.
    pub(super) fn same(&mut self, index: usize, source: usize) {
        self.made[index].same_as = Some(source);
    }

    /// The network whose output is node `last`, without nodes that it does not need.
    pub(super) fn network(
        self,
        last: usize,
        output: &str,
        dtype: DType,
        device: &Device,
    ) -> Result<Network> {
        let mut wanted = vec![false; self.made.len()];
        wanted[last] = true;
        for index in (0..=last).rev().filter(|i| *i > 0) {
            if wanted[index] {
                self.made[index]
                    .operands
                    .iter()
                    .for_each(|i| wanted[*i] = true);
            }
        }
        if !wanted[0] {
            return Err(refused(format!(
                "the output `{output}` does not depend on the input"
            )));
        }
        let mut builder = NetworkBuilder::new(&self.made[0].shape)?;
        let mut indices = vec![0; self.made.len()];
        for (index, made) in self.made.into_iter().enumerate().take(last + 1).skip(1) {
            if wanted[index] {
                let operands: Vec<usize> = made.operands.iter().map(|i| indices[*i]).collect();
                indices[index] = builder.add(&made.name, made.operator, &operands)?;
            }
        }
        builder.finish(dtype, device)
    }

    /// `name`, or `name_2`, `name_3`, ... where it is in use.
    fn unique(&mut self, name: &str) -> String {
        let mut candidate = name.to_string();
        loop {
            let count = self.names.entry(candidate.clone()).or_default();
            *count += 1;
            if *count == 1 {
                return candidate;
            }
            candidate = format!("{name}_{}", self.names.get(name).copied().unwrap_or(2));
        }
    }
}
