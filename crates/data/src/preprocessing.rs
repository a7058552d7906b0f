//! What is done to stored numbers before a model sees them: said once, in one type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Error;

/// How stored inputs become those of a model. What is not given is as the data and the model say.
///
/// The steps in their order: images are turned as their EXIF orientation says and resized, numbers are multiplied by
/// the scale, and dimensions put into the order that the model takes. These make the raw inputs, as `f64`:
/// [`Dataset`](crate::Dataset) does it. The last step, `(x - mean) / std`, belongs in the network, so that radii are in
/// raw units and its rounding is part of what is proved.
///
/// ```
/// use loclin_data::{Preprocessing, Scale, Split, Values, source};
/// let given = Preprocessing { scale: Some("1/128".parse()?), ..Preprocessing::default() };
/// let request = source::Request { preprocessing: &given, ..source::Request::of(Split::Test) };
/// let digits = source::open_with("digits", &request)?.into_table()?;
/// let Values::Bytes(bytes) = digits.values() else { unreachable!() };
/// assert_eq!(digits.rows_f64(&[0])?[300], f64::from(bytes[300]) / 128.0);
/// # Ok::<(), loclin_data::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preprocessing {
    /// What the values of each channel are reduced by, in units of the scaled numbers: one for all, or one for each
    /// channel; none for no normalisation.
    pub mean: Vec<f64>,
    /// What they are divided by then, as many.
    pub std: Vec<f64>,
    /// What stored numbers are multiplied by. Without one, pixels of images are divided by 255 (those of 16 bits by
    /// 65535) and arrays taken as they are.
    pub scale: Option<Scale>,
    /// How arrays are laid out, where that is not as the model's inputs are.
    pub layout: Option<Layout>,
    /// The size that images are resized to; without one they keep theirs.
    pub resize: Option<Resize>,
    /// Whether images are turned as their EXIF orientation says.
    pub exif_orientation: bool,
}

impl Preprocessing {
    /// Checks the numbers against each other and their ranges.
    ///
    /// # Errors
    /// Means and deviations of different number, a mean that is not finite, and a deviation that is not finite and
    /// positive.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |name, found: String, expected| {
            Err(Error::Parameter {
                name,
                found,
                expected,
            })
        };
        let (means, stds) = (self.mean.len(), self.std.len());
        if means != stds {
            let found = format!("{means} means and {stds} standard deviations");
            return refuse("mean, std", found, "as many of one as of the other");
        }
        if let Some(mean) = self.mean.iter().find(|mean| !mean.is_finite()) {
            return refuse("mean", mean.to_string(), "a finite number");
        }
        if let Some(std) = self
            .std
            .iter()
            .find(|std| !(std.is_normal() && **std > 0.0))
        {
            return refuse("std", format!("{std:?}"), "a positive number");
        }
        Ok(())
    }

    /// These, and what they leave open as `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let normalizes = !self.mean.is_empty() || !self.std.is_empty();
        let (mean, std) = match normalizes {
            true => (self.mean, self.std),
            false => (other.mean, other.std),
        };
        Self {
            mean,
            std,
            scale: self.scale.or(other.scale),
            layout: self.layout.or(other.layout),
            resize: self.resize.or(other.resize),
            exif_orientation: self.exif_orientation || other.exif_orientation,
        }
    }
}

/// A positive factor: a number, or a quotient such as 1/255, which divides and is rounded once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    factor: f64,
    divisor: f64,
}

impl Default for Scale {
    fn default() -> Self {
        Self::ONE
    }
}

impl Scale {
    /// Numbers as they are.
    pub const ONE: Self = Self {
        factor: 1.0,
        divisor: 1.0,
    };

    /// Bytes to [0, 1].
    pub const PIXELS: Self = Self {
        factor: 1.0,
        divisor: 255.0,
    };

    /// Numbers of 16 bits to [0, 1].
    pub(crate) const DEEP_PIXELS: Self = Self {
        factor: 1.0,
        divisor: 65535.0,
    };

    /// The scaled number.
    pub fn apply(self, value: f64) -> f64 {
        value * self.factor / self.divisor
    }
}

impl FromStr for Scale {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (factor, divisor) = text.split_once('/').unwrap_or((text, "1"));
        let numbers = (factor.trim().parse::<f64>(), divisor.trim().parse::<f64>());
        if let (Ok(factor), Ok(divisor)) = numbers {
            let fits = |number: f64| number.is_normal() && number > 0.0;
            if fits(factor) && fits(divisor) && fits(factor / divisor) {
                return Ok(Self { factor, divisor });
            }
        }
        Err(Error::Parameter {
            name: "scale",
            found: text.into(),
            expected: "a positive number or quotient, such as 1/255",
        })
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.factor)?;
        match self.divisor == 1.0 {
            true => Ok(()),
            false => write!(f, "/{}", self.divisor),
        }
    }
}

/// Which dimension of an input counts its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// The first, as in PyTorch: `[channels, height, width]`.
    ChannelsFirst,
    /// The last, as in Keras, Pillow and OpenCV: `[height, width, channels]`.
    ChannelsLast,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 2] = [Self::ChannelsFirst, Self::ChannelsLast];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::ChannelsFirst => Self::ChannelsLast,
            Self::ChannelsLast => Self::ChannelsFirst,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChannelsFirst => "channels-first",
            Self::ChannelsLast => "channels-last",
        })
    }
}

impl FromStr for Layout {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let named = |layout: &Self| layout.to_string() == text;
        Self::ALL.into_iter().find(named).ok_or(Error::Parameter {
            name: "layout",
            found: text.into(),
            expected: "channels-first or channels-last",
        })
    }
}

/// The size that images are resized to, whatever their proportions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// Height and width, each 1 to 4096.
    To([usize; 2]),
    /// Those of the model's inputs.
    Model,
}

/// The largest side of a resized image.
pub(crate) const LARGEST: usize = 4096;

impl FromStr for Resize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "model" {
            return Ok(Self::Model);
        }
        let (height, width) = text.split_once('x').unwrap_or((text, text));
        let side = |text: &str| {
            let side = text.parse::<usize>().ok();
            side.filter(|side| (1..=LARGEST).contains(side))
        };
        match (side(height), side(width)) {
            (Some(height), Some(width)) => Ok(Self::To([height, width])),
            _ => Err(Error::Parameter {
                name: "resize",
                found: text.into(),
                expected: "N or HxW, each from 1 to 4096, or model",
            }),
        }
    }
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To([height, width]) => write!(f, "{height}x{width}"),
            Self::Model => f.write_str("model"),
        }
    }
}

/// Written as text, read from text or a whole number.
macro_rules! as_text {
    ($($type:ty: $expected:literal;)+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_f64<E: de::Error>(self, number: f64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }
    )+};
}

as_text! {
    Scale: "a positive number, or a quotient in quotes such as \"1/255\"";
    Resize: "a number, or \"HxW\" or \"model\"";
}
