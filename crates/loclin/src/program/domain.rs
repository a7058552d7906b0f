//! The box that inputs come from, for every command that asks about balls.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, anyhow, bail, ensure};
use loclin_data::{Applied, Dataset, Error, Layout, Split, Values, source, vnnlib};
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
    /// a number, or an .npy or .safetensors file of shape [2, in...] with both for each number, of the model's shape or laid out as
    /// the data are, or the inputs' box of a .vnnlib property (.vnnlib.gz); in units before --mean and --std. `none`: whole balls [default: the range of pixels for images, 0,1 unless --scale says otherwise; for other inputs
    /// none, but 0,1 in the searches of distortion and explain]
    #[arg(
        long,
        visible_alias = "box",
        value_name = "LOW,HIGH",
        allow_hyphen_values = true
    )]
    pub domain: Option<DomainChoice>,
}

/// An error about the input of this name; of one outside the domain, with what is `assumed` where none is named.
pub fn error_of_input(error: anyhow::Error, mut named: String, assumed: bool) -> anyhow::Error {
    let is_outside = matches!(
        error.downcast_ref(),
        Some(loclin_regions::Error::Argument { what: "domain", .. })
    );
    if assumed && is_outside {
        named += "; without --domain numbers are taken to lie in [0, 1]; --domain LOW,HIGH gives another box, --domain none none";
    }
    error.context(named)
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
        /// The shape of an input as the file has it.
        #[serde(skip)]
        shape: Vec<usize>,
        /// The layout of that shape, where inputs are moved to another.
        #[serde(skip)]
        layout: Option<Layout>,
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

    /// The domain asked for, or else `otherwise`; of inputs to which this was done.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else, or ends for inputs of another shape.
    pub fn read(
        &self,
        otherwise: Option<InputBox>,
        inputs: &Applied,
    ) -> anyhow::Result<Option<InputBox>> {
        Ok(match &self.domain {
            Some(DomainChoice::None) => None,
            Some(DomainChoice::Interval(ends)) => Some(InputBox::Interval(*ends)),
            Some(DomainChoice::File(file)) => {
                let found = of_file(file, inputs.moved.map(Layout::other))?;
                // Before anything is computed or written.
                if let Some(shape) = &inputs.input_shape {
                    found.of_shape(shape)?;
                }
                if let InputBox::Ends { shape, .. } = &found {
                    ordered(&format!("--domain {}", file.display()), shape, inputs)?;
                }
                Some(found)
            }
            None => otherwise,
        })
    }
}

impl InputBox {
    /// The domain of inputs of the shape that a network takes. Ends of a file fit as inputs of their shape do ([`Dataset::fit`]).
    ///
    /// # Errors
    /// Ends for inputs of another shape, or in the wrong order.
    pub fn of_shape(&self, wanted: &[usize]) -> anyhow::Result<Domain> {
        let (file, shape, layout, ends) = match self {
            Self::Interval([low, high]) => {
                return Ok(Domain::uniform(wanted.iter().product(), *low, *high)?);
            }
            Self::Ends {
                file,
                shape,
                layout,
                ends,
                ..
            } => (file, shape, *layout, ends),
        };
        let named = || format!("--domain {file}");
        let rows = Dataset::new(&**file, shape, Values::F64(ends.concat()));
        let rows = rows.with_context(named)?;
        let rows = match layout {
            Some(layout) => rows.with_layout(layout),
            None => rows,
        };
        let rows = rows.fit(wanted).map_err(|error| match error {
            Error::Shape { found, wanted, .. } => {
                let or_moved = layout.map(|layout| format!(", or {layout} as the data are"));
                anyhow!(
                    "{}: ends of inputs of shape {found}; the model takes {wanted}: expected an array [2, in...] of the model's shape{}",
                    named(),
                    or_moved.unwrap_or_default()
                )
            }
            error => anyhow::Error::from(error).context(named()),
        })?;
        let domain = Domain::new(rows.rows_f64(&[0])?, rows.rows_f64(&[1])?);
        domain.with_context(named)
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

/// Checks that the numbers of an array that `named` names stand in the order of those of an input, which a model of flat inputs does not say.
///
/// # Errors
/// An array of another shape than the inputs.
pub fn ordered(named: &str, shape: &[usize], inputs: &Applied) -> anyhow::Result<()> {
    let stored = inputs.stored_shape.as_deref().unwrap_or_default();
    ensure!(
        inputs.is_ordered_like(shape),
        "{named}: numbers of shape {shape:?}, where inputs have {stored:?}; expected an array of their shape, or a flat one in the model's order"
    );
    Ok(())
}

/// A domain, or that there is none, in words.
pub fn said(domain: Option<&InputBox>) -> String {
    match domain {
        Some(domain) => format!("balls inside {domain}"),
        None => "whole balls".into(),
    }
}

/// Two rows of inputs, of this layout where inputs are moved from it to the model's, or the box of a property, which counts the
/// model's numbers.
fn of_file(file: &Path, layout: Option<Layout>) -> anyhow::Result<InputBox> {
    let named = || format!("--domain {}", file.display());
    let of = |shape, layout, ends| {
        Ok(InputBox::Ends {
            file: file.display().to_string(),
            sha256: files::digest(file)?,
            shape,
            layout,
            ends,
        })
    };
    if is_property(file) {
        let found = vnnlib::read(file).with_context(named)?;
        return of(vec![found.low.len()], None, [found.low, found.high]);
    }
    let data = source::open_with(&file.to_string_lossy(), &source::Request::of(Split::Test));
    let table = data.with_context(named)?.into_table()?;
    let rows = table.len();
    ensure!(
        rows == 2,
        "{}: {rows} rows; expected the lower ends and the upper ones",
        named()
    );
    let shape = table.input_shape();
    if let (Some(layout), [count]) = (layout, shape) {
        bail!(
            "{}: ends of {count} numbers in a row, which do not say their layout; expected an array [2, in...], {layout} as the data are",
            named()
        );
    }
    let ends = [table.rows_f64(&[0])?, table.rows_f64(&[1])?];
    of(shape.to_vec(), layout, ends)
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
    use candle_core::{Device, Tensor};

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
    fn ends_of_a_file_have_a_shape() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ends.npy");
        let ends: Vec<f64> = (0..12).map(f64::from).collect();
        let ends = Tensor::from_vec(ends, (2, 2, 3), &Device::Cpu).unwrap();
        ends.write_npy(&file).unwrap();
        // Of sequences, the shape is that of a length.
        let found = of_file(&file, None).unwrap();
        for wanted in [&[2, 3][..], &[1, 2, 3], &[6]] {
            assert_eq!(
                found.of_shape(wanted).unwrap().low()[..],
                [0., 1., 2., 3., 4., 5.]
            );
        }
        for wanted in [&[3, 2][..], &[5]] {
            let error = found.of_shape(wanted).unwrap_err().to_string();
            assert!(error.contains("2 x 3; the model takes"), "{error}");
        }
        // Of inputs that are moved, either layout may be the file's.
        let found = of_file(&file, Some(Layout::ChannelsLast)).unwrap();
        let moved = found.of_shape(&[3, 2]).unwrap();
        assert_eq!(moved.low()[..], [0., 3., 1., 4., 2., 5.]);
        assert_eq!(found.of_shape(&[2, 3]).unwrap().low()[1], 1.0);
    }

    #[test]
    fn a_box_is_an_interval_in_json() {
        let both = serde_json::to_string(&[Some(InputBox::Interval([0.0, 1.0])), None]).unwrap();
        assert_eq!(both, "[[0.0,1.0],null]");
    }
}
