//! State dicts against networks that are known otherwise.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

#[path = "support/pickle_writer.rs"]
mod pickle_writer;

use candle_core::{DType, Device, Tensor};
use loclin_models::{
    Mlp, Module, Network, Parameters,
    architectures::{ConvNetConfig, Pooling, ResNetConfig, ScoRnn, ScoRnnConfig},
    pytorch::{self, Architecture, Layer},
};
use loclin_test_files::shared;
use pickle_writer::{archive, archive_of, pickle, tensor};
use proptest::prelude::*;
use std::collections::HashMap;

const FC: Architecture = Architecture::Fc {
    input_shape: None,
    negative_slope: 0.0,
    bias: true,
};

fn numbers(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_dtype(DType::F32).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A pickle with any module names gives the network back, bit for bit.
    #[test]
    fn fully_connected_state_dicts_load(
        hidden in proptest::collection::vec(1usize..6, 0..4), inputs in 1usize..5, outputs in 1usize..4,
        seed in 0u64..1000,
    ) {
        let config = Mlp { inputs: vec![inputs], hidden, outputs, negative_slope: 0.0 };
        let network = config.build(Parameters::seeded(seed).builder(DType::F32, &Device::Cpu)).unwrap();
        let (mut entries, mut storages) = (Vec::new(), Vec::new());
        let parameters = network.parameters();
        // Modules as a Sequential with activations numbers them: 1, 3, 5, ...
        let names: Vec<String> = parameters.iter().map(|(name, _)| {
            let mut parts = name.split('.').skip(1);
            let layer: usize = parts.next().unwrap().parse().unwrap();
            format!("net.{}.{}", 2 * layer + 1, parts.next().unwrap())
        }).collect();
        let keys: Vec<String> = (0..names.len()).map(|i| i.to_string()).collect();
        for ((name, key), (_, values)) in names.iter().zip(&keys).zip(&parameters) {
            let shape = values.dims();
            let strides: Vec<usize> = (0..shape.len()).map(|i| shape[i + 1..].iter().product()).collect();
            entries.push((name.as_str(), tensor(key, values.elem_count(), shape, &strides)));
            storages.push((key.as_str(), numbers(values)));
        }
        let bytes = archive(&pickle(&entries), &storages);
        let found = pytorch::from_bytes(&bytes, &FC, DType::F32, &Device::Cpu).unwrap().network;
        prop_assert_eq!(found.spec().unwrap(), network.spec().unwrap());
        for ((_, a), (_, b)) in found.parameters().iter().zip(&parameters) {
            prop_assert_eq!(numbers(a), numbers(b));
        }
    }
}

/// Layers in a safetensors file, which keeps no order: by their numbers, by their widths, or not at all.
#[test]
fn layers_without_an_order_are_not_guessed() {
    let file = |layers: &[(&str, f32)]| {
        let layer = |(name, weight): &(&str, f32)| {
            let weight = Tensor::full(*weight, (1, 1), &Device::Cpu).unwrap();
            let bias = Tensor::full(-1f32, 1, &Device::Cpu).unwrap();
            [
                (format!("{name}.weight"), weight),
                (format!("{name}.bias"), bias),
            ]
        };
        let tensors: HashMap<String, Tensor> = layers.iter().flat_map(layer).collect();
        safetensors::serialize(&tensors, None).unwrap()
    };
    let read =
        |layers: &[(&str, f32)]| pytorch::from_bytes(&file(layers), &FC, DType::F64, &Device::Cpu);
    let network = read(&[("fc10", 5.0), ("fc2", 3.0), ("fc1", 2.0)])
        .unwrap()
        .network;
    let x = Tensor::new(&[[1f64]], &Device::Cpu).unwrap();
    let y = network.forward(&x).unwrap().to_vec2::<f64>().unwrap();
    assert_eq!(y, [[9.0]]);
    let message = read(&[("hidden", 2.0), ("input", 3.0)])
        .unwrap_err()
        .to_string();
    for words in ["several orders", "torch.save", "sequential"] {
        assert!(message.contains(words), "{message}");
    }
}

/// The state dict of each named architecture gives the network back.
#[test]
fn state_dicts_of_named_architectures_load() {
    let vars = || Parameters::seeded(3).builder(DType::F64, &Device::Cpu);
    let convnet = ConvNetConfig {
        inputs: [1, 6, 6],
        channels: vec![2, 3],
        kernel: 3,
        pooling: Pooling::Max,
        outputs: 2,
        negative_slope: 0.1,
    };
    let resnet = ResNetConfig {
        inputs: [3, 9, 9],
        width: 2,
        ..ResNetConfig::resnet18(4)
    };
    let config = ScoRnnConfig {
        inputs: 2,
        hidden: 5,
        negative: 2,
        outputs: 3,
        negative_slope: 0.1,
    };
    let (rnn, parameters) = ScoRnn::seeded(config.clone(), 3, DType::F64, &Device::Cpu).unwrap();
    let of = |network: &Network| network.parameters().into_iter().collect::<HashMap<_, _>>();
    let scornn = parameters.named().into_iter();
    let scornn: HashMap<_, _> = scornn
        .map(|(name, var)| (name, var.as_tensor().clone()))
        .collect();
    let (small, deep) = (
        convnet.build(vars()).unwrap(),
        resnet.build(vars()).unwrap(),
    );
    let mut cases = vec![
        (Architecture::ConvNet(convnet), of(&small), small),
        (Architecture::ResNet(resnet), of(&deep), deep),
    ];
    for length in [1, 4] {
        let network = config.clone();
        let architecture = Architecture::ScoRnn { length, network };
        cases.push((
            architecture,
            scornn.clone(),
            rnn.rnn().unwrap().network(length).unwrap(),
        ));
    }
    for (architecture, tensors, expected) in cases {
        let read = |tensors: &HashMap<String, Tensor>| {
            let bytes = safetensors::serialize(tensors, None).unwrap();
            pytorch::from_bytes(&bytes, &architecture, DType::F64, &Device::Cpu)
        };
        let found = read(&tensors).unwrap().network;
        let x = Tensor::ones(
            [&[1], found.input_shape()].concat(),
            DType::F64,
            &Device::Cpu,
        );
        let output = |network: &Network| {
            let output = network.forward(x.as_ref().unwrap()).unwrap();
            output.flatten_all().unwrap().to_vec1::<f64>().unwrap()
        };
        assert_eq!(output(&found), output(&expected), "{architecture:?}");
        // Without any one of its tensors it is refused, by name.
        for name in tensors.keys() {
            let mut fewer = tensors.clone();
            fewer.remove(name);
            let error = read(&fewer).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}

#[test]
fn strides_are_honoured_and_checked() {
    let storage = vec![("0", vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0])];
    let read = |shape: &[usize], strides: &[usize]| {
        let bytes = archive(&pickle(&[("w", tensor("0", 6, shape, strides))]), &storage);
        pytorch::state_dict(&bytes)
    };
    let transposed = read(&[3, 2], &[1, 3]).unwrap();
    assert_eq!(numbers(&transposed[0].1), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    for (shape, strides) in [
        (&[7][..], &[1][..]),
        (&[2, 3], &[4, 1]),
        (&[2], &[1, 1]),
        (&[0], &[1]),
        (&[2], &[2_000_000_000]),
        // A shape of terabytes that all lies on one number.
        (&[2_000_000_000, 2_000], &[0, 0]),
    ] {
        let error = read(shape, strides).unwrap_err().to_string();
        assert!(error.starts_with("tensor `w`: "), "{error}");
    }
}

/// PyTorch writes records for large archives behind the directory of every archive, 76 bytes long, as an entry of the directory may be.
fn with_large_records(archive: &[u8]) -> Vec<u8> {
    let (before, end) = archive.split_at(archive.len() - 22);
    let word = |at: usize| u64::from(u32::from_le_bytes(end[at..at + 4].try_into().unwrap()));
    let count = u64::from(u16::from_le_bytes([end[10], end[11]]));
    let longs = |all: &[u64]| -> Vec<u8> { all.iter().flat_map(|n| n.to_le_bytes()).collect() };
    let head = [&b"PK\x06\x06"[..], &longs(&[44]), &[45, 0, 45, 0], &[0; 8]].concat();
    let record = [head, longs(&[count, count, word(12), word(16)])].concat();
    let offset = before.len() as u64;
    let locator = [
        &b"PK\x06\x07"[..],
        &[0; 4],
        &longs(&[offset]),
        &[1, 0, 0, 0],
    ]
    .concat();
    assert_eq!((record.len(), locator.len()), (56, 20));
    [before, &record, &locator, end].concat()
}

#[test]
fn names_of_any_length_are_read() {
    let entries = [("w", tensor("0", 6, &[2, 3], &[3, 1]))];
    for length in 1..40 {
        let name = "n".repeat(length);
        let file = archive_of(&name, &pickle(&entries), &[("0", vec![0.5; 6])]);
        let file = with_large_records(&file);
        let found = pytorch::state_dict(&file);
        assert!(found.is_ok(), "{length}: {:?}", found.err());
    }
}

/// PyTorch marks a tensor that is read with the other sign behind the hooks.
#[test]
fn a_tensor_with_marks_is_refused() {
    let plain = tensor("0", 4, &[2, 2], &[2, 1]);
    let (arguments, end) = plain.split_at(plain.len() - 2);
    let marked = |marks: &[u8]| [arguments, marks, end].concat();
    let load = |object: Vec<u8>| {
        let file = archive(&pickle(&[("w", object)]), &[("0", vec![1.0; 4])]);
        pytorch::state_dict(&file)
    };
    assert!(load(plain.clone()).is_ok() && load(marked(b"}")).is_ok());
    let message = load(marked(b"}X\x03\0\0\0neg\x88s"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("save its clone()"), "{message}");
}

#[test]
fn errors_say_what_is_wrong_where() {
    let weight = || tensor("0", 6, &[2, 3], &[3, 1]);
    let bias = |n: usize| tensor("1", 2, &[n], &[1]);
    let storages = [("0", vec![0.5; 6]), ("1", vec![0.5; 2])];
    let load = |entries: &[(&str, Vec<u8>)]| {
        let bytes = archive(&pickle(entries), &storages);
        let built = pytorch::from_bytes(&bytes, &FC, DType::F32, &Device::Cpu);
        built.unwrap_err().to_string()
    };
    let wrong_storage = [("a.weight", tensor("7", 6, &[2, 3], &[3, 1]))];
    for (found, expected) in [
        (
            load(&[("a.weight", weight()), ("b.bias", bias(2))]),
            "the state dict lacks `a.bias`, `b.weight`; a layer without a bias says `bias = false`",
        ),
        (
            load(&[("a.weight", weight()), ("a.bias", bias(1))]),
            "tensor `a.bias`: has shape [1], expected [2]",
        ),
        (
            load(&[
                ("a.weight", weight()),
                ("a.bias", bias(2)),
                ("b.weight", weight()),
                ("b.bias", bias(2)),
            ]),
            "tensor `b.weight`: takes 3 inputs",
        ),
        (
            load(&[("a.weight", weight()), ("a.weight", weight())]),
            "tensor `a.weight`: is there twice",
        ),
        (
            load(&[("a.scale", weight())]),
            "tensor `a.scale`: shape [2, 3]",
        ),
        (
            load(&wrong_storage),
            "tensor `a.weight`: its storage is missing",
        ),
    ] {
        assert!(found.contains(expected), "{found}; expected {expected}");
    }
    // What would run a command if it were executed.
    let command = archive(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.", &[]);
    let error = pytorch::state_dict(&command).unwrap_err().to_string();
    assert!(error.contains("class os.system"), "{error}");

    let spec = Mlp {
        inputs: vec![3],
        hidden: vec![],
        outputs: 2,
        negative_slope: 0.0,
    }
    .spec()
    .unwrap();
    let bytes = archive(
        &pickle(&[("layers.0.weight", weight()), ("old.bias", bias(2))]),
        &storages,
    );
    let architecture = Architecture::Network { spec };
    let message = |bytes: &[u8]| {
        let read = pytorch::from_bytes(bytes, &architecture, DType::F32, &Device::Cpu);
        read.unwrap_err().to_string()
    };
    let more = message(&bytes);
    assert!(
        more.contains(
            "the state dict lacks `layers.0.bias`; the architecture has no parameter for `old.bias`"
        ),
        "{more}"
    );
    let fewer = message(&archive(
        &pickle(&[("layers.0.weight", weight())]),
        &storages,
    ));
    assert!(fewer.contains("lacks `layers.0.bias`"), "{fewer}");
    assert!(fewer.contains("the file has `layers.0.weight`"), "{fewer}");
}

/// The outputs at `x_i = sin(i)` are those that PyTorch computed in float64, written with nine digits.
fn gives(network: &Network, expected: [f64; 10]) {
    let x: Vec<f64> = (0..784).map(|i| f64::from(i).sin()).collect();
    let x = Tensor::from_vec(x, (1, 1, 28, 28), &Device::Cpu).unwrap();
    let found = network.forward(&x).unwrap().to_vec2::<f64>().unwrap();
    let close = found[0]
        .iter()
        .zip(&expected)
        .all(|(a, b)| (a - b).abs() < 1e-8);
    assert!(close, "{found:?}, expected {expected:?}");
}

#[test]
fn a_checkpoint_of_somebody_else_loads() {
    let Some(path) = shared("nets/mnistfc/mnist_6_100_nat.pth") else {
        return;
    };
    let architecture = Architecture::Fc {
        input_shape: Some(vec![1, 28, 28]),
        negative_slope: 0.0,
        bias: true,
    };
    let network = pytorch::load(&path, &architecture, DType::F64, &Device::Cpu)
        .unwrap()
        .network;
    let widths: Vec<usize> = network
        .nodes()
        .iter()
        .filter(|n| n.operator.kind() == "linear")
        .map(|n| n.shape[0])
        .collect();
    assert_eq!(widths, [100, 100, 100, 100, 100, 10]);
    gives(
        &network,
        [
            0.028843527,
            -1.337931294,
            -1.258267313,
            0.669776998,
            -0.924095163,
            2.024005903,
            -1.960395388,
            2.266300499,
            -0.683046377,
            0.988958389,
        ],
    );
}

#[test]
fn a_convolutional_network_of_somebody_else_loads() {
    let Some(path) = shared("data/models/digit-recognizer-py/handwriting_model.pth") else {
        return;
    };
    let convolution = |name: &str| {
        [
            Layer::Conv2d {
                name: name.into(),
                stride: 1,
                padding: 1,
                dilation: 1,
                groups: 1,
                bias: true,
            },
            Layer::Relu,
            Layer::MaxPool2d {
                kernel: 2,
                stride: 2,
                padding: 0,
            },
        ]
    };
    let linear = |name: &str| Layer::Linear {
        name: name.into(),
        bias: true,
    };
    let convolutions = ["conv_layers.0", "conv_layers.3", "conv_layers.6"]
        .into_iter()
        .flat_map(convolution);
    let head = [
        Layer::Flatten,
        linear("fc_layers.0"),
        Layer::Relu,
        linear("fc_layers.2"),
    ];
    let architecture = Architecture::Sequential {
        input_shape: vec![1, 28, 28],
        layers: convolutions.chain(head).collect(),
    };
    let network = pytorch::load(&path, &architecture, DType::F64, &Device::Cpu)
        .unwrap()
        .network;
    gives(
        &network,
        [
            -1.688657317,
            0.653984897,
            -0.517076181,
            -0.415785179,
            0.448963096,
            -0.601322675,
            -0.822523475,
            0.641381763,
            -0.628276782,
            -0.946859432,
        ],
    );
    assert!(
        network
            .parameters()
            .iter()
            .any(|(name, _)| name == "conv_layers.6.weight")
    );
}
