//! Runs that differ in nothing but the seed and the part that validates, as one configuration.

use serde::{Deserialize, Serialize};
use toml::Table;

use super::row::{Row, VANILLA, is_vanilla};
use crate::program::outcome::infinite;
use crate::program::train::Epoch;

/// Keys in which the runs of one configuration differ.
const NOT_OF_CONFIGURATION: [&str; 2] = ["seed", "fold"];

/// What a configuration's networks are on average: over the seeds, and over the parts of a cross-validation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mean {
    /// The configuration: what it has of its own as `key=value`, or `vanilla`.
    pub name: String,
    /// What it has of its own, by key.
    pub varied: Table,
    /// The runs.
    pub runs: Vec<String>,
    /// Their means.
    pub mean: Numbers,
    /// Their standard deviations, with one less than the number of runs below; 0 of a single run.
    pub deviation: Numbers,
}

/// Numbers of the best epoch, as in [`Epoch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    /// The epoch.
    pub epoch: f64,
    /// The validation loss.
    pub valid_loss: f64,
    /// The task loss of it.
    pub task_loss: f64,
    /// The regulariser of it, not times lambda.
    pub regulariser: f64,
    /// The validation accuracy, a share.
    pub accuracy: f64,
    /// The median l2 margin of validation inputs, in raw units; infinite, `null` in JSON, where that of a run is.
    #[serde(deserialize_with = "infinite")]
    pub median_eps_2: f64,
}

impl Numbers {
    /// All of them, in the order of the fields.
    pub(super) fn to_array(self) -> [f64; 6] {
        let Self {
            epoch,
            valid_loss,
            task_loss,
            regulariser,
            accuracy,
            median_eps_2,
        } = self;
        [
            epoch,
            valid_loss,
            task_loss,
            regulariser,
            accuracy,
            median_eps_2,
        ]
    }

    fn of(best: &Epoch) -> Self {
        Self {
            epoch: best.epoch as f64,
            valid_loss: best.valid_loss,
            task_loss: best.task_loss,
            regulariser: best.regulariser,
            accuracy: best.accuracy,
            median_eps_2: best.median_eps_2,
        }
    }

    fn new(
        [
            epoch,
            valid_loss,
            task_loss,
            regulariser,
            accuracy,
            median_eps_2,
        ]: [f64; 6],
    ) -> Self {
        Self {
            epoch,
            valid_loss,
            task_loss,
            regulariser,
            accuracy,
            median_eps_2,
        }
    }
}

/// The configurations of `rows` in the order in which they first occur; one of whose runs diverged has no mean.
pub(super) fn means(rows: &[Row]) -> Vec<Mean> {
    let mut groups: Vec<(String, Table, Vec<&Row>)> = Vec::new();
    for row in rows {
        let mut varied = row.varied.clone();
        for key in NOT_OF_CONFIGURATION {
            varied.remove(key);
        }
        let name = name(&row.run, &varied);
        match groups.iter_mut().find(|(known, ..)| *known == name) {
            Some((.., rows)) => rows.push(row),
            None => groups.push((name, varied, vec![row])),
        }
    }
    groups
        .into_iter()
        .filter_map(|(name, varied, rows)| mean(name, varied, &rows))
        .collect()
}

/// `vanilla`, or every key with its value; a table keeps its keys in order.
fn name(run: &str, varied: &Table) -> String {
    if is_vanilla(run) {
        return VANILLA.to_owned();
    }
    let pairs: Vec<String> = varied
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    match pairs.is_empty() {
        true => "base".to_owned(),
        false => pairs.join(","),
    }
}

fn mean(name: String, varied: Table, rows: &[&Row]) -> Option<Mean> {
    let numbers: Vec<[f64; 6]> = rows
        .iter()
        .map(|row| Some(Numbers::of(row.status.best()?).to_array()))
        .collect::<Option<_>>()?;
    let (mut means, mut deviations) = ([0.0; 6], [0.0; 6]);
    for (at, (mean, deviation)) in means.iter_mut().zip(&mut deviations).enumerate() {
        let values = || numbers.iter().map(|numbers| numbers[at]);
        *mean = values().sum::<f64>() / numbers.len() as f64;
        // Equal infinities have no difference.
        let differing = values().filter(|value| value != mean);
        // A sum of nothing is -0.
        let squares = 0.0 + differing.map(|value| (value - *mean).powi(2)).sum::<f64>();
        *deviation = (squares / (numbers.len() - 1).max(1) as f64).sqrt();
    }
    Some(Mean {
        name,
        varied,
        runs: rows.iter().map(|row| row.run.clone()).collect(),
        mean: Numbers::new(means),
        deviation: Numbers::new(deviations),
    })
}

#[cfg(test)]
mod tests {
    use super::super::row::Status;
    use super::*;

    #[test]
    fn infinite_margins_have_a_mean_and_a_deviation_that_are_read_again() {
        let row = |lambda: i64, fold: i64, median_eps_2| Row {
            run: format!("{lambda},fold={fold}"),
            varied: Table::from_iter([
                ("lambda".to_owned(), lambda.into()),
                ("fold".to_owned(), fold.into()),
            ]),
            status: Status::Done {
                seconds: 1.0,
                best: Box::new(Epoch {
                    median_eps_2,
                    ..Epoch::default()
                }),
                preprocessing: None,
            },
        };
        let infinite = f64::INFINITY;
        let rows = [
            row(1, 0, infinite),
            row(1, 1, infinite),
            row(2, 0, infinite),
            row(2, 1, 0.5),
        ];
        let found = means(&rows);
        let both = |mean: &Mean| (mean.mean.median_eps_2, mean.deviation.median_eps_2);
        let both: Vec<(f64, f64)> = found.iter().map(both).collect();
        assert_eq!(both, [(infinite, 0.0), (infinite, infinite)]);
        let json = serde_json::to_string(&(&rows, &found)).unwrap();
        let read: (Vec<Row>, Vec<Mean>) = serde_json::from_str(&json).unwrap();
        assert_eq!((&read.0[..], read.1), (&rows[..], found));
    }
}
