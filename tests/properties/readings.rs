//! One definition, several readings: value, push, pull and file agree with each other and with the oracle.

use crate::{Case, assert_near, cases, dot, numbers};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_models::{
    Mlp, Model, Module, NetworkSpec, NodeSpec, Normalization, Parameters, operators::OperatorSpec,
};
use loclin_regions::{Budget, Linearization, Method, Norm};
use loclin_tests::{
    Analysis, F32, F64, bridge, norm,
    strategies::{LARGE, Recipe, recipes},
};
use proptest::prelude::*;
use std::collections::HashMap;

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn values_are_the_oracles(recipe in recipes(LARGE), single: bool) {
        let case = Case::in_dtype(&recipe, 3, if single { DType::F32 } else { DType::F64 });
        prop_assume!(!case.is_doubtful());
        let trace = case.network.trace(&case.x).unwrap();
        // The same operations in the same order: bit for bit.
        prop_assert_eq!(numbers(&case.network.forward(&case.x).unwrap()), numbers(trace.output()));
        let all = |f: fn(&Analysis) -> &Vec<f64>| case.analyses.iter().flat_map(f).copied().collect::<Vec<_>>();
        assert_near(&numbers(trace.output()), &all(|a| &a.output), &all(|a| &a.output_errors), "output");
        let z = trace.pre_activations().unwrap().unwrap();
        assert_near(&numbers(&z), &all(|a| &a.neurons), &all(|a| &a.neuron_errors), "neuron");
        let signs: Vec<bool> = numbers(&trace.signs().unwrap().unwrap()).iter().map(|o| *o > 0.0).collect();
        prop_assert_eq!(signs, case.analyses.iter().flat_map(|a| a.pattern.clone()).collect::<Vec<_>>());
    }

    /// Within the region the network is affine: a finite difference of any length is the derivative.
    #[test]
    fn push_is_a_finite_difference_within_the_region(recipe in recipes(LARGE), shared: bool) {
        let case = Case::new(&recipe, 3);
        prop_assume!(!case.is_doubtful());
        let trace = case.network.trace(&case.x).unwrap();
        let directions = recipe.vectors(2, if shared { 2 } else { 6 }, recipe.inputs);
        let shape = (if shared { 1 } else { 3 }, 2, recipe.inputs);
        let tangents = bridge::batch(&directions, DType::F64).unwrap().reshape(shape).unwrap();
        let mut neurons = Vec::new();
        let pushed = trace.push(&tangents, |_, t| { neurons.push(t.broadcast_as((3, 2, t.dim(2)?))?); Ok(()) }).unwrap();
        let pushed = numbers(&Tensor::cat(&[&Tensor::cat(&neurons, 2).unwrap(), &pushed.broadcast_as((3, 2, recipe.outputs)).unwrap()], 2).unwrap());
        let width = case.fc.neurons() + recipe.outputs;
        for (i, (x, here)) in case.points.iter().zip(&case.analyses).enumerate() {
            for k in 0..2 {
                let d = &directions[if shared { k } else { 2 * i + k }];
                let step = (0.5 * here.directional_margin(d).lo).min(1.0);
                // Shorter steps drown in rounding; boundaries met at the start leave none.
                if step < 1e-6 {
                    continue;
                }
                let moved: Vec<f64> = x.iter().zip(d).map(|(x, d)| x + step * d).collect();
                let there = Analysis::new(&case.fc, &moved, F64);
                let both = |f: fn(&Analysis) -> [&[f64]; 2], a: &Analysis| f(a).concat();
                let (from, to) = (both(|a| [&a.neurons, &a.output], here), both(|a| [&a.neurons, &a.output], &there));
                let (e, f) = (both(|a| [&a.neuron_errors, &a.output_errors], here), both(|a| [&a.neuron_errors, &a.output_errors], &there));
                let difference: Vec<f64> = to.iter().zip(&from).map(|(t, f)| (t - f) / step).collect();
                // The errors of two values, divided by the step.
                let errors: Vec<f64> = e.iter().zip(&f).map(|(e, f)| (e + f) / step).collect();
                assert_near(&pushed[(2 * i + k) * width..][..width], &difference, &errors, "tangent");
            }
        }
    }

    #[test]
    fn pull_is_the_transpose_of_push(recipe in recipes(LARGE)) {
        let case = Case::new(&recipe, 2);
        let trace = case.network.trace(&case.x).unwrap();
        let tangents = recipe.vectors(2, 2 * 3, recipe.inputs);
        let t = bridge::batch(&tangents, DType::F64).unwrap().reshape((2, 3, recipe.inputs)).unwrap();
        let mut pushed = Vec::new();
        let output = trace.push(&t, |node, z| { pushed.push((Some(node), z)); Ok(()) }).unwrap();
        pushed.push((None, output));
        for (stream, (node, pushed)) in pushed.into_iter().enumerate() {
            let width = pushed.dim(2).unwrap();
            let cotangents = recipe.vectors(3 + stream as u64, 2 * 3, width);
            let c = bridge::batch(&cotangents, DType::F64).unwrap().reshape((2, 3, width)).unwrap();
            let pulled = match node {
                Some(node) => trace.pull_neurons(node, &c),
                None => trace.pull(&c),
            };
            let (pulled, pushed) = (numbers(&pulled.unwrap().broadcast_as((2, 3, recipe.inputs)).unwrap()), numbers(&pushed));
            let bound = case.fc.absolute();
            let all_on = vec![true; case.fc.neurons()];
            let gradients = [bound.neuron_gradients(&all_on), bound.output_gradients(&all_on)].concat();
            let largest = gradients.iter().map(|g| norm(g, 1.0)).fold(0.0, f64::max);
            for row in 0..6 {
                let forward = dot(&pushed[row * width..][..width], &cotangents[row]);
                let back = dot(&pulled[row * recipe.inputs..][..recipe.inputs], &tangents[row]);
                // Both are one sum over all paths, in two orders: rounding of a few hundred terms of this size.
                let scale = largest * norm(&cotangents[row], 1.0) * norm(&tangents[row], f64::INFINITY);
                prop_assert!((forward - back).abs() <= 1e-13 * scale, "{node:?}: {forward} {back}");
            }
        }
    }

    /// The published way: values of the fixed-pattern affine network.
    #[test]
    fn the_frozen_network_is_the_network_where_it_was_frozen(recipe in recipes(LARGE)) {
        let case = Case::new(&recipe, 3);
        let trace = case.network.trace(&case.x).unwrap();
        let mut z = Vec::new();
        let own = case.x.unsqueeze(1).unwrap();
        let output = trace.fixed_pattern(&own, |_, value| { z.push(value.squeeze(1)?); Ok(()) }).unwrap();
        // Products with slopes in place of activations: the same roundings but for those of the slopes.
        let errors: Vec<f64> = case.analyses.iter().flat_map(|a| a.neuron_errors.clone()).collect();
        let values = numbers(&trace.pre_activations().unwrap().unwrap());
        assert_near(&numbers(&Tensor::cat(&z, 1).unwrap()), &values, &errors, "fixed_pattern neuron");
        let errors: Vec<f64> = case.analyses.iter().flat_map(|a| a.output_errors.clone()).collect();
        assert_near(&numbers(&output), &numbers(trace.output()), &errors, "fixed_pattern output");
    }

    #[test]
    fn a_file_gives_the_network_back(recipe in recipes(LARGE), single: bool) {
        let dtype = if single { DType::F32 } else { DType::F64 };
        let case = Case::in_dtype(&recipe, 3, dtype);
        let normalization = Some(Normalization { mean: vec![0.25], std: vec![0.5] });
        let model = Model { network: case.network.clone(), normalization };
        let bytes = model.to_bytes().unwrap();
        let read = Model::from_bytes(&bytes, dtype, &Device::Cpu).unwrap();
        prop_assert_eq!(&read.normalization, &model.normalization);
        prop_assert_eq!(read.network.spec().unwrap(), case.network.spec().unwrap());
        prop_assert_eq!(&read.to_bytes().unwrap(), &bytes);
        for ((name, tensor), (read_name, read)) in case.network.parameters().iter().zip(read.network.parameters()) {
            prop_assert_eq!((name, numbers(tensor)), (&read_name, numbers(&read)));
        }
        prop_assert_eq!(numbers(&read.network.forward(&case.x).unwrap()), numbers(&case.network.forward(&case.x).unwrap()));
    }

    /// Normalisation in front of a network. Powers of two make it exact: the network sees the same bits.
    #[test]
    fn margins_of_a_standardized_network_are_raw(recipe in recipes(LARGE), mean in -8..8i32, log_std in -3..3i32, p in 1.0..8.0) {
        let case = Case::new(&recipe, 3);
        let (mean, std) = (f64::from(mean) / 8.0, f64::from(log_std).exp2());
        let raw = case.network.standardized(&[mean], &[std]).unwrap();
        let raw_x = ((&case.x * std).unwrap() + mean).unwrap();
        prop_assert_eq!(numbers(&raw.forward(&raw_x).unwrap()), numbers(&case.network.forward(&case.x).unwrap()));
        let norms = [Norm::L1, Norm::L2, Norm::LINF, Norm::new(p).unwrap()];
        let raw = Linearization::new(&raw, &raw_x, Budget::default()).unwrap();
        let own = case.linearization();
        // What one leaves undecided the other may decide exactly.
        let is_sure = |here: &Linearization, at: usize| here.undecided()[at] == 0 && !here.on_boundary()[at];
        let sure: Vec<usize> = (0..3).filter(|at| is_sure(&raw, *at) && is_sure(&own, *at)).collect();
        let [raw, own] = [raw, own].map(|here| here.margins(&norms, Method::Auto).unwrap());
        for (raw, own) in raw.iter().zip(&own) {
            for at in &sure {
                let (raw, own) = (raw.radius[*at], own.radius[*at]);
                // Equal but for the bounds of rounding, which see other numbers: 1e-14 of values of size 10, at radii down to 1e-6.
                prop_assert!(raw == std * own || (raw / (std * own) - 1.0).abs() < 1e-6, "{} {}", raw, own);
            }
        }
    }

    /// One mean and deviation for each channel, the first dimension of an input.
    #[test]
    fn a_standardized_network_normalizes_each_channel(
        recipe in recipes(LARGE), pairs in prop::collection::vec((-1.0..1.0, 0.1..3.0), 1..4), height in 1usize..3,
    ) {
        let recipe = Recipe { inputs: pairs.len() * height, ..recipe };
        let fc = recipe.network();
        let (mean, std): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let config = Mlp { inputs: vec![pairs.len(), height], ..bridge::config(&fc) };
        let weights = bridge::network(&fc, DType::F64).unwrap().parameters().into_iter().collect::<HashMap<_, _>>();
        let network = config.build(VarBuilder::from_tensors(weights, DType::F64, &Device::Cpu)).unwrap();
        let points = recipe.points(2);
        let x = bridge::batch(&points, DType::F64).unwrap().reshape((2, pairs.len(), height)).unwrap();
        let output = numbers(&network.standardized(&mean, &std).unwrap().forward(&x).unwrap());
        for (x, output) in points.iter().zip(output.chunks(recipe.outputs)) {
            let normalized: Vec<f64> = x.iter().enumerate().map(|(i, x)| (x - mean[i / height]) / std[i / height]).collect();
            // A difference of two numbers is rounded at the size of their sum.
            let larger: Vec<f64> = x.iter().enumerate().map(|(i, x)| (x.abs() + mean[i / height].abs()) / std[i / height]).collect();
            assert_near(output, &fc.forward(&normalized).output, &Analysis::new(&fc, &larger, F64).output_errors, "output");
        }
    }
}

proptest! {
    #![proptest_config(cases(48))]

    /// The networks of one seed are one network, rounded.
    #[test]
    fn single_and_double_precision_agree(recipe in recipes(LARGE), seed: u64) {
        let config = Mlp { inputs: vec![recipe.inputs], hidden: recipe.hidden.clone(), outputs: recipe.outputs, negative_slope: recipe.negative_slope };
        let build = |dtype| config.build(Parameters::seeded(seed).builder(dtype, &Device::Cpu)).unwrap();
        let (narrow, wide) = (build(DType::F32), build(DType::F64));
        for ((name, a), (_, b)) in narrow.parameters().iter().zip(wide.parameters()) {
            prop_assert_eq!(numbers(a), numbers(&b.to_dtype(DType::F32).unwrap()), "{}", name);
            // PyTorch's default: uniform in +-1/sqrt(fan_in), so at most 1.
            prop_assert!(numbers(&b).iter().all(|w| w.abs() <= 1.0));
        }
        let points = recipe.points(3);
        let value = |network: &loclin_models::Network, dtype| numbers(&network.forward(&bridge::batch(&points, dtype).unwrap()).unwrap());
        let (a, b) = (value(&narrow, DType::F32), value(&wide, DType::F64));
        let here = oracle_of(&wide, recipe.negative_slope);
        let errors: Vec<f64> = points.iter().flat_map(|x| Analysis::new(&here, x, F32).output_errors).collect();
        assert_near(&a, &b, &errors, "output");
        // A change of dtype is the same rounding.
        prop_assert_eq!(value(&wide.to(DType::F32, &Device::Cpu).unwrap(), DType::F32), a);
    }

    /// Any continuous piecewise-linear function: absolute value, clips, hard tanh, ...
    #[test]
    fn any_activation_reads_right(
        start in -2.0..0.0, gaps in prop::collection::vec(0.1..1.0, 0..3), slopes in prop::collection::vec(-1.0..1.0, 4),
        anchor in -1.0..1.0, recipe in recipes(LARGE),
    ) {
        let mut breakpoints = vec![start];
        breakpoints.extend(gaps.iter().scan(start, |at, gap| { *at += gap; Some(*at) }));
        let slopes = &slopes[..breakpoints.len() + 1];
        let plain = |z: f64| {
            let mut value = anchor + slopes[0] * (z.min(start) - start);
            for (i, t) in breakpoints.iter().enumerate() {
                let end = breakpoints.get(i + 1).copied().unwrap_or(f64::INFINITY);
                value += slopes[i + 1] * (z.clamp(*t, end) - t);
            }
            value
        };
        let fc = recipe.network();
        let layer = &fc.layers[0];
        let width = layer.bias.len();
        let node = |name: &str, operator, operand: &str| NodeSpec { name: name.into(), operator, operands: vec![operand.into()] };
        let spec = NetworkSpec { input_shape: vec![recipe.inputs], nodes: vec![
            node("linear", OperatorSpec::Linear { inputs: recipe.inputs, outputs: width, bias: true }, "input"),
            node("phi", OperatorSpec::Activation { breakpoints: breakpoints.clone(), slopes: slopes.to_vec(), anchor }, "linear"),
        ] };
        let weights = HashMap::from([
            ("linear.weight".to_string(), bridge::batch(&layer.weight, DType::F64).unwrap()),
            ("linear.bias".to_string(), Tensor::new(&layer.bias[..], &Device::Cpu).unwrap()),
        ]);
        let network = spec.build(VarBuilder::from_tensors(weights, DType::F64, &Device::Cpu)).unwrap();
        let points = recipe.points(3);
        let x = bridge::batch(&points, DType::F64).unwrap();
        let z: Vec<Vec<f64>> = points.iter().map(|x| (0..width).map(|j| dot(&layer.weight[j], x) + layer.bias[j]).collect()).collect();
        let values: Vec<f64> = z.iter().flatten().map(|z| plain(*z)).collect();
        // |z| below 60 and slopes of at most 1: rounding of a dozen terms of that size.
        assert_near(&numbers(&network.forward(&x).unwrap()), &values, &vec![1e-12; values.len()], "activation");

        let margins = Linearization::new(&network, &x, Budget::default()).unwrap().margins(&[Norm::L2], Method::Auto).unwrap();
        for (z, radius) in z.iter().zip(&margins[0].radius) {
            let to_neuron = |j: usize| {
                let nearest = breakpoints.iter().map(|t| (z[j] - t).abs()).fold(f64::INFINITY, f64::min);
                let length = norm(&layer.weight[j], 2.0);
                if length > 0.0 { nearest / length } else { f64::INFINITY }
            };
            let expected = (0..width).map(to_neuron).fold(f64::INFINITY, f64::min);
            prop_assert!(*radius == expected || (radius - expected).abs() <= 1e-12 * (1.0 + expected) / smallest(&layer.weight), "{radius} {expected}");
        }
    }
}

/// The length of the shortest non-zero row, at most 1: what an error of a value is divided by in a margin.
fn smallest(rows: &[Vec<f64>]) -> f64 {
    rows.iter()
        .map(|row| norm(row, 2.0))
        .filter(|length| *length > 0.0)
        .fold(1.0, f64::min)
}

/// The oracle's network of the library's parameters.
fn oracle_of(network: &loclin_models::Network, negative_slope: f64) -> loclin_tests::Fc {
    let parameters = network.parameters();
    let layers = parameters.chunks(2).map(|pair| loclin_tests::Layer {
        weight: pair[0].1.to_vec2().unwrap(),
        bias: pair[1].1.to_vec1().unwrap(),
    });
    loclin_tests::Fc {
        layers: layers.collect(),
        negative_slope,
    }
}
