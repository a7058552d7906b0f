//! The training losses of the paper in plain loops.

use crate::Fc;

/// A regulariser of the paper.
#[derive(Debug, Clone)]
pub enum Regularizer {
    /// Eq. 4.
    Distance,
    /// Eq. 9 with the `count` largest losses of each input; Eq. 7 is `count = 1`.
    Roll {
        /// Weight of the hinge.
        c: f64,
        /// Number of neurons that learn.
        count: usize,
    },
    /// The mean of the losses of all neurons, each times a weight of the input's own.
    Weighted {
        /// Weight of the hinge.
        c: f64,
        /// The weights, for each input one for each neuron.
        weights: Vec<Vec<f64>>,
        /// Where the squared gradient is a squared derivative along a direction, that of each input.
        along: Option<Vec<Vec<f64>>>,
    },
    /// Eq. 10 with these input axes.
    Sampled {
        /// Weight of the hinge.
        c: f64,
        /// The axes.
        axes: Vec<usize>,
    },
}

/// A loss, and every decision that was made in computing it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The value.
    pub value: f64,
    /// Sides of kinks, selected neurons: as long as it stays the same the loss is smooth.
    pub decisions: Vec<usize>,
}

/// Softmax cross entropy plus `lambda` times the regulariser, both averaged over the batch.
pub fn objective(
    fc: &Fc,
    xs: &[Vec<f64>],
    labels: &[u32],
    lambda: f64,
    regularizer: &Regularizer,
) -> Loss {
    let mut total = Loss {
        value: 0.0,
        decisions: Vec::new(),
    };
    for (input, (x, label)) in xs.iter().zip(labels).enumerate() {
        let forward = fc.forward(x);
        let pattern: Vec<bool> = forward.neurons.iter().map(|z| *z >= 0.0).collect();
        total
            .decisions
            .extend(pattern.iter().map(|on| usize::from(*on)));
        let gradients = fc.neuron_gradients(&pattern);
        let penalty = penalty(
            input,
            &forward.neurons,
            &gradients,
            regularizer,
            &mut total.decisions,
        );
        total.value +=
            (cross_entropy(&forward.output, *label as usize) + lambda * penalty) / xs.len() as f64;
    }
    total
}

fn cross_entropy(output: &[f64], label: usize) -> f64 {
    let largest = output.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = output.iter().map(|v| (v - largest).exp()).sum();
    sum.ln() + largest - output[label]
}

fn penalty(
    input: usize,
    neurons: &[f64],
    gradients: &[Vec<f64>],
    regularizer: &Regularizer,
    decisions: &mut Vec<usize>,
) -> f64 {
    let squares = |axes: &[usize]| -> Vec<f64> {
        gradients
            .iter()
            .map(|g| axes.iter().map(|k| g[*k] * g[*k]).sum())
            .collect()
    };
    let all: Vec<usize> = (0..gradients[0].len()).collect();
    let mut hinges = || -> Vec<f64> {
        decisions.extend(neurons.iter().map(|z| usize::from(z.abs() < 1.0)));
        neurons.iter().map(|z| (1.0 - z.abs()).max(0.0)).collect()
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    match regularizer {
        Regularizer::Distance => {
            let distance = |(z, square): (&f64, &f64)| {
                if *square > 0.0 {
                    z.abs() / square.sqrt()
                } else {
                    f64::INFINITY
                }
            };
            let distances: Vec<f64> = neurons.iter().zip(&squares(&all)).map(distance).collect();
            let (nearest, least) = extreme(&distances, |a, b| a < b);
            // An input without any boundary does not count: whether there is one is a decision too.
            decisions.extend([nearest, usize::from(least.is_finite())]);
            if least.is_finite() { -least } else { 0.0 }
        }
        Regularizer::Roll { c, count } => {
            let hinges = hinges();
            let mut losses: Vec<f64> = squares(&all)
                .iter()
                .zip(&hinges)
                .map(|(s, h)| s + c * h)
                .collect();
            let mut sum = 0.0;
            for _ in 0..*count {
                let (at, loss) = extreme(&losses, |a, b| a > b);
                decisions.push(at);
                sum += loss;
                losses[at] = f64::NEG_INFINITY;
            }
            // The order in which neurons are found does not matter, only which ones they are.
            let start = decisions.len() - count;
            decisions[start..].sort_unstable();
            sum / *count as f64
        }
        Regularizer::Weighted { c, weights, along } => {
            let squares = match along {
                Some(directions) => along_direction(gradients, &directions[input]),
                None => squares(&all),
            };
            let losses = squares.iter().zip(hinges()).map(|(s, h)| s + c * h);
            let weighted: Vec<f64> = losses.zip(&weights[input]).map(|(l, w)| l * w).collect();
            mean(&weighted)
        }
        Regularizer::Sampled { c, axes } => {
            let scale = all.len() as f64 / axes.len() as f64;
            scale * mean(&squares(axes)) + c * mean(&hinges())
        }
    }
}

fn along_direction(gradients: &[Vec<f64>], direction: &[f64]) -> Vec<f64> {
    let dot = |g: &Vec<f64>| g.iter().zip(direction).map(|(g, v)| g * v).sum::<f64>();
    gradients.iter().map(|g| dot(g).powi(2)).collect()
}

/// What jump-weighted ROLL weighs the neurons of input `x` by: the length of the change of the gradient of output `class`
/// where a neuron alone changes sides, divided by the mean over neurons; all 1 if nothing changes. Where there is a direction, the neuron's
/// gradient is as long as its derivative along it.
pub fn jump_weights(fc: &Fc, x: &[f64], class: usize, along: Option<&[f64]>) -> Vec<f64> {
    let pattern = fc.pattern(x);
    let here = fc.output_gradients(&pattern).swap_remove(class);
    let gradients = fc.neuron_gradients(&pattern);
    let length = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let measured: Vec<f64> = match along {
        Some(direction) => along_direction(&gradients, direction)
            .into_iter()
            .map(f64::sqrt)
            .collect(),
        None => gradients.iter().map(|g| length(g)).collect(),
    };
    let jumps: Vec<f64> = (0..pattern.len())
        .map(|neuron| {
            let mut other = pattern.clone();
            other[neuron] = !other[neuron];
            let there = fc.output_gradients(&other).swap_remove(class);
            let change: Vec<f64> = here.iter().zip(&there).map(|(a, b)| a - b).collect();
            let of_gradient = length(&gradients[neuron]);
            // The change is a multiple of the neuron's gradient.
            if of_gradient > 0.0 {
                length(&change) / of_gradient * measured[neuron]
            } else {
                0.0
            }
        })
        .collect();
    let mean = jumps.iter().sum::<f64>() / jumps.len() as f64;
    let weight = |jump: &f64| if mean > 0.0 { jump / mean } else { 1.0 };
    jumps.iter().map(weight).collect()
}

/// The most extreme value, the first of equal ones, and its position.
fn extreme(values: &[f64], better: impl Fn(f64, f64) -> bool) -> (usize, f64) {
    let mut best = (0, values[0]);
    for (i, v) in values.iter().enumerate() {
        if better(*v, best.1) {
            best = (i, *v);
        }
    }
    best
}
