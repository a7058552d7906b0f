//! The library's exact arithmetic against the oracle's, which knows operators by their descriptions and computes with
//! rationals.

use crate::cases;
use candle_core::{DType, Device, Result, Tensor};
use dashu_int::{IBig, UBig};
use loclin_models::operator::ShapeResult;
use loclin_models::{Affine, Magnitude, NetworkBuilder};
use loclin_regions::Norm;
use loclin_regions::exact::{Dyadic, Exact, ExactError, Number};
use loclin_tests::exact::{Graph, Plan, Rational, hostile, ordinary};
use proptest::prelude::*;
use std::cmp::Ordering;
use std::sync::Arc;

/// More than any network of a plan takes.
const ENOUGH: u64 = 1 << 40;

fn rational(x: &Dyadic) -> Rational {
    let shift = x.exponent().unsigned_abs() as usize;
    match x.exponent() {
        0.. => Rational::from_parts(x.mantissa() << shift, UBig::ONE),
        _ => Rational::from_parts(x.mantissa().clone(), UBig::ONE << shift),
    }
}

fn contains(number: &Number, truth: &Rational) -> bool {
    rational(number.low()) <= *truth && *truth <= rational(number.high())
}

/// Whether the operators of a plan's network have coefficients that they round.
fn rounds(network: &loclin_models::Network) -> bool {
    let kinds = [
        "standardize",
        "batch_norm",
        "avg_pool2d",
        "global_avg_pool",
        "resample",
    ];
    let nodes = network.nodes().iter();
    nodes
        .map(|node| node.operator.kind())
        .any(|kind| kinds.contains(&kind))
}

fn holds(plan: &Plan) -> std::result::Result<(), TestCaseError> {
    // What the library or the oracle refuses, because a number overflows, is not compared.
    let Ok(drawn) = plan.draw() else {
        return Ok(());
    };
    let Ok(network) = drawn.network() else {
        return Ok(());
    };
    let Ok(point) = Graph::of(&network).and_then(|graph| graph.at(&drawn.x)) else {
        return Ok(());
    };
    let exact = match Exact::new(&network, ENOUGH) {
        Ok(exact) => exact,
        Err(ExactError::Unknown { .. } | ExactError::NotFinite { .. }) => return Ok(()),
        Err(error) => return Err(TestCaseError::fail(error.to_string())),
    };
    let here = exact.at(&drawn.x).unwrap();
    let all_exact = !rounds(&network);
    for (found, truth) in here.output().iter().zip(&point.output) {
        prop_assert!(contains(found, truth) && (found.is_exact() || !all_exact));
    }
    // Where a maximum is undecided, its neurons may be those of another entry.
    let undecided = (0..here.neurons()).any(|i| here.side(i).is_none());
    prop_assert!(!(undecided && all_exact));
    prop_assert_eq!(here.neurons(), point.neurons.len());
    for (i, truth) in point.neurons.iter().enumerate() {
        prop_assert_eq!(here.place(i).0, truth.node);
        if undecided {
            continue;
        }
        let z = here.pre_activation(i);
        prop_assert!(contains(z, &truth.value) && (z.is_exact() || !all_exact));
        prop_assert_eq!(here.side(i) != Some(Ordering::Less), truth.positive);
        for (found, truth) in here.gradient(i).iter().zip(&truth.gradient) {
            prop_assert!(contains(found, truth) && (found.is_exact() || !all_exact));
        }
    }
    let radii = here
        .radii(&[Norm::L1, Norm::L2, Norm::LINF], ENOUGH)
        .unwrap();
    for (found, truth) in radii.iter().zip(&point.radii().norms) {
        if all_exact {
            // The lower bound is the largest float that the truth covers, the upper one its neighbour.
            prop_assert!(truth.covers(found.lower) && !found.refutes(found.lower));
            prop_assert!(found.lower == f64::INFINITY || !truth.covers(found.lower.next_up()));
            prop_assert!(found.upper == found.lower || found.upper == found.lower.next_up());
            prop_assert_eq!(found.limiting.is_none(), truth.value.is_none());
        } else {
            prop_assert!(truth.covers(found.lower));
        }
        let refuted = found.upper < f64::INFINITY && found.refutes(found.upper.next_up());
        prop_assert!(refuted || found.upper == f64::INFINITY);
        prop_assert!(found.upper == f64::INFINITY || !truth.covers(found.upper.next_up()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn it_finds_what_the_oracle_finds(plan in prop_oneof![ordinary(), hostile()]) {
        holds(&plan)?;
    }
}

/// Doubles every number; says how it rounds, or not.
#[derive(Debug)]
struct Double {
    known: bool,
}

impl Affine for Double {
    fn kind(&self) -> &'static str {
        "double"
    }
    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        Ok(operands[0].to_vec())
    }
    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        tangents[0] * 2.0
    }
    fn pull(&self, cotangent: &Tensor, _operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        Ok(vec![(cotangent * 2.0)?])
    }
    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        Ok(2.0 * bounds[0])
    }
    fn magnitude(
        &self,
        _operands: &[&[usize]],
        _output: &[usize],
    ) -> loclin_models::Result<Option<Magnitude>> {
        Ok(self.known.then(|| Magnitude {
            operator: Arc::new(Self { known: true }),
            roundings: 1,
            rounded_coefficients: 0,
        }))
    }
}

fn doubled(known: bool) -> loclin_models::Network {
    let mut builder = NetworkBuilder::new(&[2]).unwrap();
    let double = builder.affine("double", Double { known }, &[0]).unwrap();
    let relu = loclin_models::operators::Activation::relu();
    builder.piecewise_linear("relu", relu, double).unwrap();
    builder.finish(DType::F64, &Device::Cpu).unwrap()
}

#[test]
fn an_operator_of_another_crate_is_read_out() {
    let exact = Exact::new(&doubled(true), ENOUGH).unwrap();
    let here = exact.at(&[3.0, -0.125]).unwrap();
    let two = Dyadic::new(IBig::ONE, 1);
    assert_eq!(here.gradient(0)[0].low(), &two);
    assert!(here.gradient(0)[1].is_zero());
    assert_eq!(
        (here.side(0), here.side(1)),
        (Some(Ordering::Greater), Some(Ordering::Less))
    );
    let radius = here
        .radii(&[Norm::LINF, Norm::new(3.0).unwrap()], ENOUGH)
        .unwrap();
    assert_eq!((radius[0].lower, radius[0].upper), (0.125, 0.125));
    assert_eq!(radius[0].limiting, Some(1));
    assert!(radius[1].lower < 0.125 && 0.125 < radius[1].upper && radius[1].lower > 0.12499);
}

#[test]
fn what_is_not_known_or_too_large_is_refused() {
    let unknown = Exact::new(&doubled(false), ENOUGH).unwrap_err().to_string();
    assert_eq!(
        unknown,
        "node `double`: not known exactly: how `double` rounds"
    );
    let too_large = Exact::new(&doubled(true), 3).unwrap_err();
    assert!(
        matches!(too_large, ExactError::TooLarge { allowed: 3, .. }),
        "{too_large}"
    );
    let exact = Exact::new(&doubled(true), ENOUGH).unwrap();
    assert!(matches!(
        exact.at(&[1.0]),
        Err(ExactError::Input {
            expected: 2,
            found: 1
        })
    ));
    assert!(matches!(
        exact.at(&[1.0, f64::NAN]),
        Err(ExactError::NotFinite { .. })
    ));
    let here = exact.at(&[1.0, 1.0]).unwrap();
    assert!(matches!(
        here.radii(&[Norm::L1], 1),
        Err(ExactError::TooLarge { .. })
    ));
}
