//! Counts of complete linear regions (#CLR, Lemma 7) against exact enumeration.

use crate::{Case, cases, untested};
use candle_core::{DType, Device, Tensor};
use loclin_models::Network;
use loclin_regions::{Budget, Guarantee, Linearization, RegionCount, RegionCounter};
use loclin_tests::{
    Analysis, Fc, bridge,
    exact::{Graph, Plan, Rational, hostile, ordinary},
    strategies::{LARGE, Numbers, Quirk, Recipe, recipes, recipes_of},
};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn count(network: &Network, batches: &[&[Vec<f64>]]) -> RegionCount {
    let mut counter = RegionCounter::new(RegionCounter::default_tolerance(DType::F64));
    for points in batches {
        let x = bridge::batch(points, DType::F64).unwrap();
        counter
            .add(&Linearization::new(network, &x, Budget::default()).unwrap())
            .unwrap();
    }
    counter.finish()
}

/// A network of one input on an interval: where its neurons change side, found layer by layer. Between the kinks
/// of the layers below, the units of a layer are straight lines.
fn kinks(fc: &Fc, from: f64, to: f64) -> Vec<f64> {
    let mut kinks = vec![from, to];
    let mut start = 0;
    for width in fc.hidden() {
        let mut found = Vec::new();
        for ends in kinks.windows(2) {
            let at = |share: f64| ends[0] + share * (ends[1] - ends[0]);
            let (a, b) = (
                fc.forward(&[at(0.25)]).neurons,
                fc.forward(&[at(0.75)]).neurons,
            );
            for j in start..start + width {
                let slope = (b[j] - a[j]) / (at(0.75) - at(0.25));
                let root = at(0.25) - a[j] / slope;
                if slope.abs() > 1e-12 && ends[0] < root && root < ends[1] {
                    found.push(root);
                }
            }
        }
        kinks.extend(found);
        kinks.sort_by(f64::total_cmp);
        start += width;
    }
    kinks
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn counts_are_ordered_and_do_not_depend_on_order(recipe in recipes(LARGE), split in 1usize..40) {
        let case = Case::new(&recipe, 40);
        // If every Jacobian cancels to 0, what is left of them is rounding, and that depends on the batch.
        prop_assume!(case.analyses.iter().any(|a| a.output_gradients.iter().flatten().any(|g| *g != 0.0)));
        let whole = count(&case.network, &[&case.points]);
        prop_assert!(1 <= whole.lower && whole.lower <= whole.upper && whole.upper <= whole.points);
        prop_assert_eq!(whole.points, 40);
        let on_boundary = case.analyses.iter().filter(|a| a.neurons.contains(&0.0)).count();
        prop_assert!(case.is_doubtful() || whole.on_boundary == on_boundary);

        let mut reversed = case.points.clone();
        reversed.reverse();
        let (first, second) = reversed.split_at(split.min(39));
        prop_assert_eq!(count(&case.network, &[first, second]), whole);
        // Points seen again are in regions seen already, if it is known in which.
        let again = count(&case.network, &[&case.points, second]);
        prop_assert_eq!((again.lower, again.upper - again.undecided), (whole.lower, whole.upper - whole.undecided));
    }

    /// On the lattice patterns and Jacobians are exact, so that equal means equal.
    #[test]
    fn bounds_are_different_jacobians_and_different_patterns(recipe in recipes_of(Numbers::Lattice, LARGE)) {
        let case = Case::new(&recipe, 60);
        let count = count(&case.network, &[&case.points]);
        let patterns: BTreeSet<&Vec<bool>> = case.analyses.iter().map(|a| &a.pattern).collect();
        let bits = |rows: &Vec<Vec<f64>>| rows.concat().iter().map(|v| (v + 0.0).to_bits()).collect::<Vec<u64>>();
        let jacobians: BTreeSet<Vec<u64>> = case.analyses.iter().map(|a| bits(&a.output_gradients)).collect();
        // If every Jacobian cancels to 0 nothing tells rounding from a difference.
        prop_assume!(jacobians.iter().flatten().any(|bits| *bits != 0));
        // Where regions meet, a pattern is that of a region by convention only; what cancels to 0 may seem to move.
        let of = |is_inside: &dyn Fn(&Analysis) -> bool| {
            let inside = case.analyses.iter().filter(|a| is_inside(a));
            inside.map(|a| bits(&a.output_gradients)).collect::<BTreeSet<_>>().len()
        };
        let certainly = of(&|a| a.neurons.iter().all(|z| *z != 0.0));
        let perhaps = of(&|a| a.neurons.iter().zip(&a.gradients).all(|(z, g)| *z != 0.0 || g.iter().all(|g| *g == 0.0)));
        match count.undecided {
            0 => {
                prop_assert!((certainly..=perhaps.max(1)).contains(&count.lower), "{certainly} to {perhaps}: {count:?}");
                prop_assert_eq!(count.upper, patterns.len());
            }
            // Points on a boundary, for floating point.
            _ => prop_assert!(count.lower <= jacobians.len() && patterns.len() <= count.upper),
        }
    }

    /// Units that switch without effect make patterns, not linear regions.
    #[test]
    fn mute_units_raise_the_upper_bound_only(recipe in recipes_of(Numbers::Gaussian, LARGE)) {
        let mut fc = recipe.network();
        let last = fc.layers.len() - 1;
        let without = count(&bridge::network(&fc, DType::F64).unwrap(), &[&recipe.points(40)]);
        fc.layers[last].weight.iter_mut().for_each(|row| row.fill(0.0));
        let muted = count(&bridge::network(&fc, DType::F64).unwrap(), &[&recipe.points(40)]);
        prop_assert_eq!((muted.lower, muted.upper), (1, without.upper));
    }

    /// One input: all regions that points fall in are known exactly.
    #[test]
    fn the_bracket_holds_the_true_number_on_a_line(recipe in recipes_of(Numbers::Gaussian, LARGE)) {
        let quirks = recipe.quirks.iter().copied().filter(|quirk| *quirk != Quirk::NoBias).collect();
        let recipe = Recipe { inputs: 1, quirks, ..recipe };
        let fc = recipe.network();
        let kinks = kinks(&fc, -4.0, 4.0);
        let points: Vec<Vec<f64>> = (0..400).map(|i| vec![-4.0 + (f64::from(i) + 0.37) / 50.0]).collect();
        // Kinks are known to about 1e-12.
        prop_assume!(points.iter().all(|x| kinks.iter().all(|kink| (kink - x[0]).abs() > 1e-9)));
        let interval = |x: f64| kinks.partition_point(|kink| *kink < x);
        let hit: BTreeSet<usize> = points.iter().map(|x| interval(x[0])).collect();

        // Complete regions: neighbouring intervals with one slope are one region.
        let slopes: Vec<Vec<f64>> = kinks.windows(2).map(|ends| {
            fc.output_gradients(&fc.pattern(&[0.5 * (ends[0] + ends[1])])).concat()
        }).collect();
        let scale = fc.absolute().output_gradients(&vec![true; fc.neurons()]).concat().iter().fold(0.0, |a: f64, b| a.max(*b));
        let same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-13 * scale);
        let mut region = vec![0; slopes.len()];
        for i in 1..slopes.len() {
            region[i] = region[i - 1] + usize::from(!same(&slopes[i], &slopes[i - 1]));
        }
        let complete: BTreeSet<usize> = hit.iter().map(|i| region[i - 1]).collect();

        let found = count(&bridge::network(&fc, DType::F64).unwrap(), &[&points]);
        prop_assert_eq!(found.upper, hit.len(), "patterns are intervals on a line");
        prop_assert!(found.lower <= complete.len() && complete.len() <= found.upper, "{:?}, truly {}", found, complete.len());
    }

    /// Any network: the number of different Jacobians, exactly, is between the bounds.
    #[test]
    fn the_bracket_holds_the_number_of_different_jacobians(
        plan in prop_oneof![ordinary(), hostile()],
        shares in prop::collection::vec(-1.5..1.5, 1..12),
    ) {
        let Some((found, truth)) = compare(&plan, &shares) else { return untested() };
        prop_assert!(found.lower <= truth && truth <= found.upper, "{:?}, truly {}", found, truth);
    }
}

/// The library's count of an input times each of `shares`, and the number of different Jacobians among them; `None` where the
/// library or the oracle refuses the network, or nothing is claimed.
fn compare(plan: &Plan, shares: &[f64]) -> Option<(RegionCount, usize)> {
    let drawn = plan.draw().ok()?;
    let network = drawn.network().ok()?.to(DType::F64, &Device::Cpu).ok()?;
    let points: Vec<Vec<f64>> = shares
        .iter()
        .map(|share| drawn.x.iter().map(|v| share * v).collect())
        .collect();
    let shape = [&[points.len()], network.input_shape()].concat();
    let x = Tensor::from_vec(points.concat(), shape, &Device::Cpu).unwrap();
    let mut counter = RegionCounter::new(RegionCounter::default_tolerance(DType::F64));
    counter
        .add(&Linearization::new(&network, &x, Budget::default()).ok()?)
        .ok()?;
    let found = counter.finish();
    let graph = Graph::of(&network).ok()?;
    let mut jacobians: Vec<Vec<Vec<Rational>>> = Vec::new();
    for point in &points {
        let own = graph.at(point).ok()?.output_gradients;
        if !jacobians.contains(&own) {
            jacobians.push(own);
        }
    }
    (found.guarantee == Guarantee::Proved).then_some((found, jacobians.len()))
}
