//! The property suite, one module for each theme.
//!
//! A tolerance that is not an interval of [`loclin_tests::Analysis`] stands next to its reason.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

mod balls;
mod brackets;
mod counts;
mod decided;
mod deployed;
mod distortion;
mod domain;
mod enumerated;
mod evidence;
mod exact;
mod exact_evaluator;
mod example;
mod extremes;
mod failed_once;
mod jacobians;
mod jump_weighted;
mod lengths;
mod lost;
mod margins;
mod million;
mod objectives;
mod operators;
mod outside_operator;
mod planar;
mod problem;
mod read_cases;
mod readings;
mod reduced;
mod refusals;
mod repeated;
mod rivals;
mod segments;
mod undecided;

use candle_core::{DType, Tensor};
use loclin_models::Network;
use loclin_regions::{Budget, Linearization};
use loclin_tests::{Analysis, F32, F64, Fc, bridge, strategies::Recipe};
use proptest::test_runner::{Config, TestCaseError};

/// So many cases, or as many as the variable `PROPTEST_CASES` says, for a long search; failing ones are kept in
/// `proptest-regressions/` and tried first from then on.
fn cases(cases: u32) -> Config {
    let config = Config::default();
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config.cases,
        None => cases,
    };
    Config {
        cases,
        max_global_rejects: 1_000_000,
        ..config
    }
}

/// Of a drawn case that the library or the oracle refuses: it counts as none, so that a test of none fails.
fn untested<T>() -> Result<T, TestCaseError> {
    Err(TestCaseError::reject("refused"))
}

/// A drawn network with a few inputs, for the oracle and for the library.
struct Case {
    fc: Fc,
    points: Vec<Vec<f64>>,
    analyses: Vec<Analysis>,
    network: Network,
    x: Tensor,
}

impl Case {
    fn new(recipe: &Recipe, points: usize) -> Self {
        Self::in_dtype(recipe, points, DType::F64)
    }

    fn in_dtype(recipe: &Recipe, points: usize, dtype: DType) -> Self {
        let (fc, points) = (recipe.network(), recipe.points(points));
        let unit = if dtype == DType::F64 { F64 } else { F32 };
        let network = bridge::network(&fc, dtype).unwrap();
        let x = bridge::batch(&points, dtype).unwrap();
        let analyses = points.iter().map(|x| Analysis::new(&fc, x, unit)).collect();
        Self {
            fc,
            points,
            analyses,
            network,
            x,
        }
    }

    /// Whether rounding may have decided a side, so that oracle and library may differ.
    fn is_doubtful(&self) -> bool {
        self.analyses.iter().any(Analysis::is_doubtful)
    }

    fn linearization(&self) -> Linearization {
        self.linearization_within(Budget::default())
    }

    fn linearization_within(&self, budget: Budget) -> Linearization {
        Linearization::new(&self.network, &self.x, budget).unwrap()
    }
}

/// The numbers of a tensor of any shape.
fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// Asserts that each number is within the error of its oracle.
fn assert_near(found: &[f64], expected: &[f64], errors: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: how many");
    for (i, ((f, e), error)) in found.iter().zip(expected).zip(errors).enumerate() {
        assert!(
            (f - e).abs() <= *error,
            "{what} {i}: found {f:e}, expected {e:e} +- {error:e}"
        );
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
