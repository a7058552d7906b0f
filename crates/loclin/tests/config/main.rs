//! Configurations: what is written reads back, and what is wrong is named.

#![allow(
    clippy::unwrap_used,
    reason = "what tests share states expectations too"
)]

mod any;
mod presets;

use std::sync::LazyLock;

use loclin::program::compute::Dtype;
use loclin::program::config::{Config, Gamma, KEYS, Key, Loss};
use loclin::program::errors::{FAILED, USAGE, exit_code};
use loclin::program::options::Global;

/// The demo's complete configuration.
static DEMO: LazyLock<String> =
    LazyLock::new(|| Config::preset("demo", &[]).unwrap().to_toml().unwrap());

/// The demo's configuration with one line replaced, or removed when `line` is empty.
fn with_line(key: &str, line: &str) -> String {
    let starts = |l: &str| l.split_once('=').is_some_and(|(k, _)| k.trim() == key);
    let lines = DEMO.lines().map(|l| if starts(l) { line } else { l });
    lines.collect::<Vec<_>>().join("\n")
}

/// The message and the exit code of a refusal.
fn refusal(text: &str, overrides: &[&str]) -> (String, u8) {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let error = Config::parse(text, &overrides).unwrap_err();
    (format!("{error:#}"), exit_code(&error))
}

#[test]
fn what_a_file_does_not_say_is_the_default() {
    assert_eq!(Config::parse("", &[]).unwrap(), Config::default());
    let keys: toml::Table = DEMO.parse().unwrap();
    assert_eq!(keys.len(), 1 + KEYS.len());
    for Key { name, .. } in KEYS {
        let mut expected: toml::Table = DEMO.parse().unwrap();
        let default = toml::Table::try_from(Config::default()).unwrap();
        expected.insert((*name).to_owned(), default[*name].clone());
        let read = Config::parse(&with_line(name, ""), &[]).unwrap();
        assert_eq!(read, expected.try_into().unwrap(), "{name}");
    }
}

#[test]
fn a_written_file_explains_every_key() {
    for line in DEMO.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
    for Key { name, .. } in KEYS {
        let (before, _) = DEMO.split_once(&format!("\n{name} = ")).unwrap();
        let comment = before.rsplit("\n\n").next().unwrap();
        assert!(comment.contains("Default: "), "{name}: {comment}");
    }
    for (word, _) in Loss::WORDS {
        assert!(DEMO.contains(&format!("#     \"{word}\": ")), "{word}");
    }
}

/// What the first version of the program wrote, before it had a `format`.
const FIRST: &str = r#"# The complete configuration of this run.
dataset = "digits"
hidden = [200, 200, 200]
leak = 0.1
loss = "roll"
lambda = 1.2
c = 0.25
gamma = 100.0
axes = 3
optimizer = "sgd"
learning_rate = 0.01
momentum = 0.9
nesterov = true
weight_decay = 0.0
batch_size = 64
epochs = 15
seed = 0
dtype = "f32"
checkpoint_seconds = 10.0
"#;

#[test]
fn files_of_older_formats_are_read_and_newer_ones_are_named() {
    let expected = Config::preset("demo", &["negative_slope=0.1".into()]).unwrap();
    assert_eq!(Config::parse(FIRST, &[]).unwrap(), expected);
    let changed = Config::parse(FIRST, &["negative_slope=0.2".into()]).unwrap();
    assert_eq!(changed.negative_slope, 0.2);
    let formats = [
        ("format = 1", ""),
        (
            "format = 2",
            "unknown key `leak`; the nearest known key is `negative_slope`",
        ),
        (
            "format = 4",
            "`format` is 4; this program reads formats 1 to 3: the file is of a newer version",
        ),
        (
            "format = 0",
            "`format` is 0; this program reads formats 1 to 3",
        ),
        ("format = \"2\"", "`format` is \"2\"; this program reads"),
        ("negative_slope = 0.2", "duplicate"),
    ];
    for (line, needle) in formats {
        match Config::parse(&format!("{line}\n{FIRST}"), &[]) {
            Ok(read) => assert!(needle.is_empty() && read == expected, "{line}"),
            Err(error) => {
                let message = format!("{error:#}");
                assert!(!needle.is_empty() && message.contains(needle), "{message}");
            }
        }
    }
    // The size of images stood behind the dataset's name.
    for (before, now) in [
        ("photos,size=32", ("photos", "32")),
        ("photos,size=8x9,broken=skip", ("photos,broken=skip", "8x9")),
    ] {
        for format in ["", "format = 2\n"] {
            let text = format!("{format}dataset = \"{before}\"\n");
            let read = Config::parse(&text, &["epochs=3".into()]).unwrap();
            assert_eq!((&read.dataset[..], &read.resize[..]), now);
            assert_eq!(Config::parse(&read.to_toml().unwrap(), &[]).unwrap(), read);
        }
    }
    let text = "format = 3\ndataset = \"photos,size=32\"\nscale = 0.5\nresize = 32\n";
    let read = Config::parse(text, &[]).unwrap();
    assert_eq!(read.dataset, "photos,size=32");
    assert_eq!((&read.scale[..], &read.resize[..]), ("0.5", "32"));
    let (message, code) = refusal(&DEMO, &["leak=0.1"]);
    assert!(
        message.ends_with("nearest known key is `negative_slope`"),
        "{message}"
    );
    assert_eq!(code, USAGE);
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest_known_one() {
    let cases = [
        ("lamda", "lambda"),
        ("LR", "c"),
        ("learning-rate", "learning_rate"),
        ("epoch", "epochs"),
    ];
    for (wrong, nearest) in cases {
        let (message, code) = refusal(&format!("# a comment\n{wrong} = 1\n{}", *DEMO), &[]);
        let expected =
            format!("line 2, column 1: unknown key `{wrong}`; the nearest known key is ");
        assert!(message.contains(&expected), "{message}");
        assert_eq!(code, FAILED);
        let (message, code) = refusal(&DEMO, &[&format!("{wrong}=1")]);
        assert!(
            message.contains(&format!("--set {wrong}=1: unknown key `{wrong}`")),
            "{message}"
        );
        assert_eq!(code, USAGE);
        if wrong != "LR" {
            assert!(message.ends_with(&format!("`{nearest}`")), "{message}");
        }
    }
}

#[test]
fn a_value_out_of_range_is_named_with_its_range_in_the_file_and_in_an_option() {
    let cases = [
        ("dataset", r#""""#, "directory"),
        ("hidden", "[]", "1 to 64 widths"),
        ("hidden", "[10, 0]", "each 1 to 65536"),
        ("negative_slope", "1.0", "[0, 1)"),
        ("blocks", "[]", "1 to 8 numbers"),
        ("blocks", "[2, 0]", "each 1 to 64"),
        ("init", r#""""#, "seeded"),
        ("lambda", "-1.0", "at least 0"),
        ("lambda", "inf", "at least 0"),
        ("c", "nan", "at least 0"),
        ("gamma", "0.0", "(0, 100]"),
        ("gamma", "100.5", "(0, 100]"),
        ("axes", "0", "at least 1"),
        ("learning_rate", "0.0", "above 0"),
        ("momentum", "1.0", "[0, 1)"),
        ("momentum", "0.0", "false where momentum is 0"),
        ("weight_decay", "-0.1", "at least 0"),
        ("decay", "0.0", "(0, 1]"),
        ("decay", "1.5", "(0, 1]"),
        ("decay_epochs", "[0]", "increasing"),
        ("decay_epochs", "[3, 3]", "increasing"),
        ("lambda_warmup", "-1.0", "at least 0"),
        ("average_from", "nan", "at least 0"),
        ("average_decay", "1.0", "[0, 1)"),
        ("batch_size", "0", "from 1 to 1000000"),
        ("epochs", "0", "from 1 to 1000000"),
        ("validate_every", "0", "from 1 to 1000000"),
        ("checkpoint_seconds", "-1.0", "at least 0"),
    ];
    for (key, value, range) in cases {
        let (message, code) = refusal(&with_line(key, &format!("{key} = {value}")), &[]);
        assert!(
            message.contains(key) && message.contains(range),
            "{key} = {value}: {message}"
        );
        assert_eq!(code, FAILED, "{key} = {value}");
        let (message, code) = refusal(&DEMO, &[&format!("{key}={value}")]);
        assert!(
            message.contains(key) && message.contains(range),
            "{key} = {value}: {message}"
        );
        assert_eq!(code, USAGE, "{key} = {value}");
    }
}

#[test]
fn combinations_that_mean_nothing_are_named() {
    let combinations: [(&[&str], &str); 6] = [
        (
            &["architecture=resnet"],
            "`hidden` is [200, 200, 200]; expected one width, because architecture = \"resnet\"",
        ),
        (
            &["architecture=resnet", "hidden=[8]", "negative_slope=0.1"],
            "--set negative_slope=0.1: `negative_slope` is 0.1; expected 0, because architecture = \"resnet\"",
        ),
        (
            &["architecture=scornn", "hidden=[8]", "init=a.pth"],
            "--set init=a.pth: `init` is \"a.pth\"; expected \"seeded\", because",
        ),
        (
            &["loss=sampled", "gamma=50"],
            "--set gamma=50: `gamma` is 50.0; expected 100",
        ),
        (
            &["schedule=step", "decay_epochs=[]"],
            "--set decay_epochs=[]: `decay_epochs` is []; expected at least one epoch",
        ),
        (
            &["average=tail", "epochs=4", "average_from=4"],
            "--set average_from=4: `average_from` is 4.0; expected less than the 4 epochs",
        ),
    ];
    for (set, expected) in combinations {
        let (message, _) = refusal(&DEMO, set);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_wrong_type_shows_line_and_column_or_the_option() {
    for (key, value) in [
        ("hidden", "300"),
        ("negative_slope", "true"),
        ("loss", r#""rol""#),
        ("gamma", r#""min""#),
        ("epochs", "1.5"),
        ("epochs", "-1"),
        ("nesterov", "1"),
        ("schedule", r#""linear""#),
        ("decay_epochs", "10"),
        ("average", "true"),
        ("dtype", r#""f16""#),
    ] {
        let (message, _) = refusal(&with_line(key, &format!("{key} = {value}")), &[]);
        let line = DEMO
            .lines()
            .position(|l| l.starts_with(&format!("{key} =")))
            .unwrap()
            + 1;
        assert!(
            message.contains(&format!("line {line}, column ")),
            "{message}"
        );
        let (message, code) = refusal(&DEMO, &[&format!("{key}={value}")]);
        assert!(
            message.contains(&format!(
                "--set {key}={value}: `{key}` is {value}; expected "
            )),
            "{message}"
        );
        assert_eq!(code, USAGE);
    }
    assert!(refusal("epochs = = 1", &[]).0.contains("line 1, column"));
    assert_eq!(
        refusal(&DEMO, &["epochs"]),
        ("--set epochs: expected key=value".to_owned(), USAGE)
    );
}

#[test]
fn options_have_the_last_word() {
    let overrides = [
        "hidden=[7, 5]",
        "loss = relaxed",
        "gamma=max",
        "lambda=3",
        "dataset=some/folder",
    ];
    let mut config = Config::parse(&DEMO, &overrides.map(str::to_owned)).unwrap();
    assert_eq!(
        (config.hidden.clone(), config.loss, config.gamma),
        (vec![7, 5], Loss::Relaxed, Gamma::Max)
    );
    assert_eq!(
        (config.lambda, config.dataset.as_str()),
        (3.0, "some/folder")
    );
    let before = config.clone();
    config.apply(&Global::default());
    assert_eq!(config, before);
    config.apply(&Global {
        seed: Some(9),
        dtype: Some(Dtype::F64),
        ..Global::default()
    });
    assert_eq!((config.seed, config.dtype), (9, Dtype::F64));
}

#[test]
fn the_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.toml");
    let name = path.display().to_string();
    let missing = format!("{:#}", Config::load(&path, &[]).unwrap_err());
    assert!(
        missing.starts_with(&format!("{name}: cannot read the file: ")),
        "{missing}"
    );
    std::fs::write(&path, with_line("seed", "sed = 1")).unwrap();
    let incomplete = format!("{:#}", Config::load(&path, &[]).unwrap_err());
    assert!(
        incomplete.starts_with(&format!("{name}: not a usable configuration: line ")),
        "{incomplete}"
    );
    let directory = format!("{:#}", Config::load(dir.path(), &[]).unwrap_err());
    assert!(
        directory.contains(": cannot read the file: "),
        "{directory}"
    );
}
