//! The experiments and their commands.

use std::path::{Path, PathBuf};

use loclin::program::options::Global;

use super::places::Training;
use super::results::{Outcome, write};
use super::{bounds, figure1, figure2, figure3, figure4, stability, table, table2, table4, table5};

/// The experiments, by their names in the paper.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Experiment {
    /// MNIST: accuracy, regions and margins of vanilla and ROLL networks
    Table1(table::Args),
    /// The time of a training step: vanilla, exact and approximate ROLL
    Table2(table2::Args),
    /// Japanese Vowels: accuracy and margins of recurrent networks
    Table3(table::Args),
    /// CIFAR-10: gradient distortion and margins of residual networks
    Table4(Training),
    /// MNIST: what is proved beyond the region, for objectives chosen and compared by one rule
    Table5(Training),
    /// The plane: regions, margins and gradients of three toy classifiers
    Figure1(figure1::Args),
    /// Accuracy and median margin against C and lambda, for each gamma
    Figure2(Training),
    /// Japanese Vowels: how far each value of a sequence may move, vanilla and ROLL
    Figure3(figure3::Args),
    /// CIFAR-10: gradients, distorted gradients and integrated gradients as pictures (Figures 4 to 6)
    #[command(visible_aliases = ["figure5", "figure6"])]
    Figure4(Training),
    /// Balls beyond the region: bounds of the gradient's change beside published numbers
    Bounds(bounds::Args),
    /// Explanations under JPEG, noise and brightness against the proved radius, on the networks of Table 1
    Stability(Training),
}

/// Reproduces an experiment.
///
/// # Errors
/// Data or directories that cannot be used, and whatever stops a training run.
pub(super) fn run(experiment: &Experiment, global: &Global) -> anyhow::Result<Outcome> {
    let under = |given: &Option<PathBuf>, name: &str| {
        given
            .clone()
            .unwrap_or_else(|| Path::new("docs/results").join(name))
    };
    match experiment {
        Experiment::Table1(args) => {
            let places = args.training.places("table1")?;
            write(&places.out, || table::run("table1", args, &places, global))
        }
        Experiment::Table3(args) => {
            let places = args.training.places("table3")?;
            write(&places.out, || table::run("table3", args, &places, global))
        }
        Experiment::Table4(training) => {
            let places = training.places("table4")?;
            write(&places.out, || table4::run(training, &places, global))
        }
        Experiment::Table5(training) => {
            let places = training.places("table5")?;
            write(&places.out, || table5::run(training, &places, global))
        }
        Experiment::Figure4(training) => {
            // The networks are those of the table.
            let mut places = training.places("table4")?;
            if training.out.is_none() {
                places.out = "docs/results/figure4".into();
            }
            write(&places.out, || figure4::run(training, &places, global))
        }
        Experiment::Stability(training) => {
            let mut places = training.places("stability")?;
            if training.runs.is_none() {
                places.runs = "runs/table1".into();
            }
            write(&places.out, || stability::run(training, &places, global))
        }
        Experiment::Figure2(training) => {
            let places = training.places("figure2")?;
            write(&places.out, || figure2::run(training, &places, global))
        }
        Experiment::Table2(args) => {
            write(&under(&args.out, "table2"), || table2::run(args, global))
        }
        Experiment::Figure3(args) => {
            write(&under(&args.out, "figure3"), || figure3::run(args, global))
        }
        Experiment::Bounds(args) => write(&under(&args.out, "bounds"), || bounds::run(args)),
        Experiment::Figure1(args) => {
            write(&under(&args.out, "figure1"), || figure1::run(args, global))
        }
    }
}
