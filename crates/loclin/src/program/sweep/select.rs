//! The selection rule: which configuration of a sweep is the best.

use serde::{Deserialize, Serialize};

use super::error::PlanError;
use super::mean::{Mean, means};
use super::row::{Row, VANILLA};

/// Of the configurations whose validation accuracy is at most some points less than that of the vanilla run, the one
/// with the largest median `eps_2` on the validation inputs; both are means over the seeds, and over the
/// parts of a cross-validation.
///
/// Where `rounded` is not false, accuracies are compared as the paper's tables show them, in whole percent: with 98% for
/// the vanilla run, "the same" begins at 97.5% and "one point less" at 96.5%. Otherwise they are compared as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// What the choice is called.
    name: String,
    /// Percentage points of accuracy that it may cost; whole ones where accuracies are rounded.
    points_less: f64,
    /// Whether accuracies are rounded to whole percent.
    #[serde(default = "yes")]
    rounded: bool,
}

fn yes() -> bool {
    true
}

/// A configuration that a rule chose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Selected {
    /// The rule's name.
    pub rule: String,
    /// The runs of the configuration, one for each seed and part; empty if none is accurate enough.
    pub runs: Vec<String>,
    /// Their mean validation accuracy.
    pub accuracy: Option<f64>,
    /// Their mean median `eps_2`.
    pub median_eps_2: Option<f64>,
    /// Why there are none.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Whether an accuracy is at most so many points less than that of vanilla, both shares and compared in whole percent.
pub fn is_within(accuracy: f64, vanilla: f64, points_less: f64) -> bool {
    accuracy >= ((100.0 * vanilla).round() - points_less - 0.5) / 100.0
}

impl Rule {
    pub(super) fn check(&self, vanilla: bool) -> Result<(), PlanError> {
        if !vanilla {
            return Err(PlanError::invalid(
                "vanilla",
                format!(
                    "a configuration, because the rule `{}` compares with its accuracy",
                    self.name
                ),
            ));
        }
        let points = self.points_less;
        let expected = match self.rounded {
            _ if !(0.0..=100.0).contains(&points) => "a number from 0 to 100",
            true if points.fract() != 0.0 => {
                "a whole number, or rounded = false, which compares accuracies as they are"
            }
            _ => return Ok(()),
        };
        Err(PlanError::invalid(
            "points_less",
            format!("{expected}, found {points} in the rule `{}`", self.name),
        ))
    }

    /// Whether an accuracy is near enough to that of vanilla.
    fn allows(&self, accuracy: f64, vanilla: f64) -> bool {
        match self.rounded {
            true => is_within(accuracy, vanilla, self.points_less),
            // Means of shares of inputs: what rounding does to them is no difference.
            false => accuracy >= vanilla - self.points_less / 100.0 - 1e-12,
        }
    }

    /// What the rule chooses from `rows`. Runs that differ in nothing but the seed are one configuration, and
    /// one of whose runs diverged is none.
    pub(super) fn apply(&self, rows: &[Row]) -> Selected {
        let mut means = means(rows);
        // Of equal ones, the first by its keys is chosen.
        means.sort_by_cached_key(|mean| mean.varied.to_string());
        let is_vanilla = |mean: &&Mean| mean.name == VANILLA;
        let vanilla = means.iter().find(is_vanilla);
        let is_accurate = |mean: &Mean| {
            let near = |vanilla: &Mean| self.allows(mean.mean.accuracy, vanilla.mean.accuracy);
            vanilla.is_some_and(near)
        };
        let candidates = means
            .iter()
            .filter(|mean| !is_vanilla(mean) && is_accurate(mean));
        let margin = |mean: &Mean| mean.mean.median_eps_2;
        let best = candidates.reduce(|a, b| if margin(b) > margin(a) { b } else { a });
        let reason = match (vanilla, best) {
            (None, _) => Some("vanilla diverged: there is no accuracy to compare with"),
            (Some(_), None) => Some("no configuration is accurate enough"),
            (Some(_), Some(_)) => None,
        };
        Selected {
            rule: self.name.clone(),
            reason: reason.map(str::to_owned),
            runs: best.map_or_else(Vec::new, |best| best.runs.clone()),
            accuracy: best.map(|best| best.mean.accuracy),
            median_eps_2: best.map(margin),
        }
    }
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::super::row::Status;
    use super::*;
    use crate::program::train::Epoch;

    fn status(results: Option<(f64, f64)>) -> Status {
        match results {
            None => Status::Diverged {
                reason: "the loss is not finite".into(),
            },
            Some((accuracy, median_eps_2)) => Status::Done {
                preprocessing: None,
                seconds: 1.0,
                best: Box::new(Epoch {
                    epoch: 1,
                    seconds: 1.0,
                    threads: 1,
                    train_loss: 0.0,
                    valid_loss: 0.0,
                    task_loss: 0.0,
                    regulariser: 0.0,
                    accuracy,
                    median_eps_2,
                    ..Epoch::default()
                }),
            },
        }
    }

    fn row(lambda: i64, seed: i64, results: Option<(f64, f64)>) -> Row {
        Row {
            run: format!("{lambda}-{seed}"),
            varied: Table::from_iter([
                ("lambda".to_owned(), lambda.into()),
                ("seed".to_owned(), seed.into()),
            ]),
            status: status(results),
        }
    }

    #[test]
    fn the_largest_margin_that_is_accurate_enough_is_chosen_by_the_mean_over_seeds() {
        let vanilla = |results| Row {
            run: VANILLA.into(),
            varied: Table::new(),
            status: status(results),
        };
        let mut rows = vec![
            // 98%: the same is 97.5% and more, one point less 96.5% and more.
            vanilla(Some((0.984, 100.0))),
            row(1, 0, Some((0.98, 1.0))),
            row(1, 1, Some((0.98, 2.0))),
            // Once accurate enough, on average not.
            row(2, 0, Some((0.979, 9.0))),
            row(2, 1, Some((0.96, 9.0))),
            row(3, 0, Some((0.976, 4.0))),
            row(3, 1, Some((0.975, 1.0))),
            row(4, 0, Some((0.99, 8.0))),
            row(4, 1, None),
        ];
        let rule = |points_less| Rule {
            name: "same".into(),
            points_less,
            rounded: true,
        };
        let selected = rule(0.0).apply(&rows);
        assert_eq!(selected.runs, ["3-0", "3-1"]);
        assert_eq!((selected.median_eps_2, selected.reason), (Some(2.5), None));
        assert_eq!(rule(1.0).apply(&rows).runs, ["2-0", "2-1"]);
        // As they are, 98.4% less 0.4 points is 98%, and less 0.8 points is more than the mean of the third.
        let exact = |points_less| Rule {
            rounded: false,
            ..rule(points_less)
        };
        assert_eq!(exact(0.4).apply(&rows).runs, ["1-0", "1-1"]);
        assert_eq!(exact(0.8).apply(&rows).runs, ["1-0", "1-1"]);
        assert_eq!(exact(0.9).apply(&rows).runs, ["3-0", "3-1"]);
        assert!(rule(0.5).check(true).is_err() && exact(0.5).check(true).is_ok());
        assert!(exact(-1.0).check(true).is_err() && exact(f64::NAN).check(true).is_err());
        rows[0] = vanilla(Some((1.0, 0.1)));
        let none = |points_less, reason: &str, rows: &[Row]| {
            let selected = rule(points_less).apply(rows);
            assert_eq!(selected.runs, Vec::<String>::new());
            assert!(selected.reason.unwrap().contains(reason));
        };
        none(0.0, "accurate enough", &rows);
        rows[0] = vanilla(None);
        none(100.0, "vanilla diverged", &rows);
    }
}
