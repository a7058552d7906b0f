//! The network of absolute values, and bounds of rounding errors by it.
//!
//! Replacing every coefficient of a network by its absolute value gives one through which bounds can be pushed: with
//! `|W|` the operator of absolute values and `n` roundings on the way through it, a computed `W a + b` is off by at most
//! `|W| (e (1 + n u) + n u |a|) + n u |b|`, and what underflows, where `a` is off by at most `e`. Piecewise-linear
//! operators are continuous, so that an error passes them with the largest slope that the exact operand can have,
//! whichever side it is on. The cost is that of one more forward pass, of one more push for gradients.

use crate::{
    error::{Error, Result},
    network::Network,
    operator::{Alternatives, Magnitude, Operator},
    record::ActivationRecord,
    trace::Trace,
};
use candle_core::{DType, Tensor};
use loclin_tensor::rounding::{SMALLEST, UNIT, relative};
use std::sync::Arc;

/// A network with the absolute values of all its operators, [`Network::magnitudes`].
#[derive(Debug, Clone)]
pub struct Magnitudes {
    pub(crate) network: Network,
    /// For each affine node; `None` for the others.
    pub(crate) nodes: Arc<[Option<Magnitude>]>,
    /// The roundings of tangents or cotangents at each node, and how many nodes read it.
    pub(crate) each: Arc<[(usize, usize)]>,
    /// The most roundings on a path of tangents or cotangents through the network.
    roundings: usize,
}

/// What rounding can have done to the numbers of a forward pass.
#[derive(Debug, Clone)]
pub struct RoundingErrors {
    /// For each neuron a bound of the error of its value, `[B, |I|]`; `None` for a network without neurons.
    pub pre_activations: Option<Tensor>,
    /// For each output a bound of its error, `[B, L]`.
    pub output: Tensor,
    pub(crate) batch: usize,
    /// For each piecewise-linear node the record that pushes magnitudes: the largest slope that each unit can have.
    pub(crate) records: Vec<Option<ActivationRecord>>,
}

impl RoundingErrors {
    /// Those of a trace with other pieces ([`Trace::turned`]). What is said of values stays: at functions of one number the largest slope
    /// is one of either side. Maxima push what they select.
    ///
    /// # Errors
    /// A parameter that cannot be read.
    pub fn turned(mut self, trace: &Trace) -> Result<Self> {
        let nodes = trace.network().nodes();
        for ((own, node), of) in self.records.iter_mut().zip(nodes).zip(trace.by_node()) {
            let (Some(own), Some(of)) = (own, of) else {
                continue;
            };
            let (Operator::PiecewiseLinear(operator), [operand]) =
                (&node.operator, &node.operands[..])
            else {
                continue;
            };
            let alternatives = operator.alternatives(&nodes[*operand].shape)?;
            if let Some(Alternatives::Largest(_)) = alternatives {
                *own = of.clone();
            }
        }
        Ok(self)
    }
}

impl Network {
    /// The absolute values of the network's operators; `None` if one does not know its own
    /// ([`crate::Affine::magnitude`]), or the network is not in float64: its rounding errors are not bounded then.
    ///
    /// # Errors
    /// A tensor computation that fails.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Mlp, Parameters};
    ///
    /// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let magnitudes = network.magnitudes()?.unwrap();
    /// let (trace, errors) = magnitudes.trace(&Tensor::new(&[[0.3, -0.2]], &Device::Cpu)?)?.unwrap();
    /// let most = errors.pre_activations.unwrap().max_all()?.to_scalar::<f64>()?;
    /// assert!(most > 0.0 && most < 1e-14);
    /// assert_eq!(trace.batch(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn magnitudes(&self) -> Result<Option<Magnitudes>> {
        if self.dtype() != DType::F64 {
            return Ok(None);
        }
        let mut nodes = Vec::with_capacity(self.nodes().len());
        let mut roundings: Vec<usize> = Vec::with_capacity(self.nodes().len());
        let mut each = Vec::with_capacity(self.nodes().len());
        let mut readers = vec![0usize; self.nodes().len()];
        for operand in self.nodes().iter().flat_map(|node| &node.operands) {
            readers[*operand] += 1;
        }
        for (node, readers) in self.nodes().iter().zip(readers) {
            let shapes: Vec<&[usize]> = node
                .operands
                .iter()
                .map(|&i| &self.nodes()[i].shape[..])
                .collect();
            let (magnitude, own) = match &node.operator {
                Operator::Input => (None, 0),
                // A slope and the product with it; a difference; a sum of cotangents.
                Operator::PiecewiseLinear(operator) => (
                    None,
                    4 + operator.readers(shapes.first().copied().unwrap_or_default())?,
                ),
                Operator::Affine(operator) => match operator.magnitude(&shapes, &node.shape)? {
                    Some(magnitude) => {
                        let roundings = magnitude.roundings;
                        (Some(magnitude), roundings)
                    }
                    None => return Ok(None),
                },
            };
            let below = node.operands.iter().map(|&i| roundings[i]).max();
            nodes.push(magnitude);
            each.push((own, readers));
            roundings.push(below.unwrap_or(0) + own + readers);
        }
        Ok(Some(Magnitudes {
            network: self.clone(),
            nodes: nodes.into(),
            each: each.into(),
            roundings: roundings.into_iter().max().unwrap_or(0),
        }))
    }
}

impl Magnitudes {
    /// [`Network::trace`] with bounds of the rounding errors of that very trace, at inputs `[B, in...]` that are taken to be
    /// exact; `None` if a piecewise-linear operator does not know how errors pass it.
    ///
    /// # Errors
    /// Those of [`Network::trace`].
    pub fn trace(&self, x: &Tensor) -> Result<Option<(Trace, RoundingErrors)>> {
        let network = &self.network;
        network.check_input(x)?;
        let count = network.nodes().len();
        let mut errors: Vec<Option<Tensor>> = vec![None; count];
        errors[0] = Some(x.zeros_like()?);
        let (mut neurons, mut records, mut magnitudes) =
            (Vec::new(), Vec::new(), vec![None; count]);
        let mut unknown = false;
        let output = network.forward_walk(x.clone(), |index, node, operands| {
            let own: Vec<&Tensor> = node
                .operands
                .iter()
                .filter_map(|&i| errors[i].as_ref())
                .collect();
            let (value, error) = match &node.operator {
                Operator::Input => (operands[0].clone(), own[0].clone()),
                Operator::Affine(operator) => {
                    let value = operator.value(operands, &node.shape)?;
                    let magnitude = self.nodes[index].as_ref().ok_or_else(missing)?;
                    let error = affine_error(magnitude, operands, &own, &node.shape)?;
                    (value, error)
                }
                Operator::PiecewiseLinear(operator) => {
                    let record = operator.record(operands[0])?;
                    let z = record.pre_activations().abs()?;
                    let value = operator.value(operands[0])?;
                    let magnitude = operator.magnitude(operands[0], own[0], &record)?;
                    records.push(record);
                    match magnitude {
                        Some(record) => {
                            let of_neurons =
                                operator.push_neuron_magnitudes(&own[0].unsqueeze(1)?, &record)?;
                            neurons.push((of_neurons.squeeze(1)? + (z * (4.0 * UNIT))?)?);
                            let error = operator.push_error(operands[0], own[0], &record)?;
                            magnitudes[index] = Some(record);
                            (value, error)
                        }
                        None => {
                            unknown = true;
                            let error = value.zeros_like()?;
                            (value, error)
                        }
                    }
                }
            };
            for &operand in &node.operands {
                if network.last_use(operand) == index {
                    errors[operand] = None;
                }
            }
            errors[index] = Some(error);
            Ok::<_, Error>(value)
        })?;
        let last = errors.pop().flatten().ok_or_else(missing)?;
        if unknown {
            return Ok(None);
        }
        let pre_activations = match neurons.is_empty() {
            true => None,
            false => Some(Tensor::cat(&neurons, 1)?),
        };
        let errors = RoundingErrors {
            pre_activations,
            output: last,
            batch: x.dim(0)?,
            records: magnitudes,
        };
        Ok(Some((
            Trace::from_records(network, output, records)?,
            errors,
        )))
    }

    /// The relative error of a gradient in absolute values: of as many roundings as lie on a path through the network.
    pub fn relative_error(&self) -> f64 {
        relative(self.roundings)
    }
}

/// Bounds of the errors of an affine operator's output.
pub(crate) fn affine_error(
    magnitude: &Magnitude,
    operands: &[&Tensor],
    errors: &[&Tensor],
    output: &[usize],
) -> Result<Tensor> {
    let n = magnitude.roundings;
    let factor = relative(n);
    let sums = operands.iter().zip(errors).map(|(a, e)| {
        let own = ((*e * (1.0 + factor))? + (a.abs()? * factor)?)?;
        own.unsqueeze(1)
    });
    let sums = sums.collect::<candle_core::Result<Vec<_>>>()?;
    let pushed = magnitude.operator.push(&sums.iter().collect::<Vec<_>>())?;
    let pushed = pushed.squeeze(1)?;
    let total = match magnitude.operator.offset(output)? {
        Some(offset) => pushed.broadcast_add(&(offset * factor)?)?,
        None => pushed,
    };
    // An operator that only moves numbers around adds nothing.
    if n == 0 {
        return Ok(total);
    }
    let error = total.affine(1.0 + 4.0 * relative(n + 4), n as f64 * SMALLEST)?;
    let zeros = total.eq(0.0)?.to_dtype(total.dtype())?;
    if zeros.sum_all()?.to_scalar::<f64>()? == 0.0 {
        return Ok(error);
    }
    // What is exactly 0 stays so: a sum of zeros, but not one of products that vanished.
    let terms = operands.iter().zip(errors).map(|(a, e)| {
        let own = (a.abs()? + *e)?.ne(0.0)?.to_dtype(total.dtype())?;
        own.unsqueeze(1)
    });
    let terms = terms.collect::<candle_core::Result<Vec<_>>>()?;
    let pushed = magnitude.operator.push(&terms.iter().collect::<Vec<_>>())?;
    let terms = pushed.squeeze(1)?;
    let terms = match magnitude.operator.offset(output)? {
        Some(offset) => terms.broadcast_add(&offset)?,
        None => terms,
    };
    Ok(terms.ne(0.0)?.where_cond(&error, &error.zeros_like()?)?)
}

pub(crate) fn missing() -> Error {
    Error::Graph("absolute values that are not this network's".into())
}
