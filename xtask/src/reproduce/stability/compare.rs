//! How much an explanation changes: two vectors of numbers of pixels, before and after.

use loclin_regions::Norm;
use loclin_report::stats::spearman;

/// The norm of the difference over that of `before`: 0 if nothing changes, infinite if only `before` is 0.
pub(super) fn relative(before: &[f64], after: &[f64], norm: Norm) -> f64 {
    let change = norm.of(&difference(before, after));
    match change == 0.0 {
        true => 0.0,
        false => change / norm.of(before),
    }
}

/// The cosine of the angle between both; 0 where one is 0.
pub(super) fn cosine(before: &[f64], after: &[f64]) -> f64 {
    let product: f64 = before.iter().zip(after).map(|(a, b)| a * b).sum();
    let lengths = Norm::L2.of(before) * Norm::L2.of(after);
    match lengths > 0.0 {
        true => (product / lengths).clamp(-1.0, 1.0),
        false => 0.0,
    }
}

/// Spearman's rank correlation of the absolute values; `None` where one side has no order.
pub(super) fn rank_correlation(before: &[f64], after: &[f64]) -> Option<f64> {
    let pairs = before.iter().zip(after).map(|(a, b)| (a.abs(), b.abs()));
    spearman(&pairs.collect::<Vec<_>>())
}

/// Of the `count` largest absolute values before, the share that is among as many after; of equal ones the first count.
pub(super) fn top_share(before: &[f64], after: &[f64], count: usize) -> f64 {
    let largest = |values: &[f64]| {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*b].abs().total_cmp(&values[*a].abs()));
        order.truncate(count);
        order
    };
    let (own, other) = (largest(before), largest(after));
    let common = own.iter().filter(|pixel| other.contains(pixel)).count();
    common as f64 / own.len().max(1) as f64
}

/// A bound of the distance of two inputs from above, so that less than a radius means within it.
pub(super) fn distance(before: &[f64], after: &[f64], norm: Norm) -> f64 {
    // A sum of some thousand squares is not further off than this share, nor are the differences.
    const ROUNDING: f64 = 1e-12;
    norm.of(&difference(before, after)) * (1.0 + ROUNDING)
}

fn difference(before: &[f64], after: &[f64]) -> Vec<f64> {
    after.iter().zip(before).map(|(a, b)| a - b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_of_small_vectors() {
        let (before, after) = ([3.0, -4.0, 0.0], [3.0, 4.0, 6.0]);
        assert_eq!(relative(&before, &after, Norm::L2), 2.0);
        assert_eq!(relative(&before, &after, Norm::L1), 2.0);
        assert_eq!(relative(&[0.0; 3], &[0.0; 3], Norm::L2), 0.0);
        assert_eq!(relative(&[0.0; 3], &after, Norm::L2), f64::INFINITY);
        let expected = -7.0 / (5.0 * 61.0_f64.sqrt());
        assert!((cosine(&before, &after) - expected).abs() < 1e-15);
        assert_eq!(cosine(&[0.0; 3], &after), 0.0);
        assert_eq!(top_share(&before, &after, 2), 0.5);
        assert_eq!(top_share(&before, &before, 2), 1.0);
        assert!(distance(&before, &after, Norm::LINF) >= 8.0);
    }

    /// By hand: |before| = 1, 2, 2, 3, 5 has the ranks 1, 2.5, 2.5, 4, 5, |after| = 2, 2, 4, 1, 9 the ranks
    /// 2.5, 2.5, 4, 1, 5. Less their mean 3, the products add up to 1 + 0.25 - 0.5 - 2 + 4 = 2.75, the squares to
    /// 9.5 and 9.5.
    #[test]
    fn ranks_of_equal_values_are_shared() {
        let found = rank_correlation(&[1.0, -2.0, 2.0, 3.0, -5.0], &[2.0, -2.0, 4.0, 1.0, 9.0]);
        assert!((found.unwrap() - 2.75 / 9.5).abs() < 1e-15, "{found:?}");
        assert_eq!(rank_correlation(&[1.0, -1.0], &[1.0, 2.0]), None);
    }
}
