//! Distances by measuring the gradient of every neuron, with bounds of what rounding did.
//!
//! Plain on purpose: a forward pass, a pull of every neuron, the bounds of errors of both, and quotients that err on either
//! side. Nothing is left out by a bound, and nothing is shared with the ways that `certify` takes but the operators.

use candle_core::{DType, Device, Tensor};
use loclin_models::{Magnitudes, Network, Operator};
use loclin_regions::{Domain, Norm};
use loclin_tensor::rounding::{
    clear_of_zero, down, largest, length_down, length_up, quotient_down, quotient_up, relative,
    sum_down, sum_up, up,
};

use super::cut::{Between, Cut};

/// Numbers that pulled cotangents may hold at a time.
const AT_ONCE: usize = 1 << 23;

/// What a row claims.
pub(super) struct Claims<'a> {
    pub(super) norms: &'a [Norm],
    /// One for each norm.
    pub(super) radii: &'a [f64],
    /// The neuron that is said to limit the radius in the norm of number `leading`, among all neurons.
    pub(super) limiting: Option<usize>,
    pub(super) leading: usize,
    /// The domain that balls are cut with, if they are.
    pub(super) domain: Option<&'a Domain>,
}

/// What measuring found at one input.
pub(super) struct Measured {
    /// For each norm, for each neuron, its distance.
    pub(super) distances: Vec<Vec<Between>>,
    /// Bounds of the outputs.
    pub(super) outputs: Vec<Between>,
    /// Whether the side of every neuron is certain, or it is 0 on the whole region. Of neurons behind one that is not, nothing is known.
    pub(super) decided: bool,
}

/// Measures at an input; `None` if errors are not bounded.
pub(super) fn measure(
    network: &Network,
    magnitudes: &Magnitudes,
    x: &[f64],
    claims: &Claims<'_>,
) -> anyhow::Result<Option<Measured>> {
    let norms = claims.norms;
    let shape = [&[1], network.input_shape()].concat();
    let tensor = Tensor::from_slice(x, shape, &Device::Cpu)?;
    let Some((trace, errors)) = magnitudes.trace(&tensor)? else {
        return Ok(None);
    };
    let numbers = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f64>();
    let both = numbers(trace.output())?
        .into_iter()
        .zip(numbers(&errors.output)?);
    let outputs = both
        .map(|(value, error)| (down(value - error), up(value + error)))
        .collect();
    let mut measured = Measured {
        distances: vec![Vec::new(); norms.len()],
        outputs,
        decided: true,
    };
    let (Some(z), Some(of_z)) = (trace.pre_activations()?, &errors.pre_activations) else {
        return Ok(Some(measured));
    };
    let (z, of_z) = (numbers(&z)?, numbers(of_z)?);
    let Some(of_gradients) = magnitudes.gradient_errors(&errors)? else {
        return Ok(Some(measured));
    };
    let of_gradients = numbers(&of_gradients)?;
    let step = (AT_ONCE / network.tangent_size().max(1)).max(1);
    for range in trace.neuron_ranges()? {
        let above = measured.decided;
        let mut settled = Vec::with_capacity(range.count);
        for first in (0..range.count).step_by(step) {
            let count = step.min(range.count - first);
            let mut units = vec![0.0; count * range.count];
            for k in 0..count {
                units[k * range.count + first + k] = 1.0;
            }
            let units = Tensor::from_vec(units, (1, count, range.count), &Device::Cpu)?;
            let gradients = trace.pull_neurons(range.node, &units)?;
            let gradients = gradients
                .to_dtype(DType::F64)?
                .flatten_from(2)?
                .squeeze(0)?;
            for (k, gradient) in gradients.to_vec2::<f64>()?.iter().enumerate() {
                let at = range.start + first + k;
                // Certainly on a side, or 0 on the whole region, as what compares units that are off: nothing behind it is open.
                let is_zero = [z[at], of_z[at], of_gradients[at]] == [0.0; 3]
                    && gradient.iter().all(|value| *value == 0.0);
                settled.push(is_zero || clear_of_zero(z[at], of_z[at]) > 0.0);
                let claimed = norms.iter().zip(claims.radii);
                for (distances, (norm, claimed)) in measured.distances.iter_mut().zip(claimed) {
                    let length = length(gradient, *norm, of_gradients[at]);
                    distances.push(match above {
                        true => {
                            let whole = distance(z[at], of_z[at], length);
                            match claims.domain {
                                None => whole,
                                Some(domain) => Cut {
                                    value: (z[at], of_z[at]),
                                    gradient: (gradient, of_gradients[at]),
                                    x,
                                    domain,
                                }
                                .distance(whole, *norm, *claimed),
                            }
                        }
                        false => (0.0, f64::INFINITY),
                    });
                }
            }
        }
        let open = settled.contains(&false);
        measured.decided &= !open;
        if open && is_maximum(&network.nodes()[range.node].operator) {
            // Perhaps another entry is the largest, and the neurons are other differences.
            for distances in &mut measured.distances {
                distances[range.start..].fill((0.0, f64::INFINITY));
            }
        }
    }
    Ok(Some(measured))
}

/// Whether neurons are differences of entries, and not entries themselves.
fn is_maximum(operator: &Operator) -> bool {
    matches!(operator, Operator::PiecewiseLinear(operator) if operator.neuron_length() != 1.0)
}

/// Bounds of a gradient's length in the dual norm.
fn length(gradient: &[f64], norm: Norm, error: f64) -> Between {
    let dual = norm.dual();
    let (low, high) = match dual.p() {
        f64::INFINITY => (largest(gradient), largest(gradient)),
        1.0 => (sum_down(gradient), sum_up(gradient)),
        2.0 => (length_down(gradient), length_up(gradient)),
        q => {
            // A power is taken to be off by a few units in its last place.
            let slack = relative(gradient.len() + 64 + (8.0 * q).min(1e15) as usize);
            let length = dual.of(gradient);
            (down(length * (1.0 - slack)), up(length * (1.0 + slack)))
        }
    };
    if high == 0.0 && error == 0.0 {
        (0.0, 0.0)
    } else if low.is_finite() {
        (down(low - error), up(high + error))
    } else {
        (0.0, f64::INFINITY)
    }
}

fn distance(z: f64, error: f64, (short, long): Between) -> Between {
    // A neuron that has no gradient never limits.
    if long == 0.0 {
        return (f64::INFINITY, f64::INFINITY);
    }
    (
        quotient_down(clear_of_zero(z, error), long),
        quotient_up(up(z.abs() + error), short),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_nn::VarBuilder;
    use loclin_models::NetworkBuilder;
    use loclin_models::operators::{Activation, Concat, Linear, Maxout};

    use super::*;

    fn linear(weight: &[[f64; 3]], inputs: usize, bias: &[f64]) -> Linear {
        let numbers: Vec<f64> = weight
            .iter()
            .flat_map(|row| &row[..inputs])
            .copied()
            .collect();
        let shape = (weight.len(), inputs);
        let weight = Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap();
        let bias = Tensor::new(bias, &Device::Cpu).unwrap();
        let all = HashMap::from([("weight".into(), weight), ("bias".into(), bias)]);
        let vars = VarBuilder::from_tensors(all, DType::F64, &Device::Cpu);
        Linear::new(inputs, shape.0, true, vars).unwrap()
    }

    /// `relu(x1 + max(relu(x - 9)) - 1/4)`, where both units below the maximum are off: equal on the whole region.
    #[test]
    fn comparisons_of_units_that_are_off_leave_nothing_open() {
        let mut builder = NetworkBuilder::new(&[2]).unwrap();
        let near = linear(&[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], 2, &[-9.0, -9.0]);
        let near = builder.affine("near", near, &[0]).unwrap();
        let off = builder
            .piecewise_linear("off", Activation::relu(), near)
            .unwrap();
        let largest = Operator::PiecewiseLinear(std::sync::Arc::new(Maxout::new(2).unwrap()));
        let largest = builder.add("largest", largest, &[off]).unwrap();
        let both = builder
            .affine("both", Concat::new(0), &[largest, 0])
            .unwrap();
        let last = linear(&[[1.0, 1.0, 0.0]], 3, &[-0.25]);
        let last = builder.affine("last", last, &[both]).unwrap();
        builder
            .piecewise_linear("on", Activation::relu(), last)
            .unwrap();
        let network = builder.finish(DType::F64, &Device::Cpu).unwrap();
        let magnitudes = network.magnitudes().unwrap().unwrap();
        let claims = Claims {
            norms: &[Norm::L2],
            radii: &[0.25],
            limiting: None,
            leading: 0,
            domain: None,
        };
        let found = measure(&network, &magnitudes, &[0.5, 0.0], &claims);
        let found = found.unwrap().unwrap();
        assert!(found.decided);
        let (least, most) = *found.distances[0].last().unwrap();
        assert!(0.24 < least && most < 0.26, "{least} to {most}");
    }
}
