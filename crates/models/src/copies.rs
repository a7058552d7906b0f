//! Networks made of a network: in another dtype, detached, of raw inputs.

use crate::{
    builder::NetworkBuilder,
    error::{Error, Result},
    network::{Network, Node},
    operator::{Affine, Operator},
    operators::{Standardize, Transpose},
    parameter_map::ParameterMap,
};
use candle_core::{DType, Device, Tensor};
use std::{collections::HashMap, sync::Arc};

impl Network {
    /// The same network with parameters cut off from differentiation (they share storage): what inference
    /// uses, so that no computation is recorded.
    ///
    /// # Errors
    /// [`Error::Node`] with an operator that has parameters and does not say how they are changed.
    pub fn detached(&self) -> Result<Self> {
        self.map_parameters(self.dtype(), self.device(), |_, tensor| Ok(tensor.detach()))
    }

    /// A copy in another dtype or on another device, its parameters detached from the originals.
    ///
    /// # Errors
    /// Those of [`Network::detached`], and conversions that the device does not have.
    pub fn to(&self, dtype: DType, device: &Device) -> Result<Self> {
        self.map_parameters(dtype, device, |_, tensor| {
            let converted = tensor.detach().to_device(device)?.to_dtype(dtype)?;
            Ok(converted.copy()?)
        })
    }

    /// The network of raw inputs: `(x - mean) / std` first, then this network. Its margins are in raw units.
    ///
    /// # Errors
    /// Means and deviations that are not one number for all or one for each channel, or not finite and positive, and a
    /// network that has a node of the name `normalization`.
    pub fn standardized(&self, mean: &[f64], std: &[f64]) -> Result<Self> {
        let standardize = Standardize::new(mean, std, self.dtype(), self.device())?;
        self.behind(vec![("normalization", affine(standardize))])
    }

    /// The same for inputs whose channels are the last dimension.
    ///
    /// # Errors
    /// As [`Network::standardized`], and a network that has a node of the name `channels_first` or `channels_last`.
    pub fn standardized_last(&self, mean: &[f64], std: &[f64]) -> Result<Self> {
        let mut first: Vec<usize> = (0..self.input_shape().len()).collect();
        let mut last = first.clone();
        first.rotate_right(1);
        last.rotate_left(1);
        let standardize = Standardize::new(mean, std, self.dtype(), self.device())?;
        self.behind(vec![
            ("channels_first", affine(Transpose::new(&first)?)),
            ("normalization", affine(standardize)),
            ("channels_last", affine(Transpose::new(&last)?)),
        ])
    }

    /// This network behind operators of one operand, one after the other.
    fn behind(&self, front: Vec<(&str, Operator)>) -> Result<Self> {
        let mut builder = NetworkBuilder::new(self.input_shape())?;
        let shift = front.len();
        for (at, (name, operator)) in front.into_iter().enumerate() {
            builder.add(name, operator, &[at])?;
        }
        for node in &self.nodes()[1..] {
            let operands: Vec<usize> = node.operands.iter().map(|i| i + shift).collect();
            builder.add(&node.name, node.operator.clone(), &operands)?;
        }
        builder.finish(self.dtype(), self.device())
    }

    /// The same graph with what `map` makes of each parameter, which it is given by its full name (`layers.0.weight`).
    /// Operators that several nodes share stay shared.
    pub(crate) fn map_parameters(
        &self,
        dtype: DType,
        device: &Device,
        mut map: impl FnMut(&str, &Tensor) -> Result<Tensor>,
    ) -> Result<Self> {
        let mut known: HashMap<usize, Operator> = HashMap::new();
        let mut nodes: Vec<Node> = Vec::with_capacity(self.nodes().len());
        for (node, owner) in self.nodes().iter().zip(self.owners()) {
            let operator = match known.get(&owner) {
                Some(mapped) => mapped.clone(),
                None => {
                    let mut full = |local: &str, tensor: &Tensor| {
                        map(&format!("{}.{local}", node.name), tensor)
                    };
                    mapped(node, &mut ParameterMap::new(dtype, device, &mut full))?
                }
            };
            known.insert(owner, operator.clone());
            nodes.push(Node {
                operator,
                ..node.clone()
            });
        }
        Ok(Self::of_nodes(nodes, dtype, device))
    }
}

/// A node's operator with other parameters, or itself if it has none.
fn mapped(node: &Node, map: &mut ParameterMap<'_>) -> Result<Operator> {
    match node.operator.map_parameters(map)? {
        Some(operator) => Ok(operator),
        None if node.operator.parameters().is_empty() => Ok(node.operator.clone()),
        None => Err(Error::Node {
            node: node.name.clone(),
            operator: node.operator.kind(),
            cause: "has parameters, and does not say how they are changed (map_parameters)".into(),
        }),
    }
}

fn affine(operator: impl Affine + 'static) -> Operator {
    Operator::Affine(Arc::new(operator))
}
