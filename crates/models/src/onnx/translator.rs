//! From a graph of ONNX nodes to a network: what is known of the graph so far, and the network in the making.

use super::{
    body::{label, malformed, refused},
    constant::Constant,
    dims::own,
    element::Element,
    evaluate::evaluate,
    external,
    frames::Frame,
    interface::Input,
    message::{self, Node},
    nodes::Nodes,
    value::{Dynamic, Value},
    wire::Outcome,
};
use crate::{
    error::{Error, Result},
    operator::{Operator, PiecewiseLinear},
    operators::Activation,
    spec::OperatorSpec,
};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

/// Numbers that a file of any size may make of its constants.
const FREE_NUMBERS: usize = 1 << 23;
/// Multiplications of constants that a file of any size may ask for.
const FREE_WORK: usize = 1 << 25;

/// Where a file comes from and where its network goes.
pub(super) struct Place<'a> {
    /// The number of bytes of the file; constants made from it may outgrow it a few times.
    pub(super) size: usize,
    /// The file, in whose folder data outside of it may be.
    pub(super) model: Option<&'a Path>,
    pub(super) dtype: DType,
    pub(super) device: Device,
}

/// A network in the making.
pub(super) struct Translator<'a> {
    /// The version of the standard operators.
    pub(super) opset: i64,
    /// How many inputs the graph takes at once: 1 where the file does not say.
    pub(super) batch: usize,
    /// Whether the file leaves that open.
    pub(super) open: bool,
    /// The floating-point types that values which depend on the input have had so far.
    floats: Vec<Element>,
    /// The graph, and the subgraphs and functions within which translation is.
    pub(super) frames: Vec<Frame<'a>>,
    failures: Vec<Option<Error>>,
    /// The failure that the last error came from, if it came from one.
    cause: Option<usize>,
    nodes: Nodes,
    /// Nodes that are the larger or the smaller of a value and a number, which the other one may make a clip.
    pub(super) bounded: HashSet<usize>,
    parameters: HashMap<(usize, bool), (Constant, Tensor)>,
    /// How many numbers may still be made by folding and copying constants.
    budget: usize,
    /// How many multiplications of constants may still be done.
    work: usize,
    model: Option<&'a Path>,
    ledger: external::Ledger,
    dtype: DType,
    device: Device,
}

impl<'a> Translator<'a> {
    /// A translation of a graph with this input, of which nothing is translated yet.
    pub(super) fn new(opset: i64, input: &Input<'a>, place: &Place<'a>) -> Self {
        let spare = place.size.saturating_mul(4);
        Self {
            opset,
            batch: input.batch.map_or(1, |batch| input.full[batch]),
            open: input.open,
            floats: match input.element {
                Some(element) if element.is_float() => vec![element],
                Some(_) => Vec::new(),
                // It may be any.
                None => vec![Element::Single, Element::Double],
            },
            frames: Vec::new(),
            failures: Vec::new(),
            cause: None,
            nodes: Nodes::new(&own(&input.full, input.batch)),
            bounded: HashSet::new(),
            parameters: HashMap::new(),
            budget: spare.saturating_add(FREE_NUMBERS),
            work: spare.saturating_add(FREE_WORK),
            model: place.model,
            ledger: external::Ledger::new(),
            dtype: place.dtype,
            device: place.device.clone(),
        }
    }

    /// The network whose output is `output` as a vector; nodes that it does not need are left out.
    pub(super) fn finish(mut self, output: &Dynamic, name: &str) -> Result<crate::Network> {
        let size = self.nodes.shape(output.node).iter().product();
        let known = self.nodes.in_shape(output.node, &[size]);
        let last = match known.filter(|node| *node != 0) {
            Some(node) => node,
            None => {
                let operator = OperatorSpec::Flatten.build(self.no_parameters())?;
                let name = format!("{name}.flatten");
                let made = self.nodes.push(&name, operator, &[output.node]);
                made.map_err(refused)?
            }
        };
        self.nodes.network(last, name, self.dtype, &self.device)
    }

    /// Input `index` of a node.
    pub(super) fn value(&mut self, node: &Node<'a>, index: usize) -> Result<Value> {
        let name = node.input(index)?;
        self.named(name).map_err(|error| match error {
            Error::Graph(cause) => node.error(cause),
            error => error,
        })
    }

    /// The graphs whose names can be seen.
    pub(super) fn visible(&self) -> &[Frame<'a>] {
        let from = self.frames.iter().rposition(|frame| frame.isolated);
        &self.frames[from.unwrap_or(0)..]
    }

    /// The value of a name.
    pub(super) fn named(&mut self, name: &'a str) -> Result<Value> {
        for at in (0..self.frames.len()).rev() {
            let frame = &self.frames[at];
            if let Some(value) = frame.values.get(name).cloned() {
                return self.needed(value, name);
            }
            if let Some(tensor) = frame.initializers.get(name).cloned() {
                let is_known = Element::of(tensor.data_type).is_ok();
                let constant = self.decode(&tensor).map_err(|cause| {
                    let cause = format!("initialiser `{name}`: {cause}");
                    match is_known {
                        true => malformed(cause),
                        false => refused(cause),
                    }
                })?;
                let value = Value::Constant(constant);
                self.frames[at].values.insert(name, value.clone());
                return Ok(value);
            }
            if frame.isolated {
                break;
            }
        }
        Err(Error::Graph(format!("nothing made `{name}`")))
    }

    /// A tensor of the file.
    pub(super) fn decode(&mut self, tensor: &message::Tensor<'a>) -> Outcome<Constant> {
        let constant = Constant::decode(tensor, self.model, &mut self.ledger)?;
        if tensor.external {
            // What was read from another file counts as the file's size.
            self.budget = self.budget.saturating_add(constant.len().saturating_mul(4));
            self.work = self.work.saturating_add(constant.len().saturating_mul(32));
        }
        Ok(constant)
    }

    /// Input `index` of a node, which must not depend on the network's input.
    pub(super) fn constant(&mut self, node: &Node<'a>, index: usize) -> Result<Constant> {
        match self.value(node, index)? {
            Value::Constant(constant) => Ok(constant),
            _ => Err(node.error(format!(
                "its input {index} (`{}`) must be constant, and depends on the network's input",
                node.inputs[index]
            ))),
        }
    }

    /// Input `index` of a node, if it is given; it must not depend on the network's input.
    pub(super) fn optional_constant(
        &mut self,
        node: &Node<'a>,
        index: usize,
    ) -> Result<Option<Constant>> {
        match node.optional_input(index) {
            Some(_) => self.constant(node, index).map(Some),
            None => Ok(None),
        }
    }

    /// Input `index` of a node, which must depend on the network's input.
    pub(super) fn dynamic(&mut self, node: &Node<'a>, index: usize) -> Result<Dynamic> {
        match self.value(node, index)? {
            Value::Dynamic(dynamic) => Ok(dynamic),
            Value::Constant(_) => Err(node.error(format!(
                "its input {index} (`{}`) is constant: fold constants when exporting",
                node.inputs[index]
            ))),
            Value::Sequence(_) => Err(node.error(format!(
                "its input {index} (`{}`) is a sequence where a tensor must be",
                node.inputs[index]
            ))),
            _ => Err(node.error(
                "uses the result of a comparison in another way than to select: not continuous",
            )),
        }
    }

    /// Says that output `index` of the node, if anybody wants it, is `value`.
    pub(super) fn set(&mut self, node: &Node<'a>, index: usize, value: Value) -> Result<()> {
        if let Value::Constant(constant) = &value {
            self.spend(node, constant.len())?;
        }
        let name = node.outputs.get(index).copied().unwrap_or_default();
        if let (Some(frame), false) = (self.frames.last_mut(), name.is_empty()) {
            frame.values.insert(name, value);
        }
        Ok(())
    }

    /// Says that a value which depends on the input has a floating-point type.
    pub(super) fn saw(&mut self, float: Element) {
        if !self.floats.contains(&float) {
            self.floats.push(float);
        }
    }

    /// The floating-point type of all values that depend on the input, where they have one.
    pub(super) fn float(&self) -> Option<Element> {
        match self.floats[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// What a node gives holds integers.
    pub(super) fn mark_integers(&mut self, node: &Node<'a>) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        for name in &node.outputs {
            if let Some(value) = frame.values.remove(name) {
                frame.values.insert(name, value.into_integers());
            }
        }
    }

    /// Remembers that nothing could be made of a node, until somebody needs it.
    pub(super) fn fail(&mut self, node: &Node<'a>, error: Error) {
        self.fail_outputs(&node.outputs, error);
    }

    /// Remembers that some outputs of a node cannot be had, until somebody needs them.
    pub(super) fn fail_outputs(&mut self, names: &[&'a str], error: Error) {
        let failed = self.failed(error);
        if let Some(frame) = self.frames.last_mut() {
            for name in names.iter().filter(|name| !name.is_empty()) {
                frame.values.insert(name, failed.clone());
            }
        }
    }

    /// What stands for a value that cannot be had, until somebody needs it.
    pub(super) fn failed(&mut self, error: Error) -> Value {
        Value::Failed(self.cause.take().unwrap_or_else(|| {
            self.failures.push(Some(error));
            self.failures.len() - 1
        }))
    }

    /// A value that somebody needs.
    pub(super) fn needed(&mut self, value: Value, name: &str) -> Result<Value> {
        match value {
            Value::Failed(cause) => {
                self.cause = Some(cause);
                Err(Error::Graph(format!("needs `{name}`, which cannot be had")))
            }
            value => Ok(value),
        }
    }

    /// What the failure behind the last error was, or the error itself.
    pub(super) fn cause_of(&mut self, error: Error) -> Error {
        let cause = self.cause.take();
        cause
            .and_then(|cause| self.failures[cause].take())
            .unwrap_or(error)
    }

    /// Accounts for `count` numbers made from constants.
    pub(super) fn spend(&mut self, node: &Node<'_>, count: usize) -> Result<()> {
        self.budget = self.budget.checked_sub(count).ok_or_else(|| {
            node.error("its constants outgrow the file many times over".to_string())
        })?;
        Ok(())
    }

    /// Accounts for `count` multiplications of constants.
    pub(super) fn spend_work(&mut self, node: &Node<'_>, count: usize) -> Result<()> {
        self.work = self.work.checked_sub(count).ok_or_else(|| {
            node.error("its constants take too long to compute for a file of this size".to_string())
        })?;
        Ok(())
    }

    /// What a node computes of constants; `None` where that is not known here.
    pub(super) fn computed(
        &mut self,
        node: &Node<'a>,
        inputs: &[Option<Constant>],
    ) -> Result<Option<Constant>> {
        let opset = self.opset;
        let found = evaluate(node, inputs, opset, &mut |numbers, work| {
            let spent = self.spend(node, numbers);
            let spent = spent.and_then(|()| self.spend_work(node, work));
            spent.map_err(|error| error.to_string())
        });
        node.check(found)
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
        let operator = self.operator(node, spec, parameters)?;
        self.place(node, suffix, operator, operands)
    }

    /// An operator with parameters that is in no network yet.
    pub(super) fn operator(
        &self,
        node: &Node<'a>,
        spec: &OperatorSpec,
        parameters: &[(&str, Tensor)],
    ) -> Result<Operator> {
        let tensors = parameters
            .iter()
            .map(|(local, tensor)| (local.to_string(), tensor.clone()))
            .collect();
        let vars = VarBuilder::from_tensors(tensors, self.dtype, &self.device);
        spec.build(vars).map_err(|e| node.error(e.to_string()))
    }

    /// Adds an operator to the network under the node's name and a suffix; returns its index.
    pub(super) fn place(
        &mut self,
        node: &Node<'a>,
        suffix: &str,
        operator: Operator,
        operands: &[usize],
    ) -> Result<usize> {
        let prefix = self.frames.last().map(|frame| frame.prefix.clone());
        let name = format!("{}{}{suffix}", prefix.unwrap_or_default(), label(node));
        node.check(self.nodes.push(&name, operator, operands))
    }

    /// The network so far.
    pub(super) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// How many numbers one input has.
    pub(super) fn input_size(&self) -> usize {
        self.nodes.shape(0).iter().product()
    }

    fn no_parameters(&self) -> VarBuilder<'static> {
        VarBuilder::from_tensors(HashMap::new(), self.dtype, &self.device)
    }

    /// An activation of a value.
    pub(super) fn activated(
        &mut self,
        node: &Node<'a>,
        suffix: &str,
        operand: &Dynamic,
        activation: &Activation,
    ) -> Result<Dynamic> {
        let spec = activation
            .spec()
            .ok_or_else(|| "has no specification".into());
        let spec = node.check(spec)?;
        let made = self.add(node, suffix, &spec, &[], &[operand.node])?;
        Ok(Dynamic {
            node: made,
            ..operand.clone()
        })
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

    /// The network's node in another shape of one input.
    pub(super) fn reshaped(
        &mut self,
        node: &Node<'a>,
        operand: usize,
        shape: &[usize],
    ) -> Result<usize> {
        if let Some(known) = self.nodes.in_shape(operand, shape) {
            return Ok(known);
        }
        let source = self.nodes.source(operand);
        let made = match shape {
            [_] => self.add(node, ".flatten", &OperatorSpec::Flatten, &[], &[source]),
            _ => {
                let shape = shape.to_vec();
                self.add(
                    node,
                    ".reshape",
                    &OperatorSpec::Reshape { shape },
                    &[],
                    &[source],
                )
            }
        }?;
        self.nodes.same(made, source);
        Ok(made)
    }
}
