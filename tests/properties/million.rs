//! A long run: a million random and adversarial inputs of balls, none of them beyond what is proved.

use crate::numbers;
use crate::reduced::{
    Drawn, LIMITS, ROUNDING, drawn, inputs, norm_of, norms, questions, radius, surroundings, value,
};
use candle_core::{DType, Device, Tensor};
use loclin_models::Network;
use loclin_regions::{Domain, Norm};
use loclin_tests::exact::ordinary;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Rounds of an attack on each question of a ball: each goes on from the worst input so far, with steps half as long.
const ROUNDS: usize = 6;

/// Gradients of both outputs at each input, by the network itself.
fn gradients(network: &Network, inputs: &[Vec<f64>]) -> Vec<Vec<Vec<f64>>> {
    let (count, size, outputs) = (inputs.len(), inputs[0].len(), network.output_size());
    let shape = [&[count], network.input_shape()].concat();
    let x = Tensor::from_vec(inputs.concat(), shape, &Device::Cpu).unwrap();
    let units = Tensor::eye(outputs, DType::F64, &Device::Cpu).unwrap();
    let units = units.broadcast_as((count, outputs, outputs)).unwrap();
    let pulled = network
        .trace(&x)
        .unwrap()
        .pull(&units.contiguous().unwrap());
    let all = numbers(&pulled.unwrap());
    all.chunks(outputs * size)
        .map(|own| own.chunks(size).map(<[f64]>::to_vec).collect())
        .collect()
}

/// The input, moved into the ball and the domain.
fn inside(drawn: &Drawn, norm: Norm, radius: f64, domain: Option<&Domain>, to: &[f64]) -> Vec<f64> {
    let way: Vec<f64> = to.iter().zip(&drawn.x).map(|(a, b)| a - b).collect();
    let share = (radius / norm.of(&way).max(1e-300)).min(1.0) * (1.0 - 1e-12);
    let place = |(at, way): (usize, &f64)| {
        let moved = drawn.x[at] + share * way;
        domain.map_or(moved, |own| moved.clamp(own.low()[at], own.high()[at]))
    };
    way.iter().enumerate().map(place).collect()
}

/// How many inputs of a ball were looked at; `None` where nothing is proved of it.
fn look(drawn: &Drawn, norm: Norm, times: f64, cut: bool, rng: &mut ChaCha8Rng) -> Option<usize> {
    let radius = radius(drawn.margin, times);
    let domain = cut.then(|| {
        let mut ends = |sign: f64| -> Vec<f64> {
            let end = |x: &f64| x + sign * radius * rng.random_range(0.0..1.2);
            drawn.x.iter().map(end).collect()
        };
        Domain::new(ends(-1.0), ends(1.0)).unwrap()
    });
    let domain = domain.as_ref();
    let around = surroundings(drawn, norm, domain)?;
    let questions = questions();
    let bounds = questions
        .each_ref()
        .map(|question| around.bound(radius, question, LIMITS).unwrap());
    let centre = gradients(&drawn.network, std::slice::from_ref(&drawn.x)).swap_remove(0);
    let mut worst = bounds
        .each_ref()
        .map(|bound| (bound.found, bound.witness.clone()));
    let mut looked = 0;
    for round in 0..ROUNDS {
        let mut points = inputs(drawn, norm, radius, domain, rng);
        for (_, from) in &worst {
            for _ in 0..8 {
                let step = radius * 0.5f64.powi(round as i32);
                let to: Vec<f64> = from
                    .iter()
                    .map(|x| x + step * rng.random_range(-1.0..1.0))
                    .collect();
                points.push(inside(drawn, norm, radius, domain, &to));
            }
        }
        for (point, gradients) in points.iter().zip(gradients(&drawn.network, &points)) {
            let rounding = ROUNDING * norm_of(&gradients).max(norm_of(&centre)).max(1e-300);
            for ((question, bound), worst) in questions.iter().zip(&bounds).zip(&mut worst) {
                let own = value(question, &gradients, &centre);
                assert!(
                    own <= bound.proved + rounding,
                    "{question:?}: {own} above {} at {point:?}, radius {radius} in {norm} around {:?}, {domain:?}",
                    bound.proved,
                    drawn.x,
                );
                if own > worst.0 {
                    *worst = (own, point.clone());
                }
            }
        }
        looked += points.len();
    }
    Some(looked)
}

/// As many inputs as the variable `LOCLIN_POINTS` says, or a million.
#[test]
#[ignore = "a long run, by `cargo xtask validate --long`"]
#[allow(clippy::print_stderr, reason = "its result")]
fn a_million_inputs_are_within_the_bounds_of_their_balls() {
    let most = std::env::var("LOCLIN_POINTS").map_or(1_000_000, |text| text.parse().unwrap());
    let mut runner = TestRunner::deterministic();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (mut points, mut balls) = (0, 0);
    while points < most {
        let plan = ordinary().new_tree(&mut runner).unwrap().current();
        let norm = norms().new_tree(&mut runner).unwrap().current();
        let Some(drawn) = drawn(&plan) else { continue };
        for times in [0.9, 3.0, 20.0] {
            let cut = rng.random();
            if let Some(looked) = look(&drawn, norm, times, cut, &mut rng) {
                points += looked;
                balls += 1;
            }
        }
    }
    eprintln!("{points} inputs of {balls} balls: none beyond what is proved of them");
}
