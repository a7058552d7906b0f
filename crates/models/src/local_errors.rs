//! Rounding errors where they arise: of deep networks, of which absolute values pushed from layer to layer bound nothing.
//!
//! What arises at a node is passed on as any other change is, by no more than spectral norms say
//! ([`crate::Lengths::through`]), and to a single neuron by no more than its own gradient with respect to that node. Both are far
//! less than the products of absolute values.

use crate::{
    error::{Error, Result},
    lengths::Lengths,
    magnitude::{Magnitudes, RoundingErrors, affine_error, missing},
    network::Node,
    operator::{Magnitude, Operator},
    residual::{Shared, residual},
    trace::Trace,
};
use candle_core::Tensor;
use loclin_tensor::rounding::{length_up, relative};

/// What rounding does at each node of a network by itself.
#[derive(Debug, Clone)]
pub struct LocalErrors {
    /// The trace that the errors are of.
    pub trace: Trace,
    /// For each node at least the length of what arises in its value, for each input.
    pub values: Vec<Vec<f64>>,
    /// For each input and neuron, whether its gradient on the recorded pattern is certainly 0, `[B][|I|]`.
    pub constant: Vec<Vec<bool>>,
    /// For each input and neuron, whether its side is certainly that of the exact network with the recorded pattern, `[B][|I|]`: nothing
    /// that arises anywhere reaches what it is computed from, as behind units that pass nothing on.
    pub exact: Vec<Vec<bool>>,
}

impl Magnitudes {
    /// A trace of inputs `[B, in...]` that are taken to be exact, with what arises at each node of that very
    /// trace; `None` as of [`Magnitudes::trace`].
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Mlp, Parameters};
    ///
    /// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let magnitudes = network.magnitudes()?.unwrap();
    /// let x = Tensor::new(&[[0.3, -0.2]], &Device::Cpu)?;
    /// let local = magnitudes.local_errors(&x)?.unwrap();
    /// // The input is exact, a layer of two inputs is off by a few roundings.
    /// assert_eq!(local.values[0], [0.0]);
    /// assert!(local.values[1][0] > 0.0 && local.values[1][0] < 1e-14);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`crate::Network::trace`].
    pub fn local_errors(&self, x: &Tensor) -> Result<Option<LocalErrors>> {
        let network = &self.network;
        network.check_input(x)?;
        let count = network.nodes().len();
        let (mut values, mut records) = (vec![vec![0.0; x.dim(0)?]; count], vec![None; count]);
        let mut selected = Vec::new();
        // 1 where anything that arises arrives, else 0.
        let mut reached: Vec<Option<Tensor>> = vec![None; count];
        reached[0] = Some(x.zeros_like()?);
        let mut neurons = Vec::new();
        let mut shared = Shared::new(network);
        let mut unknown = false;
        let output = network.forward_walk(x.clone(), |index, node, operands| {
            let exact = operands.iter().map(|operand| operand.zeros_like());
            let exact = exact.collect::<candle_core::Result<Vec<_>>>()?;
            let below = node.operands.iter().filter_map(|&i| reached[i].as_ref());
            let below = below.map(|own| own.unsqueeze(1));
            let below = below.collect::<candle_core::Result<Vec<_>>>()?;
            let below: Vec<&Tensor> = below.iter().collect();
            let (value, error, arriving) = match &node.operator {
                Operator::Input => (operands[0].clone(), exact[0].clone(), exact[0].clone()),
                Operator::Affine(operator) => {
                    let magnitude = self.nodes[index].as_ref().ok_or_else(missing)?;
                    let value = operator.value(operands, &node.shape)?;
                    let of_value = (&value, &node.shape[..]);
                    let error = match residual(&**operator, operands, of_value, &mut shared)? {
                        Some(found) => found,
                        None => {
                            let exact: Vec<&Tensor> = exact.iter().collect();
                            affine_error(magnitude, operands, &exact, &node.shape)?
                        }
                    };
                    (value, error, magnitude.operator.push(&below)?.squeeze(1)?)
                }
                Operator::PiecewiseLinear(operator) => {
                    let value = operator.value(operands[0])?;
                    let record = operator.record(operands[0])?;
                    let magnitude = operator.magnitude(operands[0], &exact[0], &record)?;
                    selected.push(record);
                    match magnitude {
                        Some(record) => {
                            let error = operator.push_error(operands[0], &exact[0], &record)?;
                            let own = operator.push_neuron_magnitudes(below[0], &record)?;
                            neurons.push(own.squeeze(1)?);
                            let arriving = operator.push(below[0], &record)?.squeeze(1)?;
                            records[index] = Some(record);
                            (value, error, arriving)
                        }
                        None => {
                            unknown = true;
                            (value.clone(), value.clone(), value)
                        }
                    }
                }
            };
            let any = ((&error + arriving)?.ne(0.0)?).to_dtype(error.dtype())?;
            for &operand in &node.operands {
                if network.last_use(operand) == index {
                    reached[operand] = None;
                }
            }
            reached[index] = Some(any);
            for (own, row) in values[index].iter_mut().zip(rows(&error)?) {
                *own = length_up(&row);
            }
            Ok::<_, Error>(value)
        })?;
        if unknown {
            return Ok(None);
        }
        let errors = RoundingErrors {
            pre_activations: None,
            output: output.zeros_like()?,
            batch: x.dim(0)?,
            records,
        };
        let zero = |row: Vec<f64>| row.iter().map(|v| *v == 0.0).collect();
        let zeros = |neurons: Option<Tensor>| -> Result<Vec<Vec<bool>>> {
            Ok(match neurons {
                Some(neurons) => rows(&neurons)?.into_iter().map(zero).collect(),
                None => vec![Vec::new(); x.dim(0)?],
            })
        };
        let constant = zeros(self.gradient_errors(&errors)?)?;
        let exact = zeros(match neurons.is_empty() {
            true => None,
            false => Some(Tensor::cat(&neurons, 1)?),
        })?;
        Ok(Some(LocalErrors {
            trace: Trace::from_records(network, output, selected)?,
            values,
            constant,
            exact,
        }))
    }

    /// For each node at least how many times longer its absolute values make operands of length 1 each, all of them together.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn lengths(&self) -> Result<Vec<f64>> {
        let nodes = self.network.nodes();
        let of_node = |(node, magnitude): (&Node, &Option<Magnitude>)| {
            let shapes = node.operands.iter().map(|&i| &nodes[i].shape[..]);
            let shapes: Vec<&[usize]> = shapes.collect();
            Ok(match (&node.operator, magnitude) {
                (Operator::Input, _) => 0.0,
                (Operator::PiecewiseLinear(operator), _) => operator.lipschitz(shapes[0])?,
                (_, Some(magnitude)) => {
                    let ones = vec![1.0; shapes.len()];
                    magnitude.operator.lipschitz(&shapes, &ones)?
                }
                _ => f64::INFINITY,
            })
        };
        nodes.iter().zip(self.nodes.iter()).map(of_node).collect()
    }

    /// For each node and each of its operands, at least the length of what arises when a cotangent of length 1 is pulled through the
    /// node and added to what comes from other nodes; underflow aside. `absolute` is [`Magnitudes::lengths`].
    pub fn pull_errors(&self, absolute: &[f64], lengths: &Lengths) -> Vec<Vec<f64>> {
        let nodes = self.network.nodes().iter().zip(absolute).enumerate();
        let of_node = |(index, (node, absolute)): (usize, (&Node, &f64))| {
            let of_operand = |(at, operand): (usize, &usize)| {
                let added = relative(self.each[*operand].1 + 1) * lengths.gain(index, at);
                relative(self.each[index].0 + 2) * absolute + 2.0 * added
            };
            node.operands.iter().enumerate().map(of_operand).collect()
        };
        nodes.map(of_node).collect()
    }

    /// For each node at least the length of what arises there when tangents are pushed whose length at each node is at most that of
    /// `tangents`; underflow aside. `absolute` is [`Magnitudes::lengths`].
    pub fn push_errors(&self, absolute: &[f64], tangents: &[f64]) -> Vec<f64> {
        let nodes = self.network.nodes().iter().zip(absolute).enumerate();
        let of_node = |(index, (node, absolute)): (usize, (&Node, &f64))| {
            let own = node.operands.iter().map(|&operand| tangents[operand]);
            relative(self.each[index].0 + 2) * absolute * own.fold(0.0, f64::max)
        };
        nodes.map(of_node).collect()
    }
}

/// The numbers of each input.
fn rows(tensor: &Tensor) -> Result<Vec<Vec<f64>>> {
    Ok(tensor.flatten_from(1)?.to_vec2()?)
}
