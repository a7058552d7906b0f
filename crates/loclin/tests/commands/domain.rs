//! `--domain`: balls cut with the box that inputs come from, by default with the range of pixels.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::Value;

use crate::fixture::{command, json, model, small_data, text};
use crate::refusal::refused;

/// The radii of a table, `[eps_1, eps_2, eps_inf]` of each row.
fn radii(table: &Path) -> Vec<[f64; 3]> {
    let mut reader = csv::Reader::from_path(table).unwrap();
    let rows = reader.records().map(|record| {
        let record = record.unwrap();
        [3, 4, 5].map(|at| record[at].parse().unwrap())
    });
    rows.collect()
}

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        small_data(dir.path());
        model(&dir.path().join("m.safetensors"), &[1, 6, 6], &[9, 5]);
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Arguments of a command about the model and its data.
    fn about(&self, asked: &[&str], more: &[&str]) -> Vec<String> {
        let (file, data) = (self.path("m.safetensors"), self.path("data"));
        let fixed = ["--model", text(&file), "--data", text(&data)];
        let all = [asked, &fixed, more].concat();
        all.into_iter().map(str::to_owned).collect()
    }

    fn certify(&self, out: &str, more: &[&str]) -> Value {
        let out = self.path(out);
        let arguments = self.about(&["certify", "--force", "--out", text(&out)], more);
        json(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The exit code of `check`, and all that it prints.
    fn check(&self, table: &str, more: &[&str]) -> (i32, String) {
        let table = self.path(table);
        let arguments = self.about(&["check", text(&table), "--sample", "40"], more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = command(&arguments).output().unwrap();
        let both = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(both).unwrap(),
        )
    }
}

#[test]
fn images_are_certified_inside_the_range_of_pixels() {
    let files = Files::new();
    let cut = files.certify("cut.csv", &[]);
    let whole = files.certify("whole.csv", &["--domain", "none"]);
    assert_eq!(cut["domain"], serde_json::json!([0.0, 1.0]));
    assert_eq!(whole["domain"], Value::Null);
    let same = files.certify("same.csv", &["--box", "0,1"]);
    assert_eq!(same["eps_inf"], cut["eps_inf"]);
    let (cut, whole) = (
        radii(&files.path("cut.csv")),
        radii(&files.path("whole.csv")),
    );
    let mut larger = 0;
    for (cut, whole) in cut.iter().zip(&whole) {
        // Rounded down, each on its way.
        assert!(
            cut.iter()
                .zip(whole)
                .all(|(cut, whole)| *cut >= whole * (1.0 - 1e-9))
        );
        larger += usize::from(cut[2] > 1.01 * whole[2]);
    }
    assert!(larger > 4, "{larger} of 40");

    let header = |name: &str| fs::read_to_string(files.path(name)).unwrap();
    assert!(
        header("cut.csv")
            .lines()
            .all(|line| line.contains(",domain,") || line.contains(",0 to 1,"))
    );
    assert!(!header("whole.csv").contains("domain"));
    let arguments = files.about(&["certify"], &["--scale", "1"]);
    let output = command(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("balls inside [0, 255]"), "{stdout}");
}

#[test]
fn tables_are_checked_within_their_domain() {
    let files = Files::new();
    files.certify("cut.csv", &[]);
    files.certify("whole.csv", &["--domain", "none"]);
    let (code, said) = files.check("cut.csv", &[]);
    assert!(
        code == 0 && said.contains("balls inside [0, 1]") && said.contains("all hold"),
        "{said}"
    );
    let (code, said) = files.check("whole.csv", &[]);
    assert!(
        code == 0 && said.contains("whole balls") && said.contains("all hold"),
        "{said}"
    );
    // What is true within the domain is not without.
    let text = fs::read_to_string(files.path("cut.csv")).unwrap();
    let without = text.replace(",domain", ",note").replace(",0 to 1", ",");
    fs::write(files.path("without.csv"), without).unwrap();
    assert_eq!(files.check("without.csv", &[]).0, 1);
    // And a table that names no domain claims it of whole balls, whatever is asked.
    let (code, said) = files.check("without.csv", &["--domain", "0,1"]);
    assert!(code == 2 && said.contains("its balls are whole"), "{said}");
    let (code, said) = files.check("cut.csv", &["--domain", "0,2"]);
    assert!(code == 2 && said.contains("0 to 1"), "{said}");
    // Nor is a little more.
    let mut writer = csv::Writer::from_path(files.path("more.csv")).unwrap();
    let mut reader = csv::Reader::from_path(files.path("cut.csv")).unwrap();
    writer.write_record(reader.headers().unwrap()).unwrap();
    let mut count = 0;
    for record in reader.records() {
        let mut cells: Vec<String> = record.unwrap().iter().map(str::to_owned).collect();
        let radius = cells[5].parse::<f64>().unwrap();
        count += usize::from(radius > 0.0 && radius.is_finite());
        for cell in &mut cells[3..=5] {
            *cell = (cell.parse::<f64>().unwrap() * (1.0 + 1e-9)).to_string();
        }
        writer.write_record(cells).unwrap();
    }
    writer.flush().unwrap();
    let (code, said) = files.check("more.csv", &[]);
    assert!(
        code == 1 && said.contains(&format!("{count} do not hold")),
        "{said}"
    );
}

#[test]
fn ends_may_be_those_of_a_file() {
    let files = Files::new();
    let ends = |name: &str, low: f64, high: f64| {
        let ends: Vec<f64> = [vec![low; 36], vec![high; 36]].concat();
        let tensor = Tensor::from_vec(ends, (2, 1, 6, 6), &Device::Cpu).unwrap();
        tensor.write_npy(files.path(name)).unwrap();
    };
    ends("ends.npy", 0.0, 1.0);
    ends("narrow.npy", 0.4, 0.5);
    let file = files.path("ends.npy");
    let found = files.certify("m.csv", &["--domain", text(&file)]);
    assert_eq!(found["domain"]["file"], text(&file));
    assert_eq!(found["eps_2"], files.certify("same.csv", &[])["eps_2"]);
    // The table says the file, and only who has it can check.
    let (code, said) = files.check("m.csv", &[]);
    assert!(code == 2 && said.contains("ends.npy"), "{said}");
    assert_eq!(files.check("m.csv", &["--domain", text(&file)]).0, 0);
    for other in ["0,1", text(&files.path("narrow.npy"))] {
        let (code, said) = files.check("m.csv", &["--domain", other]);
        assert!(code == 2 && said.contains("names another"), "{said}");
    }
    // The same file elsewhere is the same, another of its name is not; without a journal names decide.
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.npy");
    fs::copy(&file, &copy).unwrap();
    assert_eq!(files.check("m.csv", &["--domain", text(&copy)]).0, 0);
    let namesake = elsewhere.path().join("ends.npy");
    fs::copy(files.path("narrow.npy"), &namesake).unwrap();
    assert_eq!(files.check("m.csv", &["--domain", text(&namesake)]).0, 2);
    let narrow = files.path("narrow.npy");
    let arguments = files.about(&["certify"], &["--domain", text(&narrow)]);
    let output = command(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && stderr.contains("outside the domain [0.4, 0.5]"),
        "{stderr}"
    );
}

/// A row or statement about an input outside its domain is named.
#[test]
fn what_is_outside_its_domain_is_named() {
    let files = Files::new();
    files.certify("cut.csv", &[]);
    let text_of_table = fs::read_to_string(files.path("cut.csv")).unwrap();
    let narrow = text_of_table.replace(",0 to 1,", ",0.4 to 0.5,");
    fs::write(files.path("narrow.csv"), narrow).unwrap();
    let proofs = files.path("p.json");
    let bound = ["bound", "--limit", "1", "--eps", "1/255"];
    let arguments = files.about(&bound, &["--proof", text(&proofs)]);
    json(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let narrow = fs::read_to_string(&proofs).unwrap();
    assert!(narrow.contains("\"0 to 1\""), "{narrow}");
    fs::write(&proofs, narrow.replace("\"0 to 1\"", "\"0.4 to 0.5\"")).unwrap();
    for (result, needles) in [
        ("narrow.csv", "narrow.csv: row |(line |data, input "),
        ("p.json", "p.json: statement 1: |data, input 0"),
    ] {
        let arguments = format!("check @{result} --model @m.safetensors --data @data");
        let needles = format!("{needles}|outside the domain [0.4, 0.5]");
        refused(files.dir.path(), &arguments, 1, &needles);
    }
}

/// A box of a file has the shape and layout of the model or of the data; any other is refused, even one of as many numbers.
#[test]
fn a_box_of_a_file_is_laid_out_as_inputs_are() {
    let files = Files::new();
    model(&files.path("c.safetensors"), &[3, 4, 5], &[9, 5]);
    let last = |x: &Tensor| {
        let moved = x.permute((0, 2, 3, 1)).unwrap();
        moved.contiguous().unwrap()
    };
    let write = |name: &str, x: &Tensor| x.write_npy(files.path(name)).unwrap();
    let x = (Tensor::ones((1, 3, 4, 5), DType::F64, &Device::Cpu).unwrap() * 0.5).unwrap();
    write("first.npy", &x);
    write("last.npy", &last(&x));
    // Only the first channel may move further than 1e-4, which is less than the radii.
    let end = |own: f64, other: f64| {
        let values: Vec<f64> = [vec![own; 20], vec![other; 40]].concat();
        Tensor::from_vec(values, (3, 4, 5), &Device::Cpu).unwrap()
    };
    let ends = [end(0.0, 0.4999), end(1.0, 0.5001)];
    let own = Tensor::stack(&ends, 0).unwrap();
    write("box-first.npy", &own);
    write("box-last.npy", &last(&own));
    write("box-flat.npy", &own.flatten_from(1).unwrap());
    write("box-mixed.npy", &last(&own).flatten_from(1).unwrap());
    write("box-odd.npy", &own.reshape((2, 6, 10)).unwrap());
    let certify = |data: &str, ends: &str| {
        let (file, data) = (files.path("c.safetensors"), files.path(data));
        let ends = files.path(ends);
        let mut asked = vec!["certify", "--model", text(&file), "--data", text(&data)];
        asked.extend(["--domain", text(&ends)]);
        if data.ends_with("last.npy") {
            asked.extend(["--layout", "channels-last"]);
        }
        ["eps_1", "eps_2", "eps_inf"].map(|norm| json(&asked)[norm].clone())
    };
    let expected = certify("first.npy", "box-first.npy");
    assert_eq!(certify("first.npy", "box-flat.npy"), expected);
    assert_ne!(certify("first.npy", "box-mixed.npy"), expected);
    assert_eq!(certify("last.npy", "box-last.npy"), expected);
    assert_eq!(certify("last.npy", "box-first.npy"), expected);
    let row = "index,label,prediction,eps_2,guarantee,layer,neuron\n0,,0,0.1,proved,,\n";
    fs::write(files.path("t.csv"), row).unwrap();
    for (data, needles) in [
        ("first.npy --domain @box-last.npy", "4 x 5 x 3|3 x 4 x 5"),
        ("first.npy --domain @box-odd.npy", "6 x 10|3 x 4 x 5"),
        (
            "last.npy --layout channels-last --domain @box-odd.npy",
            "6 x 10|3 x 4 x 5|channels-last as the data are",
        ),
        (
            "last.npy --layout channels-last --domain @box-flat.npy",
            "60 numbers|layout|channels-last as the data are",
        ),
    ] {
        for asked in [
            "certify --out @o.csv",
            "check @t.csv",
            "bound --eps 0.1 --out @o.csv",
            "distortion",
            "explain --input 0",
        ] {
            let arguments = format!("{asked} --model @c.safetensors --data @{data}");
            let needles = format!("--domain|box-|{needles}");
            refused(files.dir.path(), &arguments, 1, &needles);
        }
    }
}

#[test]
fn the_box_may_be_that_of_a_property() {
    let files = Files::new();
    let line = |at: usize| {
        format!("(declare-const X_{at} Real)\n(assert (>= X_{at} 0.0))\n(assert (<= X_{at} 1.0))\n")
    };
    let text_of_file: String = (0..36).map(line).collect();
    let file = files.path("p.vnnlib");
    fs::write(&file, text_of_file).unwrap();
    let found = files.certify("m.csv", &["--domain", text(&file)]);
    assert_eq!(found["domain"]["file"], text(&file));
    assert_eq!(found["eps_inf"], files.certify("same.csv", &[])["eps_inf"]);
    fs::write(&file, "(assert (<= X_0 1.0))").unwrap();
    let arguments = files.about(&["certify"], &["--domain", text(&file)]);
    let output = command(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && stderr.contains("p.vnnlib"),
        "{stderr}"
    );
}

#[test]
fn arrays_have_no_domain_unless_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    model(&path("m.safetensors"), &[4], &[5, 5]);
    let values: Vec<f64> = (0..12).map(|i| f64::from(i * i % 7) / 7.0).collect();
    let tensor = Tensor::from_slice(&values, (3, 4), &Device::Cpu).unwrap();
    tensor.write_npy(path("x.npy")).unwrap();
    let (model, data) = (path("m.safetensors"), path("x.npy"));
    let fixed = ["certify", "--model", text(&model), "--data", text(&data)];
    assert_eq!(json(&fixed)["domain"], Value::Null);
    let cut = json(&[&fixed[..], &["--domain", "-1,1"]].concat());
    assert_eq!(cut["domain"], serde_json::json!([-1.0, 1.0]));
    for wrong in ["1,0", "a.txt", "0"] {
        let output = command(&[&fixed[..], &["--domain", wrong]].concat())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}
