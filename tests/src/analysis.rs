//! Everything the suite wants to know at one input, each number with a bound on its rounding error.

use crate::{Fc, Interval, dual, norm};

/// Unit round-off of double precision.
pub const F64: f64 = f64::EPSILON / 2.0;
/// Unit round-off of single precision.
pub const F32: f64 = f32::EPSILON as f64 / 2.0;

/// A network at one input.
///
/// Errors are the textbook bound for sums of products: `n u |W| |a|` for a sum of `n` terms and unit round-off
/// `u`, carried through the layers by the network of absolute values. They cover two computations (the oracle's
/// and the library's), each in any order of summation.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// Values of the neurons.
    pub neurons: Vec<f64>,
    /// Bounds on their errors.
    pub neuron_errors: Vec<f64>,
    /// Gradients of the neurons.
    pub gradients: Vec<Vec<f64>>,
    /// Bounds on their errors.
    pub gradient_errors: Vec<Vec<f64>>,
    /// The output.
    pub output: Vec<f64>,
    /// Bounds on its errors.
    pub output_errors: Vec<f64>,
    /// Gradients of the outputs.
    pub output_gradients: Vec<Vec<f64>>,
    /// Bounds on their errors.
    pub output_gradient_errors: Vec<Vec<f64>>,
    /// The pattern, `z >= 0`.
    pub pattern: Vec<bool>,
}

impl Analysis {
    /// Analyses `network` at `x` for a library that computes with unit round-off `unit`.
    pub fn new(network: &Fc, x: &[f64], unit: f64) -> Self {
        let value = network.forward(x);
        let pattern: Vec<bool> = value.neurons.iter().map(|z| *z >= 0.0).collect();
        let absolute = network.absolute();
        let magnitude: Vec<f64> = x.iter().map(|v| v.abs()).collect();
        let bound = absolute.forward(&magnitude);
        let all_on = vec![true; pattern.len()];
        // Terms on the longest path, with one more for the bias and one for the activation; twice for two
        // computations, and twice again for the conversion of points `x + step * d` and the recomputed offsets
        // of a polyhedron, whose size is that of `|W| |x|` too.
        let terms: usize = network.layers.iter().map(|l| l.weight[0].len() + 2).sum();
        let factor = 4.0 * terms as f64 * unit;
        let scale = |v: Vec<f64>| v.into_iter().map(|v| factor * v).collect::<Vec<f64>>();
        let scales = |rows: Vec<Vec<f64>>| rows.into_iter().map(scale).collect();
        Self {
            neuron_errors: scale(bound.neurons),
            gradients: network.neuron_gradients(&pattern),
            gradient_errors: scales(absolute.neuron_gradients(&all_on)),
            output_errors: scale(bound.output),
            output_gradients: network.output_gradients(&pattern),
            output_gradient_errors: scales(absolute.output_gradients(&all_on)),
            neurons: value.neurons,
            output: value.output,
            pattern,
        }
    }

    /// Whether rounding may have decided the side of a neuron. Exact zeros are not doubtful where the sums are
    /// exact, see [`crate::strategies::Numbers::Lattice`].
    pub fn is_doubtful(&self) -> bool {
        self.neurons
            .iter()
            .zip(&self.neuron_errors)
            .any(|(z, e)| *z != 0.0 && z.abs() <= *e)
    }

    /// The lp distance from `x` to the boundary of neuron `j`: `|z| / ||grad z||_q`.
    pub fn distance(&self, j: usize, p: f64) -> Interval {
        let q = dual(p);
        let length = norm(&self.gradients[j], q);
        // 1e-14 for the rounding of the powers and roots in a norm.
        quotient(
            self.value(j),
            Interval::around(length, norm(&self.gradient_errors[j], q) + 1e-14 * length),
        )
    }

    /// The lp margin, by brute force.
    pub fn margin(&self, p: f64) -> Interval {
        (0..self.neurons.len())
            .map(|j| self.distance(j, p))
            .fold(NEVER, Interval::min)
    }

    /// The margin in direction `d`, by brute force.
    pub fn directional_margin(&self, d: &[f64]) -> Interval {
        (0..self.neurons.len())
            .map(|j| self.directional_distance(j, d))
            .fold(NEVER, Interval::min)
    }

    /// The step along `d` at which neuron `j` reaches 0.
    pub fn directional_distance(&self, j: usize, d: &[f64]) -> Interval {
        let side = if self.pattern[j] { -1.0 } else { 1.0 };
        let approach = side
            * self.gradients[j]
                .iter()
                .zip(d)
                .map(|(g, d)| g * d)
                .sum::<f64>();
        let error = self.gradient_errors[j]
            .iter()
            .zip(d)
            .map(|(g, d)| g * d.abs())
            .sum();
        quotient(self.value(j), Interval::around(approach, error))
    }

    fn value(&self, j: usize) -> Interval {
        let z = self.neurons[j].abs();
        Interval {
            lo: (z - self.neuron_errors[j]).max(0.0),
            hi: z + self.neuron_errors[j],
        }
    }
}

const NEVER: Interval = Interval {
    lo: f64::INFINITY,
    hi: f64::INFINITY,
};

/// `value / speed`; infinite for a speed that is not positive.
fn quotient(value: Interval, speed: Interval) -> Interval {
    let divide = |value: f64, speed: f64| {
        if speed > 0.0 {
            value / speed
        } else {
            f64::INFINITY
        }
    };
    Interval {
        lo: divide(value.lo, speed.hi),
        hi: divide(value.hi, speed.lo),
    }
}
