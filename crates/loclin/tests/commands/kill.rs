//! A run that is killed with no chance to clean up, and resumed, ends with the same bits as one that was not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::fixture::{
    TRAIN, assert_same, checkpoint, command, names, small_data, small_sequences, text, train,
    training,
};

const EPOCHS: usize = 8;
const BATCH: usize = 8;
/// Steps of one epoch: 55/60 of the inputs are trained on.
const STEPS: usize = (TRAIN / 60 * 55).div_ceil(BATCH);

/// Steps that the run in `run` has saved; 0 without a checkpoint.
///
/// Whatever instant this is called at, the checkpoint is whole, and what it says was done is there.
fn saved(run: &Path) -> usize {
    if !run.join("last.safetensors").exists() {
        return 0;
    }
    let (_, progress) = checkpoint(run);
    let number = |field: &str| progress[field].as_u64().unwrap() as usize;
    let validated = progress["history"].as_array().unwrap().len();
    if validated > 0 {
        assert!(run.join("model.safetensors").exists());
        let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        assert!(lines.lines().count() >= validated, "{validated}: {lines}");
    }
    number("epoch") * STEPS + number("step")
}

/// Starts or resumes the run and kills it `more` steps later.
fn kill_after(run: &Path, set: &[&str], more: usize) {
    let target = saved(run) + more;
    assert!(target < EPOCHS * STEPS);
    let mut child = command(&[])
        .args(training(run, set))
        .arg("--resume")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while saved(run) < target {
        assert!(child.try_wait().unwrap().is_none(), "ended before the kill");
        assert!(start.elapsed() < Duration::from_secs(60), "no checkpoint");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(saved(run) < EPOCHS * STEPS, "ended before the kill");
}

fn survives(data: fn(&Path) -> PathBuf, more: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("dataset={}", text(&data(dir.path())));
    let (run, whole) = (dir.path().join("run"), dir.path().join("whole"));
    let (epochs, batch) = (format!("epochs={EPOCHS}"), format!("batch_size={BATCH}"));
    let set = [&[data.as_str(), "hidden=[7,5]", &epochs, &batch], more].concat();
    // A checkpoint at every step, against none but those at the end of each epoch.
    let often = [&set[..], &["checkpoint_seconds=0"]].concat();
    let seldom = [&set[..], &["checkpoint_seconds=1000"]].concat();
    for more in [3, STEPS + 5, 2 * STEPS] {
        kill_after(&run, &often, more);
    }
    train(&run, &often, &["--resume"]);
    train(&whole, &seldom, &[]);
    assert_same(&run, &whole);
    assert_eq!(names(&run), names(&whole), "temporary files are left");
}

#[test]
fn sgd_with_nesterov_momentum_and_sampled_axes_survives_kills() {
    let average = ["average=tail", "average_from=2.5"];
    let course = ["schedule=cosine", "lambda_warmup=3.3"];
    let sampled = ["loss=sampled", "optimizer=sgd", "nesterov=true"];
    survives(small_data, &[&sampled[..], &course, &average].concat());
}

#[test]
fn amsgrad_and_roll_survive_kills() {
    let average = ["average=ema", "average_from=0.5", "average_decay=0.9"];
    let course = ["schedule=step", "decay_epochs=[1, 4]"];
    let roll = ["loss=roll", "gamma=20", "optimizer=amsgrad", "dtype=f64"];
    survives(small_data, &[&roll[..], &course, &average].concat());
}

/// The gradient of a recurrence, through the Cayley transform, mini-batches of several lengths; kills in epochs that are
/// not validated.
#[test]
fn a_recurrent_network_survives_kills() {
    let network = [
        "architecture=scornn",
        "hidden=[6]",
        "negative=3",
        "negative_slope=0.1",
    ];
    let rest = [
        "loss=roll",
        "optimizer=amsgrad",
        "average=ema",
        "learning_rate=0.003",
        "validate_every=3",
    ];
    survives(small_sequences, &[&network[..], &rest].concat());
}

/// Batch statistics, running statistics and augmented images.
#[test]
fn a_residual_network_survives_kills() {
    let network = ["architecture=resnet", "hidden=[2]", "blocks=[1, 1]"];
    let images = ["crop_padding=1", "flip=true"];
    let rest = [
        "loss=sampled",
        "optimizer=sgd",
        "weight_decay=0.001",
        "average=ema",
    ];
    survives(small_data, &[&network[..], &images, &rest].concat());
}
