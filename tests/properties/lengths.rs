//! Deep networks whose gradients neither grow nor vanish, of which absolute values of rounding errors say nothing and lengths nearly all: held
//! against exact arithmetic.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_models::operators::OperatorSpec;
use loclin_models::{Network, NetworkSpec, NodeSpec};
use loclin_regions::exact::Exact;
use loclin_regions::{Budget, Guarantee, Linearization, Method, Norm, RegionCounter};
use loclin_tensor::random;
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;

/// Numbers of a layer.
const WIDTH: usize = 6;

/// Numbers from -1 to 1.
fn draw(rng: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
    let drawn = random::uniform(rng, count, DType::F64, &Device::Cpu).unwrap();
    drawn.affine(2.0, -1.0).unwrap().to_vec1().unwrap()
}

/// Reflections, each with a bias and a leaky unit, and the input added at the end: no chain, and lengths hardly change.
fn deep(layers: usize, slope: f64, seed: u64) -> Network {
    let rng = &mut random::stream(seed, &[]);
    let (mut nodes, mut parameters) = (Vec::new(), HashMap::new());
    let mut below = "input".to_owned();
    let mut push = |name: String, operator: OperatorSpec, operands: Vec<String>| {
        nodes.push(NodeSpec {
            name: name.clone(),
            operator,
            operands,
        });
        name
    };
    for layer in 0..layers {
        let v = draw(rng, WIDTH);
        let square: f64 = v.iter().map(|v| v * v).sum();
        let entry = |at: usize| {
            let (i, j) = (at / WIDTH, at % WIDTH);
            f64::from(i == j) - 2.0 * v[i] * v[j] / square
        };
        let weight: Vec<f64> = (0..WIDTH * WIDTH).map(entry).collect();
        let weight = Tensor::from_vec(weight, (WIDTH, WIDTH), &Device::Cpu).unwrap();
        let bias = Tensor::new(draw(rng, WIDTH), &Device::Cpu).unwrap();
        parameters.insert(format!("linear{layer}.weight"), weight);
        parameters.insert(format!("linear{layer}.bias"), bias);
        let linear = OperatorSpec::Linear {
            inputs: WIDTH,
            outputs: WIDTH,
            bias: true,
        };
        let linear = push(format!("linear{layer}"), linear, vec![below]);
        let leaky = OperatorSpec::Activation {
            breakpoints: vec![0.0],
            slopes: vec![slope, 1.0],
            anchor: 0.0,
        };
        below = push(format!("leaky{layer}"), leaky, vec![linear]);
    }
    push("sum".into(), OperatorSpec::Add, vec![below, "input".into()]);
    let spec = NetworkSpec {
        input_shape: vec![WIDTH],
        nodes,
    };
    let vars = VarBuilder::from_tensors(parameters, DType::F64, &Device::Cpu);
    spec.build(vars).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_lengths_say_holds_the_truth(layers in 50usize..90, slope in 0.85..1.0f64, seed in any::<u64>()) {
        let network = deep(layers, slope, seed);
        let x = draw(&mut random::stream(seed, &[1]), WIDTH);
        let input = Tensor::from_vec(x.clone(), (1, WIDTH), &Device::Cpu).unwrap();
        let here = Linearization::new(&network, &input, Budget::default()).unwrap();
        let magnitudes = network.magnitudes().unwrap().unwrap();
        let (_, errors) = magnitudes.trace(&input).unwrap().unwrap();
        let absolute: Vec<f64> = errors.pre_activations.unwrap().squeeze(0).unwrap().to_vec1().unwrap();
        let values = &here.pre_activations()[0];
        let undecided = values.iter().zip(&absolute).filter(|(z, error)| z.abs() <= **error).count();
        prop_assume!(undecided > values.len() / 3 && here.undecided() == [0]);

        let margins = here.margins(&[Norm::L2], Method::Auto).unwrap().remove(0);
        let axes = here.axis_margins().unwrap();
        prop_assert_eq!((margins.guarantee, axes.guarantee), (Guarantee::Proved, Guarantee::Proved));
        let upper = here.upper_bounds(&margins).unwrap()[0];
        let least = axes.step.iter().copied().fold(f64::INFINITY, f64::min);
        prop_assert!(margins.radius[0] > 0.0 && margins.radius[0] <= least);

        let exact = Exact::new(&network, u64::MAX).unwrap();
        let point = exact.at(&x).unwrap();
        let truth = &point.radii(&[Norm::L2], u64::MAX).unwrap()[0];
        prop_assert!(margins.radius[0] <= truth.upper && truth.lower <= upper);
        prop_assert!(upper <= margins.radius[0] * (1.0 + 1e-6));
        let polyhedron = here.polyhedron(0).unwrap();
        for (at, z) in values.iter().enumerate() {
            let (normal, error) = (&polyhedron.normals[at], polyhedron.errors[at]);
            let sign = if *z >= 0.0 { 1.0 } else { -1.0 };
            let gradient = point.gradient(at);
            let off: f64 = gradient.iter().zip(normal).map(|(g, n)| (sign * n - g.lower()).abs()).sum();
            prop_assert!(off <= error.normal, "{} of {}", off, error.normal);
            prop_assert!(error.normal < 1e-9 && error.offset < 1e-9);
            let along: f64 = gradient.iter().zip(&x).map(|(g, x)| g.lower() * x).sum();
            let offset = sign * (point.pre_activation(at).lower() - along);
            prop_assert!((offset - polyhedron.offsets[at]).abs() <= error.offset + 1e-14);
        }
    }
}

#[test]
fn regions_of_deep_networks_are_counted_for_certain() {
    let network = deep(70, 0.9, 1);
    let x = draw(&mut random::stream(2, &[]), 3 * WIDTH);
    let x = Tensor::from_vec(x, (3, WIDTH), &Device::Cpu).unwrap();
    let here = Linearization::new(&network, &x, Budget::default()).unwrap();
    let mut counter = RegionCounter::new(RegionCounter::default_tolerance(DType::F64));
    counter.add(&here).unwrap();
    let count = counter.finish();
    assert_eq!(
        (count.lower, count.upper, count.guarantee),
        (3, 3, Guarantee::Proved)
    );
}

/// Operators one behind the other, with their parameters: no chain where a shift stands between.
fn sequence(inputs: usize, parts: Vec<(OperatorSpec, Vec<(&str, Tensor)>)>) -> Network {
    let (mut nodes, mut parameters) = (Vec::new(), HashMap::new());
    let mut below = "input".to_owned();
    for (at, (operator, tensors)) in parts.into_iter().enumerate() {
        let name = format!("node{at}");
        for (own, tensor) in tensors {
            parameters.insert(format!("{name}.{own}"), tensor);
        }
        nodes.push(NodeSpec {
            name: name.clone(),
            operator,
            operands: vec![below],
        });
        below = name;
    }
    let spec = NetworkSpec {
        input_shape: vec![inputs],
        nodes,
    };
    let vars = VarBuilder::from_tensors(parameters, DType::F64, &Device::Cpu);
    spec.build(vars).unwrap()
}

fn linear(weight: Vec<f64>, bias: Vec<f64>) -> (OperatorSpec, Vec<(&'static str, Tensor)>) {
    let outputs = bias.len();
    let inputs = weight.len() / outputs;
    let spec = OperatorSpec::Linear {
        inputs,
        outputs,
        bias: true,
    };
    let weight = Tensor::from_vec(weight, (outputs, inputs), &Device::Cpu).unwrap();
    (
        spec,
        vec![
            ("weight", weight),
            ("bias", Tensor::new(bias, &Device::Cpu).unwrap()),
        ],
    )
}

fn shift(by: f64) -> (OperatorSpec, Vec<(&'static str, Tensor)>) {
    let spec = OperatorSpec::Translate { shape: vec![1] };
    (
        spec,
        vec![("shift", Tensor::new(&[by], &Device::Cpu).unwrap())],
    )
}

fn clip(low: f64, high: f64) -> (OperatorSpec, Vec<(&'static str, Tensor)>) {
    let spec = OperatorSpec::Activation {
        breakpoints: vec![low, high],
        slopes: vec![0.0, 1.0, 0.0],
        anchor: low,
    };
    (spec, Vec::new())
}

/// A gradient whose square vanishes, of a neuron of which lengths know more than absolute values: the error is no share of the
/// gradient then. Its boundary is at 0, 0.3 away.
#[test]
fn gradients_too_short_to_be_squared_are_not_taken_for_shorter_ones() {
    for hidden in [1, 2, 10, 30] {
        let network = sequence(
            1,
            vec![
                linear(vec![-1e-151], vec![0.0]),
                shift(1.0),
                clip(0.0, 1.0),
                linear(vec![1.0; hidden], vec![0.5; hidden]),
                (OperatorSpec::relu(), Vec::new()),
            ],
        );
        let x = Tensor::new(&[[0.3]], &Device::Cpu).unwrap();
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        for method in [Method::Auto, Method::All] {
            for margins in here
                .margins(&[Norm::L1, Norm::L2, Norm::LINF], method)
                .unwrap()
            {
                let radius = margins.radius[0];
                assert!(radius <= 0.3, "{hidden} units, {}: {radius}", margins.norm);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Rounding that leaves every neuron undecided, of which exact arithmetic knows the sides: what is said of the gradient beside a
    /// proved radius is that of the input's own region, and no half-space has a smaller error than it has.
    #[test]
    fn what_rounding_leaves_undecided_is_that_of_the_inputs_region(units in 2usize..40, power in 12i32..17, seed in any::<u64>()) {
        let rng = &mut random::stream(seed, &[]);
        let far = 10f64.powi(power);
        let (first, last) = (draw(rng, 2 * units), draw(rng, units));
        let network = sequence(
            2,
            vec![
                linear(first.clone(), draw(rng, units)),
                shift(far),
                shift(-far),
                (OperatorSpec::relu(), Vec::new()),
                linear(last.clone(), vec![0.0]),
            ],
        );
        let x = draw(rng, 2);
        let input = Tensor::from_vec(x.clone(), (1, 2), &Device::Cpu).unwrap();
        let here = Linearization::new(&network, &input, Budget::default()).unwrap();
        let margins = here.margins(&[Norm::L2], Method::Auto).unwrap().remove(0);
        let exact = Exact::new(&network, u64::MAX).unwrap();
        let point = exact.at(&x).unwrap();
        let truth = &point.radii(&[Norm::L2], u64::MAX).unwrap()[0];
        prop_assert!(margins.radius[0] <= truth.upper);
        if margins.guarantee == Guarantee::Proved && margins.radius[0] > 0.0 {
            let gradient = here.output_gradients(&[0]).unwrap();
            let gradient: Vec<f64> = gradient.flatten_all().unwrap().to_vec1().unwrap();
            let is_on = |unit: &usize| point.pre_activation(*unit).lower() >= 0.0;
            for (axis, found) in gradient.iter().enumerate() {
                let each = (0..units).filter(is_on).map(|unit| last[unit] * first[2 * unit + axis]);
                prop_assert!((each.sum::<f64>() - found).abs() < 1e-9, "{:?}", gradient);
            }
        }
        let polyhedron = here.polyhedron(0).unwrap();
        for at in 0..point.neurons() {
            let sign = if here.pre_activations()[0][at] >= 0.0 { 1.0 } else { -1.0 };
            let along: f64 = point.gradient(at).iter().zip(&x).map(|(g, x)| g.lower() * x).sum();
            let offset = sign * (point.pre_activation(at).lower() - along);
            prop_assert!((offset - polyhedron.offsets[at]).abs() <= polyhedron.errors[at].offset + 1e-14);
        }
    }
}
