//! Upper bounds on Lipschitz constants, node by node.

use crate::{error::Result, lengths::Lengths, network::Network};

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
        self.lengths()?.jacobians()
    }
}

impl Lengths {
    /// [`Network::lipschitz_bounds`].
    ///
    /// # Errors
    /// Those of the operators' own bounds.
    pub fn jacobians(&self) -> Result<Vec<f64>> {
        let mut sources = vec![0.0; self.count()];
        if let Some(input) = sources.first_mut() {
            *input = 1.0;
        }
        // Products of small numbers lose their digits, or vanish: those bound nothing. So do infinite ones times 0.
        let sure = |bound: f64| match bound >= LEAST && bound.is_finite() {
            true => bound,
            false => f64::INFINITY,
        };
        Ok(self.through(&sources)?.into_iter().map(sure).collect())
    }
}
