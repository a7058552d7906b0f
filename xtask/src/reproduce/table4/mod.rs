//! Table 4: how much the gradients of residual networks change near the test images, and their exact l2 margins.

mod measured;
mod page;
mod plan;

use anyhow::Context;
use loclin::program::options::Global;

use self::measured::Numbers;
use super::places::{Places, Training};
use super::provenance::Provenance;
use super::results::{PAGE, Results};

pub(super) use self::measured::{Measured, measured};
pub(super) use self::plan::Plan;

pub(super) fn run(
    training: &Training,
    places: &Places,
    global: &Global,
) -> anyhow::Result<Results> {
    let plan = Plan::load(&places.config)?;
    let networks = measured(&plan, training, places, global)?;
    let provenance = Provenance::of(places.command("table4"));
    let numbers: Vec<&Numbers> = networks.iter().map(|network| &network.numbers).collect();
    let text = page::tables(&plan, &networks);
    let mut json = serde_json::to_vec_pretty(&serde_json::json!({
        "provenance": provenance,
        "networks": numbers,
    }))?;
    json.push(b'\n');
    let page = format!("# {}\n\n{provenance}\n\n{text}", plan.title);
    let mut written = vec![
        (PAGE.into(), page.into_bytes()),
        ("networks.json".into(), json),
    ];
    for network in &networks {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut rows = network.records.iter();
        rows.try_for_each(|record| writer.serialize(record))?;
        let bytes = writer.into_inner().context("cannot finish the table")?;
        written.push((format!("{}.csv", network.name), bytes));
    }
    Ok(Results {
        files: written,
        text,
    })
}
