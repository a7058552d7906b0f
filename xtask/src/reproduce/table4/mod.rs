//! Table 4: how much the gradients of residual networks change near the test images, and their exact l2 margins.

mod measured;
mod network;
mod page;
mod plan;

use std::path::Path;

use anyhow::{Context, ensure};
use loclin::program::distortion::Record;
use loclin::program::files;
use loclin::program::options::Global;
use loclin_report::stats::Percentiles;

use self::network::Network;
use super::places::{Places, Training};
use super::provenance::Provenance;
use super::results::{PAGE, Results};
use super::stored::{self, Stored};

pub(super) use self::measured::{Measured, measured};
pub(super) use self::plan::Plan;

pub(super) fn run(
    training: &Training,
    places: &Places,
    global: &Global,
) -> anyhow::Result<Results> {
    let plan = Plan::load(&places.config)?;
    let measured = measured(&plan, training, places, global)?;
    let mut tables = Vec::new();
    for network in &measured {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut rows = network.records.iter();
        rows.try_for_each(|record| writer.serialize(record))?;
        let bytes = writer.into_inner().context("cannot finish the table")?;
        tables.push((network.numbers.table(), bytes));
    }
    let provenance = Provenance::of(places.command("table4"));
    let networks = measured.into_iter().map(|m| m.numbers).collect();
    let mut results = results(
        &plan,
        &Stored {
            provenance,
            networks,
        },
    )?;
    results.files.extend(tables);
    Ok(results)
}

/// The results as they follow from the numbers in `networks.json` of the directory `out`, whose percentiles are those of the
/// images' numbers beside them.
///
/// # Errors
/// A file that cannot be read or used, and percentiles of anything else.
pub(super) fn again(config: &Path, out: &Path) -> anyhow::Result<Results> {
    let numbers: Stored<Network> = stored::load(out)?;
    for network in &numbers.networks {
        check(network, &out.join(network.table()))?;
    }
    results(&Plan::load(config)?, &numbers)
}

fn results(plan: &Plan, numbers: &Stored<Network>) -> anyhow::Result<Results> {
    let text = page::tables(plan, &numbers.networks)?;
    let page = format!("# {}\n\n{}\n\n{text}", plan.title, numbers.provenance);
    Ok(Results {
        files: vec![
            (PAGE.into(), page.into_bytes()),
            (stored::FILE.into(), stored::to_json(numbers)?),
        ],
        text,
    })
}

/// What a percentile is of: its name, what is stored, and its value of an image.
type Number = (&'static str, Percentiles, fn(&Record) -> f64);

fn check(network: &Network, file: &Path) -> anyhow::Result<()> {
    let text = files::read_text(file)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let records = reader.deserialize().collect::<Result<Vec<Record>, _>>()?;
    let of: [Number; 3] = [
        ("gradient", network.gradient, |record| record.gradient),
        ("expected", network.expected, |record| record.expected),
        ("maximum", network.maximum, Record::maximum),
    ];
    for (name, stored, of) in of {
        let values: Vec<f64> = records.iter().map(of).collect();
        let own = Percentiles::of(&values).context("no rows")?;
        let mut near = own.all().into_iter().zip(stored.all());
        ensure!(
            near.all(|(a, b)| (a - b).abs() <= 1e-9 * a.abs()),
            "{}: percentiles of `{name}` {own:?}, in {} {stored:?}",
            file.display(),
            stored::FILE
        );
    }
    Ok(())
}
