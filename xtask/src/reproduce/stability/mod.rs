//! Whether explanations are more stable where the proved radius is larger: networks of Table 1, and what users do to images.

mod answers;
mod change;
mod compare;
mod jpeg;
mod listing;
mod measured;
mod page;
mod perturbation;
mod picture;
mod pictures;
mod plan;
mod rules;
mod statistics;

use anyhow::bail;
use loclin::program::options::Global;
use loclin::program::sweep::Status;
use loclin::program::train;

use self::change::all_agree;
use self::listing::listing;
use self::measured::{Measured, SHARE};
use self::plan::Plan;
use super::places::{Places, Training};
use super::provenance::Provenance;
use super::results::{PAGE, Results};

pub(super) fn run(
    training: &Training,
    places: &Places,
    global: &Global,
) -> anyhow::Result<Results> {
    let plan = Plan::load(&places.config)?;
    let runs = plan.runs(&places.config, global)?;
    let trained = training.execute(&runs, &places.runs, global)?;
    let mut networks = Vec::new();
    for (run, trained) in runs.iter().zip(trained) {
        if !matches!(trained.status, Status::Done { .. }) {
            bail!("run `{}` diverged", run.name)
        }
        let model = places.runs.join(&run.name).join(train::MODEL);
        let network = Measured::of(&plan, run, &model, &training.data, global)?;
        all_agree(&network.name, &network.images, &network.changes, SHARE)?;
        networks.push(network);
    }
    let names: Vec<String> = plan.perturbations.iter().map(|p| p.name()).collect();
    let canvas = picture::picture(&networks, &names);
    let [text, answers] = page::page(&plan, &networks);
    let page = format!(
        "# {}\n\n{}\n\n\
         ![Radius against the relative change of the gradient, a panel for each perturbation](stability.svg)\n\n\
         A point is an image; those whose gradient stays the same but for rounding lie on the lower edge. Every number is in \
         [`stability.csv`](stability.csv).\n\n{text}",
        plan.title,
        Provenance::of(places.command("stability")),
    );
    Ok(Results {
        text: answers,
        files: vec![
            (PAGE.into(), page.into_bytes()),
            ("stability.csv".into(), listing(&networks, &names)?),
            ("stability.svg".into(), canvas.svg().into_bytes()),
            ("stability.png".into(), canvas.png()?),
        ],
    })
}
