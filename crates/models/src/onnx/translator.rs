//! From a graph of ONNX nodes to a network, node by node.

use super::{
    constant::Constant,
    external,
    graph::{label, malformed, size},
    message::{self, Graph, Node},
    wire::Outcome,
};
use crate::{
    builder::NetworkBuilder,
    error::{Error, Result},
    file::Model,
    operator::PiecewiseLinear,
    operators::{Activation, Flatten},
    spec::{INPUT, OperatorSpec},
};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

/// A value of the graph.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Constant(Constant),
    /// The index of a node of the network.
    Dynamic(usize),
}

/// Where a file comes from and where its network goes.
pub(super) struct Place<'a> {
    /// The number of bytes of the file; constants made from it may outgrow it a few times.
    pub(super) size: usize,
    /// The folder that data outside the file is read from, if any may be.
    pub(super) folder: Option<&'a Path>,
    pub(super) dtype: DType,
    pub(super) device: Device,
}

/// A network in the making.
pub(super) struct Translator<'a> {
    /// Whether values have a leading batch dimension, which a shape of one input lacks.
    pub(super) batched: bool,
    initializers: HashMap<&'a str, &'a message::Tensor<'a>>,
    values: HashMap<&'a str, Value>,
    /// Which nodes read each value; `usize::MAX` stands for the graph's output.
    readers: HashMap<&'a str, Vec<usize>>,
    nodes: &'a [Node<'a>],
    absorbed: HashSet<&'a str>,
    builder: NetworkBuilder,
    /// The shape of one input's value at each node of the network.
    shapes: Vec<Vec<usize>>,
    /// How often each name was asked for.
    names: HashMap<String, usize>,
    parameters: HashMap<(usize, bool), (Constant, Tensor)>,
    /// How many numbers may still be made by folding and copying constants.
    budget: usize,
    folder: Option<&'a Path>,
    ledger: external::Ledger,
    dtype: DType,
    device: Device,
}

impl<'a> Translator<'a> {
    /// A translation of `source` with nothing translated yet: the input's name, whether it has a batch dimension, the
    /// shape of one input, and which nodes read each value.
    pub(super) fn new(
        source: &'a Graph<'a>,
        initializers: HashMap<&'a str, &'a message::Tensor<'a>>,
        (input, batched, shape): (&'a str, bool, Vec<usize>),
        readers: HashMap<&'a str, Vec<usize>>,
        place: Place<'a>,
    ) -> Result<Self> {
        Ok(Self {
            batched,
            initializers,
            values: HashMap::from([(input, Value::Dynamic(0))]),
            readers,
            nodes: &source.nodes,
            absorbed: HashSet::new(),
            builder: NetworkBuilder::new(&shape)?,
            shapes: vec![shape],
            names: HashMap::from([(INPUT.to_string(), 1)]),
            parameters: HashMap::new(),
            budget: place.size.saturating_mul(4).saturating_add(1 << 16),
            folder: place.folder,
            ledger: external::Ledger::new(),
            dtype: place.dtype,
            device: place.device,
        })
    }

    /// Whether the node was translated together with one before it.
    pub(super) fn is_absorbed(&self, node: &Node<'a>) -> bool {
        self.absorbed.contains(node.outputs[0])
    }

    pub(super) fn finish(mut self, output: &'a str) -> Result<Model> {
        let Some(Value::Dynamic(mut index)) = self.values.get(output).cloned() else {
            return Err(malformed(format!(
                "the output `{output}` does not depend on the input"
            )));
        };
        if self.shape_of(index).len() != 1 {
            let name = self.unique(&format!("{output}.flatten"));
            index = self.builder.affine(&name, Flatten, &[index])?;
        }
        if index == 0 {
            return Err(malformed("the output is the input itself"));
        }
        // Nodes after the output were not needed, so that it is the last.
        Ok(Model {
            network: self.builder.finish(self.dtype, &self.device)?,
            normalization: None,
        })
    }

    /// Input `index` of a node.
    pub(super) fn value(&mut self, node: &Node<'a>, index: usize) -> Result<Value> {
        let name = node.input(index)?;
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let initializer = self.initializers.get(name).copied();
        let tensor = initializer.ok_or_else(|| node.error(format!("nothing made `{name}`")))?;
        let constant = self
            .decode(tensor)
            .map_err(|cause| malformed(format!("initialiser `{name}`: {cause}")))?;
        self.values.insert(name, Value::Constant(constant.clone()));
        Ok(Value::Constant(constant))
    }

    /// A tensor of the file.
    pub(super) fn decode(&mut self, tensor: &message::Tensor<'a>) -> Outcome<Constant> {
        let constant = Constant::decode(tensor, self.folder, &mut self.ledger)?;
        if tensor.external {
            // What was read from another file counts as the file's size.
            self.budget = self.budget.saturating_add(constant.len().saturating_mul(4));
        }
        Ok(constant)
    }

    /// Input `index` of a node, which must not depend on the network's input.
    pub(super) fn constant(&mut self, node: &Node<'a>, index: usize) -> Result<Constant> {
        match self.value(node, index)? {
            Value::Constant(constant) => Ok(constant),
            Value::Dynamic(_) => Err(node.error(format!(
                "its input {index} (`{}`) must be constant, and depends on the network's input",
                node.inputs[index]
            ))),
        }
    }

    /// Input `index` of a node, which must depend on the network's input.
    pub(super) fn dynamic(&mut self, node: &Node<'a>, index: usize) -> Result<usize> {
        match self.value(node, index)? {
            Value::Dynamic(index) => Ok(index),
            Value::Constant(_) => Err(node.error(format!(
                "its input {index} (`{}`) is constant: fold constants when exporting",
                node.inputs[index]
            ))),
        }
    }

    /// Shape of one input's value at a node of the network.
    pub(super) fn shape_of(&self, index: usize) -> &[usize] {
        &self.shapes[index]
    }

    /// Shape with the batch dimension, 1, where there is one.
    pub(super) fn full_shape(&self, index: usize) -> Vec<usize> {
        let batch: &[usize] = if self.batched { &[1] } else { &[] };
        [batch, self.shape_of(index)].concat()
    }

    /// Shape of a value, batch included.
    pub(super) fn full_shape_of(&self, value: &Value) -> Vec<usize> {
        match value {
            Value::Constant(constant) => constant.shape.clone(),
            Value::Dynamic(index) => self.full_shape(*index),
        }
    }

    /// The shape of one input, given the shape with the batch dimension.
    pub(super) fn without_batch(&self, node: &Node<'a>, full: &[usize]) -> Result<Vec<usize>> {
        match (self.batched, full) {
            (_, []) => Err(node.error("has a single number without dimensions as output")),
            (false, shape) => Ok(shape.to_vec()),
            (true, [1, shape @ ..]) if !shape.is_empty() => Ok(shape.to_vec()),
            (true, _) => Err(node.error(format!(
                "has an output of shape {full:?}, which lacks the batch dimension"
            ))),
        }
    }

    /// Says that the node's first output is `value`.
    pub(super) fn set(&mut self, node: &Node<'a>, value: Value) -> Result<()> {
        if let Value::Constant(constant) = &value {
            self.spend(node, constant.len())?;
        }
        self.values.insert(node.outputs[0], value);
        Ok(())
    }

    /// Accounts for `count` numbers made from constants.
    pub(super) fn spend(&mut self, node: &Node<'_>, count: usize) -> Result<()> {
        self.budget = self.budget.checked_sub(count).ok_or_else(|| {
            node.error("its constants outgrow the file many times over".to_string())
        })?;
        Ok(())
    }

    /// Adds an operator with parameters to the network under the node's name and a suffix; returns its index.
    pub(super) fn add(
        &mut self,
        node: &Node<'a>,
        suffix: &str,
        spec: &OperatorSpec,
        parameters: &[(&str, Tensor)],
        operands: &[usize],
    ) -> Result<usize> {
        let name = self.unique(&format!("{}{suffix}", label(node)));
        let tensors = parameters
            .iter()
            .map(|(local, tensor)| (local.to_string(), tensor.clone()))
            .collect();
        let vars = VarBuilder::from_tensors(tensors, self.dtype, &self.device);
        let operator = spec.build(vars).map_err(|e| node.error(e.to_string()))?;
        let shapes: Vec<&[usize]> = operands.iter().map(|&i| self.shape_of(i)).collect();
        let shape = node.check(operator.output_shape(&shapes))?;
        if size(&shape).is_none() {
            return Err(node.error(format!(
                "has an output of shape {shape:?}, which is too large"
            )));
        }
        self.shapes.push(shape);
        self.builder.add(&name, operator, operands)
    }

    /// Adds an activation at the node's first input as its output.
    pub(super) fn activate(&mut self, node: &Node<'a>, activation: &Activation) -> Result<()> {
        let operand = self.dynamic(node, 0)?;
        let spec = node.check(
            activation
                .spec()
                .ok_or_else(|| "has no specification".into()),
        )?;
        let index = self.add(node, "", &spec, &[], &[operand])?;
        self.set(node, Value::Dynamic(index))
    }

    /// The constant as a parameter of the network, transposed (rank 2) or as it is. A constant that several nodes
    /// read is stored once.
    pub(super) fn parameter(
        &mut self,
        node: &Node<'a>,
        constant: &Constant,
        transposed: bool,
    ) -> Result<Tensor> {
        let values = node.check(constant.to_floats())?;
        let key = (Arc::as_ptr(&values).addr(), transposed);
        if let Some((known, tensor)) = self.parameters.get(&key)
            && known.shape == constant.shape
        {
            return Ok(tensor.clone());
        }
        if let Some(&value) = values.iter().find(|v| !v.is_finite()) {
            return Err(Error::NotFinite {
                name: label(node).into(),
                value,
            });
        }
        self.spend(node, values.len())?;
        let tensor = Tensor::from_slice(&values, &constant.shape[..], &self.device)?;
        let tensor = match transposed {
            true => tensor.t()?.contiguous()?,
            false => tensor,
        };
        let tensor = tensor.to_dtype(self.dtype)?;
        // The constant is kept beside it, so that no other can come to lie at its address.
        self.parameters
            .insert(key, (constant.clone(), tensor.clone()));
        Ok(tensor)
    }

    /// The only reader of the node's output, if it is an `op_type` that comes with one constant: the input of that
    /// constant and the reader itself.
    pub(super) fn sole_reader(
        &self,
        node: &Node<'a>,
        op_type: &str,
    ) -> Option<(usize, &'a Node<'a>)> {
        let output = node.outputs[0];
        let [reader] = self.readers.get(output)?[..] else {
            return None;
        };
        let reader = self.nodes.get(reader)?;
        let (index, other) = match reader.inputs[..] {
            [a, b] if a == output => (1, b),
            [a, b] if b == output => (0, a),
            _ => return None,
        };
        let constant = match self.values.get(other) {
            Some(value) => matches!(value, Value::Constant(_)),
            None => self.initializers.contains_key(other),
        };
        (reader.op_type == op_type && message::is_standard(reader.domain) && constant)
            .then_some((index, reader))
    }

    /// Says that `reader` was translated together with the node before it, with output `value`.
    pub(super) fn absorb(&mut self, reader: &Node<'a>, value: Value) -> Result<()> {
        self.absorbed.insert(reader.outputs[0]);
        self.set(reader, value)
    }

    /// The operand as a vector for each input.
    pub(super) fn flattened(&mut self, node: &Node<'a>, operand: usize) -> Result<usize> {
        match self.shape_of(operand) {
            [_] => Ok(operand),
            _ => self.add(node, ".flatten", &OperatorSpec::Flatten, &[], &[operand]),
        }
    }

    /// The operand in another shape of one input.
    pub(super) fn reshaped(
        &mut self,
        node: &Node<'a>,
        operand: usize,
        shape: Vec<usize>,
    ) -> Result<usize> {
        if self.shape_of(operand) == shape {
            return Ok(operand);
        }
        match shape[..] {
            [_] => self.flattened(node, operand),
            _ => {
                let spec = OperatorSpec::Reshape { shape };
                self.add(node, ".reshape", &spec, &[], &[operand])
            }
        }
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
