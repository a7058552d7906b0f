//! What was done to inputs, for everybody who reads a result.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fit::{self, is_flat};
use crate::preprocessing::{Layout, Scale};
use crate::values::shape_text;

/// What was done to stored numbers before a network saw them; `Display` says it in one line.
///
/// ```
/// use loclin_data::{Split, source};
/// let digits = source::open("digits", Split::Test, None, 0)?;
/// let applied = digits.applied().normalized(&[0.5], &[0.25], true);
/// let line = "bytes times 1/255; normalised by the model itself, mean 0.5, std 0.25; radii in units before mean and std";
/// assert_eq!(applied.to_string(), line);
/// # Ok::<(), loclin_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Applied {
    /// What is stored.
    pub what: Stored,
    /// The height and width that images were resized to.
    pub resized: Option<[usize; 2]>,
    /// Whether images were turned as their EXIF orientation says.
    pub exif_orientation: bool,
    /// What stored numbers were multiplied by.
    pub scale: Scale,
    /// What pixels of 16 bits were multiplied by, where an image has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deep_scale: Option<Scale>,
    /// The layout that channels were moved to.
    pub moved: Option<Layout>,
    /// The shape of an input; none for sequences.
    pub input_shape: Option<Vec<usize>>,
    /// The shape of an input as it is stored; none for sequences.
    #[serde(skip)]
    pub stored_shape: Option<Vec<usize>>,
    /// The means of the normalisation, which is part of the network.
    pub mean: Vec<f64>,
    /// Its standard deviations.
    pub std: Vec<f64>,
    /// Whether that is the model's own, and was not asked for.
    pub normalized_by_model: bool,
}

/// What numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stored {
    /// The pixels of image files.
    Pixels,
    /// Bytes.
    Bytes,
    /// Other numbers.
    #[default]
    Numbers,
}

impl Applied {
    /// Whether the numbers of an array of this shape stand in the order of those of an input: where inputs and array both have several
    /// dimensions, these must be the same. For inputs whose channels are moved another question ([`Dataset::fit`](crate::Dataset::fit)).
    pub fn is_ordered_like(&self, shape: &[usize]) -> bool {
        match &self.stored_shape {
            Some(stored) if self.moved.is_none() => {
                let flat = [stored, shape].iter().any(|own| is_flat(own));
                flat || fit::same(stored, shape)
            }
            _ => true,
        }
    }

    /// What the stored numbers are, and what they are multiplied by, in words.
    pub fn numbers(&self) -> String {
        let what = match self.what {
            Stored::Pixels => "pixels",
            Stored::Bytes => "bytes",
            Stored::Numbers => "numbers",
        };
        let factor = match (self.scale == Scale::ONE, self.what) {
            (false, _) => format!(" times {}", self.scale),
            (true, Stored::Numbers) => " as they are".into(),
            (true, _) if self.deep_scale.is_some() => " as they are, 0 to 65535".into(),
            (true, _) => " as they are, 0 to 255".into(),
        };
        let deep = self.deep_scale.filter(|deep| *deep != self.scale);
        let deep = deep.map(|scale| format!(", those of 16 bits times {scale}"));
        format!("{what}{factor}{}", deep.unwrap_or_default())
    }

    /// The same in front of a network that begins with this normalisation.
    #[must_use]
    pub fn normalized(self, mean: &[f64], std: &[f64], by_model: bool) -> Self {
        Self {
            mean: mean.to_vec(),
            std: std.to_vec(),
            normalized_by_model: by_model,
            ..self
        }
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exif_orientation {
            write!(f, "turned by EXIF orientation; ")?;
        }
        if let Some([height, width]) = self.resized {
            write!(f, "resized to {height} x {width}; ")?;
        }
        f.write_str(&self.numbers())?;
        if let (Some(layout), Some(shape)) = (self.moved, &self.input_shape) {
            write!(f, "; laid out {} ({layout})", shape_text(shape))?;
        }
        if self.mean.is_empty() {
            return f.write_str("; radii in these units");
        }
        let by = match self.normalized_by_model {
            true => "normalised by the model itself",
            false => "normalised",
        };
        let (mean, std) = (list(&self.mean), list(&self.std));
        write!(
            f,
            "; {by}, mean {mean}, std {std}; radii in units before mean and std"
        )
    }
}

fn list(numbers: &[f64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
    numbers.join(",")
}
