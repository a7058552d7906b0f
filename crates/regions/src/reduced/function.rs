//! A combination of outputs inside a ball, as the small network that it is there.

use super::{
    change::Output,
    network::{ReducedNetwork, add_scaled},
    question::Question,
    surroundings::Surroundings,
};
use crate::{Neuron, Norm, Result};

/// A combination of a network's outputs inside a ball around `x`: the network of those units alone whose selection can change
/// there, equal to the whole one at every input of the ball.
#[derive(Debug, Clone)]
pub struct ReducedFunction {
    x: Vec<f64>,
    network: ReducedNetwork,
    output: Output,
}

impl Surroundings {
    /// The function of the given weights of outputs, `[L]`, in the ball of a radius.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Mlp, Module, Parameters};
    /// use loclin_regions::{Budget, Linearization, Norm};
    ///
    /// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let here = Linearization::new(&network, &Tensor::new(&[[0.3, -0.2]], &Device::Cpu)?, Budget::default())?;
    /// let function = here.surroundings(0, Norm::LINF)?.function(0.5, &[1.0])?;
    /// let whole = network.forward(&Tensor::new(&[[0.7, 0.1]], &Device::Cpu)?)?.to_vec2::<f64>()?[0][0];
    /// assert!(function.units() < 16 && (function.value(&[0.7, 0.1]) - whole).abs() < 1e-12);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As of [`Surroundings::bound`].
    pub fn function(&self, radius: f64, weights: &[f64]) -> Result<ReducedFunction> {
        let network = self.reduced(radius)?;
        let question = Question::Length {
            weights: weights.to_vec(),
            norm: Norm::L2,
        };
        let output = self.outputs(&network, &question)?.swap_remove(0);
        Ok(ReducedFunction {
            x: self.x.clone(),
            network,
            output,
        })
    }
}

impl ReducedFunction {
    /// How many units it has.
    pub fn units(&self) -> usize {
        self.network.units.len()
    }

    /// The neurons that can change sides, in topological order.
    pub fn neurons(&self) -> impl Iterator<Item = Neuron> {
        self.network.members.iter().map(|own| own.neuron)
    }

    /// The value at an input of the ball, `[D]`.
    pub fn value(&self, input: &[f64]) -> f64 {
        let delta = self.deviation(input);
        let (_, beyond, _) = self.network.evaluate(&delta);
        self.output.value + self.output.change_of_value(&delta, &beyond)
    }

    /// The gradient at an input of the ball, `[D]`.
    pub fn gradient(&self, input: &[f64]) -> Vec<f64> {
        let (_, _, selected) = self.network.evaluate(&self.deviation(input));
        let factors = self.network.factors(&selected, &self.output.cotangents);
        let mut gradient = self.output.gradient.clone();
        for (own, factor) in self.network.members.iter().zip(factors) {
            add_scaled(&mut gradient, factor, &own.gradient);
        }
        gradient
    }

    fn deviation(&self, input: &[f64]) -> Vec<f64> {
        input.iter().zip(&self.x).map(|(to, x)| to - x).collect()
    }
}
