//! Regularisers of other papers, in plain loops: values, and every decision that was made in computing them.

use crate::Fc;
use crate::objectives::Loss;

/// Inputs with labels.
pub type Batch<'a> = (&'a [Vec<f64>], &'a [u32]);

/// Softmax of the output.
fn softmax(output: &[f64]) -> Vec<f64> {
    let largest = output.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = output.iter().map(|v| (v - largest).exp()).sum();
    output.iter().map(|v| (v - largest).exp() / total).collect()
}

/// Softmax cross entropy.
fn cross_entropy(fc: &Fc, x: &[f64], label: usize) -> f64 {
    -softmax(&fc.forward(x).output)[label].ln()
}

/// Its gradient in the input.
fn loss_gradient(fc: &Fc, x: &[f64], label: usize) -> Vec<f64> {
    let mut weights = softmax(&fc.forward(x).output);
    weights[label] -= 1.0;
    let gradients = fc.output_gradients(&fc.pattern(x));
    let mut sum = vec![0.0; x.len()];
    for (weight, gradient) in weights.iter().zip(&gradients) {
        sum.iter_mut()
            .zip(gradient)
            .for_each(|(s, g)| *s += weight * g);
    }
    sum
}

fn length(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn decide(fc: &Fc, x: &[f64], decisions: &mut Vec<usize>) {
    decisions.extend(fc.pattern(x).iter().map(|on| usize::from(*on)));
}

/// The mean over inputs of a value at each; `value` may note decisions.
fn mean(
    (xs, labels): Batch<'_>,
    mut value: impl FnMut(usize, &[f64], usize, &mut Vec<usize>) -> f64,
) -> Loss {
    let mut decisions = Vec::new();
    let mut total = 0.0;
    for (index, (x, label)) in xs.iter().zip(labels).enumerate() {
        total += value(index, x, *label as usize, &mut decisions) / xs.len() as f64;
    }
    Loss {
        value: total,
        decisions,
    }
}

/// `||grad l||_2^2`.
pub fn gradient_norm(fc: &Fc, batch: Batch<'_>) -> Loss {
    mean(batch, |_, x, label, decisions| {
        decide(fc, x, decisions);
        length(&loss_gradient(fc, x, label)).powi(2)
    })
}

/// `||grad l(x + h d) - grad l(x)||_2^2`, `d` the normalised signs of the gradient.
pub fn cure(fc: &Fc, batch: Batch<'_>, h: f64) -> Loss {
    mean(batch, |_, x, label, decisions| {
        let here = loss_gradient(fc, x, label);
        let sign = |g: &f64| if *g == 0.0 { 0.0 } else { g.signum() };
        let signs: Vec<f64> = here.iter().map(sign).collect();
        let of_signs = length(&signs);
        let moved = |(x, s): (&f64, &f64)| {
            x + if of_signs > 0.0 {
                h * s / of_signs
            } else {
                0.0
            }
        };
        let there: Vec<f64> = x.iter().zip(&signs).map(moved).collect();
        decide(fc, x, decisions);
        decide(fc, &there, decisions);
        decisions.extend(signs.iter().map(|s| (*s + 1.0) as usize));
        let other = loss_gradient(fc, &there, label);
        other.iter().zip(&here).map(|(a, b)| (a - b).powi(2)).sum()
    })
}

/// `1 - cos(grad l(x), grad l(x'))`, 0 where a gradient is 0.
pub fn misalignment(fc: &Fc, batch: Batch<'_>, others: &[Vec<f64>]) -> Loss {
    mean(batch, |index, x, label, decisions| {
        decide(fc, x, decisions);
        decide(fc, &others[index], decisions);
        let (one, other) = (
            loss_gradient(fc, x, label),
            loss_gradient(fc, &others[index], label),
        );
        let lengths = length(&one) * length(&other);
        decisions.push(usize::from(lengths > 0.0));
        let product: f64 = one.iter().zip(&other).map(|(a, b)| a * b).sum();
        if lengths > 0.0 {
            1.0 - product / lengths
        } else {
            0.0
        }
    })
}

/// `(l(x_m) - (1 - a) l(x_a) - a l(x_b))^2` for points `[x_a, x_m, x_b]` and shares `a` of each input.
pub fn nonlinearity(fc: &Fc, labels: &[u32], points: &[Vec<Vec<f64>>; 3], shares: &[f64]) -> Loss {
    mean((&points[0], labels), |index, _, label, decisions| {
        let [start, middle, end] = [0, 1, 2].map(|at| {
            decide(fc, &points[at][index], decisions);
            cross_entropy(fc, &points[at][index], label)
        });
        (middle - (1.0 - shares[index]) * start - shares[index] * end).powi(2)
    })
}

/// The dual norm of the l1, l2 or l_inf norm (`p`), and what it depends on.
fn dual_norm(gradient: &[f64], p: f64, decisions: &mut Vec<usize>) -> f64 {
    let absolute = || gradient.iter().map(|g| g.abs());
    decisions.extend(gradient.iter().map(|g| usize::from(*g > 0.0)));
    match p {
        1.0 => {
            let largest = absolute().fold(0.0, f64::max);
            decisions.extend(absolute().position(|g| g == largest));
            largest
        }
        2.0 => length(gradient),
        _ => absolute().sum(),
    }
}

/// Maximum margin regularisation with the `count` nearest neurons.
pub fn mmr(
    fc: &Fc,
    batch: Batch<'_>,
    p: f64,
    count: usize,
    [boundary, decision]: [f64; 2],
) -> Loss {
    mean(batch, |_, x, label, decisions| {
        decide(fc, x, decisions);
        let forward = fc.forward(x);
        let pattern = fc.pattern(x);
        let hinge = |distance: f64, gamma: f64, decisions: &mut Vec<usize>| {
            decisions.push(usize::from(distance < gamma));
            (1.0 - distance / gamma).max(0.0)
        };
        let over = |value: f64, length: f64| if length > 0.0 { value / length } else { 1e30 };
        let mut distances: Vec<(f64, usize)> = Vec::new();
        for (neuron, gradient) in fc.neuron_gradients(&pattern).iter().enumerate() {
            let length = dual_norm(gradient, p, decisions);
            distances.push((over(forward.neurons[neuron].abs(), length), neuron));
        }
        distances.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut nearest: Vec<usize> = distances[..count].iter().map(|d| d.1).collect();
        nearest.sort_unstable();
        decisions.extend(nearest);
        let near = distances[..count].iter();
        let regions: f64 = near.map(|(d, _)| hinge(*d, boundary, decisions)).sum();
        let gradients = fc.output_gradients(&pattern);
        let mut classes = 0.0;
        for other in (0..fc.outputs()).filter(|class| *class != label) {
            let difference = gradients[label].iter().zip(&gradients[other]);
            let difference: Vec<f64> = difference.map(|(a, b)| a - b).collect();
            let length = dual_norm(&difference, p, decisions);
            let value = forward.output[label] - forward.output[other];
            classes += hinge(over(value, length), decision, decisions);
        }
        regions / count as f64 + classes / (fc.outputs() - 1) as f64
    })
}

/// The mean width of interval bounds of the gradient of output `label` over the l_inf ball.
pub fn grad_cert(fc: &Fc, batch: Batch<'_>, radius: f64) -> Loss {
    mean(batch, |_, x, label, decisions| {
        let mut ranges: Vec<[f64; 2]> = x.iter().map(|x| [x - radius, x + radius]).collect();
        let hidden = &fc.layers[..fc.layers.len() - 1];
        let mut slopes = Vec::new();
        let value = |z: f64| if z >= 0.0 { z } else { fc.negative_slope * z };
        let slope = |z: f64| if z >= 0.0 { 1.0 } else { fc.negative_slope };
        for layer in hidden {
            let z = layer.weight.iter().zip(&layer.bias).map(|(row, bias)| {
                let terms = row
                    .iter()
                    .zip(&ranges)
                    .map(|(w, range)| times([*w, *w], *range));
                terms.fold([*bias, *bias], |sum, term| {
                    [sum[0] + term[0], sum[1] + term[1]]
                })
            });
            let z: Vec<[f64; 2]> = z.collect();
            decisions.extend(z.iter().flatten().map(|end| usize::from(*end >= 0.0)));
            slopes.push(
                z.iter()
                    .map(|ends| span(&ends.map(slope)))
                    .collect::<Vec<_>>(),
            );
            let values = |[low, high]: &[f64; 2]| {
                let middle = 0.0_f64.clamp(*low, *high);
                span(&[*low, middle, *high].map(value))
            };
            ranges = z.iter().map(values).collect();
        }
        let head = &fc.layers[hidden.len()].weight[label];
        let mut gradient: Vec<[f64; 2]> = head.iter().map(|w| [*w, *w]).collect();
        for (layer, slopes) in hidden.iter().zip(&slopes).rev() {
            let own = gradient.iter().zip(slopes).map(|(g, s)| times(*g, *s));
            let own: Vec<[f64; 2]> = own.collect();
            decisions.extend(own.iter().flatten().map(|end| usize::from(*end > 0.0)));
            gradient = (0..layer.weight[0].len())
                .map(|input| {
                    let terms = layer.weight.iter().zip(&own);
                    let terms = terms.map(|(row, range)| times([row[input]; 2], *range));
                    terms.fold([0.0; 2], |sum, term| [sum[0] + term[0], sum[1] + term[1]])
                })
                .collect();
        }
        gradient.iter().map(|[low, high]| high - low).sum::<f64>() / x.len() as f64
    })
}

/// The least and the largest.
fn span(values: &[f64]) -> [f64; 2] {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    [
        least,
        values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    ]
}

/// All products.
fn times(one: [f64; 2], other: [f64; 2]) -> [f64; 2] {
    span(&[
        one[0] * other[0],
        one[0] * other[1],
        one[1] * other[0],
        one[1] * other[1],
    ])
}
