//! The polygons of a network with two inputs tile the plane.

use crate::cases;
use candle_core::DType;
use loclin_regions::{
    Error,
    planar::{Polygon, Viewport, area, regions},
};
use loclin_tests::{
    Analysis, F64, bridge,
    strategies::{Limits, Numbers, Quirk, Recipe, recipes, recipes_of},
};
use proptest::prelude::*;
use rand::Rng;

/// Up to three hidden layers, so that there are at most some thousand regions.
const PLANAR: Limits = Limits {
    inputs: 2,
    depth: 3,
    width: 12,
    outputs: 2,
};
const VIEWPORT: Viewport = Viewport {
    x: [-2.0, 2.5],
    y: [-1.5, 2.0],
};

fn centre(polygon: &Polygon) -> Vec<f64> {
    (0..2)
        .map(|k| polygon.iter().map(|corner| corner[k]).sum::<f64>() / polygon.len() as f64)
        .collect()
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn polygons_tile_the_viewport(recipe in recipes_of(Numbers::Gaussian, PLANAR), grid in 1usize..12) {
        let recipe = Recipe { inputs: 2, ..recipe };
        let fc = recipe.network();
        let polygons = regions(&bridge::network(&fc, DType::F64).unwrap(), VIEWPORT, grid, 100_000).unwrap();
        let total: f64 = polygons.iter().map(area).sum();
        // Slivers thinner than the step across an edge (1e-7 of the width) may be stepped over.
        prop_assert!((total - 4.5 * 3.5).abs() < 1e-4, "covers {} of {}", total, 4.5 * 3.5);
        for polygon in &polygons {
            // A corner on the frame is a rounded point between two others.
            let inside = |v: f64, [low, high]: [f64; 2]| low - 1e-12 <= v && v <= high + 1e-12;
            prop_assert!(polygon.iter().all(|[x, y]| inside(*x, VIEWPORT.x) && inside(*y, VIEWPORT.y)));
            // All points strictly inside have one pattern, and no two polygons share it.
            let middle = centre(polygon);
            let here = Analysis::new(&fc, &middle, F64);
            if area(polygon) < 1e-9 {
                continue;
            }
            for corner in polygon {
                let near: Vec<f64> = (0..2).map(|k| 0.99 * corner[k] + 0.01 * middle[k]).collect();
                let there = Analysis::new(&fc, &near, F64);
                if !there.is_doubtful() && !here.is_doubtful() {
                    prop_assert_eq!(&there.pattern, &here.pattern);
                }
            }
        }
        let mut patterns: Vec<Vec<bool>> = polygons.iter().filter(|p| area(p) > 1e-9).map(|p| fc.pattern(&centre(p))).collect();
        let count = patterns.len();
        patterns.sort();
        patterns.dedup();
        prop_assert_eq!(patterns.len(), count);
    }

    /// Lines through lattice points meet many at a time, and grid points lie on them.
    #[test]
    fn degenerate_arrangements_tile_too(recipe in recipes_of(Numbers::Lattice, PLANAR), grid in 1usize..12) {
        let recipe = Recipe { inputs: 2, quirks: vec![Quirk::NoBias, Quirk::Duplicate], ..recipe };
        let fc = recipe.network();
        let absolute = fc.absolute();
        // A neuron whose terms cancel to 0 all over a region is of either sign there, by rounding alone, and so is
        // its gradient: such a network has no regions that rounding lets one draw.
        let mut rng = recipe.rng(9);
        let cancels = (0..2000).any(|_| {
            let x: Vec<f64> = (0..2).map(|_| rng.random_range(-2.0..2.0)).collect();
            let terms = absolute.forward(&x.iter().map(|x| x.abs()).collect::<Vec<_>>()).neurons;
            fc.forward(&x).neurons.iter().zip(terms).any(|(z, terms)| terms > 0.0 && z.abs() <= 1e-12 * terms)
        });
        prop_assume!(!cancels);
        let square = Viewport { x: [-2.0, 2.0], y: [-2.0, 2.0] };
        let polygons = regions(&bridge::network(&fc, DType::F64).unwrap(), square, grid, 100_000).unwrap();
        let total: f64 = polygons.iter().map(area).sum();
        // 2000 points miss a region of this area in one case of 500.
        prop_assert!((total - 16.0).abs() < 0.05, "covers {} of 16", total);
    }

    #[test]
    fn what_cannot_be_drawn_is_refused(recipe in recipes(PLANAR), inputs in 3usize..5) {
        let planar = bridge::network(&Recipe { inputs: 2, ..recipe.clone() }.network(), DType::F64).unwrap();
        let solid = bridge::network(&Recipe { inputs, ..recipe }.network(), DType::F64).unwrap();
        let flat = Viewport { x: [1.0, 1.0], y: [0.0, 1.0] };
        let endless = Viewport { x: [0.0, f64::INFINITY], y: [0.0, 1.0] };
        for refused in [regions(&solid, VIEWPORT, 4, 100), regions(&planar, flat, 4, 100), regions(&planar, endless, 4, 100), regions(&planar, VIEWPORT, 100_000, 100), regions(&planar, VIEWPORT, 0, 100), regions(&planar, VIEWPORT, 4, 0)] {
            assert!(matches!(&refused, Err(Error::Argument { .. })), "{refused:?}");
        }
    }
}
