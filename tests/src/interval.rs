//! Norms, and numbers known up to rounding.

/// A number known up to rounding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// At least this.
    pub lo: f64,
    /// At most this.
    pub hi: f64,
}

impl Interval {
    /// `value` with an absolute error.
    pub fn around(value: f64, error: f64) -> Self {
        Self {
            lo: value - error,
            hi: value + error,
        }
    }

    /// Whether `value` may be the number.
    pub fn contains(self, value: f64) -> bool {
        self.lo <= value && value <= self.hi
    }

    /// Whether `value` may be a lower bound of the number that is rounding below it: a radius that is proved. Where nothing
    /// but rounding keeps the number from being infinite, another bound of rounding may be larger.
    pub fn is_bounded_by(self, value: f64) -> bool {
        let least = match self.hi.is_infinite() {
            true => (self.lo * 1e-4).min(1e9),
            false => self.lo * (1.0 - 1e-9),
        };
        value <= self.hi && (value >= self.lo || value >= least)
    }

    /// Whether both may be one number.
    pub fn meets(self, other: Self) -> bool {
        self.lo <= other.hi && other.lo <= self.hi
    }

    /// The smaller of two numbers.
    pub fn min(self, other: Self) -> Self {
        Self {
            lo: self.lo.min(other.lo),
            hi: self.hi.min(other.hi),
        }
    }

    /// Whether it says enough to be worth a test: narrow, or surely infinite.
    pub fn is_sharp(self) -> bool {
        self.lo == self.hi || self.hi - self.lo <= 1e-6 * self.hi
    }
}

/// The lp norm, `1 <= p <= inf`, scaled so that nothing over- or underflows.
pub fn norm(vector: &[f64], p: f64) -> f64 {
    let largest = vector.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    if p == f64::INFINITY || largest == 0.0 {
        return largest;
    }
    let sum: f64 = vector.iter().map(|v| (v.abs() / largest).powf(p)).sum();
    largest * sum.powf(1.0 / p)
}

/// `q` with `1/p + 1/q = 1`.
pub fn dual(p: f64) -> f64 {
    if p == 1.0 {
        f64::INFINITY
    } else if p == f64::INFINITY {
        1.0
    } else {
        p / (p - 1.0)
    }
}
