//! Segments and what is integrated along them.

use crate::{cases, dot};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_models::{Mlp, Network};
use loclin_regions::{
    Budget,
    attribution::{Rule, integrated_gradients, integrated_gradients_by_quadrature},
    patterns,
    segment::{Walk, walk},
};
use loclin_tests::{
    Analysis, F64, bridge,
    strategies::{LARGE, Numbers, Recipe, recipes, recipes_of},
};
use proptest::prelude::*;

/// The ends of a segment as tensors.
fn ends(points: &[Vec<f64>]) -> [Tensor; 2] {
    [0, 1].map(|i| Tensor::new(&points[i][..], &Device::Cpu).unwrap())
}

fn between(points: &[Vec<f64>], t: f64) -> Vec<f64> {
    let pair = points[0].iter().zip(&points[1]);
    pair.map(|(a, b)| a + t * (b - a)).collect()
}

fn pattern_at(network: &Network, points: &[Vec<f64>], t: f64) -> loclin_regions::ActivationPattern {
    let x = bridge::batch(&[between(points, t)], DType::F64).unwrap();
    patterns(&network.trace(&x).unwrap()).unwrap().remove(0)
}

/// Whether a neuron is 0 all along the piece that the point lies in, but for rounding: then more than one pattern and
/// gradient are right there, and rounding chooses among them.
fn has_choice(middle: &Analysis) -> bool {
    middle.is_doubtful() || middle.neurons.iter().any(|z| z.abs() < 1e-9)
}

proptest! {
    #![proptest_config(cases(256))]

    /// Pieces tile the segment, neighbours are different regions, and no boundary is inside a piece.
    #[test]
    fn pieces_are_regions(recipe in recipes(LARGE), batch in 1usize..9) {
        let network = bridge::network(&recipe.network(), DType::F64).unwrap();
        let points = recipe.points(2);
        let [from, to] = ends(&points);
        let pieces = walk(&network, &from, &to, Walk { batch, ..Walk::default() }, |_, _| Ok(())).unwrap().pieces;
        prop_assert_eq!((pieces[0].start, pieces[pieces.len() - 1].end), (0.0, 1.0));
        for pair in pieces.windows(2) {
            prop_assert!(pair[0].pattern != pair[1].pattern);
            prop_assert!((pair[0].end - pair[1].start).abs() <= 1e-13);
        }
        for piece in &pieces {
            let fc = recipe.network();
            let middle = Analysis::new(&fc, &between(&points, 0.5 * (piece.start + piece.end)), F64);
            prop_assume!(!has_choice(&middle));
            if piece.length() > 1e-6 {
                let inside = |share: f64| pattern_at(&network, &points, piece.start + share * piece.length());
                prop_assert_eq!(inside(0.001), inside(0.999));
            }
        }
    }

    /// Completeness, and the mean gradient against a quadrature that misses what is between its points.
    #[test]
    fn integrated_gradients_are_exact(recipe in recipes(LARGE), output in 0usize..5) {
        let fc = recipe.network();
        let output = output % recipe.outputs;
        let network = bridge::network(&fc, DType::F64).unwrap();
        let points = recipe.points(2);
        let [from, to] = ends(&points);
        let found = integrated_gradients(&network, &from, &to, output as u32, Walk::default()).unwrap();
        let analyses = [0, 1].map(|i| Analysis::new(&fc, &points[i], F64));
        let difference = analyses[1].output[output] - analyses[0].output[output];
        let rounding = analyses[0].output_errors[output] + analyses[1].output_errors[output];
        prop_assert!((found.difference - difference).abs() <= rounding);
        let total = found.values.iter().sum::<f64>();
        // Each piece's end is known to the rounding of a neuron, and the output is continuous there: so each piece
        // adds the rounding of an output.
        let pieces = found.pieces.len() as f64;
        prop_assert!((total - difference).abs() <= (2.0 + pieces) * rounding, "{} {}", total, difference);

        let steps = 400;
        let rule = (steps, Rule::Midpoint);
        let near = integrated_gradients_by_quadrature(&network, &from, &to, output as u32, rule, Budget::default()).unwrap();
        let middles: Vec<Analysis> = found.pieces.iter().map(|piece| {
            Analysis::new(&fc, &between(&points, 0.5 * (piece.start + piece.end)), F64)
        }).collect();
        prop_assume!(!middles.iter().any(has_choice));
        let gradients: Vec<&Vec<f64>> = middles.iter().map(|middle| &middle.output_gradients[output]).collect();
        for (i, (exact, near)) in found.values.iter().zip(&near).enumerate() {
            // A boundary puts at most one step on the wrong side; rounding may put a whole piece there that is one.
            let d = (points[1][i] - points[0][i]).abs();
            let slope_changes = gradients.windows(2).map(|pair| (pair[1][i] - pair[0][i]).abs()).sum::<f64>();
            let size = gradients.iter().map(|g| g[i].abs()).fold(0.0, f64::max);
            let allowed = d * (slope_changes / steps as f64 + 1e-9 * size) + 1e-12;
            prop_assert!((exact - near).abs() <= allowed, "{} {} {}", exact, near, allowed);
        }
    }

    /// Every boundary of the first layer in the middle of the segment, exactly: many neurons switch at the first probe.
    #[test]
    fn many_neurons_may_switch_at_once(recipe in recipes_of(Numbers::Lattice, LARGE)) {
        let recipe = Recipe { quirks: vec![loclin_tests::strategies::Quirk::NoBias], ..recipe };
        let fc = recipe.network();
        let network = bridge::network(&fc, DType::F64).unwrap();
        let x = recipe.points(1).remove(0);
        let points = vec![x.iter().map(|v| -v).collect(), x.clone()];
        let [from, to] = ends(&points);
        let found = integrated_gradients(&network, &from, &to, 0, Walk::default()).unwrap();
        let values = [0, 1].map(|i| fc.forward(&points[i]).output[0]);
        // Integers and eighths: sums are exact, quotients are not.
        let size: f64 = found.values.iter().map(|v| v.abs()).sum();
        prop_assert!((found.values.iter().sum::<f64>() - (values[1] - values[0])).abs() <= 1e-12 * (1.0 + size));
        // One region on each side of the origin, where all biases are 0.
        prop_assert!(found.pieces.len() <= 2, "{:?}", found.pieces);
        let on_both_sides = [0.25, 0.75].map(|t| pattern_at(&network, &points, t));
        prop_assert_eq!(found.pieces.len() == 1, on_both_sides[0] == on_both_sides[1]);
        prop_assert!(dot(&x, &x) == 0.0 || found.pieces.len() == 1 || (found.pieces[0].end - 0.5).abs() <= 1e-13);
    }
}

/// A boundary of two neurons in the middle of a segment is no reason to give up, however few inputs may be looked at.
#[test]
fn a_segment_may_begin_between_regions() {
    let tensor = |numbers: &[f64], shape: &[usize]| {
        Tensor::from_slice(numbers, shape, &Device::Cpu).unwrap()
    };
    let parameters = [
        ("layers.0.weight", tensor(&[1.0, -1.0], &[2, 1])),
        ("layers.0.bias", tensor(&[0.0; 2], &[2])),
        ("layers.1.weight", tensor(&[1.0, 2.0], &[1, 2])),
        ("layers.1.bias", tensor(&[0.0], &[1])),
    ];
    let parameters = parameters.map(|(name, tensor)| (name.to_owned(), tensor));
    let config = Mlp {
        inputs: vec![1],
        hidden: vec![2],
        outputs: 1,
        negative_slope: 0.0,
    };
    let vars = VarBuilder::from_tensors(parameters.into(), DType::F64, &Device::Cpu);
    let network = config.build(vars).unwrap();
    let [from, to] = ends(&[vec![-1.0], vec![1.0]]);
    let few = Walk {
        probes: 10,
        ..Walk::default()
    };
    let found = walk(&network, &from, &to, few, |_, _| Ok(())).unwrap();
    let lengths: Vec<f64> = found.pieces.iter().map(|piece| piece.length()).collect();
    assert_eq!(lengths, [0.5, 0.5]);
}
