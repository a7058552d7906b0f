//! What the ways to margins cost on a network, in multiply-adds.
//!
//! Estimates from shapes alone: they choose between ways to the same numbers, and have no part in a proof.

use loclin_models::{Network, Node, Operator};

/// Multiply-adds on a network.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cost {
    /// Of one cotangent pulled back from each node, that node included. A pull of what does not depend on all nodes before it costs
    /// less.
    through: Vec<f64>,
    /// Of one tangent pushed to the last neurons.
    push: f64,
    /// Of the Lipschitz bounds of all nodes.
    pub(crate) lipschitz: f64,
    /// `D`.
    axes: f64,
}

impl Cost {
    pub(crate) fn of(network: &Network) -> Self {
        let (mut through, mut sum, mut pulls) = (Vec::new(), 0.0, 0.0);
        let (mut lipschitz, mut push) = (0.0, 0.0);
        for node in network.nodes() {
            match &node.operator {
                Operator::PiecewiseLinear(_) => push = sum,
                Operator::Affine(operator) => {
                    let parameters = operator.parameters();
                    let shapes = parameters.iter().map(|(_, parameter)| parameter.dims());
                    let bounds = shapes.map(|dims| spectral_bound(dims, &node.shape));
                    lipschitz += bounds.fold(0.0, f64::max);
                }
                Operator::Input => {}
            }
            sum += one(node);
            pulls += one(node) / unseen(node);
            through.push(pulls);
        }
        Self {
            through,
            push,
            lipschitz,
            axes: network.input_size() as f64,
        }
    }

    /// Of pushing so many tangents.
    pub(crate) fn pushes(&self, count: usize) -> f64 {
        count as f64 * self.push
    }

    /// Of every gradient of one input: pushing all axes.
    pub(crate) fn all(&self) -> f64 {
        self.axes * self.push
    }

    /// Of pulling one cotangent back from node `from` to node `to`, or to the input.
    pub(crate) fn pull(&self, from: usize, to: usize) -> f64 {
        let at = |node: usize| self.through.get(node).copied().unwrap_or(0.0);
        (at(from) - at(to)).max(0.0)
    }
}

/// Multiply-adds of one tangent through a node: at each position of its result, the numbers of the weight. A weight's
/// first dimension is that of the result's channels; an operator without one handles each number once.
fn one(node: &Node) -> f64 {
    let numbers = node.shape.iter().product::<usize>() as f64;
    let Operator::Affine(operator) = &node.operator else {
        return numbers;
    };
    let parameters = operator.parameters();
    let weights = parameters.iter().map(|(_, parameter)| parameter.dims());
    let weights = weights.filter(|dims| dims.len() > 1);
    let each = |dims: &[usize]| dims[1..].iter().product::<usize>() as f64;
    numbers * weights.map(each).fold(1.0, f64::max)
}

/// How many times fewer multiply-adds a pull takes: a convolution to one position pulls what that position sees.
fn unseen(node: &Node) -> f64 {
    let (Operator::Affine(operator), [_, 1, 1]) = (&node.operator, &node.shape[..]) else {
        return 1.0;
    };
    let parameters = operator.parameters();
    let weights = parameters.iter().map(|(_, parameter)| parameter.dims());
    let taps = weights.filter(|dims| dims.len() > 2);
    let taps = taps.map(|dims| dims[2..].iter().product::<usize>() as f64);
    taps.fold(1.0, f64::max)
}

/// Multiply-adds of an upper bound on the spectral norm of a weight `[outputs, inputs, taps...]`: at every frequency of a
/// grid, the Gram matrix of a complex matrix and a few of its squares. `image` is the shape of the output.
fn spectral_bound(dims: &[usize], image: &[usize]) -> f64 {
    let &[outputs, inputs, ref taps @ ..] = dims else {
        return 0.0;
    };
    let least = outputs.min(inputs) as f64;
    let grid: f64 = taps
        .iter()
        .zip(image.iter().skip(1).chain(std::iter::repeat(&usize::MAX)))
        .map(|(taps, n)| match n {
            1 => 1.0,
            n => (6 * taps.saturating_sub(1)).min(n.saturating_add(1)).max(1) as f64,
        })
        .product();
    let complex = if taps.is_empty() { 1.0 } else { 3.0 };
    let gram = least * outputs.max(inputs) as f64 * least;
    (0.5 * grid).max(1.0) * complex * (gram + 4.0 * least.powi(3))
}
