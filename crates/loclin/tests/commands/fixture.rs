//! What the tests of commands share: the program, small data, small networks, and readings of run directories.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use loclin_data::idx;
use loclin_models::{Mlp, Model, Normalization};
use loclin_tensor::Parameters;
use safetensors::SafeTensors;
use serde_json::Value;

/// Inputs in the small dataset's training files, of which 55/60 are trained on and the rest validate.
pub(crate) const TRAIN: usize = 240;
/// Inputs in its test files.
pub(crate) const TEST: usize = 40;

/// The demo's configuration, from which every run here is derived.
pub(crate) fn demo_config() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = own
        .ancestors()
        .map(|folder| folder.join("crates/loclin/presets"));
    folders
        .find(|folder| folder.is_dir())
        .unwrap()
        .join("demo.toml")
}

/// A path as an argument; those of the tests are UTF-8.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The program of the package whose tests these are.
fn program() -> &'static str {
    let own = option_env!("CARGO_BIN_EXE_loclin").or(option_env!("CARGO_BIN_EXE_xtask"));
    own.unwrap()
}

/// The program with these arguments, its environment cleared of what would change them.
pub(crate) fn command(arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(program());
    command.args(arguments).env_remove("LOCLIN_DATA");
    command
}

/// What `--json` prints: one object on one line of stdout, and with `--quiet` nothing on stderr.
pub(crate) fn json(arguments: &[&str]) -> Value {
    let output = command(arguments)
        .args(["--json", "--quiet"])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    assert_eq!(stderr, "", "{arguments:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout.matches('\n').count(), 1, "{stdout}");
    let value: Value = serde_json::from_str(&stdout).unwrap();
    assert!(value.is_object(), "{stdout}");
    value
}

/// Arguments of a training run in `out`: the demo's configuration with `set` changed.
pub(crate) fn training(out: &Path, set: &[&str]) -> Vec<String> {
    let mut arguments = vec!["train".to_owned(), "--config".to_owned()];
    arguments.push(text(&demo_config()).to_owned());
    arguments.extend(["--out".to_owned(), text(out).to_owned()]);
    for pair in set {
        arguments.extend(["--set".to_owned(), (*pair).to_owned()]);
    }
    arguments
}

/// Trains and returns what `--json` prints.
pub(crate) fn train(out: &Path, set: &[&str], more: &[&str]) -> Value {
    let arguments = training(out, set);
    let arguments: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    json(&arguments)
}

/// A directory in MNIST's layout: 6 x 6 images of three noisy kinds, the same at every call.
pub(crate) fn small_data(directory: &Path) -> PathBuf {
    let data = directory.join("data");
    fs::create_dir(&data).unwrap();
    for (part, rows) in [("train", TRAIN), ("t10k", TEST)] {
        let pixel = |i: usize| {
            let (row, column) = (i / 36, i % 36);
            let noise = ((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 57) as u8;
            noise + if column % 3 == row % 3 { 120 } else { 0 }
        };
        let images: Vec<u8> = (0..rows * 36).map(pixel).collect();
        let labels: Vec<u8> = (0..rows).map(|row| (row % 3) as u8).collect();
        let write = |name: &str, bytes: Vec<u8>| fs::write(data.join(name), bytes).unwrap();
        let encoded = idx::encode(&[rows, 6, 6], &images).unwrap();
        write(&format!("{part}-images-idx3-ubyte"), encoded);
        let encoded = idx::encode(&[rows], &labels).unwrap();
        write(&format!("{part}-labels-idx1-ubyte"), encoded);
    }
    data
}

/// A directory in the layout of Japanese Vowels: sequences of 2 to 4 steps, the same at every call. As many are
/// trained on as of [`small_data`].
pub(crate) fn small_sequences(directory: &Path) -> PathBuf {
    let data = directory.join("sequences");
    fs::create_dir(&data).unwrap();
    // A sixth of each speaker's, rounded down, validate: 8 * 25 + 20 are trained on.
    for (part, sizes) in [
        ("train", [29, 29, 29, 29, 29, 29, 29, 29, 24]),
        ("test", [5; 9]),
    ] {
        let mut lines = String::new();
        let mut state = 1u64;
        for (speaker, size) in sizes.into_iter().enumerate() {
            for sequence in 0..size {
                for _ in 0..2 + sequence % 3 {
                    let channel = |channel: usize| {
                        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                        let noise = (state >> 40) as f64 / f64::from(1 << 24);
                        format!("{:.4}", noise + f64::from(u8::from(channel % 9 == speaker)))
                    };
                    lines += &(0..12).map(channel).collect::<Vec<_>>().join(" ");
                    lines.push('\n');
                }
                lines.push('\n');
            }
        }
        fs::write(data.join(format!("ae.{part}")), lines).unwrap();
        let sizes = sizes.map(|size: usize| size.to_string()).join(" ");
        fs::write(data.join(format!("size_ae.{part}")), sizes).unwrap();
    }
    data
}

/// An untrained network with MNIST's normalisation in a model file.
pub(crate) fn model(file: &Path, inputs: &[usize], hidden: &[usize]) {
    model_with_outputs(file, inputs, hidden, 10);
}

/// The same with another number of outputs.
pub(crate) fn model_with_outputs(file: &Path, inputs: &[usize], hidden: &[usize], outputs: usize) {
    let fc = Mlp {
        inputs: inputs.to_vec(),
        hidden: hidden.to_vec(),
        outputs,
        negative_slope: 0.0,
    };
    let parameters = Parameters::seeded(11);
    let model = Model {
        network: fc
            .build(parameters.builder(DType::F32, &Device::Cpu))
            .unwrap(),
        normalization: Some(Normalization {
            mean: vec![0.1307],
            std: vec![0.3081],
        }),
    };
    fs::write(file, model.to_bytes().unwrap()).unwrap();
}

/// Every file below a directory with its content, and every directory without.
pub(crate) fn tree(directory: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut tree(&path));
            found.insert(path, None);
        } else {
            let content = fs::read(&path).unwrap();
            found.insert(path, Some(content));
        }
    }
    found
}

/// Names of a directory's files, sorted.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let paths = tree(directory).into_keys();
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths.map(name).collect()
}

/// The lines of a run's `metrics.jsonl`, without the seconds.
pub(crate) fn metrics(run: &Path) -> Vec<Value> {
    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let mut lines: Vec<Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    lines.iter_mut().for_each(without_seconds);
    lines
}

/// A run's checkpoint: its tensors bit for bit, and its progress without the seconds.
pub(crate) fn checkpoint(run: &Path) -> (BTreeMap<String, Vec<u8>>, Value) {
    let bytes = fs::read(run.join("last.safetensors")).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let json = &metadata.metadata().as_ref().unwrap()["roll-run"];
    let mut progress: Value = serde_json::from_str(json).unwrap();
    without_seconds(&mut progress);
    progress["history"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .for_each(without_seconds);
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    let tensors = tensors
        .into_iter()
        .map(|(name, view)| (name, view.data().to_vec()));
    (tensors.collect(), progress)
}

/// Changes the progress that a run's checkpoint records.
pub(crate) fn change_progress(run: &Path, change: impl Fn(&mut serde_json::Map<String, Value>)) {
    let file = run.join("last.safetensors");
    let bytes = fs::read(&file).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let json = &metadata.metadata().as_ref().unwrap()["roll-run"];
    let mut progress: Value = serde_json::from_str(json).unwrap();
    change(progress.as_object_mut().unwrap());
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let metadata = HashMap::from([("roll-run".to_owned(), progress.to_string())]);
    let changed = safetensors::serialize(tensors.tensors(), Some(metadata)).unwrap();
    fs::write(file, changed).unwrap();
}

/// Turns the label of the last training input of [`small_data`] into another.
pub(crate) fn other_label(data: &Path) {
    let file = data.join("train-labels-idx1-ubyte");
    let mut labels = fs::read(&file).unwrap();
    *labels.last_mut().unwrap() ^= 1;
    fs::write(file, labels).unwrap();
}

/// Takes out what the clock says, which two equal runs do not share.
pub(crate) fn without_seconds(value: &mut Value) {
    let value = value.as_object_mut().unwrap();
    value.remove("date");
    let seconds = value.remove("seconds").unwrap();
    assert!(seconds.as_f64().unwrap() >= 0.0);
}

/// Two runs ended with the same bits.
pub(crate) fn assert_same(a: &Path, b: &Path) {
    let model = |run: &Path| fs::read(run.join("model.safetensors")).unwrap();
    assert!(
        model(a) == model(b),
        "model.safetensors of {a:?} and {b:?} differ"
    );
    let ((tensors, progress), (other, other_progress)) = (checkpoint(a), checkpoint(b));
    assert_eq!(progress, other_progress);
    assert!(tensors.keys().eq(other.keys()));
    for (name, bytes) in &tensors {
        assert!(
            *bytes == other[name],
            "{name} in last.safetensors of {a:?} and {b:?} differs"
        );
    }
    assert_eq!(metrics(a), metrics(b));
}
