//! `explain`: the picture, the numbers, the report, and what it refuses.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use crate::fixture::{command, json, model, small_data, text};
use crate::refusal::refused;

const QUICK: [&str; 5] = ["--evaluations", "100", "--force", "--steps", "20"];

fn write(path: &Path, image: impl Into<DynamicImage>, format: ImageFormat) {
    image.into().save_with_format(path, format).unwrap();
}

/// A residual network for colour images of 8 x 8 pixels.
fn resnet(directory: &Path) -> std::path::PathBuf {
    let (described, out) = (
        directory.join("net.toml"),
        directory.join("net.safetensors"),
    );
    let architecture = "[architecture]\nkind = \"resnet\"\nfamily = \"cifar\"\ninput_shape = [3, 8, 8]\nwidth = 2\nblocks = [1, 1]\nclasses = 3\n";
    fs::write(&described, architecture).unwrap();
    json(&[
        "init",
        "--architecture",
        text(&described),
        "--out",
        text(&out),
    ]);
    out
}

fn colours(side: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| {
        Rgb([(x * 30) as u8, (y * 30) as u8, ((x + y) * 15) as u8])
    })
}

#[test]
fn an_index_and_a_file_become_a_picture_and_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let data = small_data(dir.path());
    let fc = at("fc.safetensors");
    model(&fc, &[1, 6, 6], &[12, 8]);
    let (out, page) = (at("digit.png"), at("digit.html"));
    let arguments = [
        "explain",
        "--model",
        text(&fc),
        "--input",
        "4",
        "--data",
        text(&data),
        "--exact",
    ];
    let files = [
        "--out",
        text(&out),
        "--report",
        text(&page),
        "--dtype",
        "f64",
    ];
    let found = json(&[&arguments[..], &files, &QUICK[..3]].concat());
    assert_eq!(found["label"], 1);
    assert!(found["eps_2"].as_f64().unwrap() > 0.0);
    for integrated in found["integrated"].as_array().unwrap() {
        assert!(integrated["regions"].as_u64().unwrap() >= 1);
        // In float64, and the outputs' difference is a sizeable one.
        assert!(integrated["completeness_error"].as_f64().unwrap() < 1e-9);
        assert_eq!(integrated["guarantee"], "proved");
        assert!(integrated["error"].as_f64().unwrap() < 1e-6);
    }
    let nearby = &found["nearby"];
    assert_eq!(nearby["guarantee"], "proved");
    let curve = nearby["curve"].as_array().unwrap();
    let of = |point: &serde_json::Value, name: &str| point[name].as_f64().unwrap();
    assert!(
        curve
            .iter()
            .all(|point| of(point, "found") <= of(point, "proved"))
    );
    assert!(
        curve
            .is_sorted_by(|a, b| of(a, "eps") < of(b, "eps") && of(a, "proved") <= of(b, "proved"))
    );
    assert_eq!(of(&curve[curve.len() - 1], "eps"), 8.0 / 256.0);
    // The search has found no more than is proved.
    assert!(
        found["distortion"].as_f64().unwrap()
            <= of(&curve[curve.len() - 1], "proved") * (1.0 + 1e-12)
    );
    assert!(of(nearby, "top_proved") > 0.0);
    let picture = image::open(&out).unwrap();
    assert!(picture.width() > 900 && picture.height() > 600);
    let html = fs::read_to_string(&page).unwrap();
    assert_eq!(html.matches("<img ").count(), 6);
    assert_eq!(html.matches("aria-label=\"colours from").count(), 4);
    assert!(html.contains("curve net-0") && html.contains("stay the largest within"));
    assert!(html.contains("gradient is constant within an l2 radius") && html.contains("(proved)"));
    assert!(html.contains("input 4 of"));

    let net = resnet(dir.path());
    let (photo, deep) = (at("photo.png"), at("deep.png"));
    write(&photo, colours(8), ImageFormat::Png);
    let wide = DynamicImage::from(colours(8)).into_rgb16();
    write(&deep, wide, ImageFormat::Png);
    let explain = |input: &Path, more: &[&str]| {
        let own = [
            "explain",
            "--model",
            text(&net),
            "--input",
            text(input),
            "--out",
            text(&out),
        ];
        json(&[&own[..], &QUICK, more].concat())
    };
    let photo = explain(&photo, &[]);
    assert!(photo["limiting"].as_str().unwrap().contains("neuron"));
    // The same pixels in 16 bits.
    assert_eq!(explain(&deep, &[])["eps_2"], photo["eps_2"]);
    let large = at("large.jpg");
    write(&large, colours(20), ImageFormat::Jpeg);
    let normalized = ["--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"];
    explain(
        &large,
        &[&["--resize", "--label", "2"], &normalized[..]].concat(),
    );
}

/// Equal values in a pooling window: where a black image is, the network has no one gradient.
#[test]
fn an_image_on_a_boundary_is_said_to_be_on_one() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let architecture = "[architecture]\nkind = \"convnet\"\ninput_shape = [1, 8, 8]\nchannels = [8]\nkernel = 3\npooling = \"max\"\noutputs = 3\nnegative_slope = 0.0\n";
    fs::write(at("net.toml"), architecture).unwrap();
    let (described, net) = (at("net.toml"), at("net.safetensors"));
    let init = ["init", "--architecture", text(&described)];
    json(&[&init[..], &["--out", text(&net)]].concat());
    let (image, out) = (at("black.png"), at("out.png"));
    write(&image, image::GrayImage::new(8, 8), ImageFormat::Png);
    let (model, input) = (["--model", text(&net)], ["--input", text(&image)]);
    let more = ["--out", text(&out)];
    let arguments = [&["explain"], &model[..], &input, &more, &QUICK].concat();
    assert_eq!(json(&arguments)["eps_2"], 0.0);
    let output = command(&arguments).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.contains("lies on a boundary") && !stdout.contains("provably"),
        "{stdout}"
    );
}

/// Rows of a table: no pictures, and the same numbers in JSON and in every file.
#[test]
fn several_rows_of_a_table_become_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (net, rows) = (at("net.safetensors"), at("rows.npy"));
    model(&net, &[4], &[8, 6]);
    let values: Vec<f64> = (0..12).map(|i| f64::from(i * i % 7) / 7.0).collect();
    let table = Tensor::from_vec(values, (3, 4), &Device::Cpu).unwrap();
    table.write_npy(&rows).unwrap();
    let (npz, tensors, csv, png, page) = (
        at("n.npz"),
        at("n.safetensors"),
        at("n.csv"),
        at("n.png"),
        at("n.html"),
    );
    let question = ["explain", "--model", text(&net), "--data", text(&rows)];
    let question = [&question[..], &["--input", "0", "--input", "2", "--exact"]].concat();
    let more = [
        "--baseline",
        "0.5",
        "--smooth",
        "4",
        "--noise",
        "0",
        "--evaluations",
        "100",
    ];
    let mut arguments = [&question[..], &more, &["--report", text(&page), "--json"]].concat();
    for out in [&npz, &tensors, &csv, &png] {
        arguments.extend(["--out", text(out)]);
    }
    let output = command(&arguments).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let found: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(found.len(), 2);
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap())
            .collect()
    };
    let row = |tensor: &Tensor, at: usize| tensor.get(at).unwrap().to_vec1::<f64>().unwrap();
    let zipped: HashMap<String, Tensor> = Tensor::read_npz(&npz).unwrap().into_iter().collect();
    let saved = candle_core::safetensors::load(&tensors, &Device::Cpu).unwrap();
    for (at, own) in found.iter().enumerate() {
        let gradient = numbers(&own["gradient"]);
        // Without noise, the mean of gradients is the gradient.
        let off = gradient
            .iter()
            .zip(numbers(&own["smooth_gradient"]))
            .map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f64::max) < 1e-12);
        let integrated = numbers(&own["integrated"][0]["values"]);
        assert!(own["integrated"][0]["completeness_error"].as_f64().unwrap() < 1e-9);
        let sum: f64 = numbers(&own["probabilities"]).iter().sum();
        assert!((sum - 1.0).abs() < 1e-12);
        for files in [&zipped, &saved] {
            assert_eq!(row(&files["gradient"], at), gradient);
            assert_eq!(row(&files["integrated_gradients"], at), integrated);
            assert_eq!(row(&files["worst_input"], at), numbers(&own["worst_input"]));
            assert_eq!(row(&files["logits"], at), numbers(&own["logits"]));
        }
    }
    let csv = fs::read_to_string(&csv).unwrap();
    assert_eq!(csv.lines().count(), 1 + 2 * 4);
    assert!(csv.starts_with("name,label,prediction,place,input,gradient,integrated_gradients"));
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("2 inputs, explained") && html.contains("Numbers of the input"));
    assert!(!html.contains("NaN") && !html.contains("<img "));
    assert!(image::open(&png).unwrap().width() > 900);
    let gif = at("n.gif");
    let other = [&question[..], &["--out", text(&gif)]].concat();
    let output = command(&other).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains(".npz"));
}

#[test]
fn bad_inputs_are_named_and_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    resnet(dir.path());
    small_data(dir.path());
    model(&at("grey.safetensors"), &[1, 8, 8], &[4]);
    fs::write(at("text.jpg"), "a photograph of a cat").unwrap();
    write(&at("whole.jpg"), colours(8), ImageFormat::Jpeg);
    let bytes = fs::read(at("whole.jpg")).unwrap();
    fs::write(at("half.jpg"), &bytes[..bytes.len() / 2]).unwrap();
    write(&at("dot.png"), colours(1), ImageFormat::Png);
    let refuse = |more: &str, code, needles: &str| {
        let arguments = format!("explain --model @net.safetensors --out @out.png --input {more}");
        refused(dir.path(), &arguments, code, needles);
    };
    refuse("@text.jpg", 1, "text.jpg|not a JPEG or PNG image");
    refuse("@half.jpg", 1, "half.jpg|ends too early");
    refuse("@dot.png", 1, "dot.png|3 x 1 x 1|3 x 8 x 8|--resize");
    refuse("@none.png", 1, "none.png");
    refuse("3", 2, "--data");
    refuse("3 --data @data", 1, "1 x 6 x 6|3 x 8 x 8");
    refuse("900 --data @data", 2, "--input 900|40 inputs");
    refuse("@whole.jpg --label 3", 2, "--label 3|below 3");
    refuse("@whole.jpg --eps 0", 2, "--eps");
    refuse("@whole.jpg --mean 0.5", 2, "--std");
    refuse("@whole.jpg --mean 1,2 --std 1,2", 1, "--mean");
    refuse("@whole.jpg --steps 0", 2, "at least 1");
    refuse("@whole.jpg --smooth 0", 2, "at least 1");
    refuse(
        "@whole.jpg --smooth 2 --noise=-1",
        2,
        "--noise -1|at least 0",
    );
    refuse("@whole.jpg --baseline inf", 2, "--baseline inf|finite");
    refuse("@whole.jpg --baseline @none.png", 1, "--baseline|none.png");
    refuse("@whole.jpg --top 0", 2, "--top 0|at least 1");
    refuse("@whole.jpg --time=-1", 2, "--time -1|at least 0");
    let grey = "explain --model @grey.safetensors --out @out.png --input @whole.jpg";
    refused(dir.path(), grey, 1, "colour|one channel");
}

/// A flat network takes an image channel by channel: an array of other order is another baseline, another box.
#[test]
fn arrays_beside_an_image_have_its_shape() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    model(&at("flat.safetensors"), &[60], &[6]);
    let image = RgbImage::from_fn(5, 4, |x, y| Rgb([(9 * x) as u8, (9 * y) as u8, 200]));
    write(&at("p.png"), image, ImageFormat::Png);
    let values: Vec<f64> = (0..60).map(|i| f64::from(i) / 60.0).collect();
    let first = Tensor::from_vec(values, (1, 3, 4, 5), &Device::Cpu).unwrap();
    let last = first.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap();
    let flat = first.reshape((1, 60)).unwrap();
    for (name, own) in [("first", &first), ("last", &last), ("flat", &flat)] {
        own.write_npy(at(&format!("{name}.npy"))).unwrap();
        let ends = Tensor::cat(
            &[own.affine(0.0, 0.0).unwrap(), own.affine(0.0, 1.0).unwrap()],
            0,
        );
        ends.unwrap()
            .write_npy(at(&format!("{name}_box.npy")))
            .unwrap();
    }
    let asked = |more: &str| {
        let arguments = format!(
            "explain --model @flat.safetensors --input @p.png --time 0 --evaluations 20 --out @i.npz --force {more}"
        );
        let words = arguments
            .split(' ')
            .map(|word| word.replace('@', &format!("{}/", text(dir.path()))));
        words.collect::<Vec<_>>()
    };
    let integrated = |name: &str| {
        let arguments = asked(&format!(
            "--exact --baseline @{name}.npy --domain @{name}_box.npy"
        ));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        json(&arguments)["integrated"][0]["values"].clone()
    };
    assert_eq!(integrated("first"), integrated("flat"));
    let out = at("o.csv");
    for (command, option) in [
        (
            "explain --input @p.png --time 0 --out @o.csv",
            "--baseline @last.npy",
        ),
        (
            "explain --input @p.png --time 0 --out @o.csv",
            "--domain @last_box.npy",
        ),
        (
            "certify --data @p.png --out @o.csv",
            "--domain @last_box.npy",
        ),
        (
            "bound --data @p.png --eps 0.1 --out @o.csv",
            "--domain @last_box.npy",
        ),
    ] {
        let arguments = format!("{command} --model @flat.safetensors {option}");
        refused(dir.path(), &arguments, 1, "[4, 5, 3]|[3, 4, 5]");
        assert!(!out.exists());
    }
}

/// A number is in units of the input; a file is read as inputs are, and the answer says how.
#[test]
fn the_baseline_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let out = at("o.npz");
    let (net, rows, half) = (at("net.safetensors"), at("rows.npy"), at("half.npy"));
    model(&net, &[4], &[8, 6]);
    let table = Tensor::new(&[[10u8, 200, 30, 250]], &Device::Cpu).unwrap();
    table.write_npy(&rows).unwrap();
    let bytes = Tensor::full(51.0, (1, 4), &Device::Cpu).unwrap();
    bytes.write_npy(&half).unwrap();
    let ask = |baseline: &str| {
        let question = [
            "explain",
            "--model",
            text(&net),
            "--data",
            text(&rows),
            "--input",
            "0",
        ];
        let more = [
            "--scale",
            "1/255",
            "--exact",
            "--time",
            "0",
            "--evaluations",
            "20",
            "--out",
            text(&out),
            "--force",
        ];
        json(&[&question[..], &more, &["--baseline", baseline]].concat())
    };
    let (number, file) = (ask("0.2"), ask(text(&half)));
    assert_eq!(number["baseline"], "0.2 everywhere");
    let said = file["baseline"].as_str().unwrap();
    assert!(said.ends_with("half.npy, numbers times 1/255"), "{said}");
    let sum = |answer: &serde_json::Value| -> f64 {
        let values = answer["integrated"][0]["values"].as_array().unwrap();
        values.iter().map(|v| v.as_f64().unwrap()).sum()
    };
    assert!((sum(&number) - sum(&file)).abs() < 1e-12);
}

/// Pixels that stay 0 to 255 are an image, too.
#[test]
fn an_image_is_drawn_whatever_its_scale() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    resnet(dir.path());
    write(&at("p.png"), colours(8), ImageFormat::Png);
    let drawn = |scale: &str, out: &str| {
        let (net, input, out) = (at("net.safetensors"), at("p.png"), at(out));
        let arguments = [
            "explain",
            "--model",
            text(&net),
            "--input",
            text(&input),
            "--scale",
            scale,
        ];
        let more = [
            "--time",
            "0",
            "--out",
            text(&out),
            "--report",
            text(&at("r.html")),
        ]
        .map(str::to_owned);
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        json(&[&arguments[..], &QUICK, &more].concat());
        assert!(
            !fs::read_to_string(at("r.html"))
                .unwrap()
                .contains("Numbers of the input")
        );
        image::open(&out).unwrap().to_rgb8()
    };
    let (own, plain) = (drawn("1", "own.png"), drawn("1/255", "plain.png"));
    assert_eq!(own.dimensions(), plain.dimensions());
}

/// Of numbers that nobody gave ends of, the default ones are told where they do not fit.
#[test]
fn the_default_domain_of_numbers_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    model(&at("net.safetensors"), &[4], &[5]);
    let table = Tensor::new(&[[0.5f64, 200.0, 30.0, 250.0]], &Device::Cpu).unwrap();
    table.write_npy(at("rows.npy")).unwrap();
    let arguments = "explain --model @net.safetensors --data @rows.npy --input 0 --out @o.csv";
    refused(dir.path(), arguments, 1, "[0, 1]|without --domain");
}
