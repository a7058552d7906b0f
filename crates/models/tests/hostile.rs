//! Files that were damaged or made to harm: an error or a network, never a panic, a hang, or memory out of
//! proportion to the file.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

#[path = "support/onnx_writer.rs"]
mod onnx_writer;
#[path = "support/pickle_writer.rs"]
mod pickle_writer;
#[path = "support/whole.rs"]
mod whole;

use candle_core::{DType, Device};
use loclin_models::{
    Mlp, Model, Parameters, onnx,
    pytorch::{self, Architecture},
};
use onnx_writer::{attribute_int, bytes, doubles, int, ints, model, node, tensor_head};
use pickle_writer::{legacy, pickle, tensor};
use proptest::prelude::*;
use whole::{fc_pickle, onnx_file, pytorch_file};

const FC: Architecture = Architecture::Fc {
    input_shape: None,
    negative_slope: 0.0,
    bias: true,
};

/// Reads bytes in every way; the results do not matter.
fn read(bytes: &[u8]) {
    onnx::from_bytes(bytes, DType::F32, &Device::Cpu).ok();
    pytorch::from_bytes(bytes, &FC, DType::F32, &Device::Cpu).ok();
    Model::from_bytes(bytes, DType::F32, &Device::Cpu).ok();
}

fn safetensors_file() -> Vec<u8> {
    let config = Mlp {
        inputs: vec![3],
        hidden: vec![4],
        outputs: 2,
        negative_slope: 0.1,
    };
    let network = config
        .build(Parameters::seeded(1).builder(DType::F32, &Device::Cpu))
        .unwrap();
    Model {
        network,
        normalization: None,
    }
    .to_bytes()
    .unwrap()
}

#[test]
fn undamaged_files_load() {
    let device = Device::Cpu;
    onnx::from_bytes(&onnx_file(), DType::F32, &device).unwrap();
    pytorch::from_bytes(&pytorch_file(&fc_pickle()), &FC, DType::F32, &device).unwrap();
    pytorch::from_bytes(&safetensors_file(), &FC, DType::F32, &device).unwrap();
    Model::from_bytes(&safetensors_file(), DType::F32, &device).unwrap();
}

/// A bias of a layer that says it has none, for one, would be another network.
#[test]
fn tensors_without_a_use_are_refused() {
    use safetensors::SafeTensors;
    let file = safetensors_file();
    let (_, metadata) = SafeTensors::read_metadata(&file).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let spare = tensors.tensors().swap_remove(0).1;
    let all = tensors
        .tensors()
        .into_iter()
        .chain([("spare".to_owned(), spare)]);
    let more = safetensors::serialize(all, metadata.metadata().clone()).unwrap();
    let error = Model::from_bytes(&more, DType::F32, &Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("holds `spare`"), "{error}");
}

/// Candle stores them, and does not compute with them all.
#[test]
fn floats_of_8_bits_are_refused() {
    use safetensors::tensor::{Dtype, TensorView};
    let file = safetensors_file();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&file).unwrap();
    let view = TensorView::new(Dtype::F8_E4M3, vec![1, 2], &[0x38, 0x40]).unwrap();
    let file = |metadata| safetensors::serialize([("0.weight", view.clone())], metadata).unwrap();
    let (state, own) = (file(None), file(metadata.metadata().clone()));
    let state = pytorch::from_bytes(&state, &FC, DType::F64, &Device::Cpu);
    let own = Model::from_bytes(&own, DType::F64, &Device::Cpu);
    for message in [state.unwrap_err().to_string(), own.unwrap_err().to_string()] {
        assert!(message.contains("floats of 16 bits or more"), "{message}");
    }
}

#[test]
fn every_truncation_is_an_error() {
    let file = onnx_file();
    // The version of the operators comes last, so that nothing shorter is complete.
    for length in 0..file.len() {
        assert!(
            onnx::from_bytes(&file[..length], DType::F32, &Device::Cpu).is_err(),
            "{length}"
        );
    }
    let file = fc_pickle();
    for length in 0..file.len() {
        let damaged = pytorch_file(&file[..length]);
        assert!(
            pytorch::from_bytes(&damaged, &FC, DType::F32, &Device::Cpu).is_err(),
            "{length}"
        );
    }
    for file in [pytorch_file(&file), safetensors_file()] {
        for length in 0..file.len() {
            assert!(
                pytorch::from_bytes(&file[..length], &FC, DType::F32, &Device::Cpu).is_err(),
                "{length}"
            );
        }
    }
}

/// Bytes to overwrite (at a fraction of the length), and where the file ends.
fn damage() -> impl Strategy<Value = (Vec<(f64, u8)>, f64)> {
    let byte = prop_oneof![any::<u8>(), Just(0xff), Just(0x7f), Just(0)];
    (
        proptest::collection::vec((0.0..1.0, byte), 1..6),
        prop_oneof![4 => Just(1.0), 1 => 0.0..1.0],
    )
}

fn damaged(file: &[u8], (changes, end): &(Vec<(f64, u8)>, f64)) -> Vec<u8> {
    let place = |fraction: f64| (fraction * file.len() as f64) as usize;
    let mut damaged = file.to_vec();
    for (at, byte) in changes {
        damaged[place(*at)] = *byte;
    }
    damaged.truncate(place(*end));
    damaged
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_files_are_survived(damage in damage()) {
        read(&damaged(&legacy(&fc_pickle(), &[("0", vec![0.5; 6]), ("1", vec![0.25; 2])]), &damage));
        read(&damaged(&onnx_file(), &damage));
        read(&damaged(&safetensors_file(), &damage));
        read(&damaged(&pytorch_file(&fc_pickle()), &damage));
        // Damage inside an intact archive, which its checksums would otherwise catch.
        read(&pytorch_file(&damaged(&fc_pickle(), &damage)));
    }
}

/// Address space in bytes: what was asked for, used or not.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    loclin_test_files::peak_memory("VmPeak").unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_file_claims_is_not_allocated() {
    const GIB: u64 = 1 << 30;
    let before = peak();
    // A field, a tensor, a text of more bytes than there are.
    read(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0]);
    let add = |c: Vec<u8>| model(&[1, 2], &[node("Add", &["x", "w"], "y", &[])], &[c]);
    read(&add(tensor_head("w", &[1 << 38], 11)));
    read(&add([tensor_head("w", &[1 << 38], 11), int(14, 1)].concat()));
    read(&pytorch_file(b"\x80\x02X\xff\xff\xff\xff"));
    read(&pytorch_file(&pickle(&[(
        "0.weight",
        tensor("0", 6, &[2_000_000_000, 3], &[0, 1]),
    )])));
    // A header of terabytes; tensors that are empty and wide.
    read(&[&(1u64 << 40).to_le_bytes()[..], b"{}"].concat());
    let header = br#"{"a.weight":{"dtype":"F32","shape":[1099511627776,0],"data_offsets":[0,0]}}"#;
    read(&[&(header.len() as u64).to_le_bytes()[..], header].concat());
    // Values that double forty times, and pads of terabytes.
    let doubling: Vec<_> = (0..40)
        .map(|i| {
            let from = if i == 0 {
                "x".to_string()
            } else {
                format!("v{i}")
            };
            let to = if i == 39 {
                "y".to_string()
            } else {
                format!("v{}", i + 1)
            };
            node("Concat", &[&from, &from], &to, &[attribute_int("axis", 1)])
        })
        .collect();
    read(&model(&[1, 2], &doubling, &[]));
    let pads = ints("pads", &[0, 0, 0, 1 << 40]);
    read(&model(
        &[1, 2],
        &[node("Pad", &["x", "pads"], "y", &[])],
        &[pads],
    ));
    // One large constant in many forms: 400 times 8 MB.
    let large = doubles("w", &[1000, 1000], &vec![1.0; 1_000_000]);
    let transposes: Vec<_> = (0..400)
        .map(|i| node("Transpose", &["w"], &format!("t{i}"), &[]))
        .chain((0..400).map(|i| {
            let from = if i == 0 {
                "x".to_string()
            } else {
                format!("v{i}")
            };
            let to = if i == 399 {
                "y".to_string()
            } else {
                format!("v{}", i + 1)
            };
            node("MatMul", &[&from, &format!("t{i}")], &to, &[])
        }))
        .collect();
    let error = onnx::from_bytes(
        &model(&[1, 1000], &transposes, &[large]),
        DType::F64,
        &Device::Cpu,
    );
    assert!(error.unwrap_err().to_string().contains("outgrow the file"));
    // A hundred thousand empty nodes cost an error and no list.
    let empty: Vec<u8> = (0..100_000).flat_map(|_| bytes(1, &[])).collect();
    read(&[bytes(7, &empty), bytes(8, &int(2, 13))].concat());
    assert!(peak() - before < GIB, "{} MiB", (peak() - before) >> 20);
}

/// What could take time out of proportion: names that collide, objects that contain themselves.
#[test]
fn large_odd_files_are_read_quickly() {
    let start = std::time::Instant::now();
    let nodes: Vec<_> = (0..20_000)
        .map(|i| {
            let from = if i == 0 {
                "x".to_string()
            } else {
                format!("v{i}")
            };
            let to = if i == 19_999 {
                "y".to_string()
            } else {
                format!("v{}", i + 1)
            };
            [node("Neg", &[&from], &to, &[]), bytes(3, b"same")].concat()
        })
        .collect();
    onnx::from_bytes(&model(&[1, 2], &nodes, &[]), DType::F32, &Device::Cpu).unwrap();
    // A list within itself, and tuples that double with each instruction if they are copied.
    read(&pytorch_file(b"\x80\x02]q\x00h\x00a."));
    let doubling = [
        &b"\x80\x02)q\x00"[..],
        &b"h\x00h\x00\x86q\x00".repeat(1000),
        b".",
    ]
    .concat();
    read(&pytorch_file(&doubling));
    // Seconds would be quadratic time; the machine may be busy.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
