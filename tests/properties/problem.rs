//! A small training problem, for the library and for the oracle's losses.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::loss::cross_entropy;
use loclin_models::{Network, Trace};
use loclin_tests::{
    Fc, bridge,
    objectives::{Loss, Regularizer, objective},
    strategies::Recipe,
};

/// Half the distance of two values in a finite difference.
const STEP: f64 = 1e-5;

/// A small network to be trained, with inputs and labels.
pub(crate) struct Problem {
    pub(crate) fc: Fc,
    pub(crate) points: Vec<Vec<f64>>,
    pub(crate) labels: Vec<u32>,
    pub(crate) network: Network,
    pub(crate) variables: Vec<Var>,
}

impl Problem {
    pub(crate) fn new(recipe: &Recipe) -> Self {
        let (fc, points) = (recipe.network(), recipe.points(3));
        let labels = (0..3).map(|i| (i % recipe.outputs) as u32).collect();
        let (network, variables) = bridge::trainable(&fc).unwrap();
        Self {
            fc,
            points,
            labels,
            network,
            variables,
        }
    }

    pub(crate) fn trace(&self) -> Trace {
        self.network
            .trace(&bridge::batch(&self.points, DType::F64).unwrap())
            .unwrap()
    }

    pub(crate) fn task(&self, trace: &Trace) -> Tensor {
        cross_entropy(
            trace.output(),
            &Tensor::new(&self.labels[..], &Device::Cpu).unwrap(),
        )
        .unwrap()
    }

    pub(crate) fn value(&self, fc: &Fc, lambda: f64, regularizer: &Regularizer) -> Loss {
        objective(fc, &self.points, &self.labels, lambda, regularizer)
    }

    /// Compares a gradient with central differences of the oracle.
    pub(crate) fn check(
        &self,
        lambda: f64,
        regularizer: &Regularizer,
        gradient: &[f64],
    ) -> Result<(), String> {
        self.check_against(&|fc| self.value(fc, lambda, regularizer), gradient)
    }

    /// The same for any loss of the oracle.
    pub(crate) fn check_against(
        &self,
        oracle: &dyn Fn(&Fc) -> Loss,
        gradient: &[f64],
    ) -> Result<(), String> {
        let here = oracle(&self.fc);
        assert_eq!(gradient.len(), self.fc.parameters().len());
        let scale = gradient.iter().fold(1.0, |m: f64, g| m.max(g.abs()));
        for (i, found) in gradient.iter().enumerate() {
            let at = |step: f64| {
                let mut moved = self.fc.clone();
                *moved.parameter_mut(i).unwrap() += step;
                oracle(&moved)
            };
            let around = [at(-STEP), at(-0.5 * STEP), at(0.5 * STEP), at(STEP)];
            // The loss is smooth as long as no decision changes; where one does there is nothing to compare.
            if around.iter().any(|there| there.decisions != here.decisions) {
                continue;
            }
            let wide = (around[3].value - around[0].value) / (2.0 * STEP);
            let narrow = (around[2].value - around[1].value) / STEP;
            // Truncation is h^2 / 6 times the third derivative, and the two steps tell it: their difference is
            // three times the narrow one's. Rounding is 1e-16 of the value (and of the terms that cancel in it,
            // hence the factor) over the step.
            let tolerance =
                2.0 * (wide - narrow).abs() + 1e-8 * scale + 1e-14 * here.value.abs() / STEP;
            if (narrow - found).abs() > tolerance {
                return Err(format!(
                    "parameter {i}: found {found:e}, expected {narrow:e} +- {tolerance:e}"
                ));
            }
        }
        Ok(())
    }

    /// The gradient of a loss in all parameters, in the oracle's order; 0 where Candle has none.
    pub(crate) fn gradient(&self, loss: &Tensor) -> Vec<f64> {
        let gradients = loss.backward().unwrap();
        let of = |variable: &Var| match gradients.get(variable) {
            Some(gradient) => gradient.flatten_all().unwrap().to_vec1().unwrap(),
            None => vec![0.0; variable.elem_count()],
        };
        self.variables.iter().flat_map(of).collect()
    }
}

/// The number of a scalar.
pub(crate) fn scalar(tensor: &Tensor) -> f64 {
    tensor.to_scalar().unwrap()
}

/// Two sums of the same terms in different orders; objectives are sums of at most some thousand terms of one sign.
pub(crate) fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-11 * (1.0 + a.abs().max(b.abs()))
}
