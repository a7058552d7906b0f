//! An l_inf ball cut with the domain of inputs.

use crate::{Error, Result};

/// The points within `radius` of a centre in every number, and within the domain: a box.
#[derive(Debug, Clone, PartialEq)]
pub struct Ball {
    center: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    radius: f64,
}

impl Ball {
    /// The ball around `center` cut with the domain `[lowest, highest]` of every number (`[0, 1]` for pixels), or not cut.
    ///
    /// # Errors
    /// A radius that is negative or not finite, an empty domain, and a centre that is not finite or outside the domain.
    ///
    /// ```
    /// use loclin_regions::distortion::Ball;
    /// let ball = Ball::new(&[0.0, 0.5], 0.125, Some([0.0, 1.0]))?;
    /// assert_eq!((ball.lower(), ball.upper()), (&[0.0, 0.375][..], &[0.125, 0.625][..]));
    /// # Ok::<(), loclin_regions::Error>(())
    /// ```
    pub fn new(center: &[f64], radius: f64, domain: Option<[f64; 2]>) -> Result<Self> {
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
        let [lowest, highest] = domain.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
        if lowest.is_nan() || highest.is_nan() || lowest > highest {
            return error(format!("the domain [{lowest}, {highest}] is empty"));
        }
        let outside = |v: &f64| !(v.is_finite() && *v >= lowest && *v <= highest);
        if let Some(at) = center.iter().position(outside) {
            let value = center[at];
            return error(format!(
                "number {at} of the centre is {value}, outside the domain [{lowest}, {highest}]"
            ));
        }
        Ok(Self {
            center: center.to_vec(),
            lower: center.iter().map(|v| (v - radius).max(lowest)).collect(),
            upper: center.iter().map(|v| (v + radius).min(highest)).collect(),
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
