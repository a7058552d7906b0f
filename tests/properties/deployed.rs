//! Balls in which evaluations in another type take the same sides.

use crate::{cases, untested};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_models::operators::{Activation, Linear, Resample, SparseRows};
use loclin_models::{Network, NetworkBuilder};
use loclin_regions::{Budget, Linearization, Method, Norm, Position, patterns};
use loclin_tests::exact::{Plan, hostile, ordinary};
use loclin_tests::{bridge, strategies};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::cell::Cell;
use std::collections::HashMap;

const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::LINF];

/// A point of float32 in the ball of a radius around `x`, in the direction of `towards`, near the ball's border.
fn point(x: &[f64], towards: &[f64], norm: Norm, radius: f64) -> Option<Vec<f64>> {
    let length = norm.of(towards);
    if length.is_nan() || length == 0.0 || !radius.is_finite() {
        return None;
    }
    [1.0, 1.0 - 1e-6, 0.999, 0.9].into_iter().find_map(|share| {
        let step = share * radius / length;
        let moved = x
            .iter()
            .zip(towards)
            .map(|(x, d)| f64::from((x + step * d) as f32));
        let moved: Vec<f64> = moved.collect();
        let difference: Vec<f64> = moved.iter().zip(x).map(|(a, b)| a - b).collect();
        (norm.of(&difference) <= radius * (1.0 - 1e-12)).then_some(moved)
    })
}

/// Whether evaluations in a type take the sides of the input at points of its balls; how many were looked at.
fn keeps(network: &Network, x: &Tensor, seeds: &[Vec<f64>]) -> Result<usize, TestCaseError> {
    let Ok(here) = Linearization::new(network, x, Budget::default()) else {
        return Ok(0);
    };
    let Ok(found) = here.deployed_margins(&NORMS, Method::Auto, DType::F32) else {
        return Ok(0);
    };
    let proved = here.margins(&NORMS, Method::Auto).unwrap();
    let single = network.to(DType::F32, &Device::Cpu).unwrap();
    let own = patterns(here.trace()).unwrap();
    let numbers = x.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let gradients = here.neuron_jacobians().unwrap().remove(0);
    let mut looked = 0;
    for (deployed, proved) in found.margins.iter().zip(&proved) {
        let radius = deployed.radius[0];
        prop_assert!(radius <= proved.radius[0]);
        if radius == 0.0 {
            prop_assert!(deployed.position[0] != Position::Inside);
            continue;
        }
        // Towards the limiting boundary, the way that is shortest in this norm, and elsewhere.
        let mut ways: Vec<Vec<f64>> = seeds.to_vec();
        let at = deployed.limiting[0].and_then(|neuron| here.position(neuron));
        ways.extend(at.map(|at| {
            let sign = -here.pre_activations()[0][at].signum();
            let most = Norm::LINF.of(&gradients[at]);
            let along = |g: &f64| match deployed.norm {
                Norm::LINF => sign * g.signum(),
                Norm::L1 if g.abs() < most => 0.0,
                _ => sign * g,
            };
            gradients[at].iter().map(along).collect()
        }));
        for way in ways {
            let way = &way[..numbers.len().min(way.len())];
            let Some(point) = point(&numbers, way, deployed.norm, radius) else {
                continue;
            };
            let tensor = Tensor::from_vec(point, x.shape(), &Device::Cpu).unwrap();
            let tensor = tensor.to_dtype(DType::F32).unwrap();
            let there = patterns(&single.trace(&tensor).unwrap()).unwrap();
            prop_assert_eq!(
                there[0].distance(&own[0]),
                0,
                "{:?} {:e}",
                deployed.norm,
                radius
            );
            looked += 1;
        }
    }
    Ok(looked)
}

fn directions() -> impl Strategy<Value = Vec<Vec<f64>>> {
    prop::collection::vec(prop::collection::vec(-1.0f64..1.0, 64), 4)
}

/// The network of a plan in float64, and its input with numbers of float32.
fn drawn(plan: &Plan) -> Option<(Network, Tensor)> {
    let drawn = plan.draw().ok()?;
    let network = drawn.network().ok()?.to(DType::F64, &Device::Cpu).ok()?;
    let x = drawn.batch().ok()?.to_dtype(DType::F32).ok()?;
    Some((network, x.to_dtype(DType::F64).ok()?))
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn evaluations_in_single_precision_take_the_same_sides(
        plan in prop_oneof![ordinary(), hostile()],
        ways in directions(),
    ) {
        let Some((network, x)) = drawn(&plan) else { return untested() };
        keeps(&network, &x, &ways)?;
    }
}

/// On ordinary fully connected networks most of the radius is left, and something was looked at.
#[test]
fn most_of_the_radius_of_ordinary_networks_is_left() {
    let looked = Cell::new(0);
    let mut shares: Vec<f64> = Vec::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..200 {
        let recipe = strategies::recipes(strategies::SMALL)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let network = bridge::network(&recipe.network(), DType::F64).unwrap();
        let x: Vec<f64> = recipe
            .points(1)
            .remove(0)
            .iter()
            .map(|x| f64::from(*x as f32))
            .collect();
        let size = x.len();
        let x = Tensor::from_vec(x, (1, size), &Device::Cpu).unwrap();
        let ways = recipe.vectors(3, 4, size);
        looked.set(looked.get() + keeps(&network, &x, &ways).unwrap());
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        let proved = here.margins(&[Norm::L2], Method::Auto).unwrap()[0].radius[0];
        let deployed = here
            .deployed_margins(&[Norm::L2], Method::Auto, DType::F32)
            .unwrap();
        if proved > 0.0 && proved.is_finite() {
            shares.push(deployed.margins[0].radius[0] / proved);
        }
    }
    shares.sort_by(f64::total_cmp);
    assert!(looked.get() > 1000, "{}", looked.get());
    assert!(shares[shares.len() / 2] > 0.99, "{shares:?}");
}

/// An input of which nothing is known in the type has no radius, and the others of its batch keep theirs.
#[test]
fn inputs_that_are_hard_leave_those_beside_them() {
    let copies = SparseRows::copies(64, (0..256).map(|entry| Some(entry / 4)));
    let mut builder = NetworkBuilder::new(&[64]).unwrap();
    let copied = builder.affine("copied", Resample::new(0, copies).unwrap(), &[0]);
    let shown = builder.piecewise_linear("relu", Activation::relu(), copied.unwrap());
    let weights: Vec<f64> = (0..512)
        .map(|i| f64::from((i * 37) % 101) / 101.0 - 0.4)
        .collect();
    let weights = Tensor::from_vec(weights, (2, 256), &Device::Cpu).unwrap();
    let parameters = HashMap::from([("weight".to_owned(), weights)]);
    let vars = VarBuilder::from_tensors(parameters, DType::F64, &Device::Cpu);
    let out = Linear::new(256, 2, false, vars).unwrap();
    builder.affine("out", out, &[shown.unwrap()]).unwrap();
    let network = builder.finish(DType::F64, &Device::Cpu).unwrap();
    // Half of the first are exactly 0.
    let rows: Vec<f64> = (0..128).map(|i| if i < 32 { 0.0 } else { 0.5 }).collect();
    let x = Tensor::from_vec(rows, (2, 64), &Device::Cpu).unwrap();
    let here = Linearization::new(&network, &x, Budget::default()).unwrap();
    let found = here.deployed_margins(&[Norm::LINF], Method::Auto, DType::F32);
    let found = found.unwrap();
    let radius = &found.margins[0].radius;
    assert!(radius[0] == 0.0 && radius[1] > 0.49, "{radius:?}");
    assert_eq!(found.margins[0].position[1], Position::Inside);
}
