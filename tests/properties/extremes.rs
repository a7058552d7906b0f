//! Numbers so small or large that their squares and products vanish or overflow, and radii below the distance of two inputs.

use crate::cases;
use candle_core::{DType, Tensor};
use loclin_models::{Module, Network};
use loclin_regions::reduced::{Bound, Limits, Question, one_output};
use loclin_regions::{Budget, Domain, Estimate, Guarantee, Linearization, Method, Norm};
use loclin_tests::{Fc, Layer, bridge};
use proptest::prelude::*;

fn layer(weight: &[&[f64]], bias: &[f64]) -> Layer {
    Layer {
        weight: weight.iter().map(|row| row.to_vec()).collect(),
        bias: bias.to_vec(),
    }
}

fn network(layers: Vec<Layer>) -> Network {
    let fc = Fc {
        layers,
        negative_slope: 0.0,
    };
    bridge::network(&fc, DType::F64).unwrap()
}

fn linearized(network: &Network, x: &[f64]) -> Linearization {
    let x = bridge::batch(&[x.to_vec()], DType::F64).unwrap();
    Linearization::new(network, &x, Budget::default()).unwrap()
}

/// Of the ball of a radius around an input at which errors are bounded.
fn bound(
    here: &Linearization,
    (norm, radius): (Norm, f64),
    question: &Question,
) -> loclin_regions::Result<Bound> {
    let bound = here
        .surroundings(0, norm)?
        .bound(radius, question, Limits::default())?;
    assert_eq!(bound.guarantee, Guarantee::Proved);
    Ok(bound)
}

fn change(norm: Norm) -> Question {
    let weights = one_output(2, 0);
    Question::Change { weights, norm }
}

/// Twice the first input and half the second, less 2, behind weights of size `s`; its gradient is of size `s` times `outer`.
fn one_unit(s: f64, outer: f64) -> Network {
    network(vec![
        layer(&[&[s, s / 2.0]], &[-2.0 * s]),
        layer(&[&[outer], &[-outer]], &[0.0; 2]),
    ])
}

/// The square of a gradient vanishes, the unit does not: at (1.9, 1) the gradient is (1, 1/2), at (1, 1) it is 0.
#[test]
fn units_whose_squares_vanish_are_counted() {
    for s in [1e-170, 1e-300] {
        let network = one_unit(s, s.recip());
        for norm in [Norm::L1, Norm::L2, Norm::LINF, Norm::new(3.0).unwrap()] {
            let whole = linearized(&network, &[1.0, 1.0]);
            let cut = whole.clone();
            let cut = cut.within(Domain::uniform(2, 0.0, 3.0).unwrap()).unwrap();
            for here in [whole, cut] {
                let bound = bound(&here, (norm, 0.9), &change(Norm::L1)).unwrap();
                assert_eq!(bound.units, 1);
                assert!(bound.proved >= 1.5 * (1.0 - 1e-12), "{norm}: {bound:?}");
                // Bounds of rounding errors know nothing below 1e-295.
                let found = if s > 1e-290 { 1.5 * (1.0 - 1e-12) } else { 0.0 };
                assert!((found..=1.5).contains(&bound.found), "{norm}: {bound:?}");
            }
        }
    }
}

/// Of a gradient of (s, s/2).
#[test]
fn changes_whose_squares_vanish_are_measured() {
    let length = Question::Length {
        weights: one_output(2, 0),
        norm: Norm::L2,
    };
    for question in [change(Norm::L2), length] {
        for (s, nearly) in [(1e-170, 1e-9), (1e-300, f64::INFINITY)] {
            let here = linearized(&one_unit(1.0, s), &[1.0, 1.0]);
            let bound = bound(&here, (Norm::LINF, 0.9), &question).unwrap();
            let truth = s * 1.25f64.sqrt();
            // Less what rounding may have made of it.
            let least = truth * (1.0 - 1e-9) - 2e-295;
            assert!((least..=truth).contains(&bound.found), "{bound:?}");
            assert!(bound.proved >= truth * (1.0 - 1e-12), "{bound:?}");
            assert!(bound.proved <= truth * (1.0 + nearly), "{bound:?}");
        }
    }
}

/// Values of 1e200 behind weights of 1e200 overflow: whatever is said, it is not that the class stays, as it does not at 1.5.
#[test]
fn bounds_that_overflow_prove_nothing() {
    let network = network(vec![
        layer(&[&[1e-200]], &[0.0]),
        layer(&[&[1e200]], &[0.0]),
        layer(&[&[1e200], &[1e200]], &[-1.3e200, -1.1e200]),
        layer(&[&[0.0, 0.0], &[-60e-200, 20e-200]], &[1.0, 0.0]),
    ]);
    let output = |x: f64| {
        let x = Tensor::new(&[[x]], &candle_core::Device::Cpu).unwrap();
        network
            .forward(&x)
            .unwrap()
            .to_vec2::<f64>()
            .unwrap()
            .remove(0)
    };
    let (centre, there) = (output(1.0), output(1.3));
    assert!(
        centre[0] > centre[1] && there[0] < there[1],
        "{centre:?} {there:?}"
    );
    let here = linearized(&network, &[1.0]);
    if let Ok(bound) = bound(&here, (Norm::LINF, 0.9), &Question::Class { class: 0 }) {
        assert_ne!(bound.stays(), Some(true), "{bound:?}");
        assert!(bound.proved >= there[1] - there[0], "{bound:?}");
    }
    if let Ok(bound) = bound(&here, (Norm::LINF, 0.9), &change(Norm::L1)) {
        assert!(bound.found <= bound.proved, "{bound:?}");
    }
}

/// A product of two influences vanishes that another one makes large again: at 1.9 the second output is 2e-191, with a gradient
/// of 1e-190. What bounds the parts of the ball has to know, whatever was found.
#[test]
fn products_that_vanish_on_the_way_are_bounded() {
    let network = network(vec![
        layer(&[&[1e150]], &[-1.5e150]),
        layer(&[&[1e-170]], &[-2e-21]),
        layer(&[&[0.0], &[1e-170]], &[1e-192, 0.0]),
    ]);
    let here = linearized(&network, &[1.0]);
    let weights = one_output(2, 1);
    let change = Question::Change {
        weights,
        norm: Norm::L1,
    };
    for norm in [Norm::L2, Norm::LINF] {
        for (question, truth) in [
            (Question::Class { class: 0 }, 1.9e-191),
            (change.clone(), 1e-190),
        ] {
            let around = here.surroundings(0, norm).unwrap();
            for parts in [1, 100] {
                let limits = Limits {
                    parts,
                    proof: true,
                    ..Limits::default()
                };
                let bound = around.bound(0.9, &question, limits).unwrap();
                let checked = around.check(0.9, &question, &bound.proof.unwrap());
                let least = checked.unwrap().min(bound.proved);
                assert!(
                    least >= truth * (1.0 - 1e-12),
                    "{question:?}: {least:e} of {truth:e}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(200))]

    /// A product of upper weights vanishes that the first layer makes large again: a pull loses digits, or all, that a push keeps. Its
    /// gradient is g everywhere near 1, behind a neuron whose boundary is at 1/4.
    #[test]
    fn gradients_that_vanish_in_a_pull_are_bounded(
        first in 200i32..500,
        mantissas in prop::array::uniform3(0.5f64..1.0),
        last in 1u64..64,
        split in 0i32..300,
    ) {
        let [a, b, c] = mantissas;
        // The last weight and the one before it: their product is below the smallest number.
        let least = f64::from_bits(1);
        let weights = [a * 2f64.powi(first), b, c * 2f64.powi(-split), least * last as f64];
        let g = a * b * c * last as f64 * 2f64.powi(first - split - 1074);
        // The value is of the same size, and the network needs one that does not vanish.
        prop_assume!(g > 1e-290);
        let mut layers: Vec<Layer> = weights.iter().map(|w| layer(&[&[*w]], &[0.0])).collect();
        layers[3].bias[0] = -g / 4.0;
        layers.push(layer(&[&[1.0]], &[0.0]));
        let here = linearized(&network(layers), &[1.0]);
        for norm in [Norm::L1, Norm::L2, Norm::LINF] {
            let weights = one_output(1, 0);
            for question in [Question::Length { weights, norm }, Question::Operator { norm }] {
                let bound = bound(&here, (Norm::LINF, 0.5), &question).unwrap();
                prop_assert!(bound.proved >= g * (1.0 - 1e-12), "{g:e}: {bound:?}");
                prop_assert!(bound.found <= g * (1.0 + 1e-12), "{g:e}: {bound:?}");
            }
            for method in [Method::Auto, Method::All, Method::PrunedSearch, Method::Bound] {
                let margins = here.margins(&[norm], method).unwrap().remove(0);
                let upper = here.upper_bounds(&margins).unwrap()[0];
                let (radius, near) = (margins.radius[0], 1e-12);
                prop_assert_eq!(margins.guarantee, Guarantee::Proved);
                prop_assert!(radius <= 0.75 + near && upper >= 0.75 - near, "{radius}..{upper}");
            }
        }
    }
}

/// Two inputs in float64 are further apart than the radius, and boundaries between them: no input but the centre is in the ball.
#[test]
fn witnesses_are_in_their_balls() {
    let network = network(vec![
        layer(&[&[1.0, -1e-16], &[1.0, -1.6e-16]], &[-1.0, -1.0]),
        layer(&[&[1.0, 0.0], &[0.0, 100.0]], &[0.0; 2]),
        layer(&[&[1.0, 1.0], &[-1.0, -1.0]], &[0.0; 2]),
    ]);
    let x = [1.0, 1.0];
    let here = linearized(&network, &x);
    for norm in [Norm::L1, Norm::L2, Norm::LINF] {
        for radius in [1.2e-16, 1.6e-16, 1e-3, 0.1] {
            let bound = bound(&here, (norm, radius), &change(Norm::L1)).unwrap();
            // Exact: the numbers are near each other.
            let ways = bound.witness.iter().zip(&x).map(|(to, x)| (to - x).abs());
            let ways: Vec<f64> = ways.collect();
            assert!(
                ways.iter().all(|way| *way <= radius),
                "{norm}: {ways:?} of {radius}"
            );
            if norm == Norm::L1 {
                assert!(ways[0] <= radius - ways[1], "{ways:?} of {radius}");
            }
        }
    }
}

/// Radii that fail with a probability each do not depend on which others were asked for.
#[test]
fn probable_radii_are_each_for_itself() {
    let here = linearized(
        &network(vec![
            layer(&[&[0.7, 0.0]], &[0.1]),
            layer(&[&[1.0], &[-1.0]], &[0.0; 2]),
        ]),
        &[0.3, 0.2],
    );
    let norms = [Norm::L1, Norm::L2, Norm::LINF];
    let method = Method::Estimate(Estimate::default());
    let radius = |norms: &[Norm]| -> Vec<f64> {
        let found = here.margins(norms, method).unwrap();
        found.iter().map(|margins| margins.radius[0]).collect()
    };
    let alone: Vec<f64> = norms.iter().flat_map(|norm| radius(&[*norm])).collect();
    assert!(
        alone[2] > alone[1],
        "rounding takes more from {alone:?} in l2"
    );
    assert_eq!(radius(&norms), alone);
    // What is proved in a larger norm is in a smaller one.
    let proved = here.margins(&norms, Method::All).unwrap();
    assert!(proved[1].radius[0] >= proved[2].radius[0]);
}
