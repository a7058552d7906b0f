//! `init`: a described network with seeded parameters, and what `certify` says of it.

use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::fixture::{json, text};
use crate::refusal::refused;

/// The paper's residual network, narrow and for small images.
const RESNET: &str = r#"
[normalization]
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]

[architecture]
kind = "resnet"
family = "imagenet"
input_shape = [3, 17, 17]
width = 2
blocks = [1, 1]
classes = 4
"#;

fn images(path: &Path) {
    let values: Vec<f32> = (0..4 * 3 * 17 * 17)
        .map(|i| (i * i % 251) as f32 / 251.0)
        .collect();
    let images = Tensor::from_vec(values, (4, 3, 17, 17), &Device::Cpu).unwrap();
    images.write_npy(path).unwrap();
}

#[test]
fn a_network_is_made_and_certified_in_three_ways() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("net.toml"), RESNET).unwrap();
    images(&path("x.npy"));
    let (net, x) = (path("net.toml"), path("x.npy"));
    let make = |name: &str, more: &[&str]| {
        let out = path(name);
        let arguments = ["init", "--architecture", text(&net), "--out", text(&out)];
        (
            json(&[&arguments[..], more].concat()),
            fs::read(out).unwrap(),
        )
    };
    let statistics = ["--statistics", text(&x), "--limit", "3", "--seed", "5"];
    let (outcome, file) = make("m.safetensors", &statistics);
    assert_eq!(outcome["statistics"], 3);
    assert_eq!(outcome["input_shape"], serde_json::json!([3, 17, 17]));
    assert_eq!(outcome["outputs"], 4);
    assert_eq!(
        make("again.safetensors", &statistics).1,
        file,
        "one seed, one file"
    );
    assert_ne!(make("other.safetensors", &["--seed", "6"]).1, file);

    let model = path("m.safetensors");
    let certify = |more: &[&str]| {
        let fixed = [
            "certify",
            "--model",
            text(&model),
            "--data",
            text(&x),
            "--dtype",
            "f64",
        ];
        json(&[&fixed[..], &["--norm", "2"], more].concat())
    };
    let every = certify(&[]);
    assert_eq!(every["guarantee"], "proved");
    for probability in ["1e-9", "0"] {
        let found = certify(&["--failure-probability", probability]);
        for percentile in ["p25", "p50", "p75", "p100"] {
            let of = |outcome: &serde_json::Value| outcome["eps_2"][percentile].as_f64().unwrap();
            // Gradients pulled and pushed: one sum in two orders.
            assert!((of(&found) / of(&every) - 1.0).abs() < 1e-9);
        }
        // So small a network has every gradient measured.
        assert_eq!(found["guarantee"], "proved");
        assert!(found["search"].is_null());
    }
}

/// The architectures that come with the program make networks.
#[test]
fn the_described_architectures_can_be_made() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["convnet", "resnet20", "resnet18", "resnet18-paper"] {
        let out = dir.path().join(format!("{name}.safetensors"));
        let arguments = ["init", "--architecture", name, "--out", text(&out)];
        assert!(json(&arguments)["parameters"].as_u64().unwrap() > 1000);
        let model = loclin_models::Model::load(&out, DType::F32, &Device::Cpu).unwrap();
        assert!(model.normalization.is_some());
    }
}

#[test]
fn networks_that_cannot_be_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("net.toml"), RESNET).unwrap();
    fs::write(path("fc.toml"), "[architecture]\nkind = \"fc\"").unwrap();
    fs::write(path("unknown.toml"), RESNET.replace("width", "wdth")).unwrap();
    fs::write(path("empty.toml"), RESNET.replace("[1, 1]", "[1, 0]")).unwrap();
    let plain = "[architecture]\nkind = \"convnet\"\ninput_shape = [3, 17, 17]\nchannels = [2]\nkernel = 3\n\
                 pooling = \"max\"\noutputs = 2\nnegative_slope = 0.0\n";
    fs::write(path("plain.toml"), plain).unwrap();
    images(&path("x.npy"));
    Tensor::ones((2, 5), DType::F32, &Device::Cpu)
        .unwrap()
        .write_npy(path("small.npy"))
        .unwrap();
    for (arguments, code, needles) in [
        ("--architecture @none.toml", 1, "none.toml"),
        (
            "--architecture @fc.toml",
            1,
            "fc.toml|kind|`fc`, `sequential`",
        ),
        ("--architecture @unknown.toml", 1, "unknown.toml|wdth"),
        ("--architecture @empty.toml", 1, "empty.toml|blocks"),
        (
            "--architecture @plain.toml --statistics @x.npy",
            1,
            "plain.toml|no batch normalisation",
        ),
        (
            "--architecture @net.toml --statistics @small.npy",
            1,
            "small.npy|shape 5;|3 x 17 x 17",
        ),
        (
            "--architecture @net.toml --scale 7",
            2,
            "--scale|--statistics|[normalization]",
        ),
        (
            "--architecture @net.toml --preprocessing @none.toml",
            2,
            "--preprocessing|--statistics",
        ),
        (
            "--architecture @net.toml --statistics @x.npy --limit 0",
            2,
            "--limit 0",
        ),
        ("--architecture @net.toml --limit 3", 2, "--statistics"),
    ] {
        let command = format!("init {arguments} --out @m.safetensors");
        refused(dir.path(), &command, code, needles);
    }
}

/// A name of another kind of model is refused: nothing would read the file by it.
#[test]
fn a_model_has_its_ending() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["m.onnx", "m"] {
        let line = format!("init --architecture convnet --out @{name}");
        refused(dir.path(), &line, 2, "ends in .safetensors");
        assert!(!dir.path().join(name).exists());
    }
}
