//! Models and data that cannot be used are refused: the message names file and cause, and nothing is written.

use std::fs;

use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;

use crate::fixture::{model, small_data};
use crate::refusal::refused;

#[test]
fn models_that_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    small_data(dir.path());
    model(&path("ok.safetensors"), &[1, 6, 6], &[9, 5]);
    model(&path("other.safetensors"), &[1, 7, 7], &[9, 5]);
    let good = fs::read(path("ok.safetensors")).unwrap();
    let data = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let write = |name: &str, bytes: &[u8]| fs::write(path(name), bytes).unwrap();
    // The header with one text replaced by another of the same length.
    let replaced = |name: &str, from: &str, to: &str| {
        let header = String::from_utf8(good[8..data].to_vec()).unwrap();
        assert!(header.contains(from) && from.len() == to.len(), "{header}");
        let header = header.replace(from, to);
        write(
            name,
            &[&good[..8], header.as_bytes(), &good[data..]].concat(),
        );
    };
    replaced("shape.safetensors", "[9,36]", "[36,9]");
    replaced(
        "name.safetensors",
        "\"layers.1.weight\":{",
        "\"layers.1.weighs\":{",
    );
    replaced("format.safetensors", r#"\"format\":1"#, r#"\"format\":9"#);
    replaced("operator.safetensors", r#"\"flatten\""#, r#"\"fIatten\""#);
    write("short.safetensors", &good[..good.len() - 10]);
    write("stub.safetensors", &good[..5]);
    write("empty.safetensors", b"");
    write(
        "text.safetensors",
        b"This is no model, whatever its name may say.",
    );
    write("model.txt", &good);
    let nan = [&good[..data], &f32::NAN.to_le_bytes(), &good[data + 4..]].concat();
    write("nan.safetensors", &nan);
    let tensors = SafeTensors::deserialize(&good).unwrap().tensors();
    let bare = safetensors::serialize(tensors, None).unwrap();
    write("bare.safetensors", &bare);
    fs::create_dir(path("run")).unwrap();
    fs::create_dir(path("dir.safetensors")).unwrap();
    let cases = [
        ("shape.safetensors", "shape.safetensors|layers.0.weight|36"),
        ("name.safetensors", "name.safetensors|layers.1.weight"),
        ("format.safetensors", "format.safetensors|format 9"),
        ("operator.safetensors", "operator.safetensors|fIatten"),
        ("short.safetensors", "short.safetensors|not a complete"),
        ("stub.safetensors", "stub.safetensors|5 bytes"),
        ("empty.safetensors", "empty.safetensors|0 bytes"),
        ("text.safetensors", "text.safetensors|not a complete"),
        ("model.txt", "model.txt|not a model"),
        ("nan.safetensors", "nan.safetensors|NaN|layers."),
        ("bare.safetensors", "bare.safetensors|metadata"),
        ("run", "run|not a run directory|config.toml"),
        ("dir.safetensors", "dir.safetensors|not a run directory"),
        ("none.safetensors", "none.safetensors|No such file"),
        ("none", "none: cannot read the model|No such file"),
        (
            "other.safetensors",
            "data|1 x 6 x 6|1 x 7 x 7|another number",
        ),
    ];
    for (model, needles) in cases {
        let arguments = format!("certify --model @{model} --data @data --out @m.csv");
        refused(dir.path(), &arguments, 1, needles);
    }
}

#[test]
fn data_that_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let data = small_data(dir.path());
    model(&path("ok.safetensors"), &[1, 6, 6], &[9, 5]);
    let (images, labels) = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte");
    let read = |name: &str| fs::read(data.join(name)).unwrap();
    let good = [read(images), read(labels)];
    let write = |name: &str, images_bytes: &[u8], labels_bytes: &[u8]| {
        fs::create_dir(path(name)).unwrap();
        fs::write(path(name).join(images), images_bytes).unwrap();
        fs::write(path(name).join(labels), labels_bytes).unwrap();
    };
    write("truncated", &good[0][..good[0].len() - 1], &good[1]);
    write("longer", &[&good[0][..], &[0]].concat(), &good[1]);
    write("magic", &[&[1], &good[0][1..]].concat(), &good[1]);
    write("swapped", &good[1], &good[0]);
    write(
        "lengths",
        &good[0],
        &loclin_data::idx::encode(&[3], &[0, 1, 2]).unwrap(),
    );
    write("label", &good[0], &[&good[1][..8], &[10; 40]].concat());
    write("empty", b"", &good[1]);
    let mut huge = good[0].clone();
    huge[4..16].fill(0xff);
    write("huge", &huge, &good[1]);
    fs::create_dir_all(path("nested").join(images)).unwrap();
    fs::write(path("nested").join(labels), &good[1]).unwrap();
    fs::create_dir(path("bare")).unwrap();
    // Other kinds of files.
    fs::write(path("notes.txt"), "hello").unwrap();
    fs::write(path("empty.npy"), "").unwrap();
    let values = Tensor::ones((2, 36), DType::F32, &Device::Cpu).unwrap();
    values.write_npy(path("ones.npy")).unwrap();
    let ones = fs::read(path("ones.npy")).unwrap();
    let nan = [&ones[..ones.len() - 4], &f32::NAN.to_le_bytes()].concat();
    fs::write(path("nan.npy"), nan).unwrap();
    fs::write(path("short.npy"), &ones[..ones.len() - 4]).unwrap();
    values
        .save_safetensors("labels", path("nothing.safetensors"))
        .unwrap();
    let cases = [
        ("@truncated", "truncated/t10k-images|1439 bytes|1440 bytes"),
        ("@longer", "longer/t10k-images|trailing"),
        ("@magic", "magic/t10k-images|magic number|01 00 08 03"),
        ("@swapped", "swapped/t10k-images|number of dimensions"),
        (
            "@lengths",
            "lengths/t10k-images|40 rows|t10k-labels-idx1-ubyte holds 3",
        ),
        ("@label", "label/t10k-labels|label 10|0 to 9"),
        ("@empty", "empty/t10k-images|end of file"),
        ("@huge", "huge/t10k-images|dimensions|4294967295"),
        ("@nested", "nested/t10k-images|a directory, expected a file"),
        ("@bare", "bare|an empty folder|images (JPEG, PNG)"),
        ("@notes.txt", "notes.txt|a text file|numpy.save"),
        ("@empty.npy", "empty.npy|magic number|end of file"),
        ("@nan.npy", "nan.npy|row 1, column 35|NaN"),
        ("@short.npy", "short.npy|284 bytes|288 bytes"),
        ("@nothing.safetensors", "nothing.safetensors|inputs"),
        ("digit", "digit|did you mean \"digits\"?"),
        ("@none.npy", "none.npy|No such file"),
    ];
    for (data, needles) in cases {
        let arguments = format!("certify --model @ok.safetensors --data {data} --out @m.csv");
        refused(dir.path(), &arguments, 1, needles);
    }
}
