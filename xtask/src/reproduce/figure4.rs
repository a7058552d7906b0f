//! Figures 4 to 6: images, their gradients, the most distorted gradients nearby, and integrated gradients of both.
//!
//! The images are those at the percentiles of the first network's maximum distortion; all networks are shown for each.

use anyhow::{Context, bail};
use candle_core::DType;
use loclin_data::{Data, Split};

use super::places::{Places, Training};
use super::provenance::Provenance;
use super::results::{PAGE, Results};
use super::table4::{Measured, Plan, measured};
use loclin::program::explain::{Drawing, Integration, ReadOptions, Subject, read};
use loclin::program::options::Global;
use loclin::program::train;
use loclin_report::{Explanation, figure};

/// The percentiles of the paper's figures.
const PERCENTILES: [usize; 4] = [25, 50, 75, 100];
/// Gradients that integrated gradients are the mean of.
const STEPS: usize = 300;

pub(super) fn run(
    training: &Training,
    places: &Places,
    global: &Global,
) -> anyhow::Result<Results> {
    let mut plan = Plan::load(&places.config)?;
    // One network of each row.
    plan.seeds.truncate(1);
    let networks = measured(&plan, training, places, global)?;
    let first = networks.first().context("the plan has no rows")?;
    let Data::Table(data) =
        train::open(&first.numbers.config, Split::Test, &training.data.data_dir)?
    else {
        bail!("{}: sequences are no images", first.numbers.config.dataset)
    };
    let search = plan.search()?;
    let mut written = Vec::new();
    let mut page = String::from(
        "# Figures 4 to 6: gradients of residual networks\n\nThe image at each percentile of the first network's \
         maximum distortion, its gradient, the most distorted gradient found and the image that has it, and \
         integrated gradients of both.\n\n",
    );
    for percent in PERCENTILES {
        let index = at_percentile(first, percent);
        let subject = Subject::of_row(&data, index, first.network.input_shape())?;
        let mut explanations = Vec::new();
        for network in &networks {
            let raw = &network.network;
            let x = subject.tensor(raw.input_shape(), DType::F64, raw.device())?;
            let options = ReadOptions {
                eps: search.eps.value(),
                domain: search.domain.read(None, &data.applied())?,
                evaluations: network.numbers.costs.ascent,
                seed: network.numbers.seed,
                integration: Integration::Steps(STEPS),
                baseline: None,
                noise: None,
                nearby: None,
            };
            let reading = read(raw, &x, subject.label, &options)?;
            explanations.push(Explanation {
                heading: format!("{}, test image {index}", network.numbers.row),
                lines: reading.lines(search.eps),
                curve: None,
                panels: reading.panels(&subject, Drawing::Absolute)?,
                numbers: None,
            });
        }
        let name = format!("p{percent}.png");
        written.push((name.clone(), figure::pictures(&explanations)?.png()?));
        page += &format!("## P{percent}\n\n![Pictures of test image {index}]({name})\n\n");
    }
    page += &format!("{}\n", Provenance::of(places.command("figure4")));
    written.insert(0, (PAGE.into(), page.into_bytes()));
    Ok(Results {
        text: format!("{} pictures\n", written.len() - 1),
        files: written,
    })
}

/// The image whose maximum distortion is at the percentile, rounded to the nearest rank.
fn at_percentile(network: &Measured, percent: usize) -> usize {
    let mut order: Vec<usize> = (0..network.records.len()).collect();
    let maximum = |index: usize| network.records[index].maximum();
    order.sort_by(|a, b| maximum(*a).total_cmp(&maximum(*b)));
    let last = order.len().saturating_sub(1);
    order[(last * percent + 50) / 100]
}
