//! Options, configurations and outputs that cannot be used are refused, and nothing is written.

use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::fixture::{demo_config, model, small_data};
use crate::refusal::refused;

#[test]
fn options_and_outputs_that_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    small_data(dir.path());
    model(&dir.path().join("ok.safetensors"), &[1, 6, 6], &[9, 5]);
    fs::copy(demo_config(), dir.path().join("ok.toml")).unwrap();
    fs::create_dir(dir.path().join("dir.csv")).unwrap();
    fs::write(dir.path().join("m.csv"), "an older result").unwrap();
    let cases = [
        ("--limit 0 --out @m.csv", 2, "--limit 0|at least 1"),
        ("--limit -1 --out @m.csv", 2, "-1"),
        ("--norm 0.5 --out @m.csv", 2, "--norm|0.5"),
        ("--norm nan --out @m.csv", 2, "--norm|nan"),
        (
            "--failure-probability 1 --out @m.csv",
            2,
            "--failure-probability 1|[0, 1)",
        ),
        (
            "--split all --out @m.csv",
            2,
            "--split|train, valid or test",
        ),
        (
            "--out @none/m.csv",
            1,
            "none/m.csv: cannot write the file|No such file",
        ),
        (
            "--out @m.csv/below",
            1,
            "m.csv/below: cannot write the file",
        ),
        (
            "--out @dir.csv",
            1,
            "dir.csv: cannot write|not a regular file",
        ),
    ];
    let certify = "certify --model @ok.safetensors --data @data";
    for (more, code, needles) in cases {
        refused(dir.path(), &format!("{certify} {more}"), code, needles);
    }
    refused(
        dir.path(),
        "certify --model @ok.safetensors",
        2,
        "--data is needed",
    );
    refused(dir.path(), "certify --data digits", 2, "--model");
    if cfg!(target_os = "linux") {
        // Nobody may create files in /proc, and nobody wants a device to be replaced by a table.
        let full = "/dev/full: cannot write|not a regular file";
        refused(dir.path(), &format!("{certify} --out /dev/full"), 1, full);
        let proc = "/proc/m.csv: cannot write the file";
        refused(dir.path(), &format!("{certify} --out /proc/m.csv"), 1, proc);
        refused(
            dir.path(),
            "train --config @ok.toml --out /proc/run",
            1,
            "/proc/run: cannot create",
        );
    }
}

/// Files and folders, good and bad, that a training may be asked to use.
fn configurations(directory: &Path) {
    let path = |name: &str| directory.join(name);
    small_data(directory);
    let good = fs::read_to_string(demo_config()).unwrap();
    fs::write(path("ok.toml"), &good).unwrap();
    fs::write(path("unknown.toml"), good.replace("lambda =", "lamda =")).unwrap();
    fs::write(path("latin.toml"), b"dataset = \"\xe9\"").unwrap();
    fs::write(path("file"), "mine").unwrap();
    fs::create_dir(path("broken")).unwrap();
    let inputs = Tensor::ones((40, 6), DType::F32, &Device::Cpu).unwrap();
    inputs.write_npy(path("x.npy")).unwrap();
    fs::write(path("broken/last.safetensors"), "no checkpoint").unwrap();
    let config = loclin::program::config::Config::parse(&good, &[]).unwrap();
    fs::write(path("broken/config.toml"), config.to_toml().unwrap()).unwrap();
}

#[test]
fn trainings_that_cannot_be_begun() {
    let dir = tempfile::tempdir().unwrap();
    configurations(dir.path());
    let cases = [
        (
            "--config @unknown.toml --out @run",
            1,
            "unknown.toml|lamda|`lambda`|line",
        ),
        ("--config @latin.toml --out @run", 1, "latin.toml|UTF-8"),
        (
            "--config @none.toml --out @run",
            1,
            "none.toml|No such file",
        ),
        (
            "--config @data --out @run",
            1,
            "data: cannot read the file|directory",
        ),
        (
            "--config @ok.toml --out @run --set epoch=3",
            2,
            "--set epoch=3|`epochs`",
        ),
        (
            "--config @ok.toml --out @run --set epochs=0",
            2,
            "--set epochs=0|1 to 1000000",
        ),
        (
            "--config @ok.toml --out @run --set architecture=resnet",
            2,
            "--set architecture=resnet|`hidden`|one width",
        ),
        (
            "--config @ok.toml --out @run --set dataset=digts",
            1,
            "digts|did you mean",
        ),
        (
            "--config @ok.toml --out @run --set dataset=mnist --data-dir @none",
            1,
            "none",
        ),
        (
            "--config @ok.toml --out @run --set dataset=@x.npy",
            1,
            "x.npy|labelled",
        ),
        (
            "--config @ok.toml --out @run --set dataset=@data --set loss=axes --set axes=37",
            1,
            "axes = 37|at most 36",
        ),
        (
            "--config @ok.toml --out @file",
            1,
            "file: cannot create the directory",
        ),
        (
            "--config @ok.toml --out @file/run",
            1,
            "run: cannot create the directory",
        ),
        (
            "--config @ok.toml --out @broken --resume",
            1,
            "broken/last.safetensors|checkpoint",
        ),
    ];
    for (arguments, code, needles) in cases {
        refused(dir.path(), &format!("train {arguments}"), code, needles);
    }
}

/// Options about a model that say nothing about one of its kind are wrong usage, whatever is in the file.
#[test]
fn options_of_another_kind_of_model() {
    let dir = tempfile::tempdir().unwrap();
    small_data(dir.path());
    model(&dir.path().join("own.safetensors"), &[1, 6, 6], &[9]);
    fs::create_dir(dir.path().join("run")).unwrap();
    for name in ["m.onnx", "m.ONNX.gz", "m.nnet", "m.pth", "run/config.toml"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    fs::write(
        dir.path().join("fc.toml"),
        "[architecture]\nkind = \"fc\"\n",
    )
    .unwrap();
    let refuse = |model: &str, more: &str, needles: &str| {
        let arguments = format!("certify --model @{model} --data @data {more}");
        refused(dir.path(), &arguments, 2, needles);
    };
    for (model, what) in [
        ("m.onnx", "an ONNX graph"),
        ("m.ONNX.gz", "an ONNX graph"),
        ("m.nnet", "an NNet file"),
        ("run", "a run directory"),
    ] {
        let needles = format!("--architecture: for a PyTorch state dict|{model} is {what}");
        refuse(model, "--architecture @fc.toml", &needles);
    }
    let described = "--architecture @fc.toml";
    for model in ["own.safetensors", "m.nnet", "m.pth", "run"] {
        refuse(
            model,
            "--output y",
            &format!("--output y: names a value of an ONNX graph|{model} is none"),
        );
        refuse(
            model,
            "--input-shape 3,5,5",
            "--input-shape: for an ONNX graph",
        );
    }
    refuse(
        "own.safetensors",
        &format!("{described} --output y"),
        "--output y",
    );
    refuse("m.pth", &format!("{described} --output y"), "--output y");
    refuse(
        "m.pth",
        &format!("{described} --input-shape 3"),
        "--input-shape: for a state dict",
    );
    refuse(
        "m.pth",
        "--architecture torchvision/resnet18 --output y",
        "--output y",
    );
}

/// Arrays in a folder are named by a pattern, which the message says.
#[test]
fn a_folder_of_arrays_is_named_by_a_pattern() {
    let dir = tempfile::tempdir().unwrap();
    model(&dir.path().join("m.safetensors"), &[2], &[3]);
    fs::create_dir(dir.path().join("arrays")).unwrap();
    for name in ["a.npy", "b.NPY"] {
        let x = Tensor::zeros((1, 2), DType::F64, &Device::Cpu).unwrap();
        x.write_npy(dir.path().join("arrays").join(name)).unwrap();
    }
    let needles = "arrays (2 .npy)|arrays/*.npy'";
    refused(
        dir.path(),
        "certify --model @m.safetensors --data @arrays",
        1,
        needles,
    );
}
