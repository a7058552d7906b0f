//! Table 5: what is proved beyond the region, for objectives that are chosen and compared by one rule.

mod choice;
mod network;
mod page;
mod plan;
mod radii;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use loclin::program::options::Global;
use loclin::program::sweep::{Planned, Status};
use loclin_data::Split;
use serde::{Deserialize, Serialize};

use self::choice::{Candidate, chosen};
use self::network::{Network, csv};
use self::plan::{Plan, VANILLA};
use self::radii::Radii;
use super::certificate::Certificate;
use super::places::{Places, Training};
use super::provenance::Provenance;
use super::results::{PAGE, Results};
use super::stored::{self, Stored};

/// The seed of the vanilla network whose validation accuracy counts as unharmed.
const FIRST_SEED: u64 = 0;

/// A table under way.
struct Table<'a> {
    plan: Plan,
    training: &'a Training,
    places: &'a Places,
    global: &'a Global,
}

pub(super) fn run(
    training: &Training,
    places: &Places,
    global: &Global,
) -> anyhow::Result<Results> {
    let table = Table {
        plan: Plan::load(&places.config)?,
        training,
        places,
        global,
    };
    let first = table.plan.vanilla(&places.config, &[FIRST_SEED], global)?;
    let first = table.trained(first, places.runs.clone())?;
    let (_, first) = first.into_iter().next().context("nothing was trained")?;
    let Some(vanilla) = first.best().map(|best| best.accuracy) else {
        bail!("the vanilla network diverged")
    };
    let candidates = table.candidates(vanilla)?;
    let networks = table.networks(&candidates, vanilla)?;
    let numbers = Numbers {
        vanilla,
        candidates,
        stored: Stored {
            provenance: Provenance::of(places.command("table5")),
            networks,
        },
    };
    results(&table.plan, &numbers)
}

/// What the results keep in numbers.
#[derive(Debug, Serialize, Deserialize)]
struct Numbers {
    /// The validation accuracy that counts as unharmed.
    vanilla: f64,
    candidates: Vec<Candidate>,
    #[serde(flatten)]
    stored: Stored<Network>,
}

/// The results as they follow from the numbers in `networks.json` of the directory `out`.
///
/// # Errors
/// A file that cannot be read or used.
pub(super) fn again(config: &Path, out: &Path) -> anyhow::Result<Results> {
    results(&Plan::load(config)?, &stored::load(out)?)
}

fn results(plan: &Plan, numbers: &Numbers) -> anyhow::Result<Results> {
    let Numbers {
        vanilla,
        candidates,
        stored: Stored {
            provenance,
            networks,
        },
    } = numbers;
    let text = page::tables(plan, candidates, networks, *vanilla)?;
    let page = format!("# {}\n\n{provenance}\n\n{text}", plan.title);
    Ok(Results {
        files: vec![
            (PAGE.into(), page.into_bytes()),
            ("networks.csv".into(), csv(plan, networks)?),
            (stored::FILE.into(), stored::to_json(numbers)?),
        ],
        text,
    })
}

impl Table<'_> {
    /// Trains what is missing, each in the directory of its name in `out`.
    fn trained(&self, runs: Vec<Planned>, out: PathBuf) -> anyhow::Result<Vec<(Planned, Status)>> {
        let rows = self.training.execute(&runs, &out, self.global)?;
        let rows = rows.into_iter().map(|row| row.status);
        Ok(runs.into_iter().zip(rows).collect())
    }

    /// All configurations of all objectives, with the radii of those that some rule allows.
    fn candidates(&self, vanilla: f64) -> anyhow::Result<Vec<Candidate>> {
        let mut candidates = Vec::new();
        for objective in &self.plan.objectives {
            let sweep = objective.sweep(&self.places.config, self.global)?;
            let out = self.places.runs.join(&objective.name);
            // The sweep may train the network that its own rules compare with.
            let own = sweep.runs.into_iter().filter(|run| !run.varied.is_empty());
            for (run, status) in self.trained(own.collect(), out.clone())? {
                let best = status.best();
                let allowed = best.is_some_and(|best| {
                    let mut rules = self.plan.rules.iter();
                    rules.any(|rule| rule.allows(best.accuracy, vanilla))
                });
                let radius = match allowed {
                    true => {
                        let directory = out.join(&run.name);
                        Some(self.radii(&run, &directory, Split::Valid)?.radius())
                    }
                    false => None,
                };
                candidates.push(Candidate {
                    objective: objective.name.clone(),
                    accuracy: best.map(|best| best.accuracy),
                    varied: run.varied,
                    config: run.config,
                    radius,
                });
            }
        }
        Ok(candidates)
    }

    /// Vanilla and the chosen configurations with every seed.
    fn networks(&self, candidates: &[Candidate], vanilla: f64) -> anyhow::Result<Vec<Network>> {
        let mut planned: Vec<(String, Planned)> = Vec::new();
        let vanilla_runs =
            (self.plan).vanilla(&self.places.config, &self.plan.seeds, self.global)?;
        planned.extend(
            vanilla_runs
                .into_iter()
                .map(|run| (VANILLA.to_owned(), run)),
        );
        for rule in &self.plan.rules {
            for objective in &self.plan.objectives {
                let Some(choice) = chosen(rule, &objective.name, candidates, vanilla) else {
                    continue;
                };
                for &seed in &self.plan.seeds {
                    let run = choice.with_seed(seed);
                    // Two rules may choose one configuration.
                    if planned.iter().all(|(_, known)| known.name != run.name) {
                        planned.push((objective.name.clone(), run));
                    }
                }
            }
        }
        let (objectives, runs): (Vec<String>, Vec<Planned>) = planned.into_iter().unzip();
        let trained = self.trained(runs, self.places.runs.clone())?;
        let mut networks = Vec::new();
        for (objective, (run, status)) in objectives.into_iter().zip(trained) {
            let Status::Done { seconds, best, .. } = status else {
                bail!("run `{}` diverged", run.name)
            };
            let directory = self.places.runs.join(&run.name);
            let (data, first) = (&self.training.data, self.plan.certified);
            networks.push(Network {
                objective,
                certificate: Certificate::of(&run, &directory, data, first, self.global)?,
                radii: self.radii(&run, &directory, Split::Test)?,
                valid_accuracy: best.accuracy,
                training_seconds: seconds,
                training_threads: best.threads,
                run: run.name,
                config: run.config,
            });
        }
        Ok(networks)
    }

    fn radii(&self, run: &Planned, directory: &Path, split: Split) -> anyhow::Result<Radii> {
        let (asked, data) = (&self.plan.measured, &self.training.data);
        Radii::of(run, directory, split, asked, data, self.global)
    }
}
