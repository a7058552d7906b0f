//! A radius, as the command line gives it.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A radius: a number such as `0.03`, or a quotient such as `8/256`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Radius(f64);

impl Radius {
    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Radius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 8/256 reads better than 0.03125.
        match self.0 * 256.0 {
            pixels if pixels.fract() == 0.0 && pixels < 256.0 => write!(f, "{pixels}/256"),
            _ => self.0.fmt(f),
        }
    }
}

/// Why a radius was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a positive number or quotient, such as `0.03` or `8/256`")]
pub struct EpsError;

impl FromStr for Radius {
    type Err = EpsError;

    fn from_str(text: &str) -> Result<Self, EpsError> {
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| EpsError);
        let value = match text.split_once('/') {
            Some((above, below)) => number(above)? / number(below)?,
            None => number(text)?,
        };
        match value.is_finite() && value > 0.0 {
            true => Ok(Self(value)),
            false => Err(EpsError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radii_are_numbers_or_quotients() {
        assert_eq!("8/256".parse(), Ok(Radius(0.03125)));
        assert_eq!("0.1".parse(), Ok(Radius(0.1)));
        for wrong in ["", "0", "-1", "1/0", "0/0", "8/", "a", "1/2/3", "inf"] {
            assert_eq!(wrong.parse::<Radius>(), Err(EpsError), "{wrong}");
        }
    }
}
