//! `certify`: the margins it writes, against margins recomputed from the model file alone.

use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use loclin_data::{Split, digits};
use safetensors::SafeTensors;
use serde_json::Value;

use crate::fixture::{TEST, demo_config, json, model, small_data, text};

/// The CSV's header and rows.
fn table(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let words = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect();
    let header = words(reader.headers().unwrap());
    let rows = reader.records().map(|record| words(&record.unwrap()));
    (header, rows.collect())
}

fn column(path: &Path, name: &str) -> Vec<f64> {
    let (header, rows) = table(path);
    let at = header.iter().position(|word| word == name).unwrap();
    rows.iter().map(|row| row[at].parse().unwrap()).collect()
}

/// Weights `[out][in]` and biases of every layer, in order.
fn layers(file: &Path) -> Vec<(Vec<Vec<f64>>, Vec<f64>)> {
    let bytes = fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |name: String| {
        let view = tensors.tensor(&name).ok()?;
        let words = view.data().as_chunks::<4>().0.iter();
        let values: Vec<f64> = words.map(|w| f32::from_le_bytes(*w).into()).collect();
        Some((view.shape().to_vec(), values))
    };
    let layer = |i| {
        let (shape, weight) = numbers(format!("layers.{i}.weight"))?;
        let rows = weight.chunks(shape[1]).map(<[f64]>::to_vec).collect();
        Some((rows, numbers(format!("layers.{i}.bias"))?.1))
    };
    (0..).map_while(layer).collect()
}

/// `min over neurons of |z| / ||grad z||_q` for q = inf, 2, 1 (p = 1, 2, inf), in pixel units, and the class.
fn margins(layers: &[(Vec<Vec<f64>>, Vec<f64>)], pixels: &[f64]) -> ([f64; 3], usize) {
    let (mean, std) = (0.1307, 0.3081);
    let mut a: Vec<f64> = pixels.iter().map(|x| (x - mean) / std).collect();
    // Row k: the gradient of a_k with respect to the pixels.
    let unit = |k: usize| {
        (0..a.len())
            .map(|i| if i == k { 1.0 / std } else { 0.0 })
            .collect()
    };
    let mut gradients: Vec<Vec<f64>> = (0..a.len()).map(unit).collect();
    let mut least = [f64::INFINITY; 3];
    for (depth, (weight, bias)) in layers.iter().enumerate() {
        let last = depth + 1 == layers.len();
        let (mut values, mut rows) = (Vec::new(), Vec::new());
        for (w, b) in weight.iter().zip(bias) {
            let z = b + w.iter().zip(&a).map(|(w, a)| w * a).sum::<f64>();
            let along = |i: usize| w.iter().zip(&gradients).map(|(w, g)| w * g[i]).sum::<f64>();
            let gradient: Vec<f64> = (0..pixels.len()).map(along).collect();
            if last {
                values.push(z);
                continue;
            }
            let size = gradient.iter().map(|g| g.abs());
            let dual = [
                size.clone().fold(0.0, f64::max),
                size.clone().map(|g| g * g).sum::<f64>().sqrt(),
                size.sum(),
            ];
            for (least, dual) in least.iter_mut().zip(dual) {
                *least = least.min(z.abs() / dual);
            }
            let slope = if z > 0.0 { 1.0 } else { 0.0 };
            values.push(slope * z);
            rows.push(gradient.iter().map(|g| slope * g).collect());
        }
        (a, gradients) = (values, rows);
    }
    let class = (0..a.len()).fold(0, |best, i| if a[i] > a[best] { i } else { best });
    (least, class)
}

#[test]
fn radii_agree_with_plain_loops_over_the_model_file() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("m.safetensors"), dir.path().join("m.csv"));
    model(&file, &[1, 28, 28], &[9, 6]);
    let outcome = json(&[
        "certify",
        "--model",
        text(&file),
        "--data",
        "digits",
        "--limit",
        "300",
        "--domain",
        "none",
        "--dtype",
        "f64",
        "--at",
        "1/255",
        "--out",
        text(&out),
    ]);
    assert_eq!(outcome["inputs"], 300);
    assert_eq!(outcome["neurons"], 15);
    assert_eq!(outcome["out"], text(&out));
    let (header, rows) = table(&out);
    assert_eq!(
        header.join(","),
        "index,label,prediction,eps_1,eps_2,eps_inf,guarantee,layer,neuron,position,score,place"
    );
    assert_eq!(rows.len(), 300);
    let digits = digits::load(Split::Test, 0).unwrap();
    let layers = layers(&file);
    let mut correct = 0;
    for (index, row) in rows.iter().enumerate() {
        let label = digits.labels().unwrap()[index].to_string();
        assert_eq!(row[..2], [index.to_string(), label]);
        correct += usize::from(row[1] == row[2]);
        let [one, two, inf] = [3, 4, 5].map(|i| row[i].parse::<f64>().unwrap());
        // |x|_1 >= |x|_2 >= |x|_inf, so the balls of one radius contain each other. Each margin is rounded.
        assert!(
            one >= two * (1.0 - 1e-12) && two >= inf * (1.0 - 1e-12),
            "{row:?}"
        );
        let width = match row[7].strip_prefix("layers.").and_then(|l| l.get(..1)) {
            Some("0") => 9,
            Some("1") => 6,
            _ => 0,
        };
        assert!(row[8].parse::<usize>().unwrap() < width, "{row:?}");
    }
    assert_eq!(outcome["accuracy"], correct as f64 / 300.0);
    for index in [0, 1, 57, 256, 299] {
        let (radii, class) = margins(&layers, &digits.rows_f64(&[index]).unwrap());
        assert_eq!(rows[index][2], class.to_string());
        for (radius, word) in radii.iter().zip(&rows[index][3..6]) {
            let found: f64 = word.parse().unwrap();
            // Both sum 784 products in float64, in another order: 784 * 2^-53 of terms that may cancel.
            assert!(
                found <= radius * (1.0 + 1e-12) + 1e-14 && found >= radius * (1.0 - 1e-8) - 1e-14,
                "{found} {radius}"
            );
        }
    }
    let count = |name: &str| outcome[name].as_u64().unwrap();
    assert!(1 <= count("clr_lower") && count("clr_lower") <= count("clr_upper"));
    assert!(count("clr_upper") <= 300);
    assert_eq!(outcome["clr_guarantee"], outcome["guarantee"]);

    assert_explained(&outcome, &out);

    // Percentiles as numpy.percentile: 299 intervals between 300 ranks.
    for name in ["eps_1", "eps_2", "eps_inf"] {
        let mut radii = column(&out, name);
        radii.sort_by(f64::total_cmp);
        for percent in [25, 50, 75, 100] {
            let rank = 299.0 * f64::from(percent) / 100.0;
            let (low, high) = (radii[rank.floor() as usize], radii[rank.ceil() as usize]);
            let expected = low + (high - low) * rank.fract();
            let found = outcome[name][format!("p{percent}")].as_f64().unwrap();
            assert!(
                (found - expected).abs() <= 1e-14 * expected,
                "{name} {percent}"
            );
        }
    }
}

/// The worst input, the share above 1/255, a level of 8 bits and the limiting layers are those of the table.
fn assert_explained(outcome: &Value, out: &Path) {
    let (radii, rows) = (column(out, "eps_2"), table(out).1);
    let least = radii.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(outcome["worst"]["eps_2"]["radius"], least);
    let worst = outcome["worst"]["eps_2"]["index"].as_u64().unwrap();
    assert_eq!(radii[worst as usize], least);
    let above = radii.iter().filter(|radius| **radius > 1.0 / 255.0).count();
    let share = above as f64 / radii.len() as f64;
    assert_eq!(outcome["at"][0]["share"]["eps_2"], share);
    assert_eq!(outcome["level"], 1.0 / 255.0);
    let layers = outcome["limiting"].as_array().unwrap();
    let limited = layers.iter().map(|layer| layer["inputs"].as_u64().unwrap());
    assert_eq!(limited.sum::<u64>(), radii.len() as u64);
    for row in &rows {
        assert_eq!(row[row.len() - 1], format!("unit {}", row[8]));
        assert!(row[row.len() - 2].parse::<f64>().unwrap().is_finite());
    }
}

#[test]
fn columns_are_the_norms_asked_for_and_float32_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let (file, out) = (dir.path().join("m.safetensors"), dir.path().join("m.csv"));
    model(&file, &[1, 6, 6], &[9, 6]);
    let certify = |more: &[&str]| {
        let fixed = [
            "certify",
            "--model",
            text(&file),
            "--data",
            text(&data),
            "--force",
            "--out",
            text(&out),
        ];
        let outcome = json(&[&fixed[..], more].concat());
        assert_eq!(outcome["inputs"], TEST);
        let written =
            ["eps_1", "eps_2", "eps_3", "eps_inf"].map(|name| outcome.get(name).is_some());
        let header = table(&out).0;
        let expected =
            ["eps_1", "eps_2", "eps_3", "eps_inf"].map(|name| header.iter().any(|h| h == name));
        assert_eq!(written, expected);
        header.join(",")
    };
    let asked = ["--norm", "inf", "--norm", "3", "--norm", "inf"];
    assert_eq!(
        certify(&asked),
        "index,label,prediction,eps_inf,eps_3,guarantee,layer,neuron,position,domain,score,place"
    );
    assert_eq!(
        certify(&["--norm", "2"]),
        "index,label,prediction,eps_2,guarantee,layer,neuron,position,domain,score,place"
    );
    let mut by_type = ["f64", "f32"].map(|dtype| {
        certify(&["--dtype", dtype]);
        ["eps_1", "eps_2", "eps_inf"]
            .map(|name| column(&out, name))
            .concat()
    });
    let [exact, single] = &mut by_type;
    for (exact, single) in exact.iter().zip(single) {
        // A margin is the quotient of a pre-activation, known in float32 to about 1e-6 here, and a gradient.
        assert!(
            (*exact - *single).abs() <= 1e-3 * exact + 1e-6,
            "{exact} {single}"
        );
    }
}

#[test]
fn a_run_directory_says_which_data_and_type_and_seed() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_data(dir.path());
    let run = dir.path().join("run");
    fs::create_dir(&run).unwrap();
    model(&run.join("model.safetensors"), &[1, 6, 6], &[5]);
    let config = fs::read_to_string(demo_config()).unwrap();
    // What it leaves out, the seed among it, is the default.
    assert!(!config.contains("dtype") && !config.contains("seed"));
    let own = format!("dataset = {:?}\ndtype = \"f64\"", text(&data));
    let config = config.replace("dataset = \"digits\"", &own);
    fs::write(run.join("config.toml"), config).unwrap();
    let outcome = json(&["certify", "--model", text(&run), "--split", "valid"]);
    assert_eq!(outcome["inputs"], 20, "5/60 of the training files");
    assert_eq!(outcome["dtype"], "f64");
    assert_eq!(outcome["model"], text(&run));
    assert!(outcome["inputs_per_second"].as_f64().unwrap() > 0.0);
    let file = run.join("model.safetensors");
    let given = [
        "certify",
        "--model",
        text(&file),
        "--data",
        text(&data),
        "--dtype",
        "f64",
    ];
    let same = json(&[&given[..], &["--split", "valid"]].concat());
    assert_eq!(same["eps_2"], outcome["eps_2"]);
}

#[test]
fn tensors_without_labels_have_margins_and_no_accuracy() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    model(&path("m.safetensors"), &[4], &[5]);
    let values: Vec<f64> = (0..12).map(|i| f64::from(i * i % 7) / 3.0 - 1.0).collect();
    let tensor = Tensor::from_slice(&values, (3, 4), &Device::Cpu).unwrap();
    tensor.save_safetensors("x", path("x.safetensors")).unwrap();
    tensor.write_npy(path("x.npy")).unwrap();
    // One layout is as good as another, as long as the number of values is the network's.
    tensor
        .reshape((3, 2, 2))
        .unwrap()
        .write_npy(path("square.npy"))
        .unwrap();
    let (model, out) = (path("m.safetensors"), path("m.csv"));
    let mut tables = Vec::new();
    for name in ["x.npy", "x.safetensors", "square.npy"] {
        let input = path(name);
        let arguments = ["certify", "--model", text(&model), "--data", text(&input)];
        let outcome = json(
            &[
                &arguments[..],
                &["--force", "--dtype", "f64", "--out", text(&out)],
            ]
            .concat(),
        );
        assert_eq!(outcome["accuracy"], Value::Null);
        assert_eq!(outcome["inputs"], 3);
        assert!(table(&out).1.iter().all(|row| row[1].is_empty()));
        tables.push(fs::read(&out).unwrap());
    }
    assert!(tables.iter().all(|table| *table == tables[0]));
}

/// The page names what limits the radii and shows the inputs at both ends, with what makes the result again.
#[test]
fn a_page_shows_both_ends_and_what_limits() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let data = small_data(dir.path());
    let (net, page, out) = (at("fc.safetensors"), at("fc.html"), at("fc.csv"));
    model(&net, &[1, 6, 6], &[12, 8]);
    let arguments = ["certify", "--model", text(&net), "--data", text(&data)];
    let files = ["--report", text(&page), "--out", text(&out)];
    json(&[&arguments[..], &files].concat());
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("The smallest radii") && html.contains("of one 8-bit level"));
    // 40 inputs, 20 of either end.
    assert_eq!(html.matches("<img ").count(), 40);
    let smallest = column(&out, "eps_2")
        .into_iter()
        .fold(f64::INFINITY, f64::min);
    assert!(html.contains(&format!("l2 {}", loclin_report::at_most(smallest))));
    assert!(html.contains("model, SHA-256") && html.contains("--report"));
    assert!(!html.contains("NaN") && !html.contains("src=\"http"));
    assert!(html.contains("certified radius"));
    // Nothing is claimed of radii in float32.
    let files = ["--report", text(&page), "--force", "--dtype", "f32"];
    json(&[&arguments[..], &files].concat());
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("an estimate") && !html.contains("certified"));
}
