//! Images: training residual networks on folders of them.

use std::fs;
use std::path::{Path, PathBuf};

use image::{ImageFormat, Rgb, RgbImage};

use crate::fixture::{command, json, text};

/// A tree in the layout of Caltech-256 with two classes of 24 JPEG files each, all of different sizes.
fn small_tree(directory: &Path) -> PathBuf {
    let root = directory.join("256_ObjectCategories");
    for (class, name) in ["001.ak47", "002.american-flag"].iter().enumerate() {
        let folder = root.join(name);
        fs::create_dir_all(&folder).unwrap();
        for index in 0..24 {
            let picture = RgbImage::from_fn(20 + index, 30 - index, |x, y| {
                let stripe = if class == 0 { x } else { y } / 4 % 2 == 0;
                Rgb([if stripe { 200 } else { 40 }, (x * 7) as u8, (y * 7) as u8])
            });
            let file = folder.join(format!("{:03}_{index:04}.jpg", class + 1));
            picture.save_with_format(file, ImageFormat::Jpeg).unwrap();
        }
    }
    root
}

/// A state dict with torchvision's names and a thousand classes.
fn pretrained(directory: &Path) -> PathBuf {
    let architecture = directory.join("resnet.toml");
    let described = r#"
        [architecture]
        kind = "resnet"
        family = "imagenet"
        input_shape = [3, 32, 32]
        width = 2
        blocks = [1, 1]
        classes = 1000"#;
    fs::write(&architecture, described).unwrap();
    let out = directory.join("pretrained.safetensors");
    let arguments = ["init", "--architecture", text(&architecture), "--seed", "8"];
    json(&[&arguments[..], &["--out", text(&out)]].concat());
    out
}

fn tensor(file: &Path, name: &str) -> Vec<f32> {
    let all = candle_core::safetensors::load(file, &candle_core::Device::Cpu).unwrap();
    all[name].flatten_all().unwrap().to_vec1().unwrap()
}

/// Table 4's configuration on a small tree, from the weights of a file whose output layer is another.
#[test]
fn caltech_trains_from_the_weights_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, weights) = (small_tree(dir.path()), pretrained(dir.path()));
    let train = |out: &Path, more: &[&str]| {
        let dataset = format!("dataset={}", text(&tree));
        let mut arguments = ["train", "--preset", "caltech256-roll"]
            .map(str::to_owned)
            .to_vec();
        arguments.extend(["--out".into(), text(out).into()]);
        let init = format!("init={}", text(&weights));
        // A step so small that the weights are still those of the file but for rounding.
        let small = ["hidden=[2]", "blocks=[1, 1]", "axes=6", "batch_size=4"];
        let short = [
            "epochs=1",
            "learning_rate=1e-12",
            &dataset,
            &init,
            "resize=32",
        ];
        for pair in small.iter().chain(&short).chain(more) {
            arguments.extend(["--set".into(), (*pair).to_owned()]);
        }
        arguments
    };
    let out = dir.path().join("run");
    let arguments = train(&out, &[]);
    let found = json(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(found["epochs"], 1);
    let model = out.join("model.safetensors");
    for name in ["conv1.weight", "layer2.0.downsample.0.weight"] {
        let pairs = tensor(&model, name).into_iter().zip(tensor(&weights, name));
        // One rounding of a weight below 10.
        assert!(
            pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6),
            "{name}"
        );
    }
    assert_eq!(tensor(&model, "fc.bias").len(), 2);
    // The running statistics have moved from those of the file, 0 and 1.
    assert_ne!(
        tensor(&model, "bn1.running_mean"),
        tensor(&weights, "bn1.running_mean")
    );

    // Files that are no images are refused, or left out and named; a split has some of them.
    let broken = |index: usize| tree.join(format!("001.ak47/001_99{index:02}.jpg"));
    (0..12).for_each(|index| fs::write(broken(index), "text").unwrap());
    let on_request = format!("dataset={},broken=skip", text(&tree));
    for (name, more, code) in [("a", vec![], 1), ("b", vec![on_request.as_str()], 0)] {
        let arguments = train(&dir.path().join(name), &more);
        let output = command(&[]).args(arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        let named = |index| stderr.contains(&format!("{}: not a JPEG", text(&broken(index))));
        assert!((0..12).any(named), "{stderr}");
    }
    (0..12).for_each(|index| fs::remove_file(broken(index)).unwrap());

    // Another width is another network.
    let other = dir.path().join("other");
    let arguments = train(&other, &["hidden=[3]"]);
    let output = command(&[]).args(arguments).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for needle in [text(&weights), "`bn1.bias`", "[3]", "[2]"] {
        assert!(stderr.contains(needle), "{needle}: {stderr}");
    }
    assert!(!other.exists());
}
