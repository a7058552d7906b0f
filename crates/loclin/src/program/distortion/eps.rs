//! A radius and a domain, as the command line gives them.

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

/// The interval of every number of an input: `0,1` for pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Domain(pub [f64; 2]);

/// Why a radius or a domain was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpsError {
    /// Not a radius.
    #[error("expected a positive number or quotient, such as `0.03` or `8/256`")]
    Radius,
    /// Not an interval.
    #[error("expected two numbers, the smaller first, such as `0,1`")]
    Domain,
}

impl FromStr for Radius {
    type Err = EpsError;

    fn from_str(text: &str) -> Result<Self, EpsError> {
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| EpsError::Radius);
        let value = match text.split_once('/') {
            Some((above, below)) => number(above)? / number(below)?,
            None => number(text)?,
        };
        match value.is_finite() && value > 0.0 {
            true => Ok(Self(value)),
            false => Err(EpsError::Radius),
        }
    }
}

impl FromStr for Domain {
    type Err = EpsError;

    fn from_str(text: &str) -> Result<Self, EpsError> {
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| EpsError::Domain);
        let (low, high) = text.split_once(',').ok_or(EpsError::Domain)?;
        let (low, high) = (number(low)?, number(high)?);
        match low < high && low.is_finite() && high.is_finite() {
            true => Ok(Self([low, high])),
            false => Err(EpsError::Domain),
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
            assert_eq!(wrong.parse::<Radius>(), Err(EpsError::Radius), "{wrong}");
        }
        assert_eq!("-1, 2".parse(), Ok(Domain([-1.0, 2.0])));
        for wrong in ["", "1", "1,0", "0,0", "0,nan", "0,inf", "0,1,2"] {
            assert_eq!(wrong.parse::<Domain>(), Err(EpsError::Domain), "{wrong}");
        }
    }
}
