//! What is done to inputs before the model: said once, the same for every command, and printed with every result.

use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use image::{Rgb, RgbImage};
use loclin_models::{Mlp, Model, Normalization};
use loclin_tensor::Parameters;
use serde_json::json as value;

use crate::fixture::{command, json, names, small_data, text, train};
use crate::onnx_writer::{attribute_int, bytes, doubles, int, node, value_info};
use crate::refusal::refused;

/// An untrained network of inputs of a shape, with the same weights for every shape of as many values.
fn network(file: &Path, inputs: &[usize], normalization: Option<Normalization>) {
    let fc = Mlp {
        inputs: inputs.to_vec(),
        hidden: vec![9, 5],
        outputs: 3,
        negative_slope: 0.0,
    };
    let parameters = Parameters::seeded(5);
    let network = fc.build(parameters.builder(DType::F64, &Device::Cpu));
    let model = Model {
        network: network.unwrap(),
        normalization,
    };
    fs::write(file, model.to_bytes().unwrap()).unwrap();
}

/// Two inputs `[3, 4, 5]` of bytes.
fn pixels() -> Tensor {
    let bytes: Vec<u8> = (0..120u32).map(|i| (i * i * 7 % 256) as u8).collect();
    Tensor::from_vec(bytes, (2, 3, 4, 5), &Device::Cpu).unwrap()
}

fn unit() -> Tensor {
    let pixels = pixels().to_dtype(DType::F64).unwrap();
    (pixels / 255.0).unwrap()
}

fn last(x: &Tensor) -> Tensor {
    x.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap()
}

/// Balls that are not cut with the range of pixels: those of arrays.
const WHOLE: &[&str] = &["--domain", "none"];

/// What `certify` says of the model and data in a directory, and the table it writes.
fn certify(
    directory: &Path,
    model: &str,
    data: &str,
    more: &[&str],
) -> (serde_json::Value, String) {
    let at = |name: &str| text(&directory.join(name)).to_owned();
    let (model, data, out) = (at(model), at(data), at("out.csv"));
    let arguments = [
        "certify", "--model", &model, "--data", &data, "--force", "--out", &out,
    ];
    let found = json(&[&arguments[..], more].concat());
    (found, fs::read_to_string(at("out.csv")).unwrap())
}

#[test]
fn arrays_of_another_shape_are_refused_or_laid_out() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    network(&at("first.safetensors"), &[3, 4, 5], None);
    network(&at("last.safetensors"), &[4, 5, 3], None);
    let write = |name: &str, x: &Tensor| x.write_npy(at(name)).unwrap();
    write("first.npy", &unit());
    write("last.npy", &last(&unit()));
    write("flat.npy", &unit().flatten_from(1).unwrap());
    write("ones.npy", &unit().unsqueeze(1).unwrap());
    write(
        "swapped.npy",
        &unit().transpose(2, 3).unwrap().contiguous().unwrap(),
    );
    write("square.npy", &unit().reshape((2, 6, 10)).unwrap());
    write("one.npy", &unit().get(0).unwrap());
    for (model, data, needles) in [
        (
            "first",
            "last",
            "4 x 5 x 3|3 x 4 x 5|--layout channels-last",
        ),
        (
            "last",
            "first",
            "3 x 4 x 5|4 x 5 x 3|--layout channels-first",
        ),
        ("first", "swapped", "3 x 5 x 4|3 x 4 x 5|transpose"),
        ("first", "square", "6 x 10|3 x 4 x 5|reshape"),
        ("first", "square --layout channels-last", "neither"),
        ("first", "flat --layout channels-last", "flat vector"),
    ] {
        let (file, more) = data.split_once(' ').unwrap_or((data, "--quiet"));
        for asked in ["certify", "distortion", "check @t.csv", "explain --input 0"] {
            if asked.starts_with("check") {
                let row =
                    "index,label,prediction,eps_2,guarantee,layer,neuron\n0,,0,0.1,proved,,\n";
                fs::write(at("t.csv"), row).unwrap();
            }
            let arguments =
                format!("{asked} --model @{model}.safetensors --data @{file}.npy {more}");
            refused(dir.path(), &arguments, 1, needles);
        }
    }
    let (_, table) = certify(dir.path(), "first.safetensors", "first.npy", &[]);
    for same in ["flat.npy", "ones.npy"] {
        let (found, same) = certify(dir.path(), "first.safetensors", same, &[]);
        assert_eq!(same, table);
        assert_eq!(found["preprocessing"]["moved"], value!(null));
    }
    let layout = ["--layout", "channels-last"];
    let (found, moved) = certify(dir.path(), "first.safetensors", "last.npy", &layout);
    assert_eq!(moved, table);
    assert_eq!(found["preprocessing"]["moved"], "channels-first");
    let layout = ["--layout", "channels-first"];
    let (own, moved) = [
        certify(dir.path(), "last.safetensors", "last.npy", &[]).1,
        certify(dir.path(), "last.safetensors", "first.npy", &layout).1,
    ]
    .into();
    assert_eq!(own, moved);
    // A number for each channel, and no other dimension: what was moved and what was not are alike.
    network(&at("vector.safetensors"), &[3, 1, 1], None);
    let vectors = unit().narrow(2, 0, 1).unwrap().narrow(3, 0, 1).unwrap();
    let vectors = vectors.contiguous().unwrap();
    write("vectors.npy", &vectors);
    write("vectors-last.npy", &last(&vectors));
    let moments = ["--mean", "0.25,0.5,0.75", "--std", "0.5,1,1.5"];
    let (_, own) = certify(dir.path(), "vector.safetensors", "vectors.npy", &moments);
    let layout = [&moments[..], &["--layout", "channels-last"]].concat();
    let (_, moved) = certify(
        dir.path(),
        "vector.safetensors",
        "vectors-last.npy",
        &layout,
    );
    assert_eq!(own, moved);
    // One file is one input, or several by a pattern.
    let (found, one) = certify(dir.path(), "first.safetensors", "one.npy", &[]);
    assert_eq!(found["inputs"], 1);
    assert_eq!(one.lines().nth(1), table.lines().nth(1));
    unit()
        .get(1)
        .unwrap()
        .write_npy(at("one.more.npy"))
        .unwrap();
    let (found, both) = certify(dir.path(), "first.safetensors", "one.*npy", &[]);
    assert_eq!((&found["inputs"], both.lines().count()), (&value!(2), 3));
}

#[test]
fn images_are_laid_out_as_the_model_takes_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    network(&at("last.safetensors"), &[4, 5, 3], None);
    last(&unit()).write_npy(at("last.npy")).unwrap();
    fs::create_dir(at("photos")).unwrap();
    let bytes = last(&pixels())
        .flatten_all()
        .unwrap()
        .to_vec1::<u8>()
        .unwrap();
    for (index, bytes) in bytes.chunks(60).enumerate() {
        let pixel = |x: u32, y: u32| {
            let start = 3 * (5 * y + x) as usize;
            Rgb([bytes[start], bytes[start + 1], bytes[start + 2]])
        };
        let image = RgbImage::from_fn(5, 4, pixel);
        image.save(at(&format!("photos/{index}.png"))).unwrap();
    }
    let (_, array) = certify(dir.path(), "last.safetensors", "last.npy", &[]);
    let without_files = |table: &str| -> String {
        let line = |line: &str| {
            let (index, rest) = line.split_once(',').unwrap();
            let (file, rest) = rest.split_once(',').unwrap();
            assert!(file == "file" || file.ends_with(".png"), "{line}");
            format!("{index},{rest}\n")
        };
        table.lines().map(line).collect()
    };
    for data in ["photos", "photos/*.png"] {
        let (found, table) = certify(dir.path(), "last.safetensors", data, WHOLE);
        assert_eq!(without_files(&table), array);
        assert_eq!(found["preprocessing"]["moved"], "channels-last");
    }
    let (found, single) = certify(dir.path(), "last.safetensors", "photos/1.png", WHOLE);
    assert_eq!(found["inputs"], 1);
    let numbers = |row: &str| row.split_once(',').unwrap().1.to_owned();
    let single = without_files(&single);
    let (a, b) = (single.lines().nth(1), array.lines().nth(2));
    assert_eq!(numbers(a.unwrap()), numbers(b.unwrap()));
    let (model, image, out) = (at("last.safetensors"), at("photos/0.png"), at("e.png"));
    fs::write(at("names.txt"), "cat\ndog\nemu\n").unwrap();
    let found = json(&[
        "explain",
        "--model",
        text(&model),
        "--input",
        text(&image),
        "--out",
        text(&out),
        "--evaluations",
        "20",
        "--steps",
        "5",
        "--classes",
        text(&at("names.txt")),
    ]);
    let prediction: usize = array
        .lines()
        .nth(1)
        .unwrap()
        .split(',')
        .nth(2)
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(found["prediction"], prediction);
    assert_eq!(found["prediction_name"], ["cat", "dog", "emu"][prediction]);
    assert_eq!(found["preprocessing"]["moved"], "channels-last");
    fs::write(at("few.txt"), "cat\ndog\n").unwrap();
    fs::write(at("gap.txt"), "cat\n\nemu\n").unwrap();
    for (file, needles) in [
        ("few", "few.txt|2 names|3 classes"),
        ("gap", "gap.txt|line 2"),
    ] {
        let arguments = format!(
            "explain --model @last.safetensors --input @photos/0.png --out @f.png --classes @{file}.txt"
        );
        refused(dir.path(), &arguments, 1, needles);
    }
}

#[test]
fn bytes_are_taken_as_they_are_and_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    network(&at("m.safetensors"), &[3, 4, 5], None);
    pixels().write_npy(at("bytes.npy")).unwrap();
    let whole = pixels().to_dtype(DType::F64).unwrap();
    whole.write_npy(at("whole.npy")).unwrap();
    unit().write_npy(at("unit.npy")).unwrap();
    let certify = |data: &str, more: &[&str]| certify(dir.path(), "m.safetensors", data, more);
    let (bytes, table) = certify("bytes.npy", &[]);
    assert_eq!(table, certify("whole.npy", &[]).1);
    assert_eq!(bytes["preprocessing"]["scale"], "1");
    let (scaled, table) = certify("bytes.npy", &["--scale", "1/255"]);
    assert_eq!(table, certify("unit.npy", &[]).1);
    assert_eq!(scaled["preprocessing"]["scale"], "1/255");
    let (model, data) = (at("m.safetensors"), at("bytes.npy"));
    for (more, said, line) in [
        (
            &[][..],
            true,
            "inputs     bytes as they are, 0 to 255; radii in these units",
        ),
        (
            &["--scale", "1/255"],
            false,
            "inputs     bytes times 1/255; radii in these units",
        ),
        (
            &["--scale", "1"],
            false,
            "inputs     bytes as they are, 0 to 255; ",
        ),
    ] {
        let certify = ["certify", "--model", text(&model), "--data", text(&data)];
        let output = command(&[&certify[..], more].concat()).output().unwrap();
        let [stdout, stderr] =
            [output.stdout, output.stderr].map(|b| String::from_utf8(b).unwrap());
        assert_eq!(
            stderr.contains("bytes, taken as they are"),
            said,
            "{stderr}"
        );
        assert!(stdout.contains(line), "{stdout}");
    }
}

#[test]
fn a_normalisation_is_given_once() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (mean, std) = (vec![0.5, 0.25, 0.125], vec![0.3, 0.2, 0.1]);
    let own = Normalization { mean, std };
    network(&at("own.safetensors"), &[3, 4, 5], Some(own));
    network(&at("bare.safetensors"), &[3, 4, 5], None);
    unit().write_npy(at("x.npy")).unwrap();
    let certify = |model: &str, more: &[&str]| {
        certify(dir.path(), &format!("{model}.safetensors"), "x.npy", more)
    };
    let given = ["--mean", "0.5,0.25,0.125", "--std", "0.3,0.2,0.1"];
    let (by_model, expected) = certify("own", &[]);
    let (found, table) = certify("bare", &given);
    assert_eq!(table, expected);
    assert_ne!(certify("bare", &[]).1, expected);
    let of = |found: &serde_json::Value, key: &str| found["preprocessing"][key].clone();
    assert_eq!(of(&found, "mean"), of(&by_model, "mean"));
    assert_eq!(of(&found, "normalized_by_model"), false);
    assert_eq!(of(&by_model, "normalized_by_model"), true);
    // The same from a file, which options come before.
    let file = "mean = [0.5, 0.25, 0.125]\nstd = [0.3, 0.2, 0.1]\nscale = \"1/2\"\n";
    fs::write(at("p.toml"), file).unwrap();
    let path = at("p.toml");
    let from_file = ["--preprocessing", text(&path), "--scale", "1"];
    assert_eq!(certify("bare", &from_file).1, expected);
    // `check` must be told the same.
    let (model, data, table) = (at("bare.safetensors"), at("x.npy"), at("out.csv"));
    let check = |more: &[&str]| {
        let own = [
            "check",
            text(&table),
            "--model",
            text(&model),
            "--data",
            text(&data),
        ];
        command(&[&own[..], more].concat())
            .output()
            .unwrap()
            .status
            .code()
    };
    assert_eq!(check(&given), Some(0));
    assert_eq!(check(&[]), Some(1));
    // Where it says classes, it says their names.
    let wrong = "index,label,prediction,eps_2,guarantee,layer,neuron\n0,,";
    fs::write(at("names.txt"), "cat\ndog\nemu\n").unwrap();
    let names = at("names.txt");
    let found: String = (0..3)
        .map(|class| {
            fs::write(
                at("t.csv"),
                format!("{wrong}{class},0,proved,layers.0.activation,0\n"),
            )
            .unwrap();
            let own = [
                "check",
                text(&at("t.csv")),
                "--model",
                text(&model),
                "--data",
                text(&data),
            ]
            .map(str::to_owned);
            let own = own.iter().map(String::as_str);
            let arguments: Vec<&str> = own.chain(["--classes", text(&names)]).collect();
            String::from_utf8(command(&arguments).output().unwrap().stdout).unwrap()
        })
        .collect();
    assert_eq!(
        found.matches("do not hold").count() + found.matches("does not hold").count(),
        2
    );
    assert!(
        found.contains("prediction 0 (cat), the network's is")
            || found.contains("prediction 1 (dog)")
    );

    fs::write(at("bad.toml"), "means = [0.5]\n").unwrap();
    fs::write(at("odd.toml"), "mean = [0.5]\n").unwrap();
    for (more, code, needles) in [
        (
            "own.safetensors --mean 0 --std 1",
            2,
            "normalises its inputs itself|0.5,0.25,0.125|leave them out",
        ),
        (
            "own.safetensors --preprocessing @p.toml",
            2,
            "normalises its inputs itself",
        ),
        ("bare.safetensors --mean 0", 2, "--std"),
        (
            "bare.safetensors --mean 0,1 --std 1,1",
            1,
            "--mean, --std: do not fit",
        ),
        (
            "bare.safetensors --mean 0,1 --std 1",
            2,
            "2 means and 1 standard",
        ),
        (
            "bare.safetensors --mean 0 --std 0",
            2,
            "std|a positive number",
        ),
        ("bare.safetensors --scale 0", 2, "--scale"),
        (
            "bare.safetensors --layout nhwc",
            2,
            "--layout|channels-first or channels-last",
        ),
        ("bare.safetensors --resize", 1, "resize|image files"),
        ("bare.safetensors --resize 0", 2, "--resize|from 1 to 4096"),
        (
            "bare.safetensors --exif-orientation",
            1,
            "exif-orientation|image files",
        ),
        (
            "bare.safetensors --preprocessing @bad.toml",
            1,
            "bad.toml|means",
        ),
        (
            "bare.safetensors --preprocessing @odd.toml",
            1,
            "odd.toml|1 means and 0",
        ),
        (
            "bare.safetensors --preprocessing @none.toml",
            1,
            "none.toml",
        ),
    ] {
        let (model, more) = more.split_once(' ').unwrap();
        let arguments = format!("certify --data @x.npy --model @{model} {more}");
        refused(dir.path(), &arguments, code, needles);
    }
}

/// Channels in the last dimension are normalised by the same numbers, and the table holds in exact arithmetic.
#[test]
fn channels_are_normalised_wherever_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    network(&at("last.safetensors"), &[4, 5, 3], None);
    last(&unit()).write_npy(at("last.npy")).unwrap();
    let (mean, std) = ([0.5, 0.25, 0.125], [0.5, 2.0, 0.25]);
    // Powers of two: exact by hand, too.
    let row = |numbers: [f64; 3]| Tensor::new(&numbers, &Device::Cpu).unwrap();
    let by_hand = last(&unit()).broadcast_sub(&row(mean)).unwrap();
    let by_hand = by_hand.broadcast_div(&row(std)).unwrap();
    by_hand.write_npy(at("by-hand.npy")).unwrap();
    let given = [
        "--mean",
        "0.5,0.25,0.125",
        "--std",
        "0.5,2,0.25",
        "--norm",
        "2",
    ];
    let (_, table) = certify(dir.path(), "last.safetensors", "last.npy", &given);
    let check = [
        "check",
        text(&at("out.csv")),
        "--model",
        text(&at("last.safetensors")),
        "--data",
        text(&at("last.npy")),
        "--mean",
        "0.5,0.25,0.125",
        "--std",
        "0.5,2,0.25",
    ]
    .map(str::to_owned);
    let checked = json(&check.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(
        (&checked["checked"], &checked["failures"]),
        (&value!(2), &value!([]))
    );
    let (_, other) = certify(
        dir.path(),
        "last.safetensors",
        "by-hand.npy",
        &["--norm", "2"],
    );
    let prediction = |table: &str| {
        let lines = table.lines().skip(1);
        lines
            .map(|line| line.split(',').nth(2).unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(prediction(&table), prediction(&other));
}

#[test]
fn a_run_keeps_what_was_done_to_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let run = dir.path().join("run");
    let dataset = format!("dataset={}", text(&data));
    let keys = [
        &dataset[..],
        "epochs=1",
        "scale=1/128",
        "mean=[0.25]",
        "std=[0.5]",
    ];
    train(&run, &keys, &[]);
    let found = json(&["certify", "--model", text(&run), "--limit", "3"]);
    let expected = [
        ("scale", value!("1/128")),
        ("mean", value!([0.25])),
        ("std", value!([0.5])),
        ("normalized_by_model", value!(true)),
    ];
    for (key, expected) in expected {
        assert_eq!(found["preprocessing"][key], expected, "{key}");
    }
    let named = json(&[
        "certify",
        "--model",
        text(&run),
        "--data",
        text(&data),
        "--limit",
        "3",
    ]);
    assert_eq!(named["margins"], found["margins"]);
    assert_eq!(named["preprocessing"], found["preprocessing"]);
    let before = names(&run);
    refused(
        dir.path(),
        "certify --model @run --mean 0.1 --std 0.3",
        2,
        "normalises its inputs itself",
    );
    assert_eq!(names(&run), before);
    let config = "train --preset demo --out @other --set dataset=@data";
    for (set, needles) in [
        ("scale=0", "scale|1/255"),
        ("layout=nhwc", "layout|channels-last"),
        ("resize=0", "resize|from 1 to 4096"),
        ("mean=[1]", "mean|as many numbers as std"),
    ] {
        refused(dir.path(), &format!("{config} --set {set}"), 2, needles);
    }
    refused(
        dir.path(),
        &format!("{config} --set resize=8"),
        1,
        "resize|image files",
    );
}

/// Means of the first or the last dimension of square inputs, as --layout says, are those of inputs that they were added to.
#[test]
fn square_inputs_are_normalised_as_their_layout_says() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for shape in [&[4, 4][..], &[3, 3, 3]] {
        network(&at("m.safetensors"), shape, None);
        let (count, channels) = (shape.iter().product::<usize>(), shape[0]);
        // Sums of eighths are exact.
        let x: Vec<f64> = (0..2 * count)
            .map(|i| (i * i * 7 % 19) as f64 / 8.0)
            .collect();
        let save = |name: &str, x: Vec<f64>| {
            let shape = [&[2], shape].concat();
            let x = Tensor::from_vec(x, shape, &Device::Cpu).unwrap();
            x.write_npy(at(name)).unwrap();
        };
        save("x.npy", x.clone());
        let radii = |(_, table): (serde_json::Value, String)| -> Vec<f64> {
            let cell = |row: &str| row.split(',').nth(3).unwrap().parse().unwrap();
            table.lines().skip(1).map(cell).collect()
        };
        let plain = radii(certify(dir.path(), "m.safetensors", "x.npy", &[]));
        let means: Vec<String> = (1..=channels).map(|mean| mean.to_string()).collect();
        let (means, stds) = (means.join(","), vec!["1"; channels].join(","));
        let normalised = ["--mean", &means, "--std", &stds];
        for (layout, area) in [("channels-first", count / channels), ("channels-last", 1)] {
            let mean = |i: usize| (i % count / area % channels + 1) as f64;
            let added = x.iter().enumerate().map(|(i, x)| x + mean(i));
            save("added.npy", added.collect());
            let more = [&normalised[..], &["--layout", layout]].concat();
            let found = radii(certify(dir.path(), "m.safetensors", "added.npy", &more));
            // Radii are rounded down by what the subtraction may be off.
            for (found, plain) in found.iter().zip(&plain) {
                let ratio = found / plain;
                assert!((ratio - 1.0).abs() < 1e-9, "{shape:?} {layout}: {ratio}");
            }
        }
        let arguments =
            format!("certify --model @m.safetensors --data @x.npy --mean {means} --std {stds}");
        refused(
            dir.path(),
            &arguments,
            1,
            "first or last|--layout says which",
        );
    }
}

/// One array of the model's shape is one input, also where it is laid out otherwise.
#[test]
fn an_array_of_one_input_may_have_its_channels_last() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    network(&at("m.safetensors"), &[3, 4, 5], None);
    let first = unit().get(0).unwrap();
    first.write_npy(at("first.npy")).unwrap();
    let last = first.permute((1, 2, 0)).unwrap().contiguous().unwrap();
    last.write_npy(at("last.npy")).unwrap();
    let explain = |input: &str, more: &[&str]| {
        let (model, input, out) = (at("m.safetensors"), at(input), at("out.csv"));
        let own = [
            "explain",
            "--model",
            text(&model),
            "--input",
            text(&input),
            "--out",
            text(&out),
            "--force",
            "--time",
            "0",
            "--evaluations",
            "10",
            "--steps",
            "4",
        ];
        json(&[&own[..], more].concat());
        fs::read_to_string(&out).unwrap()
    };
    let layout = ["--layout", "channels-last"];
    let (of_first, of_last) = (explain("first.npy", &[]), explain("last.npy", &layout));
    let numbers = |table: &str| -> Vec<String> {
        table
            .lines()
            .skip(1)
            .map(|row| row.split_once(',').unwrap().1.to_owned())
            .collect()
    };
    assert_eq!(numbers(&of_first), numbers(&of_last));
    let (_, of_first) = certify(dir.path(), "m.safetensors", "first.npy", &[]);
    let (_, of_last) = certify(dir.path(), "m.safetensors", "last.npy", &layout);
    assert_eq!(of_first, of_last);
}

/// A graph that takes bytes and makes numbers of them itself.
#[test]
fn a_model_of_whole_numbers_is_given_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let dims: Vec<u8> = [1, 1, 2, 2]
        .iter()
        .flat_map(|size| bytes(1, &int(1, *size)))
        .collect();
    let of_bytes = [int(1, 2), bytes(2, &dims)].concat();
    let x = [bytes(1, b"x"), bytes(2, &bytes(1, &of_bytes))].concat();
    let nodes = [
        node("Cast", &["x"], "number", &[attribute_int("to", 1)]),
        node("Sub", &["number", "c"], "less", &[]),
        node("Relu", &["less"], "r", &[]),
        node("Flatten", &["r"], "flat", &[]),
        node("MatMul", &["flat", "w"], "y", &[]),
    ];
    let constants = [
        doubles("c", &[], &[100.5]),
        doubles("w", &[4, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0]),
    ];
    let graph = [
        nodes.iter().flat_map(|n| bytes(1, n)).collect(),
        constants.iter().flat_map(|t| bytes(5, t)).collect(),
        bytes(11, &x),
        bytes(12, &value_info("y", &[])),
    ]
    .concat();
    let model = [int(1, 8), bytes(7, &graph), bytes(8, &int(2, 13))].concat();
    fs::write(at("bytes.onnx"), model).unwrap();
    let picture = image::GrayImage::from_raw(2, 2, vec![90, 100, 101, 255]).unwrap();
    picture.save(at("p.png")).unwrap();
    let stored = Tensor::new(&[[[90u8, 100], [101, 255]]], &Device::Cpu).unwrap();
    stored.unsqueeze(0).unwrap().write_npy(at("p.npy")).unwrap();
    let run = |data: &str, more: &[&str]| {
        let (model, data, out) = (at("bytes.onnx"), at(data), at("o.csv"));
        let asked = ["certify", "--model", text(&model), "--data", text(&data)];
        let out = ["--norm", "inf", "--force", "--out", text(&out)];
        let output = command(&[&asked[..], &out, more].concat())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let table = fs::read_to_string(at("o.csv")).unwrap();
        let column = table.lines().next().unwrap().split(',');
        let column = column.into_iter().position(|name| name == "eps_inf");
        let row = table.lines().nth(1).unwrap();
        let radius = row.split(',').nth(column.unwrap()).unwrap();
        (radius.parse::<f64>().unwrap(), said)
    };
    // The nearest boundaries are at 100.5, whatever the file of the picture is; no word is said of a scale.
    for data in ["p.png", "p.npy"] {
        let (radius, said) = run(data, &[]);
        assert!((radius - 0.5).abs() < 1e-9, "{radius}");
        assert!(!said.contains("WARN"), "{said}");
    }
    // Asked for by name, and said to be none that a runtime takes.
    let (radius, said) = run("p.png", &["--scale", "1/255"]);
    assert_eq!(radius, f64::INFINITY);
    assert!(said.contains("whole numbers (uint8)"), "{said}");
}
