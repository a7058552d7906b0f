//! Percentiles and rank correlation, as the tables report them.

use serde::{Deserialize, Serialize};

/// The percentiles of the paper's tables.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
    /// All four, in order.
    pub fn all(&self) -> [f64; 4] {
        [self.p25, self.p50, self.p75, self.p100]
    }

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

/// The most pairs whose signs are all tried.
const MOST_PAIRS: usize = 20;

/// The two-sided p-value of paired differences by the exact permutation test: the share of all ways to give them signs whose
/// sum is at least as far from 0. If both sides of a pair were drawn alike, a value of at most `p` would be seen with probability `p` at most.
/// `None` for no differences, for more than 20, and for one that is not finite.
///
/// ```
/// use loclin_report::stats::paired;
///
/// // All of one sign: of 2^5 ways only this one and its opposite.
/// assert_eq!(paired(&[0.1, 0.3, 0.2, 0.2, 0.4]), Some(2.0 / 32.0));
/// assert_eq!(paired(&[0.1, -0.1]), Some(1.0));
/// assert_eq!(paired(&[]), None);
/// ```
pub fn paired(differences: &[f64]) -> Option<f64> {
    let n = differences.len();
    if n == 0 || n > MOST_PAIRS || differences.iter().any(|d| !d.is_finite()) {
        return None;
    }
    let signed = |signs: usize| -> f64 {
        let own = differences.iter().enumerate();
        own.map(|(at, d)| if signs >> at & 1 == 1 { -d } else { *d })
            .sum()
    };
    // Sums of the same numbers in other order differ by roundings.
    let size: f64 = differences.iter().map(|d| d.abs()).sum();
    let observed = signed(0).abs() - 1e-12 * size;
    let as_far = (0..1usize << n).filter(|signs| signed(*signs).abs() >= observed);
    Some(as_far.count() as f64 / (1usize << n) as f64)
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

/// Spearman's rank correlation of paired values, equal ones sharing the mean of their ranks; `None` for fewer than
/// two pairs, for values that are not numbers, and where one side is constant.
pub fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    if pairs.iter().any(|(a, b)| a.is_nan() || b.is_nan()) {
        return None;
    }
    let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let (a, b) = (ranks(&a), ranks(&b));
    let mean = (pairs.len() as f64 + 1.0) / 2.0;
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        a.iter().zip(&b).map(|(a, b)| of(a - mean, b - mean)).sum()
    };
    let (ab, aa, bb) = (sum(&|a, b| a * b), sum(&|a, _| a * a), sum(&|_, b| b * b));
    let scale = (aa * bb).sqrt();
    (scale > 0.0).then(|| ab / scale)
}

/// Ranks from 1, equal values sharing the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|i, j| values[*i] == values[*j]) {
        let rank = first as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|i| ranks[*i] = rank);
        first += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_correlation_sees_order_alone_and_shares_ranks() {
        // scipy.stats.spearmanr([1, 2, 2, 4], [1, 3, 2, 9]) = sqrt(0.9)
        let tied = spearman(&[(1.0, 1.0), (2.0, 3.0), (2.0, 2.0), (4.0, 9.0)]).unwrap();
        assert!((tied - 0.9_f64.sqrt()).abs() < 1e-15, "{tied}");
        let pairs = |of: fn(f64) -> f64| [0.3, 7.0, 1.0, 5.0].map(|x| (x, of(x)));
        assert_eq!(spearman(&pairs(|x| x.exp())), Some(1.0));
        assert_eq!(spearman(&pairs(|x| -x)), Some(-1.0));
        assert_eq!(spearman(&pairs(|_| 1.0)), None);
        assert_eq!(spearman(&pairs(|_| f64::NAN)), None);
        assert_eq!(spearman(&[]), None);
    }

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
