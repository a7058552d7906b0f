//! Gradients in absolute values: tangents and cotangents through the network of absolute values.
//!
//! They bound gradients, and times the roundings on a path what rounding does to gradients: at given inputs, or whatever
//! the pattern, at the price of one tangent for all inputs.

use crate::{
    error::Result,
    magnitude::{Magnitudes, RoundingErrors, missing},
    operator::Operator,
};
use candle_core::{DType, Tensor};
use loclin_tensor::rounding::relative;

/// The least magnitude that a gradient passed through absolute values is taken to have where it is not exactly 0.
pub(crate) const FLOOR: f64 = 1e-280;

/// More than the windows that one entry of an operand lies under.
const WINDOWS: usize = 1 << 20;

/// Directions pushed through absolute values.
#[derive(Debug, Clone)]
pub struct PushedMagnitudes {
    /// For each neuron at least the absolute value of its derivative in each direction, `[b, K, |I|]`: exactly 0 where it is
    /// certainly 0. `None` for a network without neurons.
    pub neurons: Option<Tensor>,
    /// The same for each output, `[b, K, L]`.
    pub output: Tensor,
}

impl Magnitudes {
    /// Pushes the magnitudes of `K` directions, `[1, K, in...]`, none of them negative: at the inputs of
    /// [`Magnitudes::trace`], `b` of them, if `at` is what it found; else whatever the pattern, with `b = 1`. `None` where an
    /// operator does not know what it pushes whatever is selected.
    ///
    /// Times [`Magnitudes::relative_error`], they bound the rounding errors of the same derivatives, pushed or pulled.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Mlp, Parameters};
    ///
    /// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let direction = Tensor::new(&[[[1.0, 2.0]]], &Device::Cpu)?;
    /// let bounds = network.magnitudes()?.unwrap().push(&direction, None)?.unwrap();
    /// let x = Tensor::new(&[[0.3, -0.2]], &Device::Cpu)?;
    /// let pushed = network.trace(&x)?.push(&direction, |_, _| Ok(()))?;
    /// let [bound, pushed] = [bounds.output, pushed].map(|all| all.flatten_all().unwrap().to_vec1::<f64>().unwrap()[0]);
    /// assert!(pushed.abs() <= bound);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn push(
        &self,
        directions: &Tensor,
        at: Option<&RoundingErrors>,
    ) -> Result<Option<PushedMagnitudes>> {
        // The push is itself rounded, by as many roundings.
        let factor = 1.0 + 2.0 * self.relative_error();
        let Some(PushedMagnitudes { neurons, output }) = self.pushed(directions, at)? else {
            return Ok(None);
        };
        Ok(Some(PushedMagnitudes {
            neurons: neurons.map(|neurons| neurons * factor).transpose()?,
            output: (output * factor)?,
        }))
    }

    /// Pulls the magnitudes of `K` cotangents of the output, `[1, K, L]`, none of them negative: for each number of the input
    /// a bound of the absolute derivative whatever the pattern, `[1, K, D]`. None is 0. `None` as of [`Magnitudes::push`].
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn pull(&self, cotangents: &Tensor) -> Result<Option<Tensor>> {
        let nodes = self.network.nodes();
        let mut at: Vec<Option<Tensor>> = vec![None; nodes.len() - 1];
        at.push(Some(cotangents.clone()));
        for index in (1..nodes.len()).rev() {
            let Some(cotangent) = at[index].take() else {
                continue;
            };
            let node = &nodes[index];
            let shapes: Vec<&[usize]> =
                node.operands.iter().map(|&i| &nodes[i].shape[..]).collect();
            let pulled = match &node.operator {
                Operator::Affine(_) => {
                    let magnitude = self.nodes[index].as_ref().ok_or_else(missing)?;
                    magnitude.operator.pull(&cotangent, &shapes)?
                }
                Operator::PiecewiseLinear(operator) => {
                    match operator.pull_largest(&cotangent, shapes[0])? {
                        Some(pulled) => vec![pulled],
                        None => return Ok(None),
                    }
                }
                Operator::Input => Vec::new(),
            };
            for (&operand, part) in node.operands.iter().zip(pulled) {
                let part = part.maximum(FLOOR)?;
                at[operand] = Some(match at[operand].take() {
                    Some(sum) => (sum + part)?,
                    None => part,
                });
            }
        }
        let pulled = match at.into_iter().next().flatten() {
            Some(pulled) => pulled.flatten_from(2)?,
            None => {
                let shape = (1, cotangents.dim(1)?, self.network.input_size());
                Tensor::full(FLOOR, shape, self.network.device())?
            }
        };
        let factor = 1.0 + 2.0 * self.relative_error() + 2.0 * relative(WINDOWS);
        Ok(Some((pulled * factor)?))
    }

    /// Given what [`Magnitudes::trace`] found: for each neuron, a bound of the l1 norm of the rounding error of its computed gradient, pushed or pulled,
    /// `[B, |I|]`, and so of every norm of it: the push of ones through the absolute values times the roundings of a
    /// path. Exactly 0 where the gradient is certainly 0. `None` for a network without neurons.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn gradient_errors(&self, errors: &RoundingErrors) -> Result<Option<Tensor>> {
        let shape = [&[1, 1], self.network.input_shape()].concat();
        let ones = Tensor::ones(shape, DType::F64, self.network.device())?;
        let found = self.pushed(&ones, Some(errors))?;
        let Some(found) = found.and_then(|found| found.neurons) else {
            return Ok(None);
        };
        let factor = self.relative_error() * (1.0 + 2.0 * self.relative_error());
        Ok(Some((found.squeeze(1)? * factor)?))
    }

    /// [`Magnitudes::push`] with its own roundings, with a floor below which nothing vanishes that is not exactly 0.
    ///
    /// Beside the directions go zeros and ones that say what is exactly 0: numbers that underflow are not. The floor times a
    /// relative error is more than all that underflows in an operator, in the tangents that it pushes and in the cotangents
    /// that it pulls: see [`Floor`].
    fn pushed(
        &self,
        directions: &Tensor,
        at: Option<&RoundingErrors>,
    ) -> Result<Option<PushedMagnitudes>> {
        let network = &self.network;
        let batch = at.map_or(1, |errors| errors.batch);
        let count = directions.dim(1)?;
        let mut unknown = false;
        let mut neurons = Vec::new();
        let mut floor = Floor::new(directions)?;
        let both = floor.add(&Tensor::cat(&[directions, directions], 1)?)?;
        let output = network.forward_walk(both, |index, node, operands| {
            let record = at.and_then(|errors| errors.records[index].as_ref());
            let (pushed, own) = match (&node.operator, record) {
                (Operator::Affine(_), _) => {
                    let magnitude = self.nodes[index].as_ref().ok_or_else(missing)?;
                    (magnitude.operator.push(operands)?, None)
                }
                (Operator::PiecewiseLinear(operator), Some(record)) => {
                    let own = operator.push_neuron_magnitudes(operands[0], record)?;
                    (operator.push(operands[0], record)?, Some(own))
                }
                (Operator::PiecewiseLinear(operator), None) => {
                    match operator.push_largest(operands[0])? {
                        Some((pushed, own)) => (pushed, Some(own)),
                        None => {
                            unknown = true;
                            let shape = [&[1, 2 * count], &node.shape[..]].concat();
                            (Tensor::zeros(shape, DType::F64, network.device())?, None)
                        }
                    }
                }
                (Operator::Input, _) => (operands[0].clone(), None),
            };
            if let Some(own) = own {
                let own = floor.under(&own)?.narrow(1, 0, count)?;
                let width = own.dim(2)?;
                neurons.push(own.broadcast_as((batch, count, width))?.contiguous()?);
            }
            floor.add(&pushed)
        })?;
        if unknown {
            return Ok(None);
        }
        let output = output.narrow(1, 0, count)?.flatten_from(2)?;
        let width = output.dim(2)?;
        Ok(Some(PushedMagnitudes {
            neurons: match neurons.is_empty() {
                true => None,
                false => Some(Tensor::cat(&neurons, 2)?),
            },
            output: output.broadcast_as((batch, count, width))?.contiguous()?,
        }))
    }
}

/// What is added to magnitudes that are not 0, for what underflows.
///
/// What underflows of a tangent is passed on with it. A cotangent is pulled the other way: what underflows of it at a node
/// changes the result by as much as the direction changes that node. So the floor grows with all that the direction has reached.
struct Floor {
    /// The sum of the magnitudes so far, `[b, K]`.
    reached: Tensor,
}

impl Floor {
    fn new(directions: &Tensor) -> Result<Self> {
        let reached = Tensor::zeros((1, directions.dim(1)?), DType::F64, directions.device())?;
        Ok(Self { reached })
    }

    /// Magnitudes and what is not 0 of them, `[b, 2 K, n...]`: the first half with the floor added where that of the second is
    /// not 0, which becomes 1.
    fn under(&self, both: &Tensor) -> Result<Tensor> {
        let count = both.dim(1)? / 2;
        let support = both.narrow(1, count, count)?.ne(0.0)?;
        let sums = both.narrow(1, 0, count)?;
        let floor = ((&self.reached + 1.0)? * FLOOR)?;
        let shape = [floor.dims(), &vec![1; both.rank() - 2]].concat();
        let higher = sums.broadcast_add(&floor.reshape(shape)?)?;
        let batch = higher.dim(0)?;
        let [support, sums] = [support, sums].map(|own| {
            let shape = [&[batch], &own.dims()[1..]].concat();
            own.broadcast_as(shape)
        });
        let (support, sums) = (support?, sums?);
        let sums = support.where_cond(&higher, &sums)?;
        Ok(Tensor::cat(&[sums, support.to_dtype(both.dtype())?], 1)?)
    }

    /// [`Floor::under`] the magnitudes of a node, which is reached now.
    fn add(&mut self, both: &Tensor) -> Result<Tensor> {
        let floored = self.under(both)?;
        let sums = floored.narrow(1, 0, floored.dim(1)? / 2)?;
        self.reached = self.reached.broadcast_add(&sums.flatten_from(2)?.sum(2)?)?;
        Ok(floored)
    }
}
