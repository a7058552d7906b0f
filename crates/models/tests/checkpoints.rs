//! State dicts in every container that people keep them in, by a writer that shares no code with the reader.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

#[path = "support/outputs.rs"]
mod outputs;
#[path = "support/pickle_writer.rs"]
mod pickle_writer;

use candle_core::{DType, Device, Tensor};
use loclin_models::{
    Error, Module, Network, Parameters,
    architectures::ResNetConfig,
    pytorch::{self, Architecture, Layer, TorchvisionConfig},
};
use loclin_test_files::shared;
use outputs::values;
use pickle_writer::{archive, dictionary, legacy, tensor, whole_pickle};
use proptest::prelude::*;
use std::collections::HashMap;

/// Two linear layers, by name.
fn named(bias: bool) -> Architecture {
    let linear = |name: &str| Layer::Linear {
        name: name.into(),
        bias,
    };
    Architecture::Sequential {
        input_shape: vec![3],
        layers: vec![linear("0"), Layer::Relu, linear("2")],
    }
}

const SHAPES: [(&str, &[usize]); 4] = [
    ("0.weight", &[2, 3]),
    ("0.bias", &[2]),
    ("2.weight", &[4, 2]),
    ("2.bias", &[4]),
];

/// Lists by name.
type Named<T> = Vec<(String, Vec<T>)>;

/// The entries of the state dict with something before each name, and its storages.
fn state(prefix: &str, seed: u32) -> (Named<u8>, Named<f32>) {
    let (mut entries, mut storages) = (Vec::new(), Vec::new());
    for (at, (name, shape)) in SHAPES.iter().enumerate() {
        let count = shape.iter().product();
        let strides: Vec<usize> = (0..shape.len())
            .map(|i| shape[i + 1..].iter().product())
            .collect();
        let value = |i: usize| ((seed as usize * 31 + at * 7 + i * 3) % 17) as f32 / 8.0 - 1.0;
        entries.push((
            format!("{prefix}{name}"),
            tensor(&at.to_string(), count, shape, &strides),
        ));
        storages.push((at.to_string(), (0..count).map(value).collect()));
    }
    (entries, storages)
}

fn borrowed<T: Clone>(named: &[(String, T)]) -> Vec<(&str, T)> {
    named
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect()
}

fn read(bytes: &[u8], architecture: &Architecture) -> Result<Network, Error> {
    let read = pytorch::from_bytes(bytes, architecture, DType::F64, &Device::Cpu);
    read.map(|model| model.network)
}

/// Two inputs.
const X: [f64; 6] = [0.5, -1.0, 2.0, 1.0, 0.25, -0.5];

/// What the network of a seed computes, written out.
fn right(seed: u32) -> Vec<f64> {
    let (_, storages) = state("", seed);
    let number = |at: usize, i: usize| f64::from(storages[at].1[i]);
    let layer = |at: usize, x: &[f64], n: usize| -> Vec<f64> {
        let row = |r: usize| {
            (0..x.len())
                .map(|c| number(at, r * x.len() + c) * x[c])
                .sum::<f64>()
        };
        (0..n).map(|r| row(r) + number(at + 1, r)).collect()
    };
    let of = |x: [f64; 3]| {
        let hidden: Vec<f64> = layer(0, &x, 2).into_iter().map(|z| z.max(0.0)).collect();
        layer(2, &hidden, 4)
    };
    [of([0.5, -1.0, 2.0]), of([1.0, 0.25, -0.5])].concat()
}

proptest! {
    /// Archive or older format, prefixes, nested under any usual key beside other things: the same network.
    #[test]
    fn every_container_gives_the_network(
        seed in 0u32..1000,
        prefix in prop_oneof![
            Just(""), Just("module."), Just("_orig_mod."), Just("module._orig_mod."), Just("model."), Just("net.body."),
        ],
        keys in prop_oneof![
            Just(&[][..]), Just(&["state_dict"][..]), Just(&["model"][..]), Just(&["model_state_dict"][..]),
            Just(&["net"][..]), Just(&["weights"][..]), Just(&["params"][..]), Just(&["ema"][..]),
            Just(&["checkpoint", "state_dict"][..]), Just(&["something of mine"][..]),
        ],
        old in any::<bool>(),
    ) {
        let (entries, storages) = state(prefix, seed);
        let mut object = dictionary(&borrowed(&entries));
        for key in keys.iter().rev() {
            let beside = dictionary(&[("lr", vec![b'K', 3])]);
            // An object of a class that nobody knows here, and an optimiser with tensors of its own.
            let args = b"cargparse\nNamespace\n)\x81}b".to_vec();
            let optimizer = dictionary(&[("exp_avg", entries[0].1.clone())]);
            object = dictionary(&[("epoch", beside), ("args", args), (*key, object), ("optimizer", optimizer)]);
        }
        let (pickle, storages) = (whole_pickle(&object), borrowed(&storages));
        let bytes = if old { legacy(&pickle, &storages) } else { archive(&pickle, &storages) };
        prop_assert_eq!(values(&read(&bytes, &named(true)).unwrap(), &X), right(seed));
    }

    /// A second network under any key is refused whatever the first one's key, with both names and the lines that save one; what is no
    /// network is not taken for one.
    #[test]
    fn a_checkpoint_of_several_networks_is_refused(
        key in prop_oneof![Just("state_dict"), Just("model"), Just("net"), Just("ema")],
        other in prop_oneof![
            Just("best_state_dict"), Just("teacher"), Just("last"), Just("averaged"), Just("model_ema"), Just("discriminator"),
        ],
        is_first in any::<bool>(),
        is_deep in any::<bool>(),
        has_other in any::<bool>(),
    ) {
        let (entries, storages) = state("", 3);
        let network = dictionary(&borrowed(&entries));
        let (weight, bias) = (entries[0].1.clone(), entries[1].1.clone());
        // A second one in a dictionary of the same tensors: it need not be equal to be read in the place of the first.
        let second = match is_deep {
            true => dictionary(&[("deeper", network.clone())]),
            false => network.clone(),
        };
        let statistics = dictionary(&[("mean", bias.clone()), ("count", vec![b'K', 3])]);
        let moments = dictionary(&[("exp_avg", weight.clone()), ("exp_avg_sq", weight.clone())]);
        let mut all = vec![
            ("epoch", vec![b'K', 3]),
            ("rng_state", bias.clone()),
            ("confusion", weight.clone()),
            ("running", statistics),
            ("history", dictionary(&[("loss", bias)])),
            ("optimizer_state_dict", dictionary(&[("moments", moments.clone())])),
            ("lr_scheduler", moments),
        ];
        let networks = if is_first { [(other, second), (key, network)] } else { [(key, network), (other, second)] };
        all.extend(networks.into_iter().filter(|(own, _)| has_other || *own == key));
        let bytes = archive(&whole_pickle(&dictionary(&all)), &borrowed(&storages));
        match read(&bytes, &named(true)) {
            Ok(network) => {
                prop_assert!(!has_other);
                prop_assert_eq!(values(&network, &X), right(3));
            }
            Err(error) => {
                let error = error.to_string();
                prop_assert!(has_other, "{}", error);
                for own in [key, other] {
                    prop_assert!(error.contains(&format!("[\"{own}\"]")), "{}", error);
                }
                prop_assert!(error.contains("save the one that is meant"), "{}", error);
            }
        }
    }

    /// The older format cut short is an error.
    #[test]
    fn a_cut_file_is_refused(part in 0.0..1.0f64) {
        let (entries, storages) = state("", 1);
        let bytes = legacy(&whole_pickle(&dictionary(&borrowed(&entries))), &borrowed(&storages));
        let length = (part * bytes.len() as f64) as usize;
        prop_assert!(read(&bytes[..length], &named(true)).is_err());
    }
}

/// The message of a file with these entries at the top.
fn refusal(entries: &[(&str, Vec<u8>)], architecture: &Architecture) -> String {
    let (_, storages) = state("", 1);
    let bytes = archive(&whole_pickle(&dictionary(entries)), &borrowed(&storages));
    read(&bytes, architecture).unwrap_err().to_string()
}

#[test]
fn what_differs_is_named() {
    let (entries, _) = state("", 1);
    let all = borrowed(&entries);
    let missing = refusal(&[&all[..1], &all[2..]].concat(), &named(true));
    assert!(
        missing.starts_with("the state dict lacks `0.bias`; a layer without a bias says"),
        "{missing}"
    );
    assert!(
        missing.ends_with("the file has `0.weight`, `2.weight`, `2.bias`"),
        "{missing}"
    );
    let over = refusal(&all, &named(false));
    assert_eq!(
        over,
        "the architecture has no parameter for `0.bias`, `2.bias`"
    );
    let torchvision = Architecture::Torchvision(TorchvisionConfig {
        network: "resnet18".into(),
        input_shape: [3, 64, 64],
    });
    let other = refusal(&all, &torchvision);
    assert!(
        other.contains("and 90 more") && other.contains("the file has `0.weight`"),
        "{other}"
    );
    let known = Architecture::Torchvision(TorchvisionConfig {
        network: "resnet19".into(),
        input_shape: [3, 64, 64],
    });
    assert!(refusal(&all, &known).contains("`resnet19`, expected one of alexnet"));
}

#[test]
fn what_is_no_single_state_dict_is_refused() {
    let (entries, _) = state("", 1);
    let tensors = dictionary(&borrowed(&entries));
    let several = refusal(
        &[("model", tensors.clone()), ("ema", tensors)],
        &named(true),
    );
    assert!(several.contains(r#"["model"], ["ema"]"#), "{several}");
    let module = b"c__main__\nNet\n)\x81}b".to_vec();
    let whole = refusal(&[("model", module)], &named(true));
    assert!(whole.contains("class __main__.Net"), "{whole}");
    assert!(
        whole.contains(r#"weights_only=False)["model"].state_dict(), "state_dict.pth")"#),
        "{whole}"
    );
    assert!(whole.contains("torch.onnx.export("), "{whole}");
    // A list in a list in a list ...
    let deep = [vec![b']'; 100_000], vec![b'a'; 99_999]].concat();
    assert!(refusal(&[("model", deep)], &named(true)).contains("no dictionary of tensors"));
}

/// The parameters of our own residual network, which has torchvision's names, by torchvision's name for it.
#[test]
fn a_network_of_torchvision_is_known_by_name() {
    let config = ResNetConfig {
        width: 3,
        inputs: [3, 33, 35],
        ..ResNetConfig::resnet18(5)
    };
    let vars = Parameters::seeded(2).builder(DType::F64, &Device::Cpu);
    let ours = config.build(vars).unwrap();
    let x: Vec<f64> = (0..3 * 33 * 35).map(|i| f64::from(i).sin()).collect();
    let x = Tensor::from_vec(x, (1, 3, 33, 35), &Device::Cpu).unwrap();
    let ours = ours.with_batch_statistics(&x).unwrap();
    let tensors: HashMap<_, _> = ours.parameters().into_iter().collect();
    let bytes = safetensors::serialize(&tensors, None).unwrap();
    let named = |network: &str| {
        let architecture = Architecture::Torchvision(TorchvisionConfig {
            network: network.into(),
            input_shape: [3, 33, 35],
        });
        read(&bytes, &architecture)
    };
    let value = |network: &Network| network.forward(&x).unwrap().to_vec2::<f64>().unwrap();
    assert_eq!(value(&named("resnet18").unwrap()), value(&ours));
    let error = named("resnet34").unwrap_err().to_string();
    assert!(error.contains("lacks `layer1.2.bn1.bias`"), "{error}");
    for other in pytorch::TORCHVISION
        .iter()
        .filter(|name| **name != "resnet18")
    {
        assert!(named(other).is_err(), "{other}");
    }
}

/// The files of the case, each as it stands there.
#[test]
fn files_that_were_refused_are_read() {
    let Some(cases) = shared("cases/state-dicts") else {
        return;
    };
    let linear = |name: &str, bias| Layer::Linear {
        name: name.into(),
        bias,
    };
    let architecture = |bias| Architecture::Sequential {
        input_shape: vec![4],
        layers: vec![linear("0", bias), Layer::Relu, linear("2", true)],
    };
    let x = Tensor::read_npy(cases.join("x.npy"))
        .unwrap()
        .to_dtype(DType::F64)
        .unwrap();
    let of = |file: &str| {
        let model = pytorch::load(
            &cases.join(file),
            &architecture(true),
            DType::F64,
            &Device::Cpu,
        )
        .unwrap();
        model.network.forward(&x).unwrap().to_vec2::<f64>().unwrap()
    };
    let right = of("plain.pth");
    for file in [
        "compiled.pth",
        "dataparallel.pth",
        "legacy.pth",
        "lightning.pth",
        "net_acc_epoch.pth",
    ] {
        assert_eq!(of(file), right, "{file}");
    }
    let missing = cases.join("missing_bias.pth");
    let load = |bias| pytorch::load(&missing, &architecture(bias), DType::F64, &Device::Cpu);
    let error = load(true).unwrap_err().to_string();
    assert!(
        error.contains("lacks `0.bias`") || error.contains("lacks `2.bias`"),
        "{error}"
    );
    let whole = cases.join("../messages/whole_module.pth");
    let error = pytorch::load(&whole, &architecture(true), DType::F64, &Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("torch.onnx.export("), "{error}");
}
