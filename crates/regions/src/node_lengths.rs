//! What Euclidean lengths say of a network's nodes, whatever the input.

use crate::Result;
use loclin_models::{Lengths, Magnitudes, Network};
use loclin_tensor::rounding::relative;

/// Roundings of the sums of bounds, as a factor.
pub(crate) const SLACK: f64 = 1.0 + 1e-9;

/// More than what underflows when a tangent or a cotangent passes a node.
pub(crate) const VANISHED: f64 = 1e-280;

/// What is known of a network's nodes.
#[derive(Debug)]
pub(crate) struct NodeLengths {
    pub(crate) lengths: Lengths,
    /// At least the length of each node's Jacobian.
    pub(crate) jacobians: Vec<f64>,
    /// What arises when a cotangent of length 1 is pulled through a node to each operand.
    pub(crate) pulls: Vec<Vec<f64>>,
    /// At least the length of the error with which a tangent of length 1 arrives at each node.
    pub(crate) pushed: Vec<f64>,
}

impl NodeLengths {
    /// Of a network by its spectral norms and absolute values.
    pub(crate) fn new(lengths: &Lengths, magnitudes: &Magnitudes) -> Result<Self> {
        let jacobians = lengths.jacobians()?;
        let jacobians: Vec<f64> = jacobians.into_iter().map(|l| l * SLACK).collect();
        let absolute = magnitudes.lengths()?;
        Ok(Self {
            pulls: magnitudes.pull_errors(&absolute, lengths),
            pushed: pushed(lengths, (magnitudes, &absolute), &jacobians)?,
            lengths: lengths.clone(),
            jacobians,
        })
    }

    /// Whether the length of every node's Jacobian is bounded.
    pub(crate) fn bounds_all(&self) -> bool {
        self.jacobians.iter().all(|length| length.is_finite())
    }

    /// At least the l1 norm of the error of a gradient, of a neuron or an output, however it is computed: by pushing axes, or by pulling it
    /// back. `length` is at least that of the gradient with respect to the node `operand`, and `size` the number of inputs.
    pub(crate) fn gradient_error(
        &self,
        network: &Network,
        (operand, length): (usize, f64),
        size: usize,
    ) -> f64 {
        // Of the cotangent at each node its length, and that of its error.
        let mut reached = vec![(0.0, 0.0); operand + 1];
        reached[operand] = (length, 0.0);
        for node in (1..=operand).rev() {
            let (own, error) = reached[node];
            for (at, &below) in network.nodes()[node].operands.iter().enumerate() {
                let gain = self.lengths.gain(node, at);
                let arisen = self.pulls[node][at] * (own + error) + VANISHED;
                reached[below].0 += gain * own;
                reached[below].1 += gain * error + arisen;
            }
        }
        let pulled = reached[0].1 * (size as f64).sqrt();
        // A neuron's own number may be a difference.
        let of_one = self.pushed[operand] + relative(4) * self.jacobians[operand];
        let pushed = size as f64 * (of_one * length + VANISHED);
        match pulled.max(pushed) * SLACK {
            error if error.is_nan() => f64::INFINITY,
            error => error,
        }
    }
}

/// At least the length of the error with which a tangent of length 1 arrives at each node.
fn pushed(
    lengths: &Lengths,
    (magnitudes, absolute): (&Magnitudes, &[f64]),
    jacobians: &[f64],
) -> Result<Vec<f64>> {
    let errors = |tangents: &[f64]| -> Result<Vec<f64>> {
        let arisen = magnitudes.push_errors(absolute, tangents);
        let arisen: Vec<f64> = arisen.into_iter().map(|own| own + VANISHED).collect();
        let errors = lengths.through(&arisen)?;
        Ok(errors.into_iter().map(|own| own * SLACK).collect())
    };
    let of_exact = errors(jacobians)?;
    // What is pushed on has these errors, too. If it were longer by twice as much, its errors would not be twice as large: so, from node to
    // node, they are not.
    let longer = jacobians.iter().zip(&of_exact).map(|(l, e)| l + 2.0 * e);
    let found = errors(&longer.collect::<Vec<f64>>())?;
    Ok(
        match found.iter().zip(&of_exact).all(|(e, own)| *e <= 2.0 * own) {
            true => found,
            false => vec![f64::INFINITY; found.len()],
        },
    )
}
