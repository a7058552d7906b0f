//! What is proved of segments, against exact rational arithmetic.

use crate::{cases, untested};
use candle_core::{DType, Device, Tensor};
use loclin_regions::{
    Error, Guarantee,
    attribution::{IntegratedGradients, integrated_gradients},
    segment::{Breakpoint, Walk},
};
use loclin_tests::exact::{
    Drawn, Graph, Plan, Rational, Stretch, exact, hostile, nearest, ordinary,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Segments through more regions take exact arithmetic too long.
const MOST: usize = 120;

/// Linearisations of a segment, far more than regions that the oracle can compare.
const PROBES: usize = 10_000;

/// What there is to compare.
struct Compared {
    found: IntegratedGradients,
    truth: Vec<Stretch>,
    ends: [Vec<f64>; 2],
}

/// A network's input and where the segment to it begins: at 0, or at numbers of the same sizes.
fn ends(x: &[f64], from: &[f64]) -> [Vec<f64>; 2] {
    let from = from.iter().cycle().zip(x.iter().rev());
    let from = from.map(|(share, v)| if v.abs() > 8.0 { share * v } else { *share });
    [from.collect(), x.to_vec()]
}

/// `None` where the library or the oracle refuses the network, because a number overflows, or it has too many regions.
fn compare(plan: &Plan, from: &[f64]) -> Option<Compared> {
    let drawn = plan.draw().ok()?;
    between(&drawn, ends(&drawn.x, from)).ok()?
}

/// The same of a segment between two inputs, and what the library refuses it for.
fn between(drawn: &Drawn, ends: [Vec<f64>; 2]) -> loclin_regions::Result<Option<Compared>> {
    let network = drawn.network()?.to(DType::F64, &Device::Cpu)?;
    let [from, to] = [0, 1].map(|end: usize| {
        Tensor::from_vec(ends[end].clone(), network.input_shape(), &Device::Cpu).unwrap()
    });
    let walk = Walk {
        probes: PROBES,
        ..Walk::default()
    };
    let found = integrated_gradients(&network, &from, &to, 0, walk)?;
    let truth = Graph::of(&network).map(|graph| graph.stretches(&ends[0], &ends[1], MOST));
    Ok(match truth {
        Ok(Ok(Some(truth))) => Some(Compared { found, truth, ends }),
        _ => None,
    })
}

fn holds(compared: &Compared) -> Result<(), TestCaseError> {
    let Compared { found, truth, ends } = compared;
    let brackets: Vec<[Rational; 2]> = found
        .breakpoints
        .iter()
        .map(|at| [at.low, at.high].map(|end| exact(end).unwrap()))
        .collect();
    let inside = |t: &Rational, [low, high]: &[Rational; 2]| low <= t && t <= high;
    for pair in truth.windows(2) {
        let at = &pair[0].end;
        prop_assert_eq!(at, &pair[1].start);
        prop_assert!(
            brackets.iter().any(|own| inside(at, own)),
            "{} is in none of {:?}",
            nearest(at),
            found.breakpoints
        );
        for [low, high] in found.pieces.iter().filter_map(|piece| piece.proved) {
            let [low, high] = [low, high].map(|end| exact(end).unwrap());
            prop_assert!(*at <= low || high <= *at, "{} in a piece", nearest(at));
        }
    }
    for (own, bracket) in brackets.iter().zip(&found.breakpoints) {
        let within = truth.windows(2).filter(|pair| inside(&pair[0].end, own));
        prop_assert!(!bracket.single || within.count() <= 1, "{:?}", bracket);
    }
    prop_assert_eq!(
        found.guarantee == Guarantee::Proved,
        found.errors.iter().all(|error| error.is_finite())
    );
    for (i, (value, error)) in found.values.iter().zip(&found.errors).enumerate() {
        let Some(error) = exact(*error) else { continue };
        let mean = truth.iter().fold(Rational::ZERO, |sum, own| {
            sum + (&own.end - &own.start) * &own.output_gradients[0][i]
        });
        let d = exact(ends[1][i]).unwrap() - exact(ends[0][i]).unwrap();
        let value = exact(*value).unwrap();
        let off = mean * d - value;
        let off = if off < Rational::ZERO { -off } else { off };
        prop_assert!(
            off <= error,
            "value {}: {} instead of at most {}",
            i,
            nearest(&off),
            nearest(&error)
        );
    }
    Ok(())
}

fn starts() -> impl Strategy<Value = Vec<f64>> {
    prop_oneof![
        1 => Just(vec![0.0]),
        1 => Just(vec![-1.0]),
        3 => prop::collection::vec(-2.0..2.0, 1..9),
    ]
}

proptest! {
    #![proptest_config(cases(300))]

    /// Boundaries lie in brackets, proved pieces hold none, and integrated gradients are within their errors.
    #[test]
    fn what_is_proved_of_a_segment_holds(plan in prop_oneof![ordinary(), hostile()], from in starts()) {
        let Some(compared) = compare(&plan, &from) else { return untested() };
        holds(&compared)?;
    }
}

/// Where a segment is so short that rounding hides on which side of 0 many neurons are, few inputs of it are looked at.
#[test]
fn short_segments_are_not_divided_for_ever() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[11; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = (
        prop_oneof![ordinary(), hostile()],
        prop::collection::vec(-1.0f64..1.0, 8),
        prop_oneof![-15.0f64..-6.0, Just(0.0)],
        any::<bool>(),
    );
    let (mut compared, mut refused) = (0, 0);
    for _ in 0..500 {
        let (plan, way, size, from_0) = strategy.new_tree(&mut runner).unwrap().current();
        let Ok(drawn) = plan.draw() else { continue };
        let scale = 10f64.powf(size);
        let numbers = drawn.x.iter().zip(way.iter().cycle());
        let ends = numbers.map(|(x, way)| match from_0 {
            true => (0.0, x * scale),
            false => (*x, x + way * scale * x.abs().max(1.0)),
        });
        let (from, to) = ends.unzip();
        match between(&drawn, [from, to]) {
            Ok(Some(found)) => {
                holds(&found).unwrap();
                compared += 1;
            }
            Ok(None) => {}
            // Where nothing is bounded, that is said early.
            Err(Error::Argument {
                what: "segment",
                cause,
            }) if cause.contains("cannot be divided") => refused += 1,
            Err(Error::Argument {
                what: "segment",
                cause,
            }) => panic!("{plan:?}: {cause}"),
            Err(_) => {}
        }
    }
    assert!(
        compared > 200 && refused < 10,
        "{compared} compared, {refused} refused"
    );
}

/// On ordinary networks the brackets are a few roundings wide, and so are the errors.
#[test]
fn most_brackets_of_ordinary_networks_are_narrow() {
    let Tally { widths, errors, .. } = tally(80, ordinary());
    let most = |numbers: &[f64], share: f64| numbers[(numbers.len() as f64 * share) as usize];
    assert!(
        most(&widths, 0.5) < 1e-12 && most(&widths, 0.9) < 1e-10,
        "{widths:?}"
    );
    assert!(
        most(&errors, 0.5) < 1e-11 && most(&errors, 0.9) < 1e-8,
        "{errors:?}"
    );
}

/// Says how wide brackets are and how large errors. `LOCLIN_EXACT` says how many networks of each kind (100 without it).
#[test]
#[ignore = "a long run, by `cargo xtask validate --long`"]
#[allow(clippy::print_stderr, reason = "its result")]
fn brackets_long() {
    let count = std::env::var("LOCLIN_EXACT").map_or(100, |n| n.parse().unwrap());
    for (name, all) in [
        ("ordinary", tally(count, ordinary())),
        ("hostile", tally(count, hostile())),
    ] {
        let Tally {
            widths,
            errors,
            brackets,
            single,
        } = all;
        eprintln!(
            "{name}: {} of {count} segments compared, {brackets} brackets, {single} with a single boundary",
            widths.len()
        );
        for (what, numbers) in [
            ("unproved share", widths),
            ("largest error relative to the largest value", errors),
        ] {
            let at = |share: f64| numbers[((numbers.len() - 1) as f64 * share) as usize];
            eprintln!(
                "{name}: {what}: median {:.1e}, 90% {:.1e}, 99% {:.1e}, largest {:.1e}",
                at(0.5),
                at(0.9),
                at(0.99),
                at(1.0)
            );
        }
    }
}

/// What was found for many segments, in order of size.
struct Tally {
    /// The share of each in brackets.
    widths: Vec<f64>,
    /// The largest error relative to the largest value, where there is one.
    errors: Vec<f64>,
    brackets: usize,
    single: usize,
}

fn tally(count: u32, strategy: impl Strategy<Value = Plan>) -> Tally {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut all = Tally {
        widths: Vec::new(),
        errors: Vec::new(),
        brackets: 0,
        single: 0,
    };
    for _ in 0..count {
        let plan = strategy.new_tree(&mut runner).unwrap().current();
        let from = starts().new_tree(&mut runner).unwrap().current();
        let Some(own) = compare(&plan, &from) else {
            continue;
        };
        holds(&own).unwrap();
        let breakpoints = &own.found.breakpoints;
        all.brackets += breakpoints.len();
        all.single += breakpoints.iter().filter(|at| at.single).count();
        all.widths
            .push(breakpoints.iter().map(Breakpoint::width).sum());
        let largest = own
            .found
            .values
            .iter()
            .fold(0.0, |most: f64, v| most.max(v.abs()));
        all.errors
            .extend((largest > 0.0).then(|| own.found.largest_error() / largest));
    }
    all.widths.sort_by(f64::total_cmp);
    all.errors.sort_by(f64::total_cmp);
    all
}
