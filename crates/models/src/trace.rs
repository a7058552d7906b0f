//! A network at a batch of inputs: its value, its activation pattern, and the fixed-pattern linear map.

mod facets;

use crate::{
    Error, Network, Node, Result,
    operator::{ActivationRecord, Operator},
};
use candle_core::Tensor;

/// The constraints ("neurons") that one piecewise-linear node contributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeuronRange {
    /// Index of the node.
    pub node: usize,
    /// Index of its first constraint among all constraints of the network.
    pub start: usize,
    /// Number of its constraints.
    pub count: usize,
}

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

/// Sees the slope_changes of a piecewise-linear node, [`Trace::pull_slope_changes`].
type SlopeChanges<'a> = dyn FnMut(usize, Tensor) -> Result<()> + 'a;

/// A network linearised at `B` inputs.
///
/// Holds the output, and for every piecewise-linear node what it selected. Through it go tangents
/// ([`Trace::push`]) and cotangents ([`Trace::pull`]): the Jacobian of the network's own affine piece, which is
/// constant on the region of each input (Lemma 2). Everything is an ordinary Candle computation that can be
/// differentiated in the parameters; the pattern is a constant in that differentiation.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
///
/// let config = Mlp { inputs: vec![2], hidden: vec![3], outputs: 1, negative_slope: 0.1 };
/// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
/// let x = Tensor::new(&[[0.3, -0.2]], &Device::Cpu)?;
/// let trace = network.trace(&x)?;
///
/// // The Jacobian by pushing both axes, and by pulling the one output.
/// let axes = Tensor::new(&[[[1.0, 0.0], [0.0, 1.0]]], &Device::Cpu)?;
/// let pushed = trace.push(&axes, |_, _| Ok(()))?.flatten_all()?.to_vec1::<f64>()?;
/// let pulled = trace.pull(&Tensor::ones((1, 1, 1), DType::F64, &Device::Cpu)?)?.flatten_all()?.to_vec1::<f64>()?;
/// assert!(pushed.iter().zip(&pulled).all(|(a, b)| (a - b).abs() < 1e-12));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Trace {
    network: Network,
    batch: usize,
    output: Tensor,
    records: Vec<Option<ActivationRecord>>,
}

impl Trace {
    pub(crate) fn new(network: &Network, x: &Tensor) -> Result<Self> {
        network.check_input(x)?;
        let mut records = vec![None; network.nodes().len()];
        let output =
            network.forward_walk(x.clone(), |index, node, operands| match &node.operator {
                Operator::Input => Ok(operands[0].clone()),
                Operator::Affine(operator) => operator.value(operands, &node.shape),
                Operator::PiecewiseLinear(operator) => {
                    records[index] = Some(operator.record(operands[0])?);
                    operator.value(operands[0])
                }
            });
        let output = output.map_err(|e: candle_core::Error| Error::from(e))?;
        Ok(Self {
            network: network.clone(),
            batch: x.dim(0)?,
            output,
            records,
        })
    }

    /// The trace of an output `[B, L]` and of what each piecewise-linear node selected, in the order of the nodes: for
    /// those who found them in another way than [`Network::trace`]. That they are right is theirs to ensure; an
    /// error if there are more or fewer than the network has, or of other inputs.
    pub fn from_records(
        network: &Network,
        output: Tensor,
        records: impl IntoIterator<Item = ActivationRecord>,
    ) -> Result<Self> {
        let (batch, width) = output.dims2()?;
        let mut records = records.into_iter();
        let own = |node: &Node| match node.operator {
            Operator::PiecewiseLinear(_) => records.next().map(Some).ok_or(()),
            _ => Ok(None),
        };
        let own: std::result::Result<Vec<_>, ()> = network.nodes().iter().map(own).collect();
        let other =
            |record: &ActivationRecord| record.pre_activations.dims().first() != Some(&batch);
        match own {
            Ok(own)
                if records.next().is_none()
                    && width == network.output_size()
                    && !own.iter().flatten().any(other) =>
            {
                Ok(Self {
                    network: network.clone(),
                    batch,
                    output,
                    records: own,
                })
            }
            _ => Err(Error::Graph(format!(
                "selections or an output {:?} that are not this network's",
                output.dims()
            ))),
        }
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// `B`, the number of inputs.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The value `f(x)`, `[B, L]`.
    pub fn output(&self) -> &Tensor {
        &self.output
    }

    /// What the piecewise-linear node recorded, in the order of the nodes.
    pub fn records(&self) -> impl Iterator<Item = &ActivationRecord> {
        self.records.iter().flatten()
    }

    /// Where the constraints are, in the order of the nodes.
    pub fn neuron_ranges(&self) -> Result<Vec<NeuronRange>> {
        let mut start = 0;
        let mut ranges = Vec::new();
        for (node, record) in self.records.iter().enumerate() {
            if let Some(record) = record {
                let count = record.pre_activations.dim(1)?;
                ranges.push(NeuronRange { node, start, count });
                start += count;
            }
        }
        Ok(ranges)
    }

    /// Values of all constraints, `[B, |I|]`: the pre-activations `z` of a network of ReLUs. `None` if the
    /// network has no piecewise-linear node, and so is affine.
    pub fn pre_activations(&self) -> Result<Option<Tensor>> {
        self.concatenate(|record| &record.pre_activations)
    }

    /// The side of every constraint, `[B, |I|]`, +1 or -1: `o` of Def. 1.
    pub fn signs(&self) -> Result<Option<Tensor>> {
        self.concatenate(|record| &record.signs)
    }

    fn concatenate(&self, field: impl Fn(&ActivationRecord) -> &Tensor) -> Result<Option<Tensor>> {
        let parts: Vec<&Tensor> = self.records().map(field).collect();
        Ok(if parts.is_empty() {
            None
        } else {
            Some(Tensor::cat(&parts, 1)?)
        })
    }

    /// The same output and pattern for `network`, which is this trace's network in another dtype
    /// ([`Network::to`]): a pattern found in float64 steers tangents in float32.
    pub fn for_network(&self, network: &Network) -> Result<Self> {
        let dtype = network.dtype();
        let records = self.records.iter();
        let records = records.map(|s| s.as_ref().map(|s| s.to_dtype(dtype)).transpose());
        Ok(Self {
            network: network.clone(),
            batch: self.batch,
            output: self.output.to_dtype(dtype)?,
            records: records.collect::<candle_core::Result<_>>()?,
        })
    }

    /// The trace of inputs `start .. start + len` alone.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        let records = self
            .records
            .iter()
            .map(|s| s.as_ref().map(|s| s.narrow(start, len)).transpose());
        Ok(Self {
            network: self.network.clone(),
            batch: len,
            output: self.output.narrow(0, start, len)?,
            records: records.collect::<candle_core::Result<_>>()?,
        })
    }

    /// Pushes input tangents `[B or 1, K, in...]` through the fixed-pattern linear network.
    ///
    /// `visit` sees the tangents of each piecewise-linear node's constraints, `[B or 1, K, m]`, in the order of
    /// [`Trace::neuron_ranges`]; the result is the tangents of the output, `[B or 1, K, L]`. Intermediate tangents are
    /// dropped after their last use.
    pub fn push(
        &self,
        tangents: &Tensor,
        visit: impl FnMut(usize, Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        self.through(tangents, false, visit)
    }

    /// The values of the fixed-pattern *affine* network `g` (Sec. 4.1) at points `[B or 1, K, in...]`; `visit`
    /// sees the pre-activations at them, up to a constant for each constraint (0 for ReLU and LeakyReLU).
    ///
    /// `g(x + t) - g(x)` is what [`Trace::push`] computes directly; this is the published road.
    pub fn fixed_pattern(
        &self,
        points: &Tensor,
        visit: impl FnMut(usize, Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        self.through(points, true, visit)
    }

    fn through(
        &self,
        tangents: &Tensor,
        offsets: bool,
        mut visit: impl FnMut(usize, Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let shape = self.network.input_shape();
        let dims = tangents.dims();
        if dims.len() != shape.len() + 2
            || dims[2..] != *shape
            || !(dims[0] == 1 || dims[0] == self.batch)
        {
            let expected = format!("[1 or {}, K, {shape:?}]", self.batch);
            return Err(Error::TangentShape {
                what: "tangents",
                expected,
                found: dims.to_vec(),
            });
        }
        self.network
            .forward_walk(tangents.clone(), |index, node, operands| {
                let (mut value, offset) = match (&node.operator, &self.records[index]) {
                    (Operator::Affine(operator), _) => {
                        (operator.push(operands)?, operator.offset(&node.shape)?)
                    }
                    (Operator::PiecewiseLinear(operator), Some(record)) => {
                        visit(index, operator.push_neurons(operands[0], record)?)?;
                        (
                            operator.push(operands[0], record)?,
                            operator.offset(record)?,
                        )
                    }
                    _ => (operands[0].clone(), None),
                };
                if let (true, Some(offset)) = (offsets, offset) {
                    value = value.broadcast_add(&offset.unsqueeze(1)?)?;
                }
                Ok::<_, Error>(value)
            })
    }

    /// Pulls cotangents `[B or 1, K, L]` of the output back to the input: `[B or 1, K, in...]`.
    pub fn pull(&self, cotangents: &Tensor) -> Result<Tensor> {
        let pulled = self.back(self.at_output(cotangents)?, None, None)?;
        pulled.map_or_else(|| self.no_cotangent(cotangents.dim(1)?), Ok)
    }

    /// Pulls cotangents `[B or 1, K, m]` of the `m` constraints of piecewise-linear node `node` back to the input:
    /// `[B or 1, K, in...]`.
    pub fn pull_neurons(&self, node: usize, cotangents: &Tensor) -> Result<Tensor> {
        let pulled = self.back(self.at_neurons(node, cotangents)?, None, None)?;
        pulled.map_or_else(|| self.no_cotangent(cotangents.dim(1)?), Ok)
    }

    /// [`Trace::pull_neurons`] with rows dropped on the way: after each node `keep` sees how far the pull has come
    /// and says which of the `K` rows that are left go on. The result has
    /// those kept to the end, and is `None` if there are none or if nothing leads to the input.
    pub fn pull_neurons_while(
        &self,
        node: usize,
        cotangents: &Tensor,
        keep: &mut Keep<'_>,
    ) -> Result<Option<Tensor>> {
        self.back(self.at_neurons(node, cotangents)?, None, Some(keep))
    }

    /// Cotangents of the output, where [`Trace::back`] begins.
    fn at_output(&self, cotangents: &Tensor) -> Result<Vec<Option<Tensor>>> {
        self.check_cotangents(cotangents, self.network.output_size())?;
        let mut begin = vec![None; self.network.nodes().len() - 1];
        begin.push(Some(cotangents.clone()));
        Ok(begin)
    }

    /// Cotangents of a node's constraints, where [`Trace::back`] begins: at the node's operand.
    fn at_neurons(&self, node: usize, cotangents: &Tensor) -> Result<Vec<Option<Tensor>>> {
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
                self.check_cotangents(cotangents, record.pre_activations.dim(1)?)?;
                let operand = operands[0];
                let pulled = operator.pull_neurons(cotangents, record, &nodes[operand].shape)?;
                let mut begin = vec![None; operand];
                begin.push(Some(pulled));
                Ok(begin)
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
    fn back(
        &self,
        mut cotangents: Vec<Option<Tensor>>,
        mut slope_changes: Option<&mut SlopeChanges<'_>>,
        mut keep: Option<&mut Keep<'_>>,
    ) -> Result<Option<Tensor>> {
        let nodes = self.network.nodes();
        for index in (1..cotangents.len()).rev() {
            let Some(cotangent) = cotangents[index].take() else {
                continue;
            };
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
            }
            if let Some(keep) = &mut keep {
                let reached = cotangents[..index].iter().enumerate();
                let reached: Vec<Reached> = reached
                    .filter_map(|(node, cotangents)| {
                        let cotangents = cotangents.as_ref()?;
                        Some(Reached { node, cotangents })
                    })
                    .collect();
                if let Some(rows) = keep(&reached)? {
                    if rows.is_empty() {
                        return Ok(None);
                    }
                    let rows = Tensor::new(rows, self.network.device())?;
                    for cotangent in cotangents.iter_mut().flatten() {
                        *cotangent = cotangent.contiguous()?.index_select(&rows, 1)?;
                    }
                }
            }
        }
        Ok(cotangents.into_iter().next().flatten())
    }

    /// `count` cotangents of the input that are zero: no path leads there.
    fn no_cotangent(&self, count: usize) -> Result<Tensor> {
        let shape = [&[1, count], self.network.input_shape()].concat();
        let network = &self.network;
        Ok(Tensor::zeros(shape, network.dtype(), network.device())?)
    }
}

/// Adds a part of a cotangent to those that have arrived.
fn add(sum: &mut Option<Tensor>, part: Tensor) -> Result<()> {
    *sum = Some(match sum.take() {
        Some(sum) => sum.broadcast_add(&part)?,
        None => part,
    });
    Ok(())
}
