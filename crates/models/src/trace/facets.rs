//! What happens across the faces of a region: by how much a gradient changes where a neuron switches.
//!
//! A network is continuous, so the affine maps on both sides of a neuron's boundary differ by a multiple of the
//! neuron itself, and their gradients by a multiple of the neuron's gradient: a matrix of rank one. The multiple comes
//! out of the pull that finds the gradient.

use super::Trace;
use crate::{Result, operator::Operator};
use candle_core::Tensor;

impl Trace {
    /// [`Trace::pull`] that also tells what each constraint is worth: `visit(node, jumps)` sees, in the reverse order of
    /// [`Trace::sites`], the jumps `[B or 1, K, m]` of each switching node that the output depends on. Where constraint
    /// `j` alone changes sides, the pulled cotangent changes by `-sign_j * jumps_j * (grad c_j)`.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use roll_models::{FcConfig, Parameters};
    ///
    /// let config = FcConfig { inputs: vec![1], hidden: vec![1], outputs: 1, leak: 0.0 };
    /// let network = config.build(Parameters::seeded(5).builder(DType::F64, &Device::Cpu))?;
    /// let x = Tensor::new(&[[0.0]], &Device::Cpu)?;
    /// let mut jumps = Vec::new();
    /// network.trace(&x)?.pull_jumps(&Tensor::ones((1, 1, 1), DType::F64, &Device::Cpu)?, |_, at| {
    ///     jumps.push(at.flatten_all()?.to_vec1::<f64>()?[0]);
    ///     Ok(())
    /// })?;
    /// // A unit of a ReLU that switches on adds its outgoing weight.
    /// let weight = network.parameters()[2].1.flatten_all()?.to_vec1::<f64>()?;
    /// assert_eq!(jumps, weight);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pull_jumps(
        &self,
        cotangents: &Tensor,
        visit: impl FnMut(usize, Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let mut arriving = self.nowhere();
        self.check_cotangents(cotangents, self.network.output_size())?;
        if let Some(last) = arriving.last_mut() {
            last.output = Some(cotangents.clone());
        }
        self.walk_back(arriving, cotangents.dim(1)?, visit)
    }

    /// [`Trace::pull_constraints`] of several nodes in one walk: cotangents `[B or 1, K, m]` of each node's constraints,
    /// with one `K`, to their sum at the input, `[B or 1, K, in...]`.
    pub fn pull_all_constraints(
        &self,
        cotangents: impl IntoIterator<Item = (usize, Tensor)>,
    ) -> Result<Tensor> {
        let mut arriving = self.nowhere();
        let mut count = 1;
        for (node, cotangents) in cotangents {
            match self.switches.get(node) {
                Some(Some(switch)) => {
                    self.check_cotangents(&cotangents, switch.constraints.dim(1)?)?;
                }
                _ => {
                    let cause = format!("node {node} has no constraints");
                    return Err(crate::Error::Graph(cause));
                }
            }
            count = cotangents.dim(1)?;
            arriving[node].constraints = Some(cotangents);
        }
        self.walk_back(arriving, count, |_, _| Ok(()))
    }

    fn nowhere(&self) -> Vec<Arriving> {
        self.network
            .nodes()
            .iter()
            .map(|_| Arriving::default())
            .collect()
    }

    fn walk_back(
        &self,
        mut arriving: Vec<Arriving>,
        count: usize,
        mut visit: impl FnMut(usize, Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let nodes = self.network.nodes();
        for index in (1..nodes.len()).rev() {
            let node = &nodes[index];
            let shapes: Vec<&[usize]> =
                node.operands.iter().map(|&i| &nodes[i].shape[..]).collect();
            let Arriving {
                output,
                constraints,
            } = std::mem::take(&mut arriving[index]);
            let mut pulled = Vec::new();
            match (&node.operator, &self.switches[index]) {
                (Operator::Affine(operator), _) => {
                    if let Some(cotangent) = output {
                        let parts = operator.pull(&cotangent, &shapes)?;
                        pulled.extend(node.operands.iter().copied().zip(parts));
                    }
                }
                (Operator::Switching(operator), Some(switch)) => {
                    if let Some(cotangent) = output {
                        visit(index, operator.jumps(&cotangent, shapes[0])?)?;
                        let part = operator.pull(&cotangent, switch, shapes[0])?;
                        pulled.push((node.operands[0], part));
                    }
                    if let Some(cotangent) = constraints {
                        let part = operator.pull_constraints(&cotangent, switch, shapes[0])?;
                        pulled.push((node.operands[0], part));
                    }
                }
                _ => {}
            }
            for (operand, part) in pulled {
                let sum = &mut arriving[operand].output;
                *sum = Some(match sum.take() {
                    Some(sum) => sum.broadcast_add(&part)?,
                    None => part,
                });
            }
        }
        match arriving.swap_remove(0).output {
            Some(cotangent) => Ok(cotangent),
            None => {
                let shape = [&[1, count], self.network.input_shape()].concat();
                let network = &self.network;
                Ok(Tensor::zeros(shape, network.dtype(), network.device())?)
            }
        }
    }
}

/// Cotangents that have arrived at a node so far.
#[derive(Default)]
struct Arriving {
    output: Option<Tensor>,
    constraints: Option<Tensor>,
}
