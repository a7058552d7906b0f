//! Questions to regions: readings of the pattern, margins by every method, and what is beyond the region.

use crate::networks::Kind;
use crate::{assert_same, both, near, numbers};
use candle_core::{DType, Device, Tensor};
use loclin_models::{Mlp, Network, Parameters};
use loclin_regions::attribution::{Noise, integrated_gradients, smooth_gradients};
use loclin_regions::distortion::{Ascent, Ball, Distortion, Search};
use loclin_regions::reduced::{Limits, Question, one_output};
use loclin_regions::segment::Walk;
use loclin_regions::{
    Budget, DirectionalMargins, Domain, Engine, Estimate, Linearization, Margins, Method, Norm,
    RegionCounter, Rows, planar,
};
use loclin_tensor::random;

const BATCH: usize = 3;
const NORMS: [Norm; 3] = [Norm::L1, Norm::L2, Norm::LINF];
/// Sums of a few hundred products in another order.
const SUMS: f64 = 1e-12;
/// Radii are lower bounds: what rounding can have done is bounded in another way by either.
const PROVED: f64 = 1e-7;

/// With a network, inputs and a budget that splits the work.
fn here(kind: Kind, dtype: DType) -> Linearization {
    let (network, x) = case(kind, dtype);
    Linearization::new(&network, &x, Budget { bytes: 1 << 16 }).unwrap()
}

fn case(kind: Kind, dtype: DType) -> (Network, Tensor) {
    let x = kind.inputs(BATCH, dtype);
    (kind.model(dtype).fixed(&kind.inputs(8, dtype)), x)
}

fn of_rows(all: &[Rows]) -> Vec<f64> {
    let numbers = all.iter().flat_map(|rows| rows.as_slice());
    numbers.copied().collect()
}

/// What a linearisation reads off the fixed pattern.
fn readings(here: &Linearization) -> [Vec<f64>; 6] {
    let polyhedra = here.polyhedra().unwrap();
    let norms = [&NORMS[..], &[Norm::new(3.0).unwrap()]].concat();
    [
        here.pre_activations().as_slice().to_vec(),
        of_rows(&here.gradient_norms(&NORMS).unwrap()),
        of_rows(&here.gradient_norms(&norms).unwrap()),
        of_rows(&here.neuron_jacobians().unwrap()),
        numbers(&here.output_jacobians().unwrap()),
        polyhedra.into_iter().flat_map(|one| one.offsets).collect(),
    ]
}

#[test]
fn readings_are_the_same() {
    for kind in Kind::ALL {
        for (dtype, share) in [(DType::F64, SUMS), (DType::F32, 1e-5)] {
            let [loops, tensors] = both(|| readings(&here(kind, dtype)));
            for (number, (loops, tensors)) in loops.iter().zip(&tensors).enumerate() {
                let what = format!("{kind:?} {dtype:?} reading {number}");
                near(&what, share, loops, tensors);
            }
            let [loops, tensors] = both(|| here(kind, dtype).patterns().unwrap());
            assert_eq!(loops, tensors, "{kind:?} {dtype:?}");
        }
    }
}

#[test]
fn the_engine_is_chosen_with_loops_only() {
    let linearizer = || {
        let (network, _) = case(Kind::Chain, DType::F64);
        loclin_regions::Linearizer::new(&network, Budget::default()).unwrap()
    };
    assert_eq!(
        both(|| linearizer().engine()),
        [Engine::Chain, Engine::General]
    );
}

fn check_margins(what: &str, share: f64, margins: impl Fn() -> Vec<Margins>) {
    let [loops, tensors] = both(margins);
    for (loops, tensors) in loops.iter().zip(&tensors) {
        let what = format!("{what} l{}", loops.norm);
        for (one, other) in loops.radius.iter().zip(&tensors.radius) {
            near(&what, share, &[*one], &[*other]);
        }
        assert_eq!(loops.limiting, tensors.limiting, "{what}");
        assert_eq!(loops.position, tensors.position, "{what}");
    }
}

#[test]
fn margins_are_the_same_by_every_method() {
    let estimate = Method::Estimate(Estimate::default());
    for kind in Kind::ALL {
        for (dtype, share) in [(DType::F64, PROVED), (DType::F32, 1e-4)] {
            for method in [Method::All, Method::Auto, Method::Bound] {
                let what = format!("{kind:?} {dtype:?} {method:?}");
                check_margins(&what, share, || {
                    here(kind, dtype).margins(&NORMS, method).unwrap()
                });
            }
            let what = format!("{kind:?} {dtype:?} {estimate:?}");
            check_margins(&what, share, || {
                here(kind, dtype).margins(&[Norm::L2], estimate).unwrap()
            });
        }
        check_margins(&format!("{kind:?} in a domain"), PROVED, || {
            let here = here(kind, DType::F64);
            let domain = Domain::uniform(here.network().input_size(), -5.0, 5.0).unwrap();
            here.within(domain)
                .unwrap()
                .margins(&NORMS, Method::Auto)
                .unwrap()
        });
        check_margins(&format!("{kind:?} deployed"), PROVED, || {
            let here = here(kind, DType::F64);
            let deployed = here.deployed_margins(&NORMS, Method::Auto, DType::F32);
            deployed.unwrap().margins
        });
    }
}

#[test]
fn margins_along_lines_are_the_same() {
    for kind in Kind::ALL {
        let check = |what: &str, margins: &dyn Fn(&Linearization) -> DirectionalMargins| {
            let [loops, tensors] = both(|| margins(&here(kind, DType::F64)));
            let what = format!("{kind:?} {what}");
            for (one, other) in loops.step.iter().zip(&tensors.step) {
                near(&what, PROVED, &[*one], &[*other]);
            }
            assert_eq!(loops.limiting, tensors.limiting, "{what}");
        };
        check("axes", &|here| here.axis_margins().unwrap());
        check("directions", &|here| {
            let shape = [&[BATCH, 2], here.network().input_shape()].concat();
            let rng = &mut random::stream(1, &[]);
            let lines = random::normal(rng, shape, DType::F64, &Device::Cpu).unwrap();
            here.directional_margins(&lines).unwrap()
        });
    }
}

#[test]
fn counts_and_attributions_are_the_same() {
    for kind in Kind::ALL {
        let what = format!("{kind:?}");
        let [loops, tensors] = both(|| {
            let mut counter = RegionCounter::new(1e-9);
            let numbers = counter.add(&here(kind, DType::F64)).unwrap();
            (numbers, counter.finish())
        });
        assert_eq!(loops, tensors, "{what}");
        assert_same(&what, 1e-10, || {
            let (network, x) = case(kind, DType::F64);
            let [from, to] = [0, 1].map(|row| x.get(row).unwrap());
            // A short way: few regions.
            let to = (&from + ((to - &from).unwrap() * 0.05).unwrap()).unwrap();
            integrated_gradients(&network, &from, &to, 1, Walk::default())
                .unwrap()
                .values
        });
        assert_same(&what, SUMS, || {
            let (network, x) = case(kind, DType::F64);
            let noise = Noise {
                samples: 5,
                deviation: 0.1,
                seed: 0,
            };
            smooth_gradients(&network, &x.get(0).unwrap(), 1, noise, Budget::default()).unwrap()
        });
    }
}

/// What is proved of a ball beyond the region, and what is found in one.
#[test]
fn balls_are_the_same() {
    for kind in [Kind::Chain, Kind::Plain, Kind::Residual] {
        assert_same(&format!("{kind:?} bound"), PROVED, || {
            let here = here(kind, DType::F64);
            let margin = here.margins(&[Norm::LINF], Method::Auto).unwrap()[0].radius[0];
            let around = here.surroundings(0, Norm::LINF).unwrap();
            let question = Question::Change {
                weights: one_output(3, 1),
                norm: Norm::L2,
            };
            let limits = Limits {
                time: None,
                parts: 50,
                proof: false,
            };
            let bound = around.bound(3.0 * margin, &question, limits).unwrap();
            vec![bound.found, bound.proved]
        });
        assert_same(&format!("{kind:?} distortion"), 1e-9, || {
            let (network, x) = case(kind, DType::F64);
            let center = numbers(&x.get(0).unwrap());
            let ball = Ball::new(&center, 0.2, None).unwrap();
            let distortion = Distortion::new(&network, ball, 1, Budget::default()).unwrap();
            let ascent = Ascent {
                starts: 3,
                ..Ascent::default()
            }
            .within(60);
            let found = Search::Ascent(ascent).run(&distortion).unwrap().best;
            vec![distortion.expectation(20, 0).unwrap().mean, found]
        });
    }
}

#[test]
fn regions_of_a_plane_are_the_same() {
    assert_same("areas", 1e-9, || {
        let config = Mlp {
            inputs: vec![2],
            hidden: vec![6, 6],
            outputs: 1,
            negative_slope: 0.0,
        };
        let vars = Parameters::seeded(0).builder(DType::F64, &Device::Cpu);
        let viewport = planar::Viewport {
            x: [-2.0, 2.0],
            y: [-2.0, 2.0],
        };
        let found = planar::regions(&config.build(vars).unwrap(), viewport, 8, 1000).unwrap();
        let mut areas: Vec<f64> = found.iter().map(planar::area).collect();
        areas.sort_by(f64::total_cmp);
        areas
    });
}
