//! The presets, architectures and sweeps that are in the program, by name.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::program::errors::Usage;
use crate::program::files::{self, FileError};

/// The files of a folder of this package, by name.
macro_rules! shipped {
    ($kind:expr, $folder:literal: $($name:literal)+) => {
        &[$(Shipped {
            kind: $kind,
            name: $name,
            text: include_str!(concat!("../../", $folder, "/", $name, ".toml")),
        },)+]
    };
}

const PRESETS: &[Shipped] = shipped!(Kind::Preset, "presets":
    "demo" "demo-vanilla"
    "mnist-vanilla" "mnist-roll-0.25" "mnist-roll-1" "mnist-roll-same" "mnist-roll-less"
    "mnist-jump-weighted"
    "vowels-vanilla" "vowels-roll-same" "vowels-roll-less"
    "cifar10-vanilla" "cifar10-roll" "cifar10-jump-weighted"
    "caltech256-vanilla" "caltech256-roll");

const ARCHITECTURES: &[Shipped] = shipped!(Kind::Architecture, "architectures":
    "convnet" "digit-recognizer" "resnet18" "resnet18-paper" "resnet20");

const SWEEPS: &[Shipped] = shipped!(Kind::Sweep, "sweeps":
    "digits" "mnist-random"
    "figure2-c" "figure2-lambda" "figure2-c-mnist" "figure2-lambda-mnist");

/// What a shipped file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A configuration of `train`.
    Preset,
    /// A description for `--architecture`.
    Architecture,
    /// A sweep.
    Sweep,
}

/// A file that is in the program.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// What it is for.
    pub kind: Kind,
    /// Its name, which no other of any kind has.
    pub name: &'static str,
    /// Its content.
    pub text: &'static str,
}

/// A file, from the disk or from the program.
#[derive(Clone, Debug)]
pub struct Found {
    /// What messages call it.
    pub place: String,
    /// Its name without folder and extension.
    pub name: String,
    /// The folder that its own relative paths start from.
    pub directory: PathBuf,
    /// Its content.
    pub text: Cow<'static, str>,
}

/// A name that is neither that of a file nor a shipped one.
#[derive(Debug, thiserror::Error)]
#[error("`{given}`: no {kind} of the program has this name{}; the nearest are {nearest}", if *file { ", and no file" } else { "" })]
pub struct UnknownName {
    given: String,
    kind: String,
    nearest: String,
    file: bool,
}

/// Why there is no such file.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is none.
    #[error(transparent)]
    Name(#[from] UnknownName),
}

impl FindError {
    /// The error where an option gave the name: one that there is not is wrong usage.
    pub fn of_option(self, option: &str) -> anyhow::Error {
        match self {
            Self::Name(unknown) => Usage::caused_by(option, unknown).into(),
            file => file.into(),
        }
    }
}

impl Kind {
    /// Every kind, in the order of lists.
    pub const ALL: [Self; 3] = [Self::Preset, Self::Architecture, Self::Sweep];

    /// The shipped files of this kind.
    pub fn files(self) -> &'static [Shipped] {
        match self {
            Self::Preset => PRESETS,
            Self::Architecture => ARCHITECTURES,
            Self::Sweep => SWEEPS,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preset => "preset",
            Self::Architecture => "architecture",
            Self::Sweep => "sweep",
        })
    }
}

impl Shipped {
    /// What it is, in a sentence or two: the comment that it begins with.
    pub fn about(&self) -> String {
        let lines = self.text.lines().map_while(|line| line.strip_prefix("# "));
        lines.collect::<Vec<_>>().join(" ")
    }
}

/// Every shipped file.
pub fn all() -> impl Iterator<Item = &'static Shipped> {
    Kind::ALL.into_iter().flat_map(Kind::files)
}

/// The shipped file of that kind and name.
///
/// # Errors
/// A name that none has; the message lists the nearest ones.
pub fn named(kind: Kind, name: &str) -> Result<&'static Shipped, UnknownName> {
    let found = kind.files().iter().find(|shipped| shipped.name == name);
    found.ok_or_else(|| UnknownName {
        given: name.to_owned(),
        kind: kind.to_string(),
        nearest: nearest(name, kind.files().iter()),
        file: false,
    })
}

/// The shipped file of that name, of whatever kind.
///
/// # Errors
/// A name that none has; the message lists the nearest ones.
pub fn any(name: &str) -> Result<&'static Shipped, UnknownName> {
    let found = all().find(|shipped| shipped.name == name);
    found.ok_or_else(|| UnknownName {
        given: name.to_owned(),
        kind: "file".to_owned(),
        nearest: nearest(name, all()),
        file: false,
    })
}

/// The file at the path `given`, relative to `directory`, or else the shipped one of that name.
///
/// # Errors
/// A file that cannot be read, or a name that is neither; the message lists the nearest shipped names.
pub fn find(kind: Kind, given: &Path, directory: &Path) -> Result<Found, FindError> {
    let path = directory.join(given);
    let name = given.to_string_lossy();
    // What has a folder or the extension is a path, and a mistake in it is one.
    let is_path = given.components().count() != 1
        || given
            .extension()
            .is_some_and(|extension| extension == "toml");
    if path.exists() && !path.is_dir() || is_path {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        return Ok(Found {
            place: path.display().to_string(),
            name: stem.into_owned(),
            text: files::read_text(&path)?.into(),
            directory: path.parent().unwrap_or(Path::new("")).to_owned(),
        });
    }
    let shipped = named(kind, &name).map_err(|error| UnknownName {
        file: true,
        ..error
    })?;
    Ok(Found {
        place: format!("{kind} `{name}`"),
        name: shipped.name.to_owned(),
        directory: PathBuf::new(),
        text: shipped.text.into(),
    })
}

/// The three names most like `given`.
fn nearest<'a>(given: &str, files: impl Iterator<Item = &'a Shipped>) -> String {
    let mut names: Vec<&str> = files.map(|shipped| shipped.name).collect();
    names.sort_by_key(|name| strsim::damerau_levenshtein(given, name));
    let quoted = names.iter().take(3).map(|name| format!("`{name}`"));
    quoted.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_tables_are_the_folders() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for kind in Kind::ALL {
            let folder = root.join(format!("{kind}s"));
            let paths = std::fs::read_dir(folder).unwrap();
            let paths = paths.map(|entry| entry.unwrap().path());
            let there: BTreeSet<String> = paths
                .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            let listed = kind.files().iter().map(|shipped| shipped.name.to_owned());
            assert_eq!(listed.collect::<BTreeSet<_>>(), there);
        }
    }

    #[test]
    fn a_name_is_one_file_and_says_what_it_is() {
        let names: BTreeSet<&str> = all().map(|shipped| shipped.name).collect();
        assert_eq!(names.len(), all().count());
        for shipped in all() {
            assert!(shipped.about().ends_with('.'), "{}", shipped.name);
        }
    }

    #[test]
    fn a_file_comes_before_a_name_and_the_nearest_names_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        let find = |given: &str| find(Kind::Preset, Path::new(given), dir.path());
        assert_eq!(find("mnist-roll-1").unwrap().place, "preset `mnist-roll-1`");
        std::fs::create_dir(dir.path().join("demo")).unwrap();
        assert_eq!(find("demo").unwrap().place, "preset `demo`");
        std::fs::write(dir.path().join("mnist-roll-1"), "mine").unwrap();
        assert_eq!(find("mnist-roll-1").unwrap().text, "mine");
        let message = find("mnist-vanila").unwrap_err().to_string();
        assert!(message.contains("nearest are `mnist-vanilla`"), "{message}");
        let message = find("demo.toml").unwrap_err().to_string();
        assert!(message.contains("demo.toml: cannot read"), "{message}");
    }
}
