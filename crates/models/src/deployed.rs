//! What evaluations in another type of numbers can have lost, anywhere in a ball.
//!
//! Beside the values at the ball's centre go two bounds: how far the exact value at any of its points is from there, and how far
//! an evaluation in the type is from that exact value. Both pass the network's absolute values, as rounding errors do
//! ([`Magnitudes`]), and activations with the slopes that are recorded at the centre: the bounds are those of points of the
//! centre's region at which an evaluation has every neuron below on the recorded side. If by them no neuron is on another side,
//! none is the first to be.

use crate::{
    error::{Error, Result},
    magnitude::{Magnitudes, affine_error, missing},
    merged::Merged,
    operator::{Affine, Alternatives, Evaluation, Made, Magnitude, Operator, PiecewiseLinear},
    record::ActivationRecord,
};
use candle_core::{DType, Tensor};
use loclin_tensor::rounding::{UNIT, range, relative_in, unit};

/// Roundings of an evaluation beside those of a sum of products: of parameters to the type, and of their products where a normalisation is
/// merged with its neighbour.
const MERGED: usize = 4;

/// Balls around `B` inputs.
#[derive(Debug, Clone)]
pub struct Ball {
    /// By how much a number of the input can differ, `[B]`: the radius, in every lp norm.
    pub radius: Tensor,
    /// How far each neuron's exact value can be from the one computed at the centre in float64, `[B, |I|]`; infinite where
    /// nothing is known.
    pub reach: Tensor,
}

/// What is known of a node.
#[derive(Debug, Clone)]
struct Known {
    /// How far exact values are from the one computed at the centre.
    reach: Tensor,
    /// How far evaluations are from exact values.
    error: Tensor,
    /// The affine operators up to here that may be merged; none behind an input or a piecewise-linear operator.
    merged: Option<Merged>,
}

impl Magnitudes {
    /// For each neuron a bound of the error of its value, `[B, |I|]`, evaluated in a type of numbers at any point of a ball around inputs `x`
    /// `[B, in...]` that the type has: whatever the order of sums, fused or not, numbers below the smallest normal flushed to 0 or
    /// not, with parameters rounded to the type, and normalisations merged with the sums before or behind them or not. Products are summed
    /// directly: not for fast convolutions (Winograd, Fourier). Infinite where a number may overflow. The ball must lie in the region of its centre, and the bound of a neuron holds where all neurons
    /// below it are on the centre's side: if no bound reaches its neuron's value, no evaluation puts any neuron on another side. `None` for a network without neurons, or with a piecewise-linear operator that
    /// does not know how errors pass it.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Ball, Mlp, Parameters};
    ///
    /// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let x = Tensor::new(&[[0.3, -0.2]], &Device::Cpu)?;
    /// let ball = Ball { radius: Tensor::new(&[0.01], &Device::Cpu)?, reach: Tensor::full(f64::INFINITY, (1, 16), &Device::Cpu)? };
    /// let errors = network.magnitudes()?.unwrap().errors_in(&x, &ball, DType::F32)?.unwrap();
    /// let most = errors.max_all()?.to_scalar::<f64>()?;
    /// assert!(most > 1e-8 && most < 1e-5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`crate::Network::trace`], and a ball of another batch or network.
    pub fn errors_in(&self, x: &Tensor, ball: &Ball, dtype: DType) -> Result<Option<Tensor>> {
        let network = &self.network;
        network.check_input(x)?;
        let mut known: Vec<Option<Known>> = vec![None; network.nodes().len()];
        let batch = [&[x.dim(0)?], vec![1; x.rank() - 1].as_slice()].concat();
        let reach = ball.radius.reshape(batch)?.broadcast_as(x.shape())?;
        let reach = reach.contiguous()?;
        known[0] = Some(Known {
            error: flushed(x, &reach, dtype)?,
            reach,
            merged: None,
        });
        if !self.parameters_fit(dtype)? {
            let shape = ball.reach.shape();
            return Ok(Some(Tensor::full(f64::INFINITY, shape, x.device())?));
        }
        let (mut neurons, mut start, mut unknown) = (Vec::new(), 0, false);
        network.forward_walk(x.clone(), |index, node, operands| {
            let own = node.operands.iter().filter_map(|&i| known[i].clone());
            let own: Vec<Known> = own.collect();
            let (value, found) = match &node.operator {
                Operator::Input => (operands[0].clone(), own[0].clone()),
                Operator::Affine(operator) => {
                    let magnitude = self.nodes[index].as_ref().ok_or_else(missing)?;
                    let shapes = node.operands.iter().map(|&i| &network.nodes()[i].shape[..]);
                    let shapes: Vec<&[usize]> = shapes.collect();
                    let evaluation = operator.evaluation(&shapes, dtype)?;
                    let step = Step {
                        operator: operator.as_ref(),
                        magnitude,
                        evaluation,
                    };
                    let found = step.found(operands, &own, &node.shape, dtype)?;
                    (operator.value(operands, &node.shape)?, found)
                }
                Operator::PiecewiseLinear(operator) => {
                    let record = operator.record(operands[0])?;
                    let count = record.pre_activations().dim(1)?;
                    let reach = ball.reach.narrow(1, start, count)?;
                    start += count;
                    let selected = Selected {
                        operator: operator.as_ref(),
                        operand: operands[0],
                        record,
                    };
                    let value = operator.value(operands[0])?;
                    match selected.found(&own[0], &value, &reach, dtype)? {
                        Some((found, of_neurons)) => {
                            neurons.push(of_neurons);
                            (value, found)
                        }
                        None => {
                            unknown = true;
                            let nothing = value.zeros_like()?;
                            let found = Known {
                                reach: nothing.clone(),
                                error: nothing,
                                merged: None,
                            };
                            (value, found)
                        }
                    }
                }
            };
            for &operand in &node.operands {
                if network.last_use(operand) == index {
                    known[operand] = None;
                }
            }
            known[index] = Some(found);
            Ok::<_, Error>(value)
        })?;
        match unknown || neurons.is_empty() {
            true => Ok(None),
            false => {
                let errors = Tensor::cat(&neurons, 1)?;
                // 0 times infinity, of what may overflow: nothing is known of it.
                let infinite = Tensor::full(f64::INFINITY, errors.shape(), errors.device())?;
                Ok(Some(errors.eq(&errors)?.where_cond(&errors, &infinite)?))
            }
        }
    }
}

impl Magnitudes {
    /// Whether no parameter overflows in a type.
    fn parameters_fit(&self, dtype: DType) -> Result<bool> {
        for (_, parameter) in self.network.parameters() {
            if parameter.elem_count() > 0 {
                let most = parameter.detach().abs()?.flatten_all()?.max(0)?;
                // Neither is one that is not a number.
                let most = most.to_dtype(DType::F64)?.to_scalar::<f64>()?;
                if most.is_nan() || most > range(dtype).1 {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// What inputs can lose that are nearer to 0 than the smallest normal number: all, where an evaluation takes them for 0.
fn flushed(x: &Tensor, reach: &Tensor, dtype: DType) -> Result<Tensor> {
    let (smallest, _) = range(dtype);
    let (least, most) = ((x.abs()? - reach)?, (x.abs()? + reach)?);
    let lost = (most.minimum(smallest)? * (1.0 + 4.0 * UNIT))?;
    Ok(least.lt(smallest)?.where_cond(&lost, &lost.zeros_like()?)?)
}

/// An affine operator at its operands.
struct Step<'a> {
    operator: &'a dyn Affine,
    magnitude: &'a Magnitude,
    evaluation: Evaluation,
}

impl Step<'_> {
    /// What is known behind it.
    fn found(
        &self,
        operands: &[&Tensor],
        own: &[Known],
        output: &[usize],
        dtype: DType,
    ) -> Result<Known> {
        let Self {
            operator,
            magnitude,
            evaluation,
        } = self;
        let reaches: Vec<&Tensor> = own.iter().map(|known| &known.reach).collect();
        let reach = affine_error(magnitude, operands, &reaches, output)?;
        let n = match magnitude.roundings.max(evaluation.roundings) {
            0 => 0,
            n => n + MERGED,
        };
        let (factor, (smallest, largest)) = (relative_in(n, dtype), range(dtype));
        // The absolute values of all points that are rounded: where normalisations may be merged with this, of their terms.
        let is_merged = own.len() == 1 || operator.made() == Made::Moved;
        let below = own
            .iter()
            .map(|known| known.merged.as_ref().filter(|_| is_merged));
        let below: Vec<Option<&Merged>> = below.collect();
        let points = operands.iter().zip(own).zip(&below);
        let points = points.map(|((a, known), below)| {
            let most = (a.abs()? + &known.reach)?;
            match below.and_then(|merged| merged.terms.as_ref()) {
                Some(terms) => most.maximum(terms),
                None => Ok(most),
            }
        });
        let points = points.collect::<candle_core::Result<Vec<_>>>()?;
        // In one pass with the errors from below.
        let both = points.iter().zip(own);
        let both = both.map(|(points, known)| Tensor::stack(&[&known.error, points], 1));
        let both = both.collect::<candle_core::Result<Vec<_>>>()?;
        let pushed = magnitude.operator.push(&both.iter().collect::<Vec<_>>())?;
        let [errors, sums] = [0, 1].map(|k| pushed.narrow(1, k, 1).and_then(|t| t.squeeze(1)));
        let (errors, mut sums) = (errors?, sums?);
        if let Some(offset) = magnitude.operator.offset(output)? {
            sums = sums.broadcast_add(&offset)?;
        }
        let mut merged = Merged::none(&points)?;
        for known in below.into_iter().flatten() {
            merged = merged.or(known)?;
        }
        merged.roundings += n;
        merged.lost = merged.lost.max(evaluation.lost);
        let most = merged.most.clone();
        let vanishing = 2.0 * merged.roundings as f64 * smallest * merged.lost;
        let merged = merged.with(*operator, magnitude, &points, &sums)?;
        if n == 0 {
            return Ok(Known {
                reach,
                error: errors,
                merged: Some(merged),
            });
        }
        let slack = 1.0 + 4.0 * relative_in(magnitude.roundings + 4, DType::F64);
        let infinite = Tensor::full(f64::INFINITY, errors.shape(), errors.device())?;
        if !evaluation.fits || merged.around * slack > largest {
            return Ok(Known {
                reach,
                error: infinite,
                merged: Some(merged),
            });
        }
        // A product may vanish, or the parameter in it; what is exactly 0 stays so.
        let units = [&[infinite.dim(0)?], vec![1; output.len()].as_slice()].concat();
        let most = most.reshape(units)?;
        let vanished = (&most * vanishing)?;
        let vanished = (&sums + &errors)?
            .ne(0.0)?
            .to_dtype(DType::F64)?
            .broadcast_mul(&vanished)?;
        let error = ((errors * (1.0 + factor))? + (&sums * factor)? + vanished)?;
        let error = (error * slack)?;
        // A sum that may overflow, also before it is divided.
        let fits = ((&sums + &error)? * (slack * evaluation.partial))?.le(largest)?;
        let error = fits.where_cond(&error, &infinite)?;
        // The same of a number on the way.
        let fits = (most * (slack * evaluation.inside))?.le(largest)?;
        Ok(Known {
            reach,
            error: fits
                .broadcast_as(error.shape())?
                .where_cond(&error, &infinite)?,
            merged: Some(merged),
        })
    }
}

/// A piecewise-linear operator at its operand.
struct Selected<'a> {
    operator: &'a dyn PiecewiseLinear,
    operand: &'a Tensor,
    record: ActivationRecord,
}

impl Selected<'_> {
    /// What is known behind it, given the value there, and the errors of its neurons; `None` if the operator does not know how errors
    /// pass it.
    fn found(
        &self,
        own: &Known,
        value: &Tensor,
        reach: &Tensor,
        dtype: DType,
    ) -> Result<Option<(Known, Tensor)>> {
        let Self {
            operator,
            operand,
            record,
        } = self;
        let reach = match record.slopes()? {
            // A neuron of an activation is the operand's entry itself, less a constant.
            Some(_) => own.reach.minimum(&nearest(reach, operand)?)?,
            None => own.reach.clone(),
        };
        // The recorded slopes: where a neuron is the first on another side, those below it are on theirs.
        let record = match record.slopes()? {
            Some(slopes) => Some(record.clone().with_slopes(slopes.abs()?)),
            None => operator.magnitude(operand, &own.error, record)?,
        };
        let Some(record) = record else {
            return Ok(None);
        };
        let neurons = operator.push_neuron_magnitudes(&own.error.unsqueeze(1)?, &record)?;
        let (of_neurons, of_values) = self.of_constants(dtype)?;
        let neurons = (neurons.squeeze(1)? + of_neurons)?;
        // The operator's own roundings, those of float64 in the type's units.
        let zeros = own.error.zeros_like()?;
        let most = (operand.abs()? + &reach)?;
        let rounding = operator.push_error(&most, &zeros, &record)?;
        let rounding = (rounding * (unit(dtype) / UNIT))?;
        let mut error = (operator.push_error(operand, &own.error, &record)? + rounding)?;
        let reach = operator.push_error(operand, &reach, &record)?;
        let (smallest, largest) = range(dtype);
        if let Some(slopes) = record.slopes()? {
            // A product may vanish, or the slope or the number in it; 0 and the number itself are no products.
            let computed = (slopes.ne(0.0)? * slopes.ne(1.0)?)?.to_dtype(DType::F64)?;
            error = (error + (computed * (most + 1.0)?)? * (2.0 * smallest))?;
        }
        // So may the constants that values are made of.
        error = (error + of_values)?;
        // A product that may overflow.
        let points = ((value.abs()? + &reach)? + &error)?;
        let fits = (points * (1.0 + 8.0 * UNIT))?.le(largest)?;
        let infinite = Tensor::full(f64::INFINITY, error.shape(), error.device())?;
        let error = fits.where_cond(&error, &infinite)?;
        let known = Known {
            reach,
            error,
            merged: None,
        };
        Ok(Some((known, neurons)))
    }

    /// What the roundings of an activation's constants to a type add to the errors of its neurons, as one number for each neuron, infinite
    /// where a constant overflows; and what its values lose where constants are taken for 0.
    fn of_constants(&self, dtype: DType) -> Result<(Tensor, f64)> {
        let operand = &self.operand.dims()[1..];
        let count = self.record.pre_activations().dim(1)?;
        let (smallest, largest) = range(dtype);
        let (of_each, of_values): (Vec<f64>, f64) = match self.operator.alternatives(operand)? {
            Some(Alternatives::Lines {
                breakpoints,
                slopes,
                anchor,
            }) => {
                let mut all = slopes.iter().flatten().chain(&breakpoints).chain([&anchor]);
                let fit = all.all(|number| number.abs() <= largest);
                let rounded = |t: &f64| match (fit, *t == 0.0) {
                    (false, _) => f64::INFINITY,
                    (true, true) => 0.0,
                    (true, false) => (t.abs() * unit(dtype)).max(smallest) * (1.0 + 4.0 * UNIT),
                };
                // Neurons of the first breakpoint come first.
                let entries = count / breakpoints.len().max(1);
                let each = breakpoints.iter().map(rounded);
                let of_each = each.flat_map(|error| std::iter::repeat_n(error, entries));
                let constants = breakpoints.iter().chain([&anchor]);
                let lost = constants.filter(|t| **t != 0.0).count();
                let steepest = slopes.iter().flatten();
                let steepest = steepest.fold(1.0, |most: f64, slope| most.max(slope.abs()));
                (of_each.collect(), 2.0 * lost as f64 * steepest * smallest)
            }
            _ => (vec![0.0; count], 0.0),
        };
        let errors = Tensor::from_vec(of_each, (1, count), self.operand.device())?;
        let errors = errors.broadcast_as((self.operand.dim(0)?, count))?;
        Ok((errors, of_values))
    }
}

/// For each entry of an operand the least reach of its neurons, given for each breakpoint that of all entries.
fn nearest(reach: &Tensor, operand: &Tensor) -> candle_core::Result<Tensor> {
    let (batch, count) = reach.dims2()?;
    let entries = operand.elem_count() / batch.max(1);
    let each = reach.reshape((batch, count / entries.max(1), entries))?;
    each.min(1)?.reshape(operand.shape())
}
