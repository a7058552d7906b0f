//! Figure 1: linear regions, margins and gradients of three classifiers of points on the plane.

use std::path::PathBuf;

use super::markdown;
use super::provenance::Provenance;
use super::results::{PAGE, Results};
use loclin::program::options::Global;
use loclin::program::toy::{self, Toy};
use loclin_report::figure;

/// Options of `reproduce figure1`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Full-batch steps of Adam for each network
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub epochs: usize,
    /// Directory of the results [default: docs/results/figure1]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

pub(super) fn run(args: &Args, global: &Global) -> anyhow::Result<Results> {
    let toy = Toy {
        seed: global.seed.unwrap_or(0),
        epochs: args.epochs,
        lambdas: vec![1e-2, 1e-1, 1.0, 1e1, 1e2],
    };
    let panels = toy::panels(&toy)?;
    let canvas = figure::toy_figure(&panels)?;
    let rows: Vec<Vec<String>> = panels
        .iter()
        .map(|panel| {
            vec![
                panel.title.clone(),
                panel.cells.len().to_string(),
                format!("{:.3e}", panel.median_radius),
                format!("{:.0}%", 100.0 * panel.accuracy),
            ]
        })
        .collect();
    let table = markdown::table(
        &["network", "regions in view", "median eps_2", "accuracy"],
        &rows,
    );
    let provenance = Provenance::of(format!(
        "cargo xtask reproduce figure1 --seed {} --epochs {}",
        toy.seed, toy.epochs
    ));
    let page = format!(
        "# Figure 1: linear regions on the plane\n\n![Three panels with region boundaries, circles of the certified \
         radius, gradient arrows and a heat map](figure1.svg)\n\n{table}\nFour hidden layers of 100, {} full-batch \
         steps of Adam, the network of least training loss. Lambda was raised over {:?} until the classifier was no \
         longer perfect; the last perfect one is drawn. The paper's point set is not published; these are two \
         moons.\n\n{provenance}\n",
        toy.epochs, toy.lambdas,
    );
    Ok(Results {
        files: vec![
            ("figure1.svg".into(), canvas.svg().into_bytes()),
            ("figure1.png".into(), canvas.png()?),
            (PAGE.into(), page.into_bytes()),
        ],
        text: table,
    })
}
