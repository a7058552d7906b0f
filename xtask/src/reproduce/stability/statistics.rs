//! Statistics over images, with bootstrap intervals.

use loclin_report::stats::spearman;
use loclin_tensor::random::stream;
use rand::Rng;

/// The random stream of the bootstrap.
const BOOTSTRAP: u64 = 2;
/// How much of the samples an interval leaves out on each side.
const TAIL: f64 = 0.025;

/// A number with the interval that holds 95% of the bootstrap's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Which way a number differs from another, by the whole of its interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Below,
    Above,
    NotShown,
}

impl Interval {
    /// Of the pairs of all images: Spearman's rank correlation. With an image come all pairs that it has.
    pub(super) fn correlation(images: &[Vec<[f64; 2]>], samples: usize) -> Option<Self> {
        let pairs = |images: &[&Vec<[f64; 2]>]| {
            let pairs = images.iter().flat_map(|pairs| pairs.iter());
            spearman(&pairs.map(|[a, b]| (*a, *b)).collect::<Vec<_>>())
        };
        bootstrap(images, samples, pairs)
    }

    /// The mean of one number of each image.
    pub(super) fn mean(images: &[f64], samples: usize) -> Option<Self> {
        let mean = |images: &[&f64]| {
            let sum: f64 = images.iter().copied().sum();
            (!images.is_empty()).then(|| sum / images.len() as f64)
        };
        bootstrap(images, samples, mean)
    }

    pub(super) fn side_of(&self, other: f64) -> Side {
        match self {
            _ if self.high < other => Side::Below,
            _ if self.low > other => Side::Above,
            _ => Side::NotShown,
        }
    }
}

/// A statistic of some units and the interval of its percentile bootstrap: as many units are drawn, with replacement.
/// Samples without a value (all equal) are left out; `None` where the units themselves have none.
fn bootstrap<T>(
    units: &[T],
    samples: usize,
    statistic: impl Fn(&[&T]) -> Option<f64>,
) -> Option<Interval> {
    let value = statistic(&units.iter().collect::<Vec<_>>())?;
    let mut rng = stream(0, &[BOOTSTRAP]);
    let mut found = Vec::with_capacity(samples);
    for _ in 0..samples {
        let drawn = (0..units.len()).map(|_| &units[rng.random_range(0..units.len())]);
        found.extend(statistic(&drawn.collect::<Vec<_>>()));
    }
    found.sort_by(f64::total_cmp);
    let last = found.len().checked_sub(1)?;
    let cut = (TAIL * found.len() as f64).floor() as usize;
    Some(Interval {
        value,
        low: found[cut.min(last)],
        high: found[last.saturating_sub(cut)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_hold_the_value_and_know_their_side() {
        let falling: Vec<Vec<[f64; 2]>> = (0..60)
            .map(|i| vec![[f64::from(i), f64::from((i * 7) % 13) - 0.2 * f64::from(i)]])
            .collect();
        let found = Interval::correlation(&falling, 200).unwrap();
        assert!(found.low <= found.value && found.value <= found.high && found.low >= -1.0);
        assert_eq!(found.side_of(0.0), Side::Below);
        assert_eq!(Interval::correlation(&falling, 200), Some(found));
        let unrelated: Vec<Vec<[f64; 2]>> = (0..60)
            .map(|i| vec![[f64::from(i), f64::from((i * 7) % 13)]])
            .collect();
        let found = Interval::correlation(&unrelated, 200).unwrap();
        assert_eq!(found.side_of(0.0), Side::NotShown);
        assert_eq!(
            Interval::correlation(&[vec![[1.0, 2.0]], vec![[3.0, 2.0]]], 9),
            None
        );
    }

    /// Of n numbers, the mean's standard error is their deviation over the root of n.
    #[test]
    fn the_interval_of_a_mean_is_two_standard_errors_wide_on_each_side() {
        let coins: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let found = Interval::mean(&coins, 2000).unwrap();
        let expected = 1.96 * 0.5 / 20.0;
        assert_eq!(found.value, 0.5);
        for width in [found.high - 0.5, 0.5 - found.low] {
            assert!((width / expected - 1.0).abs() < 0.15, "{found:?}");
        }
        assert_eq!(
            Interval::mean(&[1.0; 5], 9).unwrap().side_of(0.5),
            Side::Above
        );
        assert_eq!(Interval::mean(&[], 9), None);
    }
}
