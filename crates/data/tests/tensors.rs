//! `.npy` and `.safetensors` files: values as NumPy and PyTorch wrote them, hostile files refused.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

mod common;

use std::collections::BTreeMap;

use common::{assert_says, npy, write};
use loclin_data::{Dataset, Error, Values, npy as npy_file, tensors};
use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

fn read_npy(bytes: &[u8]) -> Result<Dataset, Error> {
    let directory = tempfile::tempdir().unwrap();
    npy_file::read(&write(directory.path(), "inputs.npy", bytes))
}

fn npy_values(bytes: &[u8]) -> Values {
    read_npy(bytes).unwrap().values().clone()
}

fn header(descr: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}")
}

proptest! {
    #[test]
    fn every_element_type_and_byte_order_reads_back(
        values in prop::collection::vec(-1e30f32..1e30, 1..40),
        big_endian: bool,
    ) {
        let rows = values.len();
        let order = if big_endian { '>' } else { '<' };
        let shape = format!("({rows}L, 1)");
        let word = |value: &f32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let single = npy(&header(&format!("{order}f4"), &shape), &values.iter().flat_map(word).collect::<Vec<_>>());
        prop_assert_eq!(npy_values(&single), Values::F32(values.clone()));

        let doubles: Vec<f64> = values.iter().map(|&value| f64::from(value) / 3.0).collect();
        let word = |value: &f64| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let double = npy(&header(&format!("{order}f8"), &shape), &doubles.iter().flat_map(word).collect::<Vec<_>>());
        prop_assert_eq!(npy_values(&double), Values::F64(doubles));

        let bytes: Vec<u8> = values.iter().map(|&value| value as u8).collect();
        let byte = npy(&header("|u1", &shape), &bytes);
        prop_assert_eq!(npy_values(&byte), Values::Bytes(bytes));
    }

    #[test]
    fn a_cut_or_lengthened_npy_file_is_an_error(at: prop::sample::Index, more in 1usize..4) {
        let whole = npy(&header("<f4", "(2, 3)"), &[0; 24]);
        prop_assert!(read_npy(&whole).is_ok());
        let cut = read_npy(&whole[..at.index(whole.len())]).unwrap_err();
        assert_says(&cut, &["inputs.npy", "found", "expected"]);
        let long = read_npy(&[whole, vec![0; more]].concat()).unwrap_err();
        assert_says(&long, &["trailing"]);
    }

    #[test]
    fn a_changed_npy_file_never_panics(at: prop::sample::Index, byte: u8, version in 0u8..5) {
        let mut bytes = npy(&header("<f4", "(2, 3)"), &[0; 24]);
        bytes[6] = version;
        let position = at.index(bytes.len());
        bytes[position] = byte;
        if let Ok(set) = read_npy(&bytes) {
            // Whatever still parses accounts for every byte of values.
            let size = 24 / (set.len() * set.features());
            prop_assert!([1, 2, 4, 8].contains(&size));
            prop_assert_eq!(set.len() * set.features() * size, 24);
        }
    }

    #[test]
    fn any_header_text_is_parsed_or_refused(text in "[{}()':, 0-9a-zL]{0,60}|\\PC{0,40}") {
        if let Ok(set) = read_npy(&npy(&text, &[0; 8])) {
            prop_assert!(set.len() * set.features() <= 8);
        }
    }

    #[test]
    fn a_changed_safetensors_file_never_panics(at: prop::sample::Index, byte: u8, keep: prop::sample::Index) {
        let mut bytes = safetensors(&[("inputs", Dtype::F32, &[2, 2], &[0; 16]), ("labels", Dtype::U8, &[2], &[0, 1])]);
        let position = at.index(bytes.len());
        bytes[position] = byte;
        let directory = tempfile::tempdir().unwrap();
        let path = write(directory.path(), "set.safetensors", &bytes);
        if let Ok(set) = tensors::read_safetensors(&path) {
            prop_assert!(set.len() * set.features() <= 18);
        }
        let path = write(directory.path(), "set.safetensors", &bytes[..keep.index(bytes.len())]);
        prop_assert!(tensors::read_safetensors(&path).is_err());
    }
}

#[test]
fn npy_errors_name_the_field() {
    let cases: [(Vec<u8>, &[&str]); 11] = [
        (npy("[1]", &[]), &["header", "a Python dictionary"]),
        (
            npy(&header("<f4", "(6,)"), &[0; 24]),
            &["shape: found 6", "one input is [1, ...]"],
        ),
        (
            npy(&header("<f4", "()"), &[0; 4]),
            &["shape: found no dimensions"],
        ),
        (npy(&header("<f4", "(0, 3)"), &[]), &["shape: found 0 x 3"]),
        (npy(&header("<f4", "(2, -3)"), &[0; 24]), &["shape", "-3"]),
        (
            npy(&header("<c8", "(2, 3)"), &[0; 48]),
            &["descr", "<c8", "a float (f2, f4, f8)"],
        ),
        (
            npy("{'descr': [('a', '<f4')], 'shape': (1, 1)}", &[]),
            &["descr", "one element type"],
        ),
        (
            npy("{'descr': '<f4', 'shape': (2, 3)}", &[0; 24]),
            &["fortran_order: found no such key"],
        ),
        (
            npy("{'descr': '<f4', 'descr': '<f4'}", &[]),
            &["the key \"descr\"", "once each"],
        ),
        (
            npy(&header("<f8", "(4294967295, 4294967295)"), &[]),
            &["shape", "an array can have"],
        ),
        (
            npy(&header("<f4", "(1, 2)"), &[0, 0, 128, 63, 0, 0, 192, 127]),
            &["row 0, column 1: found NaN"],
        ),
    ];
    for (bytes, words) in cases {
        assert_says(
            &read_npy(&bytes).unwrap_err(),
            &[&["inputs.npy"], words].concat(),
        );
    }
    let long = [b"\x93NUMPY\x02\x00".as_slice(), &u32::MAX.to_le_bytes()].concat();
    assert_says(
        &read_npy(&long).unwrap_err(),
        &["length of the header: found 4294967295"],
    );
    let text = header("<f4", "(1, 1)");
    let length = (text.len() as u32).to_le_bytes();
    let third = [
        b"\x93NUMPY\x03\x00".as_slice(),
        &length,
        text.as_bytes(),
        &1.5f32.to_le_bytes(),
    ]
    .concat();
    assert_eq!(npy_values(&third), Values::F32(vec![1.5]));
}

type Tensor<'a> = (&'a str, Dtype, &'a [usize], &'a [u8]);

fn safetensors(tensors: &[Tensor<'_>]) -> Vec<u8> {
    let views: BTreeMap<&str, TensorView<'_>> = tensors
        .iter()
        .map(|&(name, dtype, shape, data)| {
            (name, TensorView::new(dtype, shape.to_vec(), data).unwrap())
        })
        .collect();
    safetensors::serialize(views, None).unwrap()
}

fn read_safetensors(tensors: &[Tensor<'_>]) -> Result<Dataset, Error> {
    let directory = tempfile::tempdir().unwrap();
    tensors::read_safetensors(&write(
        directory.path(),
        "set.safetensors",
        &safetensors(tensors),
    ))
}

#[test]
fn safetensors_inputs_and_labels_read_back() {
    let values = [0.5f64, -2.0].map(f64::to_le_bytes).concat();
    let inputs: Tensor<'_> = ("inputs", Dtype::F64, &[2, 1], &values);
    let labels = [7i64, 2].map(i64::to_le_bytes).concat();
    let set = read_safetensors(&[inputs, ("labels", Dtype::I64, &[2], &labels)]).unwrap();
    assert_eq!(
        (set.values(), set.labels()),
        (&Values::F64(vec![0.5, -2.0]), Some(&[7, 2][..]))
    );
    let set = read_safetensors(&[("images", Dtype::U8, &[1, 1, 2], &[0, 255])]).unwrap();
    assert_eq!(
        (set.rows_f32(&[0]).unwrap(), set.labels()),
        (vec![0.0, 255.0], None)
    );

    let negative = (-1i32).to_le_bytes().repeat(2);
    let cases: [(&[Tensor<'_>], &[&str]); 6] = [
        (
            &[inputs, ("labels", Dtype::I32, &[2], &negative)],
            &["tensor labels, row 0: found -1"],
        ),
        (
            &[inputs, ("labels", Dtype::U8, &[1], &[0])],
            &["tensor inputs of", "2 rows", "tensor labels of", "1:"],
        ),
        (
            &[inputs, ("labels", Dtype::F16, &[2], &[0, 0, 0, 0x38])],
            &["tensor labels, row 1: found 0.5", "whole number"],
        ),
        (
            &[("a", Dtype::U8, &[1], &[0]), ("b", Dtype::U8, &[1], &[0])],
            &["tensors: found a, b"],
        ),
        (
            &[("inputs", Dtype::U8, &[2], &[0, 1])],
            &["tensor inputs: found shape 2"],
        ),
        (
            &[("inputs", Dtype::C64, &[1, 1], &[0; 8])],
            &["tensor inputs: found element type C64"],
        ),
    ];
    for (tensors, words) in cases {
        assert_says(
            &read_safetensors(tensors).unwrap_err(),
            &[&["set.safetensors"], words].concat(),
        );
    }
}
