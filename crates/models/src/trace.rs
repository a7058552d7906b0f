//! A network at a batch of inputs: its value, its activation pattern, and the fixed-pattern linear map.

mod equal;
pub(crate) mod growing;
pub(crate) mod patches;
pub(crate) mod pull;
mod push;
mod slope_changes;

use crate::{
    error::{Error, Result},
    network::{Network, Node},
    operator::{Operator, UnitPiece},
    record::ActivationRecord,
};
use candle_core::Tensor;

/// The neurons that one piecewise-linear node contributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeuronRange {
    /// Index of the node.
    pub node: usize,
    /// Index of its first neuron among all neurons of the network.
    pub start: usize,
    /// Number of its neurons.
    pub count: usize,
}

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

impl Network {
    /// The value with the activation pattern, at a batch `x` of shape `[B, in...]`.
    ///
    /// # Errors
    /// [`Error::InputShape`] for inputs of another shape, and a tensor computation that fails.
    pub fn trace(&self, x: &Tensor) -> Result<Trace> {
        Trace::new(self, x)
    }
}

impl Trace {
    fn new(network: &Network, x: &Tensor) -> Result<Self> {
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
    ///
    /// # Errors
    /// [`Error::Graph`] for an output or records that are not this network's.
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
            |record: &ActivationRecord| record.pre_activations().dims().first() != Some(&batch);
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
                "records or an output {:?} that are not this network's",
                output.dims()
            ))),
        }
    }

    /// The records by their nodes; `None` for nodes that record nothing.
    pub(crate) fn by_node(&self) -> &[Option<ActivationRecord>] {
        &self.records
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

    /// Where the neurons are, in the order of the nodes.
    ///
    /// # Errors
    /// None for a trace of [`Network::trace`].
    pub fn neuron_ranges(&self) -> Result<Vec<NeuronRange>> {
        let mut start = 0;
        let mut ranges = Vec::new();
        for (node, record) in self.records.iter().enumerate() {
            if let Some(record) = record {
                let count = record.pre_activations().dim(1)?;
                ranges.push(NeuronRange { node, start, count });
                start += count;
            }
        }
        Ok(ranges)
    }

    /// Values of all neurons, `[B, |I|]`: the pre-activations `z` of a network of ReLUs. `None` if the
    /// network has no piecewise-linear node, and so is affine.
    ///
    /// # Errors
    /// A concatenation that fails.
    pub fn pre_activations(&self) -> Result<Option<Tensor>> {
        self.concatenate(|record| Ok(record.pre_activations()))
    }

    /// The side of every neuron, `[B, |I|]`, +1 or -1: `o` of Def. 1.
    ///
    /// # Errors
    /// A concatenation that fails.
    pub fn signs(&self) -> Result<Option<Tensor>> {
        self.concatenate(ActivationRecord::signs)
    }

    fn concatenate(
        &self,
        field: impl Fn(&ActivationRecord) -> candle_core::Result<&Tensor>,
    ) -> Result<Option<Tensor>> {
        let parts = self.records().map(field);
        let parts = parts.collect::<candle_core::Result<Vec<_>>>()?;
        Ok(if parts.is_empty() {
            None
        } else {
            Some(Tensor::cat(&parts, 1)?)
        })
    }

    /// The same output and pattern for `network`, which is this trace's network in another dtype
    /// ([`Network::to`]): a pattern found in float64 steers tangents in float32.
    ///
    /// # Errors
    /// A conversion that the device does not have.
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

    /// The trace with some units, by the number of their node, on other pieces: for those who know them better than rounded values say. The
    /// output stays as it is. `None` if an operator does not know its record on other pieces ([`crate::PiecewiseLinear::turned`]).
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Mlp, Parameters, operator::UnitPiece};
    ///
    /// let config = Mlp { inputs: vec![2], hidden: vec![3], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
    /// let trace = network.trace(&Tensor::new(&[[0.3, -0.2]], &Device::Cpu)?)?;
    /// let node = trace.neuron_ranges()?[0].node;
    /// let signs = |of: &loclin_models::Trace| -> loclin_models::Result<Vec<f64>> {
    ///     Ok(of.signs()?.expect("neurons").flatten_all()?.to_vec1()?)
    /// };
    /// let before = signs(&trace)?;
    /// let other = UnitPiece { input: 0, unit: 1, piece: u32::from(before[1] < 0.0) };
    /// let turned = trace.turned(&[(node, other)])?.expect("a ReLU");
    /// assert_eq!([before[0], -before[1], before[2]], signs(&turned)?[..]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Units that the network does not have, and a tensor that cannot be read.
    pub fn turned(&self, units: &[(usize, UnitPiece)]) -> Result<Option<Self>> {
        let mut records = self.records.clone();
        for (index, record) in records.iter_mut().enumerate() {
            let own = units.iter().filter(|(node, _)| *node == index);
            let own: Vec<UnitPiece> = own.map(|(_, unit)| *unit).collect();
            let node = &self.network.nodes()[index];
            let (Operator::PiecewiseLinear(operator), [operand], Some(of), false) =
                (&node.operator, &node.operands[..], &*record, own.is_empty())
            else {
                continue;
            };
            let operand = &self.network.nodes()[*operand].shape;
            match operator.turned(of, &own, operand)? {
                Some(turned) => *record = Some(turned),
                None => return Ok(None),
            }
        }
        Ok(Some(Self {
            records,
            ..self.clone()
        }))
    }

    /// The trace of inputs `start .. start + len` alone.
    ///
    /// # Errors
    /// Inputs that the trace does not have.
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
}
