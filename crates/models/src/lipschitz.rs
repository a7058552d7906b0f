//! Upper bounds on Lipschitz constants, node by node.

use crate::{
    error::Result,
    network::{Network, Node},
    operator::Operator,
};
use candle_core::Tensor;

/// Smaller products may have lost digits.
const LEAST: f64 = 1e-280;

impl Network {
    /// For each node an upper bound on the l2 Lipschitz constant of its value as a function of the input, and so on
    /// the spectral norm of its Jacobian in every linear region: spectral norms of the operators, bounded and
    /// multiplied along the graph.
    ///
    /// The bounds hold for certain, up to rounding, and grow with depth: by the factor that the worst direction of one
    /// layer is rarely that of the next. A normalisation of channels is bounded together with the layer below it.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use loclin_models::{Mlp, Parameters};
    ///
    /// let config = Mlp { inputs: vec![2], hidden: vec![3], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
    /// let bounds = network.lipschitz_bounds()?;
    /// assert_eq!(bounds.len(), network.nodes().len());
    /// assert_eq!(bounds[0], 1.0); // the input itself
    /// # Ok::<(), loclin_models::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the operators' own bounds: a tensor computation that fails.
    pub fn lipschitz_bounds(&self) -> Result<Vec<f64>> {
        let mut bounds: Vec<f64> = Vec::with_capacity(self.nodes().len());
        for node in self.nodes() {
            let own: Vec<f64> = node.operands.iter().map(|&i| bounds[i]).collect();
            let shapes: Vec<&[usize]> = node
                .operands
                .iter()
                .map(|&i| &self.nodes()[i].shape[..])
                .collect();
            let bound = match &node.operator {
                Operator::Input => 1.0,
                Operator::PiecewiseLinear(operator) => own[0] * operator.lipschitz(shapes[0])?,
                Operator::Affine(operator) => {
                    let fused = match operator.channel_scale()? {
                        Some(scale) => {
                            self.scaled(&self.nodes()[node.operands[0]], &scale, &bounds)?
                        }
                        None => None,
                    };
                    match fused {
                        Some(bound) => bound,
                        None => operator.lipschitz(&shapes, &own)?,
                    }
                }
            };
            // Products of small numbers lose their digits, or vanish: those bound nothing. So do infinite ones times 0.
            let sure = bound >= LEAST && bound.is_finite();
            bounds.push(if sure { bound } else { f64::INFINITY });
        }
        Ok(bounds)
    }

    /// The bound of a node whose channels are multiplied by `scale`, if it is better known than as a product.
    fn scaled(&self, node: &Node, scale: &Tensor, bounds: &[f64]) -> Result<Option<f64>> {
        match &node.operator {
            Operator::Affine(operator) => {
                let own: Vec<f64> = node.operands.iter().map(|&i| bounds[i]).collect();
                let shapes = node.operands.iter().map(|&i| &self.nodes()[i].shape[..]);
                let shapes: Vec<&[usize]> = shapes.collect();
                Ok(operator.scaled_lipschitz(scale, &shapes, &own)?)
            }
            _ => Ok(None),
        }
    }
}
