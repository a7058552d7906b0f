//! Classes by their names: in tables, in JSON, and in the warning of an accuracy near chance.

use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use loclin_models::{Mlp, Model};
use loclin_tensor::Parameters;
use serde_json::json as value;

use crate::fixture::{json, text};
use crate::refusal::refused;

#[test]
fn chance_is_named_and_classes_are() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("m.safetensors");
    crate::fixture::model(&file, &[1, 28, 28], &[8]);
    let certify = |limit: &str| {
        let own = [
            "certify",
            "--model",
            text(&file),
            "--data",
            "digits",
            "--norm",
            "inf",
            "--limit",
        ];
        json(&[&own[..], &[limit]].concat())
    };
    let warning = certify("200")["warning"].clone();
    for word in ["of 200 inputs", "10 classes is 10.0%", "preprocessing"] {
        assert!(warning.as_str().unwrap().contains(word), "{warning}");
    }
    assert_eq!(certify("49")["warning"], value!(null));
    // With names, the most frequent mistake by them.
    let names = dir.path().join("names.txt");
    let words = [
        "nil", "one", "two", "tri", "for", "fif", "six", "sev", "oct", "nov",
    ];
    // As some editors begin a text.
    fs::write(&names, format!("\u{feff}{}", words.join("\n"))).unwrap();
    let table = dir.path().join("m.csv");
    let found = json(&[
        "certify",
        "--model",
        text(&file),
        "--data",
        "digits",
        "--limit",
        "100",
        "--classes",
        text(&names),
        "--out",
        text(&table),
    ]);
    let warning = found["warning"].as_str().unwrap();
    assert!(warning.contains("most frequent mistake: "), "{warning}");
    assert!(
        words
            .iter()
            .any(|word| warning.contains(&format!("({word}) taken for"))),
        "{warning}"
    );
    let table = fs::read_to_string(&table).unwrap();
    let header = "index,label,prediction,label_name,prediction_name,eps_1,";
    assert!(table.starts_with(header), "{table}");
    let mut predicted = [0; 10];
    for row in table.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        for (class, name) in [(1, 3), (2, 4)] {
            let class: usize = cells[class].parse().unwrap();
            assert_eq!(cells[name], words[class]);
        }
        predicted[cells[2].parse::<usize>().unwrap()] += 1;
    }
    let classes = found["classes"].as_array().unwrap();
    assert!(!classes.is_empty());
    for class in classes {
        let number = class["class"].as_u64().unwrap() as usize;
        assert_eq!(class["name"], words[number]);
        assert_eq!(class["predicted"], predicted[number]);
    }
}

#[test]
fn folders_name_classes_if_they_are_as_many() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (class, pixel) in [("ape", 10), ("bee", 200)] {
        fs::create_dir_all(at("photos").join(class)).unwrap();
        let image = image::RgbImage::from_pixel(4, 4, image::Rgb([pixel, 3, 7]));
        image.save(at("photos").join(class).join("0.png")).unwrap();
    }
    for (outputs, header) in [
        (2, "index,file,label,prediction,label_name,prediction_name,"),
        (3, "index,file,label,prediction,eps_1,"),
    ] {
        write_model(&at("m.safetensors"), outputs);
        let (model, data, out) = (at("m.safetensors"), at("photos"), at("m.csv"));
        json(&[
            "certify",
            "--model",
            text(&model),
            "--data",
            text(&data),
            "--force",
            "--out",
            text(&out),
        ]);
        let table = fs::read_to_string(&out).unwrap();
        assert!(table.starts_with(header), "{table}");
        let named = table
            .lines()
            .skip(1)
            .filter(|row| row.contains(",ape,") || row.contains(",bee,"));
        assert_eq!(named.count(), if outputs == 2 { 2 } else { 0 });
    }
}

/// Sub-folders are the classes that they are called in --classes, for every command that reads labels; where neither names nor
/// their number says which they are, there are no labels, and a line says so.
#[test]
fn sub_folders_are_the_classes_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (class, pixel) in [("cat", 10), ("dog", 100), ("ship", 200)] {
        fs::create_dir_all(at("photos").join(class)).unwrap();
        let image = image::RgbImage::from_pixel(4, 4, image::Rgb([pixel, 3, 7]));
        image.save(at("photos").join(class).join("0.png")).unwrap();
    }
    write_model(&at("m.safetensors"), 5);
    fs::write(at("names.txt"), "plane\nship\ncar\ncat\ndog\n").unwrap();
    fs::write(at("others.txt"), "plane\nship\ncar\ncat\nhound\n").unwrap();
    let run = |command: &[&str], classes: Option<&str>| {
        let (model, data) = (at("m.safetensors"), at("photos"));
        let mut arguments = command.to_vec();
        arguments.extend(["--model", text(&model), "--data", text(&data)]);
        let names = classes.map(at);
        arguments.extend(names.iter().flat_map(|names| ["--classes", text(names)]));
        let output = crate::fixture::command(&arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            stderr,
        )
    };
    let table = at("m.csv");
    let certify = ["certify", "--norm", "2", "--out", text(&table), "--force"];
    let bounds = at("b.csv");
    let bound = [
        "bound",
        "--class",
        "label",
        "--eps",
        "0.1",
        "--time",
        "0",
        "--out",
        text(&bounds),
        "--force",
    ];
    let picture = at("m.png");
    let explain = [
        "explain",
        "--input",
        "1",
        "--time",
        "0",
        "--evaluations",
        "20",
        "--json",
        "--out",
        text(&picture),
        "--force",
    ];
    let distortion = [
        "distortion",
        "--samples",
        "2",
        "--population",
        "2",
        "--generations",
        "1",
        "--parts",
        "1",
    ];
    let column = |path: &Path, name: &str| {
        let text = fs::read_to_string(path).unwrap();
        let mut rows = text
            .lines()
            .map(|row| row.split(',').map(str::to_owned).collect::<Vec<_>>());
        let header = rows.next().unwrap();
        let place = header.iter().position(|own| own == name).unwrap();
        rows.map(|row| row[place].clone()).collect::<Vec<_>>()
    };
    // By their names.
    let named = Some("names.txt");
    let (code, _, stderr) = run(&certify, named);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(column(&table, "label"), ["3", "4", "1"]);
    assert_eq!(column(&table, "label_name"), ["cat", "dog", "ship"]);
    let (code, _, stderr) = run(&["check", text(&table)], named);
    assert_eq!(code, Some(0), "{stderr}");
    let (code, _, stderr) = run(&bound, named);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(column(&bounds, "class"), ["3", "4", "1"]);
    let (code, stdout, stderr) = run(&explain, named);
    assert_eq!(code, Some(0), "{stderr}");
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&found["label"], &found["label_name"]),
        (&value!(4), &value!("dog"))
    );
    let (code, _, stderr) = run(&distortion, named);
    assert_eq!(code, Some(0), "{stderr}");
    // Nothing says which class they are.
    let said = "3 sub-folders, and the model has 5 classes";
    let (code, stdout, stderr) = run(&certify, None);
    assert_eq!(
        (code, stdout.contains("accuracy")),
        (Some(0), false),
        "{stdout}"
    );
    assert_eq!(column(&table, "label"), ["", "", ""]);
    assert!(
        stderr.contains(said) && stderr.contains("--classes"),
        "{stderr}"
    );
    for command in [&bound[..], &distortion] {
        let (code, _, stderr) = run(command, None);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stderr.contains(said) && stderr.contains("no label"),
            "{stderr}"
        );
    }
    // A folder that is none of the classes.
    for command in [&certify[..], &bound, &explain, &distortion] {
        let (code, _, stderr) = run(command, Some("others.txt"));
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stderr.contains("`dog`, which is none of the names"),
            "{stderr}"
        );
    }
}

/// Writes a network of small pictures with so many outputs.
fn write_model(path: &Path, outputs: usize) {
    let fc = Mlp {
        inputs: vec![3, 4, 4],
        hidden: vec![5],
        outputs,
        negative_slope: 0.0,
    };
    let network = fc.build(Parameters::seeded(5).builder(DType::F64, &Device::Cpu));
    let model = Model {
        network: network.unwrap(),
        normalization: None,
    };
    fs::write(path, model.to_bytes().unwrap()).unwrap();
}

/// One picture of a labelled folder has the folder's label, and its class a name, where the model has as many classes.
#[test]
fn a_single_picture_is_labelled_by_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for class in ["ape", "bee"] {
        fs::create_dir_all(at("photos").join(class)).unwrap();
        let image = image::RgbImage::from_pixel(4, 4, image::Rgb([90, 3, 7]));
        image.save(at("photos").join(class).join("0.png")).unwrap();
    }
    for (outputs, label) in [(2, value!(1)), (3, value!(null))] {
        write_model(&at("m.safetensors"), outputs);
        let (model, picture, out) = (at("m.safetensors"), at("photos/bee/0.png"), at("m.csv"));
        let question = ["certify", "--model", text(&model), "--data", text(&picture)];
        let found = json(&[&question[..], &["--force", "--out", text(&out)]].concat());
        assert_eq!(found["accuracy"].is_null(), label.is_null(), "{found}");
        let table = fs::read_to_string(&out).unwrap();
        assert_eq!(table.contains(",1,"), table.contains(",bee,"), "{table}");
        assert_eq!(table.contains(",bee,"), !label.is_null(), "{table}");
    }
}

/// Labels that the model has no class for are refused by every command that reads them; a model of one output has two classes.
#[test]
fn labels_are_classes_of_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let x: Vec<f64> = (0..3 * 48).map(|i| f64::from(i % 7) / 7.0).collect();
    let x = Tensor::from_vec(x, (3, 3, 4, 4), &Device::Cpu).unwrap();
    let save = |name: &str, labels: [u32; 3]| {
        let labels = Tensor::new(&labels, &Device::Cpu).unwrap();
        let tensors = [("inputs", x.clone()), ("labels", labels)];
        candle_core::safetensors::save(&tensors.into(), at(name)).unwrap();
    };
    for outputs in [1, 2, 3] {
        let classes = outputs.max(2) as u32;
        write_model(&at("m.safetensors"), outputs);
        save("good.safetensors", [0, classes - 1, 1]);
        save("bad.safetensors", [0, 1, classes]);
        let certify = |data: &str| {
            let (model, data, out) = (at("m.safetensors"), at(data), at("m.csv"));
            let own = [
                "certify",
                "--model",
                text(&model),
                "--data",
                text(&data),
                "--norm",
                "2",
            ];
            let more = ["--out", text(&out), "--force"];
            crate::fixture::command(&[&own[..], &more].concat())
                .output()
                .unwrap()
        };
        assert!(certify("good.safetensors").status.success());
        let names = "the label of input 2 is|0 to";
        for command in [
            "certify",
            "check @m.csv",
            "bound --eps 0.1 --time 0",
            "explain --input 2 --time 0",
            "distortion --samples 2 --population 2 --generations 1",
        ] {
            let arguments = format!("{command} --model @m.safetensors --data @bad.safetensors");
            let needles = format!("{names} {}|is {classes};|{outputs} outputs", classes - 1);
            refused(dir.path(), &arguments, 1, &needles);
        }
    }
}
