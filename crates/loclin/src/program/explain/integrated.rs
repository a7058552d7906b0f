//! Integrated gradients of one input.

use std::fmt;

use candle_core::{DType, Tensor};
use loclin_models::{Module, Network};
use loclin_regions::attribution::{
    Rule, completeness_error, integrated_gradients, integrated_gradients_by_quadrature,
};
use loclin_regions::segment::Walk;
use loclin_regions::{Budget, Guarantee};
use loclin_report::directed;
use serde::Serialize;

/// How gradients are integrated.
#[derive(Clone, Copy, Debug)]
pub enum Integration {
    /// Through every region.
    Exact,
    /// At the middle of so many steps.
    Steps(usize),
}

/// Integrated gradients from a baseline.
#[derive(Clone, Debug, Serialize)]
pub struct Integrated {
    /// Regions that the segment crosses; `None` where it was not walked.
    pub regions: Option<usize>,
    /// Gradients evaluated; `None` where the segment was walked.
    pub steps: Option<usize>,
    /// How far their sum is from the difference of the outputs, relative to it.
    pub completeness_error: f64,
    /// Each value is at most so far from the exact one; `None` where nothing bounds that.
    pub error: Option<f64>,
    /// What is claimed of the error.
    #[serde(serialize_with = "super::outcome::guarantee")]
    pub guarantee: Guarantee,
    /// The attributions, in the order of the network's inputs.
    pub values: Vec<f64>,
}

/// Integrates from `baseline` to `x`, both `[in...]` in float64.
pub(super) fn integrate(
    network: &Network,
    (baseline, x): (&Tensor, &Tensor),
    output: u32,
    integration: Integration,
) -> anyhow::Result<Integrated> {
    Ok(match integration {
        Integration::Exact => {
            let found = integrated_gradients(network, baseline, x, output, Walk::default())?;
            // Parameters in a smaller type may not be those of the file.
            let is_claimed = network.dtype() == DType::F64 && found.guarantee == Guarantee::Proved;
            Integrated {
                regions: Some(found.pieces.len()),
                steps: None,
                completeness_error: found.completeness_error(),
                error: is_claimed.then(|| found.largest_error()),
                guarantee: match is_claimed {
                    true => found.guarantee,
                    false => Guarantee::Estimate,
                },
                values: found.values,
            }
        }
        Integration::Steps(steps) => {
            let rule = (steps, Rule::Midpoint);
            let budget = Budget::default();
            let values =
                integrated_gradients_by_quadrature(network, baseline, x, output, rule, budget)?;
            let ends = Tensor::stack(&[baseline, x], 0)?.to_dtype(network.dtype())?;
            let outputs = network.forward(&ends)?.to_dtype(DType::F64)?;
            let outputs = outputs.get_on_dim(1, output as usize)?.to_vec1::<f64>()?;
            Integrated {
                regions: None,
                steps: Some(steps),
                completeness_error: completeness_error(&values, outputs[1] - outputs[0]),
                error: None,
                guarantee: Guarantee::Estimate,
                values,
            }
        }
    })
}

impl fmt::Display for Integrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.regions, self.steps) {
            (Some(regions), _) => write!(f, "over {regions} regions")?,
            (_, Some(steps)) => write!(f, "{steps} steps")?,
            _ => {}
        }
        write!(f, ", completeness error {:.2e}", self.completeness_error)?;
        match self.error {
            Some(error) => write!(
                f,
                ", each within {:.1e} ({})",
                directed(error, 1, true),
                self.guarantee
            ),
            None => write!(f, " ({})", self.guarantee),
        }
    }
}
