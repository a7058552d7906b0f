//! The named networks: their parameters, their shapes, and recurrence against its definition.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test itself does"
)]

#[path = "support/numbers.rs"]
mod numbers;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_models::{
    INPUT, Module, Network, Parameters, Trace,
    architectures::{GraphSpec, ResNetConfig, ResNetFamily, ScoRnn, ScoRnnConfig},
    operators::{Conv2dConfig, OperatorSpec, Window2d},
};
use numbers::{entries, normal};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn largest(tensor: &Tensor) -> f64 {
    entries(tensor).iter().fold(0.0, |m, v| m.max(v.abs()))
}

fn zeros(config: &ResNetConfig) -> BTreeMap<String, Vec<usize>> {
    let network = config
        .build(VarBuilder::zeros(DType::F32, &Device::Cpu))
        .unwrap();
    network
        .parameters()
        .into_iter()
        .map(|(name, t)| (name, t.dims().to_vec()))
        .collect()
}

fn trained(parameters: &BTreeMap<String, Vec<usize>>) -> usize {
    let running = |name: &str| name.contains("running_");
    parameters
        .iter()
        .filter(|(name, _)| !running(name))
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum()
}

/// Names, shapes and number of parameters are those of torchvision's `resnet18`, and of the usual CIFAR ResNet-20.
#[test]
fn residual_networks_have_the_published_parameters() {
    let imagenet = zeros(&ResNetConfig::resnet18(1000));
    assert_eq!(trained(&imagenet), 11_689_512);
    assert_eq!(imagenet.len(), 102);
    assert_eq!(imagenet["conv1.weight"], [64, 3, 7, 7]);
    assert_eq!(imagenet["layer2.0.downsample.0.weight"], [128, 64, 1, 1]);
    assert_eq!(imagenet["layer2.0.downsample.1.running_var"], [128]);
    assert_eq!(imagenet["layer4.1.bn2.bias"], [512]);
    assert_eq!(imagenet["fc.weight"], [1000, 512]);

    let cifar = zeros(&ResNetConfig::resnet20(10));
    assert_eq!(trained(&cifar), 269_722);
    assert_eq!(cifar["layer3.0.conv1.weight"], [64, 32, 3, 3]);
    assert_eq!(cifar["linear.weight"], [10, 64]);
}

/// The paper's images come down to 10 x 10 in front of the last pooling.
#[test]
fn the_papers_resnet_takes_its_images() {
    let network = ResNetConfig::resnet18_paper(257)
        .build(VarBuilder::zeros(DType::F32, &Device::Cpu))
        .unwrap();
    let shape = |name: &str| {
        network
            .nodes()
            .iter()
            .find(|node| node.name == name)
            .unwrap()
            .shape
            .clone()
    };
    assert_eq!(network.input_shape(), [3, 299, 299]);
    assert_eq!(shape("relu"), [64, 150, 150]);
    assert_eq!(shape("pool"), [64, 75, 75]);
    assert_eq!(shape("layer4.1.relu2"), [512, 10, 10]);
    assert_eq!(shape("flatten"), [512]);
}

fn normalized(network: &Network, name: &str, x: &Tensor) -> Tensor {
    // The network up to a node, flattened, with its parameters.
    let spec = network.spec().unwrap();
    let mut graph = GraphSpec::new(&spec.input_shape);
    for node in &spec.nodes {
        let operands: Vec<&str> = node.operands.iter().map(String::as_str).collect();
        graph.add(&node.name, node.operator.clone(), &operands);
        if node.name == name {
            break;
        }
    }
    let channels = network
        .nodes()
        .iter()
        .find(|node| node.name == name)
        .unwrap()
        .shape[0];
    let last = graph.last();
    graph.add("out", OperatorSpec::Flatten, &[&last]);
    let tensors = network.parameters().into_iter().collect();
    let part = graph
        .finish()
        .build(VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu))
        .unwrap();
    let value = part.forward(x).unwrap();
    let batch = value.dim(0).unwrap();
    value
        .reshape((batch, channels, ()))
        .unwrap()
        .transpose(0, 1)
        .unwrap()
        .flatten_from(1)
        .unwrap()
}

#[test]
fn batch_statistics_normalise_every_layer_on_their_batch() {
    for family in [ResNetFamily::ImageNet, ResNetFamily::Cifar] {
        let config = ResNetConfig {
            inputs: [3, 17, 18],
            family,
            width: 4,
            blocks: vec![1, 1],
            classes: 3,
            pooling: None,
        };
        let network = config
            .build(Parameters::seeded(5).builder(DType::F64, &Device::Cpu))
            .unwrap();
        let x = normal(1, &[6, 3, 17, 18]);
        let set = network.with_batch_statistics(&x).unwrap();
        assert_eq!(set.spec().unwrap(), network.spec().unwrap());
        for node in ["bn1", "layer1.0.bn2", "layer2.0.bn1", "layer2.0.bn2"] {
            let channels = normalized(&set, node, &x);
            let mean = channels.mean(1).unwrap();
            let variance = channels.sqr().unwrap().mean(1).unwrap();
            assert!(largest(&mean) < 1e-10, "{node}: {mean}");
            // The eps of 1e-5 in the denominator keeps it below 1, the more the smaller the activations.
            assert!(
                entries(&variance)
                    .iter()
                    .all(|v| (0.9..1.0 + 1e-10).contains(v)),
                "{node}: {variance}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_unrolled_network_is_the_recurrence(
        inputs in 1usize..4, hidden in 1usize..7, outputs in 1usize..4, length in 1usize..6, seed in any::<u64>(), share in 0.0..1.0,
    ) {
        let negative = (share * (hidden + 1) as f64) as usize;
        let config = ScoRnnConfig { inputs, hidden, negative, outputs, negative_slope: 0.2 };
        let (rnn, parameters) = ScoRnn::seeded(config, seed, DType::F64, &Device::Cpu).unwrap();
        let named: BTreeMap<_, _> = parameters.named().into_iter().collect();
        // Any skew-symmetric matrix, also where the entries at and above the diagonal are not 0.
        named["recurrent.skew"].set(&normal(seed, &[hidden, hidden])).unwrap();

        let weight = rnn.recurrent_weight().unwrap();
        let gram = weight.matmul(&weight.t().unwrap()).unwrap();
        let identity = Tensor::eye(hidden, DType::F64, &Device::Cpu).unwrap();
        prop_assert!(largest(&(gram - identity).unwrap()) < 1e-10);

        let x = normal(seed ^ 1, &[2, length, inputs]);
        let mut state = Tensor::zeros((2, hidden), DType::F64, &Device::Cpu).unwrap();
        for t in 0..length {
            let fed = x.narrow(1, t, 1).unwrap().squeeze(1).unwrap().matmul(&named["encoder.weight"].t().unwrap()).unwrap();
            let z = fed.broadcast_add(&named["encoder.bias"]).unwrap() + state.matmul(&weight.t().unwrap()).unwrap();
            let z = z.unwrap();
            state = z.maximum(&(&z * 0.2).unwrap()).unwrap();
        }
        let output = state.matmul(&named["output.weight"].t().unwrap()).unwrap().broadcast_add(&named["output.bias"]).unwrap();
        let network = rnn.rnn().unwrap().network(length).unwrap();
        let trace = network.trace(&x).unwrap();
        prop_assert!(largest(&(trace.output() - output).unwrap()) < 1e-10);
        // A neuron is a hidden unit at a time step.
        let pre_activations = trace.pre_activations().unwrap().unwrap();
        prop_assert_eq!(pre_activations.dims(), &[2, length * hidden]);
        let names: Vec<String> = network.parameters().into_iter().map(|(name, _)| name).collect();
        prop_assert_eq!(names.len(), if length > 1 { 5 } else { 4 });

        // The gradient reaches the skew-symmetric parameter, through value and tangents alike.
        let tangent = normal(seed ^ 2, &[1, 1, length, inputs]);
        let scalar = || {
            let trace = rnn.rnn().unwrap().network(length).unwrap().trace(&x).unwrap();
            let pushed = trace.push(&tangent, |_, _| Ok(())).unwrap().sqr().unwrap().sum_all().unwrap();
            (pushed + trace.output().sum_all().unwrap()).unwrap()
        };
        let skew = &named["recurrent.skew"];
        let gradient = scalar().backward().unwrap().get(skew).map_or(vec![0.0; hidden * hidden], entries);
        let here = entries(skew);
        for i in 0..here.len().min(6) {
            let at = |step: f64| {
                let mut moved = here.clone();
                moved[i] += step;
                skew.set(&Tensor::from_vec(moved, (hidden, hidden), &Device::Cpu).unwrap()).unwrap();
                scalar().to_scalar::<f64>().unwrap()
            };
            let difference = (at(1e-6) - at(-1e-6)) / 2e-6;
            at(0.0);
            // Third derivatives times 1e-12, and roundings of 1e-16 over 1e-6; a kink within 1e-6 is improbable.
            prop_assert!((gradient[i] - difference).abs() < 1e-5 * (1.0 + difference.abs()), "{} and {}", gradient[i], difference);
        }
    }
}

/// Blocks of the initial recurrent matrix are rotations by angles in [0, pi/2], up to the signs of `D`.
#[test]
fn the_initial_recurrent_matrix_is_rotations() {
    let config = ScoRnnConfig {
        inputs: 1,
        hidden: 9,
        negative: 4,
        outputs: 1,
        negative_slope: 0.1,
    };
    let (rnn, _) = ScoRnn::seeded(config, 3, DType::F64, &Device::Cpu).unwrap();
    let weight = rnn.recurrent_weight().unwrap().to_vec2::<f64>().unwrap();
    let mut cosines = Vec::new();
    for (i, row) in weight.iter().enumerate() {
        for (j, value) in row.iter().enumerate() {
            let sign = if j < 4 { -1.0 } else { 1.0 };
            if i == j {
                assert!((0.0..=1.0 + 1e-12).contains(&(sign * value)));
                cosines.push(sign * value);
            } else if i / 2 != j / 2 {
                assert!(value.abs() < 1e-12);
            }
        }
    }
    assert!(
        (cosines[8] - 1.0).abs() < 1e-12,
        "an odd unit stays by itself"
    );
    assert!(
        cosines
            .windows(2)
            .step_by(2)
            .all(|c| (c[0] - c[1]).abs() < 1e-12 && c[0] < 1.0)
    );
}

/// What a convolution needs for a moment counts in the size of a tangent.
#[test]
fn tangents_of_wide_windows_are_budgeted() {
    let size = |operator: OperatorSpec| {
        let mut graph = GraphSpec::new(&[1, 16, 16]);
        graph.add("window", operator, &[INPUT]);
        graph.add("out", OperatorSpec::Flatten, &["window"]);
        let network = graph
            .finish()
            .build(Parameters::seeded(0).builder(DType::F32, &Device::Cpu))
            .unwrap();
        network.tangent_size()
    };
    let window = || Window2d::square(3, 1, 1);
    let config = Conv2dConfig {
        inputs: 1,
        outputs: 1,
        window: window(),
        groups: 1,
        bias: false,
    };
    // Input, output, the padded input and Candle's copy of it; nine entries for each of 256 windows.
    assert!(size(OperatorSpec::Conv2d(config)) >= 4 * 256);
    assert!(size(OperatorSpec::MaxPool2d { window: window() }) >= 9 * 256);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Sequences of several lengths, in any order, traced together have the values, neurons, sides, tangents and gradients that they
    /// have alone.
    #[test]
    fn sequences_of_all_lengths_are_traced_together(
        lengths in prop::collection::vec((1usize..7, 1usize..4), 1..5), hidden in 1usize..7, seed: u64,
    ) {
        let config = ScoRnnConfig { inputs: 3, hidden, negative: hidden / 2, outputs: 2, negative_slope: 0.2 };
        let (learner, parameters) = ScoRnn::seeded(config, seed, DType::F64, &Device::Cpu).unwrap();
        let rnn = learner.rnn().unwrap();
        let inputs = lengths.iter().zip(1..);
        let inputs: Vec<Tensor> = inputs.map(|((length, batch), at)| normal(seed ^ at, &[*batch, *length, 3])).collect();
        let together = rnn.traces(&inputs).unwrap();
        let alone: Vec<_> = inputs.iter().map(|x| rnn.network_for(&x.dims()[1..]).unwrap().trace(x).unwrap()).collect();
        prop_assert_eq!(together.len(), inputs.len());
        let sum = |traces: &[Trace]| {
            let mut sum = Tensor::zeros((), DType::F64, &Device::Cpu).unwrap();
            for (trace, x) in traces.iter().zip(&inputs) {
                let pushed = trace.push(&x.unsqueeze(1).unwrap(), |_, _| Ok(())).unwrap();
                let z = trace.pre_activations().unwrap().unwrap();
                for part in [trace.output().sin().unwrap(), pushed.sqr().unwrap(), z.sin().unwrap()] {
                    sum = (sum + part.sum_all().unwrap()).unwrap();
                }
            }
            sum.backward().unwrap()
        };
        for (a, b) in together.iter().zip(&alone) {
            prop_assert!(largest(&(a.output() - b.output()).unwrap()) < 1e-12);
            let [a_z, b_z] = [a, b].map(|trace| trace.pre_activations().unwrap().unwrap());
            prop_assert!(largest(&(&a_z - &b_z).unwrap()) < 1e-12);
            // The side is what the value says, also where rounding makes it another.
            let signs = entries(&a.signs().unwrap().unwrap());
            prop_assert!(signs.iter().zip(entries(&a_z)).all(|(sign, z)| (*sign > 0.0) == (z >= 0.0)));
            prop_assert_eq!(a.network().spec().unwrap(), b.network().spec().unwrap());
        }
        let [together, alone] = [&together, &alone].map(|traces| sum(traces));
        for (name, variable) in parameters.named() {
            let [a, b] = [&together, &alone].map(|gradients| gradients.get(&variable).map_or(vec![], entries));
            let far = a.iter().zip(&b).any(|(a, b)| (a - b).abs() > 1e-9 * (1.0 + b.abs()));
            prop_assert!(a.len() == b.len() && !far, "{name}: {a:?} {b:?}");
        }
    }
}

#[test]
fn sequences_of_another_number_of_channels_are_refused() {
    let config = ScoRnnConfig {
        inputs: 3,
        hidden: 4,
        negative: 2,
        outputs: 2,
        negative_slope: 0.2,
    };
    let (learner, _) = ScoRnn::seeded(config, 0, DType::F64, &Device::Cpu).unwrap();
    let rnn = learner.rnn().unwrap();
    assert!(rnn.traces(&[]).unwrap().is_empty());
    let inputs = [normal(0, &[1, 5, 3]), normal(0, &[1, 5, 2])];
    let error = rnn.traces(&inputs).unwrap_err().to_string();
    assert!(error.contains("[length, 3], found [5, 2]"), "{error}");
}
