//! The box that inputs come from, for every command that asks about balls.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, ensure};
use loclin_data::{Split, source, vnnlib};
use loclin_regions::Domain;
use serde::{Deserialize, Serialize};

use crate::program::files;

/// What `--domain` says.
#[derive(Clone, Debug, PartialEq)]
pub enum DomainChoice {
    /// Balls are whole.
    None,
    /// The ends for every number of an input.
    Interval([f64; 2]),
    /// A file of an array `[2, in...]`, the lower ends and the upper ones, or of a VNN-LIB property, which has a box of inputs.
    File(PathBuf),
}

/// Why a domain was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected two numbers, the smaller first, such as `0,1`, an .npy, .safetensors or .vnnlib file, or `none`"
)]
pub struct DomainError;

/// The domain, as the command line gives it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DomainOptions {
    /// The box that inputs come from; what lies outside is no input, so balls are cut with it. The least and the largest value of
    /// a number, or an .npy or .safetensors file of shape [2, in...] with both for each number, or the inputs' box of a .vnnlib
    /// property (.vnnlib.gz); in units before --mean and --std. `none`: whole balls [default: the range of pixels for images, 0,1 unless --scale says otherwise; for other inputs
    /// none, but 0,1 in the searches of distortion and explain]
    #[arg(
        long,
        visible_alias = "box",
        value_name = "LOW,HIGH",
        allow_hyphen_values = true
    )]
    pub domain: Option<DomainChoice>,
}

/// A domain, and how it is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InputBox {
    /// The same ends for every number.
    Interval([f64; 2]),
    /// Ends for each number.
    Ends {
        /// The file that they were read from.
        file: String,
        /// Its SHA-256.
        sha256: String,
        /// The lower ends and the upper ones.
        #[serde(skip)]
        ends: [Vec<f64>; 2],
    },
}

impl DomainOptions {
    /// These ends for every number.
    pub fn interval(ends: [f64; 2]) -> Self {
        Self {
            domain: Some(DomainChoice::Interval(ends)),
        }
    }

    /// The domain asked for, or else `otherwise`.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else.
    pub fn read(&self, otherwise: Option<InputBox>) -> anyhow::Result<Option<InputBox>> {
        Ok(match &self.domain {
            Some(DomainChoice::None) => None,
            Some(DomainChoice::Interval(ends)) => Some(InputBox::Interval(*ends)),
            Some(DomainChoice::File(file)) => Some(of_file(file)?),
            None => otherwise,
        })
    }
}

impl InputBox {
    /// The domain of inputs of so many numbers.
    ///
    /// # Errors
    /// Ends for inputs of another size, or in the wrong order.
    pub fn of_size(&self, size: usize) -> anyhow::Result<Domain> {
        match self {
            Self::Interval([low, high]) => Ok(Domain::uniform(size, *low, *high)?),
            Self::Ends { file, ends, .. } => {
                let [low, high] = ends;
                let found = low.len();
                ensure!(
                    found == size,
                    "--domain {file}: ends of {found} numbers, an input has {size}"
                );
                let domain = Domain::new(low.clone(), high.clone());
                domain.with_context(|| format!("--domain {file}"))
            }
        }
    }

    /// That of images or of other data whose numbers are known to lie in an interval.
    pub fn of_data(ends: Option<[f64; 2]>) -> Option<Self> {
        ends.map(Self::Interval)
    }

    /// The interval that [`InputBox::word`] says; `None` for the name of a file.
    pub fn of_word(word: &str) -> Option<Self> {
        let (low, high) = word.split_once(" to ")?;
        match format!("{low},{high}").parse() {
            Ok(DomainChoice::Interval(ends)) => Some(Self::Interval(ends)),
            _ => None,
        }
    }

    /// In one word, for a column of a table: the ends, or the name of the file.
    pub fn word(&self) -> String {
        match self {
            Self::Interval([low, high]) => format!("{low} to {high}"),
            Self::Ends { file, .. } => file.clone(),
        }
    }
}

/// A domain, or that there is none, in words.
pub fn said(domain: Option<&InputBox>) -> String {
    match domain {
        Some(domain) => format!("balls inside {domain}"),
        None => "whole balls".into(),
    }
}

/// Two rows of numbers, or the box of a property.
fn of_file(file: &Path) -> anyhow::Result<InputBox> {
    let named = || format!("--domain {}", file.display());
    let of = |ends| {
        Ok(InputBox::Ends {
            file: file.display().to_string(),
            sha256: files::digest(file)?,
            ends,
        })
    };
    if is_property(file) {
        let found = vnnlib::read(file).with_context(named)?;
        return of([found.low, found.high]);
    }
    let data = source::open_with(&file.to_string_lossy(), &source::Request::of(Split::Test));
    let table = data.with_context(named)?.into_table()?;
    let rows = table.len();
    ensure!(
        rows == 2,
        "{}: {rows} rows; expected the lower ends and the upper ones",
        named()
    );
    of([table.rows_f64(&[0])?, table.rows_f64(&[1])?])
}

/// Whether a file is a VNN-LIB property, plain or packed, by its name.
fn is_property(file: &Path) -> bool {
    let name = file.to_string_lossy().to_lowercase();
    [".vnnlib", ".vnnlib.gz"]
        .iter()
        .any(|end| name.ends_with(end))
}

impl FromStr for DomainChoice {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        if text == "none" {
            return Ok(Self::None);
        }
        let path = Path::new(text);
        let is_array = |e: &std::ffi::OsStr| {
            e.eq_ignore_ascii_case("npy") || e.eq_ignore_ascii_case("safetensors")
        };
        if path.extension().is_some_and(is_array) || is_property(path) {
            return Ok(Self::File(path.to_owned()));
        }
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| DomainError);
        let (low, high) = text.split_once(',').ok_or(DomainError)?;
        let (low, high) = (number(low)?, number(high)?);
        match low < high && low.is_finite() && high.is_finite() {
            true => Ok(Self::Interval([low, high])),
            false => Err(DomainError),
        }
    }
}

impl fmt::Display for InputBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interval([low, high]) => write!(f, "[{low}, {high}]"),
            Self::Ends { file, .. } => {
                write!(f, "the box of {}", loclin_report::printable(file, &[]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_intervals_files_or_none() {
        assert_eq!("-1, 2".parse(), Ok(DomainChoice::Interval([-1.0, 2.0])));
        assert_eq!("none".parse(), Ok(DomainChoice::None));
        assert_eq!("a.npy".parse(), Ok(DomainChoice::File("a.npy".into())));
        for wrong in ["", "1", "1,0", "0,0", "0,nan", "0,inf", "0,1,2", "a.txt"] {
            assert_eq!(wrong.parse::<DomainChoice>(), Err(DomainError), "{wrong}");
        }
    }

    #[test]
    fn a_box_is_an_interval_in_json() {
        let both = serde_json::to_string(&[Some(InputBox::Interval([0.0, 1.0])), None]).unwrap();
        assert_eq!(both, "[[0.0,1.0],null]");
    }
}
