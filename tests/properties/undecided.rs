//! Neurons of which rounding leaves the side undecided, though they never move; and evaluations in other types far from the centre.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_models::operators::OperatorSpec;
use loclin_models::{Network, NetworkSpec, NodeSpec};
use loclin_regions::reduced::{Limits, Question, Threshold};
use loclin_regions::{Budget, Domain, Guarantee, Linearization, Method, Norm, RegionCounter};
use std::collections::HashMap;

/// A batch normalisation of a constant, `weight (x - mean) / sqrt(var + eps) + bias`: by decimal arithmetic of 80 digits it is 2.148e-16, in
/// floating point -2.2e-16.
const CONSTANT: f64 = 0.6539424593982746;
const MEAN: f64 = 1.9485160719692478;
const VARIANCE: f64 = 0.8254127520902802;
const WEIGHT: f64 = 1.7463701330232326;
const BIAS: f64 = 2.4884265593695165;
const EPS: f64 = 9.999999747378752e-06;
/// What 1e10 times it and the first input's own channel at 1 are together, less 1e-9.
const OFFSET: f64 = 0.9999971471847704;

/// An operator behind the one before, with its parameters.
type Layer = (OperatorSpec, Vec<(&'static str, Tensor)>);

fn chain(inputs: usize, layers: Vec<Layer>) -> Network {
    let (mut nodes, mut parameters) = (Vec::new(), HashMap::new());
    for (at, (operator, own)) in layers.into_iter().enumerate() {
        let name = format!("n{at}");
        for (key, tensor) in own {
            parameters.insert(format!("{name}.{key}"), tensor);
        }
        let below = at.checked_sub(1);
        nodes.push(NodeSpec {
            name,
            operator,
            operands: vec![below.map_or("input".into(), |below| format!("n{below}"))],
        });
    }
    let spec = NetworkSpec {
        input_shape: vec![inputs],
        nodes,
    };
    let vars = VarBuilder::from_tensors(parameters, DType::F64, &Device::Cpu);
    spec.build(vars).unwrap()
}

/// Rows of weights, and biases.
fn linear(weight: &[Vec<f64>], bias: &[f64]) -> Layer {
    let (outputs, inputs) = (weight.len(), weight[0].len());
    let weight = Tensor::new(weight.concat(), &Device::Cpu).unwrap();
    let operator = OperatorSpec::Linear {
        inputs,
        outputs,
        bias: true,
    };
    let weight = weight.reshape((outputs, inputs)).unwrap();
    let bias = Tensor::new(bias, &Device::Cpu).unwrap();
    (operator, vec![("weight", weight), ("bias", bias)])
}

/// A LeakyReLU.
fn bend(slope: f64) -> Layer {
    let operator = OperatorSpec::Activation {
        breakpoints: vec![0.0],
        slopes: vec![slope, 1.0],
        anchor: 0.0,
    };
    (operator, vec![])
}

/// `units` normalised channels, of which the first `constant` are [`CONSTANT`] and the others the first input and zeros; behind them one
/// neuron of the first two kinds.
fn hidden_behind_a_constant(inputs: usize, units: usize, constant: usize) -> Network {
    let mut first = vec![vec![0.0; inputs]; units];
    first[constant][0] = 1.0;
    // The other inputs' own.
    for (unit, row) in first.iter_mut().enumerate().skip(constant + 1) {
        row[unit % inputs] = 1e-3;
    }
    let each = |own: f64, other: f64| {
        let values: Vec<f64> = (0..units)
            .map(|unit| if unit < constant { own } else { other })
            .collect();
        Tensor::new(values, &Device::Cpu).unwrap()
    };
    let biases: Vec<f64> = (0..units)
        .map(|unit| match unit.cmp(&constant) {
            std::cmp::Ordering::Less => CONSTANT,
            std::cmp::Ordering::Equal => 0.0,
            std::cmp::Ordering::Greater => 3.0,
        })
        .collect();
    let normalise = OperatorSpec::BatchNorm {
        channels: units,
        eps: EPS,
    };
    let normalised = vec![
        ("weight", each(WEIGHT, 1.0)),
        ("bias", each(BIAS, 0.0)),
        ("running_mean", each(MEAN, 0.0)),
        ("running_var", each(VARIANCE, 1.0)),
    ];
    let mut second = vec![0.0; units];
    (second[0], second[constant]) = (1e10, 1.0);
    chain(
        inputs,
        vec![
            linear(&first, &biases),
            (normalise, normalised),
            bend(0.0),
            linear(&[second], &[-OFFSET]),
            bend(0.0),
            linear(&[vec![1.0], vec![-1.0]], &[0.0, 0.0]),
        ],
    )
}

/// The true radius is 1e-9 and a share of 5e-6 of it; on the side on which the constant is computed it would be 2e-6.
#[test]
fn a_constant_on_the_wrong_side_hides_no_boundary() {
    // By exact arithmetic, and by lengths.
    for (inputs, units, constant) in [(1, 2, 1), (1100, 1000, 30)] {
        let network = hidden_behind_a_constant(inputs, units, constant);
        let mut x = vec![0.0; inputs];
        x[0] = 1.0;
        let x = Tensor::from_vec(x, (1, inputs), &Device::Cpu).unwrap();
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        for method in [Method::Auto, Method::All, Method::Bound] {
            let Ok(found) = here.margins(&[Norm::L2], method) else {
                continue;
            };
            let (radius, guarantee) = (found[0].radius[0], found[0].guarantee);
            assert!(
                radius <= 1.001e-9 || guarantee != Guarantee::Proved,
                "{units} units, {method:?}: {radius} is said to be proved"
            );
        }
    }
}

/// Thirty constants whose sides are undecided leave errors to be bounded by lengths. The one other neuron behind them is off by
/// about the last digit of a million, at a value of 3e-3.
#[test]
fn upper_bounds_know_errors_by_lengths() {
    const CONSTANTS: usize = 30;
    const FACTOR: f64 = 1e6;
    const THRESHOLD: f64 = 1e6 + 3e-3;
    let mut first = vec![vec![0.0; 2]; CONSTANTS + 1];
    first[CONSTANTS][0] = 1.0;
    let mut second = vec![vec![0.0; CONSTANTS + 1]; CONSTANTS + 1];
    for (unit, row) in second.iter_mut().enumerate() {
        row[unit] = if unit < CONSTANTS { 1.0 } else { FACTOR };
    }
    let mut last = vec![vec![0.0; CONSTANTS + 1]; 2];
    (last[0][CONSTANTS], last[1][CONSTANTS]) = (1.0, -1.0);
    let biases = |constants: f64, other: f64| [vec![constants; CONSTANTS], vec![other]].concat();
    let all = |value: f64| Tensor::new(vec![value; CONSTANTS + 1], &Device::Cpu).unwrap();
    // Nothing but itself.
    let normalise = OperatorSpec::BatchNorm {
        channels: CONSTANTS + 1,
        eps: 0.0,
    };
    let normalised = vec![
        ("weight", all(1.0)),
        ("bias", all(0.0)),
        ("running_mean", all(0.0)),
        ("running_var", all(1.0)),
    ];
    let network = chain(
        2,
        vec![
            linear(&first, &biases(1.0, 0.0)),
            (normalise, normalised),
            bend(0.0),
            linear(&second, &biases(-1.0, -THRESHOLD)),
            bend(0.0),
            linear(&last, &[0.0; 2]),
        ],
    );
    for step in 0..64 {
        let x = 1.0 + f64::from(step) * 1.37e-11;
        let input = Tensor::new(&[[x, 0.5]], &Device::Cpu).unwrap();
        let here = Linearization::new(&network, &input, Budget::default()).unwrap();
        let of = |method| here.margins(&[Norm::L2], method).unwrap().remove(0);
        assert_eq!(of(Method::All).guarantee, Guarantee::Estimate);
        let margins = of(Method::Bound);
        assert_eq!(margins.guarantee, Guarantee::Proved);
        // Rounded once, and once more.
        let truth = FACTOR.mul_add(x, -THRESHOLD).abs() / FACTOR;
        let (radius, upper) = (margins.radius[0], here.upper_bounds(&margins).unwrap()[0]);
        assert!(radius <= truth * (1.0 + 1e-15), "{radius:e} of {truth:e}");
        assert!(upper >= truth * (1.0 - 1e-15), "{upper:e} of {truth:e}");
        assert!(upper <= truth * (1.0 + 1e-3), "{upper:e} of {truth:e}");
    }
}

fn deployed(network: &Network, domain: Option<Domain>) -> f64 {
    let x = Tensor::zeros((1, 1), DType::F64, &Device::Cpu).unwrap();
    let here = Linearization::new(network, &x, Budget::default()).unwrap();
    let here = match domain {
        Some(domain) => here.within(domain).unwrap(),
        None => here,
    };
    let found = here.deployed_margins(&[Norm::LINF], Method::Auto, DType::F32);
    found.unwrap().margins[0].radius[0]
}

/// 2047 copies of `1000 x + 1` less 2047 times it, and 10: 10 everywhere, in float32 -43 at some x below 1. Whatever lies on the other side of 0 is no
/// input, so that no boundary is near.
#[test]
fn in_a_cut_ball_a_value_may_move_further_than_its_own_size() {
    let copies = 2048;
    let mut sum = vec![1.0; copies];
    sum[copies - 1] = 1.0 - copies as f64;
    let network = chain(
        1,
        vec![
            linear(&vec![vec![1e3]; copies], &vec![1.0; copies]),
            bend(0.0),
            linear(&[sum], &[10.0]),
            bend(0.0),
        ],
    );
    let domain = Domain::uniform(1, 0.0, 2.0).unwrap();
    let radius = deployed(&network, Some(domain));
    assert!(radius < 0.194, "{radius}");
    assert!(deployed(&network, None) < 1.001e-3);
}

/// Of -1e30 the LeakyReLU of slope 1e10 is infinite in float32, and a neuron above it on another side at the input itself.
#[test]
fn a_product_of_an_activation_may_overflow_in_a_type() {
    let network = chain(
        1,
        vec![
            linear(&[vec![1e28], vec![1.0]], &[-1e30, 1.0]),
            bend(1e10),
            linear(&[vec![1e-30, 0.0]], &[2e10]),
            bend(0.0),
        ],
    );
    assert_eq!(deployed(&network, None), 0.0);
}

/// Of -1e-35 the LeakyReLU of slope 0.001 may be 0 in float32, and -0.05 above it 0.05.
#[test]
fn a_product_of_an_activation_may_vanish_in_a_type() {
    let network = chain(
        1,
        vec![
            linear(&[vec![0.0], vec![1.0]], &[-1e-35, 1.0]),
            bend(0.001),
            linear(&[vec![1e37, 0.0], vec![0.0, 1.0]], &[0.05, 0.0]),
            bend(0.001),
        ],
    );
    assert_eq!(deployed(&network, None), 0.0);
}

/// At the end of the domain 3 x is below 1, and in floating point it is 1: what is found there is not the gradient of the region behind it.
#[test]
fn what_is_found_in_a_ball_is_found_on_the_right_side() {
    let input = vec![vec![3.0], vec![-3.0], vec![1.0]];
    let layers = vec![
        linear(&input, &[-1.0, 1.0, -0.3125]),
        bend(0.0),
        linear(&[vec![1.0, -1.0, 0.125]], &[0.0]),
    ];
    let network = chain(1, layers);
    let x = Tensor::new(&[[0.25]], &Device::Cpu).unwrap();
    let here = Linearization::new(&network, &x, Budget::default()).unwrap();
    let domain = Domain::new(vec![0.0], vec![1.0 / 3.0]).unwrap();
    let around = here.within(domain).unwrap();
    let around = around.surroundings(0, Norm::LINF).unwrap();
    let change = Question::Change {
        weights: vec![1.0],
        norm: Norm::L1,
    };
    let bound = around.bound(0.2, &change, Limits::default()).unwrap();
    assert!(bound.found <= 0.125 && 0.125 <= bound.proved, "{bound:?}");
    assert!(bound.found > 0.12, "{bound:?}");
}

/// Outputs whose difference rounding hides: the class is not found to change where it cannot.
#[test]
fn a_class_that_rounding_hides_is_not_found_to_change() {
    let far = vec![vec![1e16], vec![1e16]];
    let network = chain(1, vec![linear(&far, &[1.0, 0.0])]);
    let x = Tensor::new(&[[1.0]], &Device::Cpu).unwrap();
    let here = Linearization::new(&network, &x, Budget::default()).unwrap();
    let around = here.surroundings(0, Norm::LINF).unwrap();
    let question = Question::Class { class: 0 };
    let bound = around.bound(0.01, &question, Limits::default()).unwrap();
    assert!(
        bound.stays() != Some(false) && bound.proved >= -1.0,
        "{bound:?}"
    );
}

/// `relu(x) - relu(-x)` is `x`: no region has both units on, though at 0 both count as positive.
#[test]
fn where_regions_meet_there_is_no_region_of_its_own() {
    let fold = linear(&[vec![1.0], vec![-1.0]], &[0.0, 0.0]);
    let unfold = linear(&[vec![1.0, -1.0]], &[0.0]);
    let network = chain(1, vec![fold, bend(0.0), unfold]);
    let at = |x: &[f64]| {
        let x = Tensor::from_slice(x, (x.len(), 1), &Device::Cpu).unwrap();
        Linearization::new(&network, &x, Budget::default()).unwrap()
    };
    let mut counter = RegionCounter::new(RegionCounter::default_tolerance(DType::F64));
    counter.add(&at(&[0.0, 0.5, -0.5])).unwrap();
    let count = counter.finish();
    assert_eq!((count.lower, count.guarantee), (1, Guarantee::Proved));

    // The gradient is 1 wherever there is one.
    for x in [0.0, 0.5, -0.25] {
        let around = at(&[x]).surroundings(0, Norm::LINF).unwrap();
        let length = Question::Length {
            weights: vec![1.0],
            norm: Norm::L2,
        };
        let bound = around.bound(0.5, &length, Limits::default()).unwrap();
        assert!(
            bound.found <= 1.0 + 1e-12 && bound.proved >= 1.0,
            "{bound:?}"
        );
        let change = Question::Change {
            weights: vec![1.0],
            norm: Norm::L1,
        };
        let bound = around.bound(0.5, &change, Limits::default()).unwrap();
        assert!(x == 0.0 || bound.found <= 1e-12, "{bound:?}");
    }
}

/// `0.75 |x| - 0.25 |x| - 0.5 |x|` below 0 is computed as a number near 0, and limits no direction.
#[test]
fn a_neuron_that_is_0_everywhere_limits_no_direction() {
    let first = linear(&[vec![-1.5], vec![-0.5], vec![-0.5]], &[0.0; 3]);
    let second = linear(&[vec![-0.5, 0.5, 1.0]], &[0.0]);
    let last = linear(&[vec![1.0]], &[0.0]);
    let network = chain(1, vec![first, bend(0.0), second, bend(0.0), last]);
    for x in [-0.8132702392002724, -0.1, -0.7, -3.3] {
        let inputs = Tensor::new(&[[x]], &Device::Cpu).unwrap();
        let here = Linearization::new(&network, &inputs, Budget::default()).unwrap();
        let margin = here.margins(&[Norm::L2], Method::Auto).unwrap()[0].radius[0];
        let directions = Tensor::new(&[[[-1.0], [1.0]]], &Device::Cpu).unwrap();
        let along = here.directional_margins(&directions).unwrap();
        assert_eq!(along.guarantee, Guarantee::Proved);
        assert_eq!(along.step[0], f64::INFINITY, "{x}");
        for radius in [margin, along.step[1]] {
            assert!((radius + x).abs() <= 1e-14 * x.abs(), "{x}: {radius}");
        }
    }
}

/// `relu(x0 + x1 - 1/2) + 3 x0`, whose gradient has an l1 length of 3 on one side of its boundary and of 5 on the other.
#[test]
fn lengths_are_found_beside_a_boundary() {
    let network = chain(
        2,
        vec![
            linear(
                &[vec![1.0, 1.0], vec![1.0, 0.0], vec![-1.0, 0.0]],
                &[-0.5, 0.0, 0.0],
            ),
            bend(0.0),
            linear(&[vec![1.0, 3.0, -3.0]], &[0.0]),
        ],
    );
    let x = Tensor::new(&[[-0.5, 1.0]], &Device::Cpu).unwrap();
    let here = Linearization::new(&network, &x, Budget::default()).unwrap();
    let around = here.surroundings(0, Norm::LINF).unwrap();
    let question = Question::Length {
        weights: vec![1.0],
        norm: Norm::L1,
    };
    let bound = around.bound(0.25, &question, Limits::default()).unwrap();
    assert!(bound.proved >= 5.0 && bound.is_exact(), "{bound:?}");
    let length = around.length_at_centre(&question).unwrap();
    assert!(length == 3.0 || length == 5.0);
    let [twice, half] = [2.0, 0.5].map(|share| {
        let threshold = Threshold::Relative(share);
        around
            .largest(&question, threshold, 0.25, Limits::default())
            .unwrap()
    });
    // Less what rounding may have done to the length.
    assert!(twice.threshold <= 2.0 * length && twice.threshold >= 2.0 * length * (1.0 - 1e-12));
    assert_eq!(twice.proved, 0.25);
    assert!(half.proved == 0.0 && half.refuted <= 0.25);
}

/// A background of zeros, where all boundaries meet: whatever is moved is moved into the domain, and off all of them.
#[test]
fn lengths_are_found_where_all_boundaries_meet() {
    const INPUTS: usize = 3;
    let weight = |at: usize| (at as f64 * 0.618).fract() - 0.45;
    let rows: Vec<Vec<f64>> = (0..8)
        .map(|row| (0..INPUTS).map(|at| weight(INPUTS * row + at)).collect())
        .collect();
    let network = chain(
        INPUTS,
        vec![
            linear(&rows, &[0.0; 8]),
            bend(0.1),
            linear(&[(0..8).map(|at| weight(31 + at)).collect()], &[0.0]),
        ],
    );
    let at = |x: &[f64]| {
        let x = Tensor::from_slice(x, (1, INPUTS), &Device::Cpu).unwrap();
        let domain = Domain::new(vec![0.0; INPUTS], vec![1.0; INPUTS]).unwrap();
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        here.within(domain).unwrap()
    };
    for norm in [Norm::L1, Norm::L2, Norm::LINF] {
        let question = Question::Length {
            weights: vec![1.0],
            norm: norm.dual(),
        };
        let here = at(&[0.0; INPUTS]).surroundings(0, norm).unwrap();
        let bound = here.bound(0.5, &question, Limits::default()).unwrap();
        let own = at(&bound.witness).surroundings(0, norm).unwrap();
        assert_eq!(own.guarantee(), Guarantee::Proved, "{norm}: decided");
        let length = own.length_at_centre(&question).unwrap();
        assert!(
            bound.found > 0.0 && bound.found <= length && length <= bound.proved,
            "{norm}: {} is found, {length} there, {} above all",
            bound.found,
            bound.proved
        );
    }
}

/// One bend: of its two sides that with the longer gradient is found, for an input on the boundary and beside it.
#[test]
fn the_longer_side_is_found() {
    for (first, inputs) in [(vec![-1.0], 1), (vec![1.0], 1), (vec![-1.0, 2.0], 2)] {
        let length: f64 = first.iter().map(|w: &f64| w.abs()).sum();
        let network = chain(
            inputs,
            vec![
                linear(std::slice::from_ref(&first), &[0.0]),
                bend(0.25),
                linear(&[vec![-1.0]], &[2.0]),
            ],
        );
        for at in [0.0, 0.125] {
            let x = Tensor::full(at, (1, inputs), &Device::Cpu).unwrap();
            let here = Linearization::new(&network, &x, Budget::default()).unwrap();
            let around = here.surroundings(0, Norm::LINF).unwrap();
            let question = Question::Length {
                weights: vec![1.0],
                norm: Norm::L1,
            };
            let bound = around.bound(0.3, &question, Limits::default()).unwrap();
            let centre = around.length_at_centre(&question).unwrap();
            assert!((bound.found - length).abs() < 1e-9, "{first:?}: {bound:?}");
            assert!(bound.found >= centre - 1e-9);
        }
    }
}
