//! Tangents that begin on the way: at the outputs of piecewise-linear nodes, as the walk reaches them.

use super::Trace;
use crate::{
    error::Result,
    magnitude::{Magnitudes, RoundingErrors, missing},
    network::{Network, Node},
    operator::Operator,
    pushed_magnitudes::FLOOR,
};
use candle_core::{DType, Tensor};

/// A push through the fixed-pattern network of one input whose tangents begin at units, not at the input: what each unit's
/// output does to everything behind it.
///
/// The walk stops at each piecewise-linear node, in the order of [`Trace::neuron_ranges`], with what the tangents so far do to
/// its neurons; [`GrowingPush::go_on`] then adds tangents of its output. Their numbers are those in which they were added.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
///
/// let config = Mlp { inputs: vec![1], hidden: vec![1], outputs: 1, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(5).builder(DType::F64, &Device::Cpu))?;
/// let trace = network.trace(&Tensor::new(&[[0.0]], &Device::Cpu)?)?;
/// let mut push = trace.growing_push();
/// let (node, neurons) = push.next_neurons()?.unwrap();
/// assert_eq!((node, neurons.is_none()), (2, true));
/// push.go_on(Some(&Tensor::ones((1, 1, 1), DType::F64, &Device::Cpu)?))?;
/// assert!(push.next_neurons()?.is_none());
/// // What the unit does to the output is its outgoing weight.
/// let weight = network.parameters()[2].1.flatten_all()?.to_vec1::<f64>()?;
/// assert_eq!(push.output()?.unwrap().flatten_all()?.to_vec1::<f64>()?, weight);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GrowingPush<'a> {
    readings: Readings<'a>,
    network: &'a Network,
    /// Of each node whose value is still to be read the first tangents, `[1, k, shape...]`; `None` where all are 0.
    tangents: Vec<Option<Tensor>>,
    count: usize,
    next: usize,
}

/// What a node does to tangents.
#[derive(Debug, Clone, Copy)]
enum Readings<'a> {
    Pattern(&'a Trace),
    Magnitudes(&'a Magnitudes, &'a RoundingErrors),
}

impl Trace {
    /// A push whose tangents begin at units; the trace must be of one input.
    pub fn growing_push(&self) -> GrowingPush<'_> {
        GrowingPush::new(&self.network, Readings::Pattern(self))
    }
}

impl Magnitudes {
    /// [`Trace::growing_push`] of magnitudes through absolute values, at the one input of [`Magnitudes::trace`], which found
    /// `at`. Times [`Magnitudes::relative_error`], they bound the rounding errors of the tangents with those magnitudes.
    pub fn growing_push<'a>(&'a self, at: &'a RoundingErrors) -> GrowingPush<'a> {
        GrowingPush::new(&self.network, Readings::Magnitudes(self, at))
    }
}

impl<'a> GrowingPush<'a> {
    fn new(network: &'a Network, readings: Readings<'a>) -> Self {
        Self {
            readings,
            network,
            tangents: vec![None; network.nodes().len()],
            count: 0,
            next: 0,
        }
    }

    /// Goes on to the next piecewise-linear node: its index, and the tangents of its neurons, `[1, k, m]`, of the first `k`
    /// tangents; the others, or all where there is `None`, do nothing to them. `None` behind the last such node.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn next_neurons(&mut self) -> Result<Option<(usize, Option<Tensor>)>> {
        let network = self.network;
        while self.next + 1 < network.nodes().len() {
            self.next += 1;
            let (index, node) = (self.next, &network.nodes()[self.next]);
            if let Operator::PiecewiseLinear(operator) = &node.operator {
                let operand = self.tangents[node.operands[0]].as_ref();
                let neurons = match (operand, self.readings) {
                    (None, _) => None,
                    (Some(operand), Readings::Pattern(trace)) => {
                        let record = trace.records[index].as_ref().ok_or_else(missing)?;
                        Some(operator.push_neurons(operand, record)?)
                    }
                    (Some(operand), Readings::Magnitudes(_, at)) => {
                        let record = at.records[index].as_ref().ok_or_else(missing)?;
                        Some(
                            operator
                                .push_neuron_magnitudes(operand, record)?
                                .maximum(FLOOR)?,
                        )
                    }
                };
                return Ok(Some((index, neurons)));
            }
            let value = self.affine(index, node)?;
            self.store(index, value);
        }
        Ok(None)
    }

    /// Pushes the tangents through the node that [`GrowingPush::next_neurons`] stopped at, and adds `new` ones of its output,
    /// `[1, n, out...]`, if there are any.
    ///
    /// # Errors
    /// A tensor computation that fails, and tangents of another shape.
    pub fn go_on(&mut self, new: Option<&Tensor>) -> Result<()> {
        let (index, node) = (self.next, &self.network.nodes()[self.next]);
        let Operator::PiecewiseLinear(operator) = &node.operator else {
            return Ok(());
        };
        let old = match (self.tangents[node.operands[0]].as_ref(), self.readings) {
            (None, _) => None,
            (Some(operand), Readings::Pattern(trace)) => {
                let record = trace.records[index].as_ref().ok_or_else(missing)?;
                Some(operator.push(operand, record)?)
            }
            (Some(operand), Readings::Magnitudes(_, at)) => {
                let record = at.records[index].as_ref().ok_or_else(missing)?;
                Some(operator.push(operand, record)?.maximum(FLOOR)?)
            }
        };
        let value = match new {
            None => old,
            Some(new) => {
                let before = self.padded(old.as_ref(), &node.shape, self.count)?;
                self.count += new.dim(1)?;
                Some(match before {
                    Some(before) => Tensor::cat(&[&before, new], 1)?,
                    None => new.clone(),
                })
            }
        };
        self.store(index, value);
        Ok(())
    }

    /// How many tangents there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Behind the last node, the tangents of the output, `[1, k, L]`, of the first `k` tangents, as of
    /// [`GrowingPush::next_neurons`].
    ///
    /// # Errors
    /// A walk that has not come to its end.
    pub fn output(&self) -> Result<Option<Tensor>> {
        match self.next + 1 == self.network.nodes().len() {
            true => Ok(self.tangents[self.next].clone()),
            false => Err(crate::error::Error::Graph(
                "a push that has not come to the output".into(),
            )),
        }
    }

    fn affine(&self, index: usize, node: &Node) -> Result<Option<Tensor>> {
        let Operator::Affine(operator) = &node.operator else {
            return Ok(None);
        };
        let operands = node.operands.iter().map(|&i| self.tangents[i].as_ref());
        let most = operands.flatten().map(|own| own.dim(1));
        let most = most.collect::<candle_core::Result<Vec<_>>>()?;
        let Some(most) = most.into_iter().max() else {
            return Ok(None);
        };
        let own = |&operand: &usize| {
            let shape = &self.network.nodes()[operand].shape;
            let padded = self.padded(self.tangents[operand].as_ref(), shape, most)?;
            padded.ok_or_else(missing)
        };
        let operands = node.operands.iter().map(own).collect::<Result<Vec<_>>>()?;
        let operands: Vec<&Tensor> = operands.iter().collect();
        Ok(Some(match self.readings {
            Readings::Pattern(_) => operator.push(&operands)?,
            Readings::Magnitudes(magnitudes, _) => {
                let own = magnitudes.nodes[index].as_ref().ok_or_else(missing)?;
                own.operator.push(&operands)?.maximum(FLOOR)?
            }
        }))
    }

    /// Tangents with zeros for those behind them, so that there are `count`; `None` for none.
    fn padded(
        &self,
        tangents: Option<&Tensor>,
        shape: &[usize],
        count: usize,
    ) -> Result<Option<Tensor>> {
        let own = tangents.map_or(Ok(0), |own| own.dim(1))?;
        let zeros = |count: usize| {
            let dtype = match self.readings {
                Readings::Pattern(_) => self.network.dtype(),
                Readings::Magnitudes(..) => DType::F64,
            };
            Tensor::zeros([&[1, count], shape].concat(), dtype, self.network.device())
        };
        Ok(match (tangents, count - own.min(count)) {
            (tangents, 0) => tangents.cloned(),
            (None, missing) => Some(zeros(missing)?),
            (Some(own), missing) => Some(Tensor::cat(&[own, &zeros(missing)?], 1)?),
        })
    }

    fn store(&mut self, index: usize, value: Option<Tensor>) {
        for &operand in &self.network.nodes()[index].operands {
            if self.network.last_use(operand) == index {
                self.tangents[operand] = None;
            }
        }
        self.tangents[index] = value;
    }
}
