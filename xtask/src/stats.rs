//! Percentiles as the tables report them.

use serde::Serialize;

/// The percentiles of the paper's tables.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// The lower quartile.
    pub p25: f64,
    /// The median.
    pub p50: f64,
    /// The upper quartile.
    pub p75: f64,
    /// The maximum.
    pub p100: f64,
}

impl Percentiles {
    /// Of any values in any order; `None` if there are none or one is not a number.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || values.iter().any(|v| v.is_nan()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |percent: f64| percentile(&sorted, percent);
        Some(Self {
            p25: at(25.0),
            p50: at(50.0),
            p75: at(75.0),
            p100: at(100.0),
        })
    }
}

/// As `numpy.percentile` interpolates: linearly between the two nearest ranks.
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let rank = percent / 100.0 * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    if low == high {
        // Equal infinities have no difference.
        return low;
    }
    low + (high - low) * rank.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_interpolate_between_ranks() {
        let p = Percentiles::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        // numpy.percentile([1, 2, 3, 4], [25, 50, 75, 100])
        assert_eq!([p.p25, p.p50, p.p75, p.p100], [1.75, 2.5, 3.25, 4.0]);
        assert_eq!(
            Percentiles::of(&[f64::INFINITY; 3]).unwrap().p50,
            f64::INFINITY
        );
        assert_eq!(Percentiles::of(&[]), None);
        assert_eq!(Percentiles::of(&[1.0, f64::NAN]), None);
    }
}
