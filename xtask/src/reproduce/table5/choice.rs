//! Which configuration of an objective stands in the table.

use loclin::program::config::Config;
use loclin::program::sweep::Planned;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::plan::Rule;

/// One configuration of an objective.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Candidate {
    pub(super) objective: String,
    /// What it has of its own, by key.
    pub(super) varied: Table,
    /// All of it; what is stored is that of the networks.
    #[serde(skip)]
    pub(super) config: Config,
    /// On the validation images, a share; none where the loss was no longer finite.
    pub(super) accuracy: Option<f64>,
    /// The median radius of validation images; none where no rule allows the accuracy.
    pub(super) radius: Option<f64>,
}

/// The key that is no part of a configuration.
const SEED: &str = "seed";

impl Candidate {
    /// What the configuration has of its own.
    pub(super) fn settings(&self) -> String {
        let own = self.varied.iter().filter(|(key, _)| *key != SEED);
        let own: Vec<String> = own.map(|(key, value)| format!("{key}={value}")).collect();
        own.join(",")
    }

    /// The name of the runs of this configuration, without the seed.
    pub(super) fn name(&self) -> String {
        format!("{},{}", self.objective, self.settings())
    }

    /// The run of this configuration with a seed.
    pub(super) fn with_seed(&self, seed: u64) -> Planned {
        let mut varied = self.varied.clone();
        varied.remove(SEED);
        Planned {
            name: format!("{},{SEED}={seed}", self.name()),
            varied,
            config: Config {
                seed,
                ..self.config.clone()
            },
        }
    }
}

/// Of an objective's configurations that are accurate enough, the one with the largest median radius; of equal ones the first.
pub(super) fn chosen<'a>(
    rule: &Rule,
    objective: &str,
    candidates: &'a [Candidate],
    vanilla: f64,
) -> Option<&'a Candidate> {
    let own = candidates.iter().filter(|own| {
        let accurate = |accuracy| rule.allows(accuracy, vanilla);
        own.objective == objective && own.accuracy.is_some_and(accurate)
    });
    own.reduce(|a, b| match b.radius > a.radius {
        true => b,
        false => a,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(objective: &str, lambda: i64, accuracy: Option<f64>, radius: f64) -> Candidate {
        let varied = [("lambda", lambda), (SEED, 0)];
        let varied = varied.map(|(key, value)| (key.to_owned(), value.into()));
        Candidate {
            objective: objective.into(),
            varied: Table::from_iter(varied),
            config: Config::default(),
            accuracy,
            radius: Some(radius),
        }
    }

    #[test]
    fn the_largest_radius_that_is_accurate_enough_is_chosen() {
        let candidates = [
            candidate("roll", 1, Some(0.98), 1.0),
            candidate("roll", 2, Some(0.98), 2.0),
            candidate("roll", 3, Some(0.98), 2.0),
            candidate("roll", 4, Some(0.96), 3.0),
            candidate("roll", 5, None, 9.0),
            candidate("other", 6, Some(0.98), 9.0),
        ];
        let rule = |points_less| Rule {
            name: String::new(),
            points_less,
        };
        let chosen = |points| chosen(&rule(points), "roll", &candidates, 0.98);
        assert_eq!(
            chosen(0).map(Candidate::settings).as_deref(),
            Some("lambda=2")
        );
        assert_eq!(
            chosen(2).map(Candidate::settings).as_deref(),
            Some("lambda=4")
        );
        let run = candidates[0].with_seed(7);
        assert_eq!(
            (&run.name[..], run.config.seed),
            ("roll,lambda=1,seed=7", 7)
        );
    }
}
