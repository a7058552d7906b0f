//! ONNX files against networks that are known otherwise.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

#[path = "support/onnx_writer.rs"]
mod onnx_writer;
#[path = "support/outputs.rs"]
mod outputs;

use candle_core::{DType, Device};
use loclin_models::{Mlp, Network, Parameters, onnx};
use onnx_writer::{attribute_int, attribute_ints, bytes, doubles, int, model, node, tensor_head};
use outputs::values;
use proptest::prelude::*;
use std::path::Path;

fn read(bytes: &[u8]) -> Network {
    onnx::from_bytes(bytes, DType::F64, &Device::Cpu)
        .unwrap()
        .network
}

fn message(bytes: &[u8]) -> String {
    onnx::from_bytes(bytes, DType::F64, &Device::Cpu)
        .unwrap_err()
        .to_string()
}

/// The network of a config as ONNX nodes, each layer as `Gemm` (transposed or not) or as `MatMul` and `Add`.
fn exported(network: &Network, layers: usize, style: usize) -> Vec<u8> {
    let parameters = network.parameters();
    let (mut nodes, mut initializers) = (Vec::new(), Vec::new());
    let mut last = "x".to_string();
    for layer in 0..layers {
        let (weight, bias) = (&parameters[2 * layer].1, &parameters[2 * layer + 1].1);
        let (outputs, inputs) = weight.dims2().unwrap();
        let style = (style + layer) % 3;
        let rows = if style == 0 {
            weight.clone()
        } else {
            weight.t().unwrap()
        };
        let dims = rows.dims().iter().map(|d| *d as i64).collect::<Vec<_>>();
        let rows = rows.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let (w, b) = (format!("w{layer}"), format!("b{layer}"));
        assert_eq!(rows.len(), inputs * outputs);
        initializers.push(doubles(&w, &dims, &rows));
        initializers.push(doubles(&b, &[outputs as i64], &bias.to_vec1().unwrap()));
        let out = if layer + 1 == layers {
            "y".into()
        } else {
            format!("z{layer}")
        };
        if style == 2 {
            let product = format!("m{layer}");
            nodes.push(node("MatMul", &[&last, &w], &product, &[]));
            nodes.push(node("Add", &[&b, &product], &out, &[]));
        } else {
            let transposed = attribute_int("transB", i64::from(style == 0));
            nodes.push(node("Gemm", &[&last, &w, &b], &out, &[transposed]));
        }
        if layer + 1 < layers {
            last = format!("a{layer}");
            nodes.push(node("Relu", &[&out], &last, &[]));
        }
    }
    model(&[0, network.input_size() as i64], &nodes, &initializers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Every way to write linear layers gives the same nodes (a product with its sum is one) and the same values,
    /// bit for bit: the numbers are the same and so is the order of the computation.
    #[test]
    fn fully_connected_networks_survive_the_journey(
        hidden in proptest::collection::vec(1usize..6, 0..4), inputs in 1usize..5, outputs in 1usize..4,
        style in 0usize..3, seed in 0u64..1000,
    ) {
        let config = Mlp { inputs: vec![inputs], hidden: hidden.clone(), outputs, negative_slope: 0.0 };
        let network = config.build(Parameters::seeded(seed).builder(DType::F64, &Device::Cpu)).unwrap();
        let found = read(&exported(&network, hidden.len() + 1, style));
        let kinds = |n: &Network| n.nodes().iter().map(|n| n.operator.kind()).collect::<Vec<_>>();
        prop_assert_eq!(kinds(&found), kinds(&network));
        let x: Vec<f64> = (0..inputs).map(|i| (i as f64 + seed as f64).sin()).collect();
        prop_assert_eq!(values(&found, &x), values(&network, &x));
    }
}

/// The number 1.5 and -2 in every encoding.
#[test]
fn every_float_type_is_read() {
    let packed = |number, raw: &[u8]| bytes(number, raw);
    let halves: Vec<u8> = [0x3e00u16, 0xc000]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let brains: Vec<u8> = [0x3fc0u16, 0xc000]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let floats: Vec<u8> = [1.5f32, -2.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let wide: Vec<u8> = [1.5f64, -2.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    for (data_type, data) in [
        (1, packed(9, &floats)),
        (1, packed(4, &floats)),
        (10, packed(9, &halves)),
        (10, [int(5, 0x3e00), int(5, 0xc000)].concat()),
        (11, packed(9, &wide)),
        (11, packed(10, &wide)),
        (16, packed(9, &brains)),
        (16, [int(5, 0x3fc0), int(5, 0xc000)].concat()),
    ] {
        let c = [tensor_head("c", &[2], data_type), data].concat();
        let network = read(&model(&[1, 2], &[node("Add", &["x", "c"], "y", &[])], &[c]));
        assert_eq!(
            values(&network, &[0.0, 0.0]),
            [1.5, -2.0],
            "data type {data_type}"
        );
    }
}

#[test]
fn external_data_stays_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("model");
    std::fs::create_dir(&inside).unwrap();
    let numbers: Vec<u8> = [9.0f64, 1.5, -2.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    std::fs::write(inside.join("numbers.bin"), &numbers).unwrap();
    std::fs::write(folder.path().join("secret.bin"), &numbers).unwrap();
    let load = |location: &str, offset: &str| {
        let entry = |k: &str, v: &str| {
            bytes(
                13,
                &[bytes(1, k.as_bytes()), bytes(2, v.as_bytes())].concat(),
            )
        };
        let c = [
            tensor_head("c", &[2], 11),
            entry("location", location),
            entry("offset", offset),
            int(14, 1),
        ];
        let bytes = model(
            &[1, 2],
            &[node("Add", &["x", "c"], "y", &[])],
            &[c.concat()],
        );
        let path = inside.join("model.onnx");
        std::fs::write(&path, bytes).unwrap();
        onnx::load(&path, DType::F64, &Device::Cpu)
    };
    assert_eq!(
        values(&load("numbers.bin", "8").unwrap().network, &[0.0, 0.0]),
        [1.5, -2.0]
    );
    let absolute = folder.path().join("secret.bin");
    for location in [
        "../secret.bin",
        "../../etc/passwd",
        absolute.to_str().unwrap(),
        "",
    ] {
        let error = load(location, "8").unwrap_err().to_string();
        assert!(
            error.contains("not in the model's folder") && error.contains("model.onnx"),
            "{error}"
        );
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&absolute, inside.join("link.bin")).unwrap();
        assert!(
            load("link.bin", "8")
                .unwrap_err()
                .to_string()
                .contains("not in the model's folder")
        );
    }
    // A cache: links to files of other names that lie together.
    #[cfg(unix)]
    {
        let cache = folder.path().join("cache");
        std::fs::create_dir(&cache).unwrap();
        assert!(load("numbers.bin", "8").is_ok());
        let link =
            |to: &Path, name: &str| std::os::unix::fs::symlink(to, cache.join(name)).unwrap();
        link(&inside.join("model.onnx"), "other.onnx");
        link(&inside.join("numbers.bin"), "numbers.bin");
        let found = onnx::load(&cache.join("other.onnx"), DType::F64, &Device::Cpu);
        assert_eq!(values(&found.unwrap().network, &[0.0, 0.0]), [1.5, -2.0]);
        std::fs::remove_file(cache.join("numbers.bin")).unwrap();
        link(&absolute, "numbers.bin");
        assert!(onnx::load(&cache.join("other.onnx"), DType::F64, &Device::Cpu).is_err());
    }
    for (location, offset) in [
        ("numbers.bin", "16"),
        ("numbers.bin", "-8"),
        ("numbers.bin", "18446744073709551615"),
        (".", "0"),
        ("none", "0"),
    ] {
        assert!(load(location, offset).is_err(), "{location} from {offset}");
    }
}

#[test]
fn errors_say_what_is_wrong_where() {
    let relu = node("Relu", &["x"], "y", &[]);
    let one = |input: &[i64]| model(input, std::slice::from_ref(&relu), &[]);
    let w = |dims: &[i64]| tensor_head("w", dims, 1);
    let add = |c: Vec<u8>| model(&[1, 2], &[node("Add", &["x", "w"], "y", &[])], &[c]);
    let cycle = [
        node("Add", &["x", "b"], "a", &[]),
        node("Relu", &["a"], "b", &[]),
        node("Relu", &["b"], "y", &[]),
    ];
    for (bytes, expected) in [
        (
            model(&[1, 2], &[node("Softmax", &["x"], "y", &[])], &[]),
            "is nothing but Softmax of its input",
        ),
        (model(&[1, 2], &cycle, &[]), "a cycle"),
        (
            model(&[1, 2], &[node("Relu", &["nobody"], "y", &[])], &[]),
            "node `y` reads `nobody`",
        ),
        (
            model(&[1, 2], &[relu.clone(), relu.clone()], &[]),
            "two values have the name `y`",
        ),
        (one(&[1, -2]), "a dimension other than the batch is open"),
        (one(&[1, 1 << 40, 1 << 40]), "too large"),
        (
            model(&[1, 2], &[node("MatMul", &["x", "x"], "y", &[])], &[]),
            "not piecewise linear",
        ),
        (add(w(&[-1])), "initialiser `w`: a dimension of -1"),
        (add(w(&[1 << 40, 1 << 40])), "overflows"),
        (add(w(&[1 << 40])), "numbers, found 0"),
        (
            add([w(&[2]), bytes(9, &[0; 7])].concat()),
            "needs 8 bytes of data, found 7",
        ),
        (add([w(&[2]), bytes(9, &[0xff; 8])].concat()), "not finite"),
        (add(doubles("w", &[3], &[1.0; 3])), "do not broadcast"),
        (
            model(
                &[1, 2, 1, 1],
                &[node(
                    "MaxPool",
                    &["x"],
                    "y",
                    &[attribute_ints("kernel_shape", &[0, 1])],
                )],
                &[],
            ),
            "node `y` (MaxPool): a kernel",
        ),
    ] {
        let found = message(&bytes);
        assert!(found.contains(expected), "{found}; expected {expected}");
    }
}
