//! The networks: random graphs, and the architectures by name.

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use loclin_models::{
    INPUT, Network, Operator, Parameters,
    architectures::{
        ConvNetConfig, GraphSpec, Pooling, ResNetConfig, ResNetFamily, ScoRnn, ScoRnnConfig,
    },
    operators::{Conv2dConfig, OperatorSpec, Window2d},
};
use loclin_tensor::random;
use rand::{Rng, SeedableRng, rngs::StdRng};

fn vars(seed: u64) -> VarBuilder<'static> {
    Parameters::seeded(seed).builder(DType::F64, &Device::Cpu)
}

/// Shape of what an operator makes of its operand.
fn output(operator: &OperatorSpec, operand: &[usize]) -> Option<Vec<usize>> {
    let built = operator
        .build(VarBuilder::zeros(DType::F64, &Device::Cpu))
        .ok()?;
    match built {
        Operator::Affine(operator) => operator.output_shape(&[operand]).ok(),
        Operator::PiecewiseLinear(operator) => operator.output_shape(operand).ok(),
        Operator::Input => None,
    }
}

fn convolution(rng: &mut StdRng, inputs: usize, outputs: usize, same: bool) -> OperatorSpec {
    let window = if same {
        Window2d::square(3, 1, 1)
    } else {
        let mut axis = || {
            (
                rng.random_range(1..4),
                rng.random_range(1..3),
                rng.random_range(0..2),
            )
        };
        let (a, b) = (axis(), axis());
        Window2d {
            kernel: [a.0, b.0],
            stride: [a.1, b.1],
            padding: [[a.2, b.2], [b.2, a.2]],
            dilation: [1, 1],
        }
    };
    OperatorSpec::Conv2d(Conv2dConfig {
        inputs,
        outputs,
        window,
        groups: 1,
        bias: rng.random(),
    })
}

fn activation(rng: &mut StdRng, shape: &[usize]) -> OperatorSpec {
    match rng.random_range(0..7) {
        0 => OperatorSpec::leaky_relu(0.1),
        1 => OperatorSpec::abs(),
        2 => OperatorSpec::clip(-0.3, 0.4),
        3 => OperatorSpec::Prelu { channels: shape[0] },
        4 if shape[0].is_multiple_of(2) => OperatorSpec::Maxout { pieces: 2 },
        5 => OperatorSpec::MaxPool2d {
            window: Window2d::square(2, 1, 0),
        },
        _ => OperatorSpec::relu(),
    }
}

/// A residual block whose shortcut is the identity or a projection.
fn residual(
    graph: &mut GraphSpec,
    rng: &mut StdRng,
    name: &str,
    x: &str,
    channels: usize,
) -> String {
    let [first, second, third] = [(); 3].map(|()| convolution(rng, channels, channels, true));
    let projects = rng.random::<bool>();
    graph.residual(
        name,
        x,
        |graph, x| {
            let z = graph.add(format!("{name}.0"), first, &[x]);
            let a = graph.add(format!("{name}.1"), OperatorSpec::leaky_relu(0.2), &[&z]);
            graph.add(format!("{name}.2"), second, &[&a])
        },
        |graph, x| match projects {
            true => graph.add(format!("{name}.3"), third, &[x]),
            false => x.to_string(),
        },
    )
}

/// A random graph of up to six stages over images; a stage that does not fit is left out.
pub(super) fn composition(seed: u64) -> Network {
    let rng = &mut StdRng::seed_from_u64(seed);
    let mut shape = vec![
        rng.random_range(1..3),
        rng.random_range(3..6),
        rng.random_range(3..6),
    ];
    let mut graph = GraphSpec::new(&shape);
    let mut x = INPUT.to_string();
    for stage in 0..rng.random_range(2..7) {
        let channels = shape[0];
        let name = format!("stage.{stage}");
        let operator = match rng.random_range(0..9) {
            0..=1 => {
                let outputs = rng.random_range(2..5);
                convolution(rng, channels, outputs, false)
            }
            2 => {
                x = residual(&mut graph, rng, &name, &x, channels);
                continue;
            }
            3 => OperatorSpec::AvgPool2d {
                window: Window2d::square(2, 1, 1),
                count_padding: rng.random(),
            },
            4 => OperatorSpec::Transpose {
                permutation: vec![0, 2, 1],
            },
            5 => OperatorSpec::Pad {
                before: vec![0, 1, 0],
                after: vec![1, 0, 0],
                value: 0.5,
            },
            6 => {
                // Two readers of one node, side by side.
                let left = activation(rng, &shape);
                let Some(left_shape) = output(&left, &shape).filter(|left| left[1..] == shape[1..])
                else {
                    continue;
                };
                let (a, b) = (format!("{name}.a"), format!("{name}.b"));
                graph.add(&a, left, &[&x]);
                graph.add(&b, OperatorSpec::abs(), &[&x]);
                x = graph.add(&name, OperatorSpec::Concat { axis: 0 }, &[&a, &b]);
                shape[0] += left_shape[0];
                continue;
            }
            _ => activation(rng, &shape),
        };
        if let Some(next) = output(&operator, &shape) {
            x = graph.add(&name, operator, &[&x]);
            shape = next;
        }
    }
    graph.add("active", OperatorSpec::leaky_relu(0.3), &[&x]);
    graph.add("flat", OperatorSpec::Flatten, &["active"]);
    let inputs = shape.iter().product();
    graph.add(
        "head",
        OperatorSpec::Linear {
            inputs,
            outputs: 2,
            bias: true,
        },
        &["flat"],
    );
    graph.finish().build(vars(seed)).unwrap()
}

/// A named network: three ConvNets, two residual networks, scoRNN over 5 to 8 steps.
pub(super) fn named(seed: u64, pick: usize) -> Network {
    let convnet = |pooling| {
        let config = ConvNetConfig {
            inputs: [1, 6, 6],
            channels: vec![2, 3],
            kernel: 3,
            pooling,
            outputs: 2,
            negative_slope: 0.1,
        };
        config.build(vars(seed)).unwrap()
    };
    let resnet = |family| {
        let config = ResNetConfig {
            inputs: [2, 9, 8],
            family,
            width: 2,
            blocks: vec![1, 1],
            classes: 2,
            pooling: None,
        };
        let network = config.build(vars(seed)).unwrap();
        let images = random::normal(
            &mut random::stream(seed, &[9]),
            (4, 2, 9, 8),
            DType::F64,
            &Device::Cpu,
        );
        network.with_batch_statistics(&images.unwrap()).unwrap()
    };
    match pick {
        0 => convnet(Pooling::Average),
        1 => convnet(Pooling::Max),
        2 => convnet(Pooling::Strided),
        3 => resnet(ResNetFamily::ImageNet),
        4 => resnet(ResNetFamily::Cifar),
        steps => {
            let config = ScoRnnConfig {
                inputs: 2,
                hidden: 6,
                negative: 3,
                outputs: 2,
                negative_slope: 0.1,
            };
            let (rnn, _) = ScoRnn::seeded(config, seed, DType::F64, &Device::Cpu).unwrap();
            rnn.rnn().unwrap().network(steps).unwrap()
        }
    }
}
