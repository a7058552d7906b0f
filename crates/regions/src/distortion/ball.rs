//! An l_inf ball cut with the domain of inputs.

use crate::{Domain, Error, Result};

/// The points within `radius` of a centre in every number, and within the domain: a box.
#[derive(Debug, Clone, PartialEq)]
pub struct Ball {
    center: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    radius: f64,
}

impl Ball {
    /// The ball around `center` cut with the domain of inputs (`[0, 1]` for pixels), or not cut.
    ///
    /// # Errors
    /// A radius that is negative or not finite, a domain of another size, and a centre that is not finite or outside the domain.
    ///
    /// ```
    /// use loclin_regions::{Domain, distortion::Ball};
    /// let ball = Ball::new(&[0.0, 0.5], 0.125, Some(&Domain::uniform(2, 0.0, 1.0)?))?;
    /// assert_eq!((ball.lower(), ball.upper()), (&[0.0, 0.375][..], &[0.125, 0.625][..]));
    /// # Ok::<(), loclin_regions::Error>(())
    /// ```
    pub fn new(center: &[f64], radius: f64, domain: Option<&Domain>) -> Result<Self> {
        let error = |cause| {
            Err(Error::Argument {
                what: "ball",
                cause,
            })
        };
        if !(radius >= 0.0 && radius.is_finite()) {
            return error(format!(
                "a radius of {radius}; must be finite and not negative"
            ));
        }
        if let Some(at) = center.iter().position(|v| !v.is_finite()) {
            let value = center[at];
            return error(format!("number {at} of the centre is {value}"));
        }
        let mut lower: Vec<f64> = center.iter().map(|v| v - radius).collect();
        let mut upper: Vec<f64> = center.iter().map(|v| v + radius).collect();
        if let Some(domain) = domain {
            // Whether the centre is in it.
            domain.room(center)?;
            let ends = domain.low().iter().zip(domain.high());
            for ((lower, upper), (low, high)) in lower.iter_mut().zip(&mut upper).zip(ends) {
                (*lower, *upper) = (lower.max(*low), upper.min(*high));
            }
        }
        Ok(Self {
            center: center.to_vec(),
            lower,
            upper,
            radius,
        })
    }

    /// The centre.
    pub fn center(&self) -> &[f64] {
        &self.center
    }

    /// The smallest value of each number.
    pub fn lower(&self) -> &[f64] {
        &self.lower
    }

    /// The largest value of each number.
    pub fn upper(&self) -> &[f64] {
        &self.upper
    }

    /// The radius, before cutting.
    pub fn radius(&self) -> f64 {
        self.radius
    }
}
