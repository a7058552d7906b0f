//! ONNX files that were refused once, from the folder `cases` of the shared files: the l2 margins that their READMEs state.

use crate::exact::radii;
use candle_core::{DType, Device, Tensor};
use loclin_models::architectures::{ResNetConfig, ResNetFamily};
use loclin_models::onnx;
use loclin_models::pytorch::{self, Architecture};
use loclin_test_files::shared;
use std::path::Path;

/// The margins are stated to so many digits.
const EQUAL: f64 = 1e-9;

/// The numbers in brackets after a word.
fn numbers(line: &str, after: &str) -> Vec<f64> {
    let Some((_, rest)) = line.split_once(after) else {
        return Vec::new();
    };
    let inside = rest.split(['[', ']']).nth(1).unwrap();
    inside
        .split(',')
        .map(|number| number.trim().parse().unwrap())
        .collect()
}

fn check(folder: &Path, model: &str, data: &str, margins: &[f64]) {
    let file = folder.join(model);
    let network = onnx::load(&file, DType::F64, &Device::Cpu).unwrap().network;
    let x = Tensor::read_npy(folder.join(data)).unwrap();
    let x = x.to_dtype(DType::F64).unwrap();
    for (index, right) in margins.iter().enumerate() {
        let found = radii(&network, &x.narrow(0, index, 1).unwrap()).unwrap()[1];
        assert!(
            (found - right).abs() <= EQUAL * right,
            "{model}, input {index}: {found:e}, expected {right:e}"
        );
    }
}

#[test]
fn files_that_were_refused_are_read() {
    let Some(cases) = shared("cases") else {
        return;
    };
    let text = |case: &str| std::fs::read_to_string(cases.join(case).join("README")).unwrap();
    for case in ["conv1d", "reducemean", "shape-chain"] {
        let readme = text(case);
        let line = readme
            .lines()
            .find(|line| line.starts_with("SHOULD BE"))
            .unwrap();
        check(
            &cases.join(case),
            "model.onnx",
            "x.npy",
            &numbers(line, "eps_2"),
        );
    }
    let refusals = text("other-refusals");
    let data = |model: &str| match model {
        "unsqueeze-gemm.onnx" => "x5.npy",
        "matmul-rank3.onnx" => "x34.npy",
        _ => "x.npy",
    };
    let mut read = 0;
    for line in refusals.lines() {
        let margins = numbers(line, "right eps_2");
        if let (Some((name, _)), false) = (line.split_once(".onnx"), margins.is_empty()) {
            let model = format!("{name}.onnx");
            check(
                &cases.join("other-refusals"),
                &model,
                data(&model),
                &margins,
            );
            read += 1;
        }
    }
    assert_eq!(read, 11);
}

/// A file with torchvision's names has torchvision's max pooling, where the description says nothing else.
#[test]
fn a_residual_network_has_max_pooling() {
    let Some(cases) = shared("cases/SILENT-torchvision-resnet-state-dict-avg-pool") else {
        return;
    };
    let architecture = Architecture::ResNet(ResNetConfig {
        inputs: [3, 16, 16],
        family: ResNetFamily::ImageNet,
        width: 4,
        blocks: vec![1],
        classes: 5,
        pooling: None,
    });
    let file = cases.join("tiny.pth");
    let model = pytorch::load(&file, &architecture, DType::F64, &Device::Cpu).unwrap();
    let x = Tensor::read_npy(cases.join("x.npy")).unwrap();
    let x = x.to_dtype(DType::F64).unwrap();
    let readme = std::fs::read_to_string(cases.join("README")).unwrap();
    let rows = readme
        .lines()
        .filter(|line| line.contains("eps_inf") && line.contains("prediction "));
    let mut checked = 0;
    for (index, line) in rows.enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let found = radii(&model.network, &x.narrow(0, index, 1).unwrap()).unwrap();
        for (found, at) in found.iter().zip([3, 5, 7]) {
            let right: f64 = words[at].parse().unwrap();
            assert!(
                (found - right).abs() <= EQUAL * right,
                "{index}: {found:e}, expected {right:e}"
            );
        }
        checked += 1;
    }
    assert_eq!(checked, 6);
}
