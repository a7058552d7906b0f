//! The networks of the table.

use anyhow::Context;
use loclin::program::config::Config;
use serde::{Deserialize, Serialize};

use super::plan::Plan;
use super::radii::Radii;
use crate::reproduce::certificate::Certificate;
use crate::reproduce::stored;

/// One trained network.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    pub(super) run: String,
    pub(super) objective: String,
    /// On all test images.
    pub(super) certificate: Certificate,
    /// On the first test images.
    pub(super) radii: Radii,
    pub(super) valid_accuracy: f64,
    /// All epochs.
    pub(super) training_seconds: f64,
    pub(super) training_threads: usize,
    #[serde(deserialize_with = "stored::config")]
    pub(super) config: Config,
}

/// A number of a network.
type Value = Box<dyn Fn(&Network) -> anyhow::Result<f64>>;

/// A number of the table: what it is called, and of a network its value.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) of: Value,
    pub(super) show: Box<dyn Fn(f64) -> String>,
}

/// The name of the column that chooses and ranks.
pub(super) const RADIUS: &str = "radius";

/// The numbers of the table, in its order.
pub(super) fn columns(plan: &Plan) -> Vec<Column> {
    let column = |name: &str, show: Box<dyn Fn(f64) -> String>, of: Value| Column {
        name: name.to_owned(),
        of,
        show,
    };
    let unit = plan.unit;
    let small = move |v: f64| format!("{:.2}", v / unit);
    let percent = |v: f64| format!("{:.2}", 100.0 * v);
    let whole = |v: f64| format!("{:.0}", 100.0 * v);
    let margin =
        |norm: &'static str| -> Value { Box::new(move |n| Ok(n.certificate.margin(norm)?.p50)) };
    let mut columns = vec![
        column(
            "accuracy",
            Box::new(percent),
            Box::new(|n| Ok(n.certificate.accuracy)),
        ),
        column("eps_2", Box::new(small), margin("eps_2")),
        column("eps_inf", Box::new(small), margin("eps_inf")),
        column(RADIUS, Box::new(small), Box::new(|n| Ok(n.radii.radius()))),
        column(
            "change found",
            Box::new(whole),
            Box::new(|n| Ok(n.radii.in_ball(|ball| ball.found.unwrap_or(f64::INFINITY)))),
        ),
        column(
            "change proved",
            Box::new(whole),
            Box::new(|n| Ok(n.radii.in_ball(|ball| ball.proved.unwrap_or(f64::INFINITY)))),
        ),
        column(
            "neurons",
            Box::new(|v| format!("{v:.0}")),
            Box::new(|n| Ok(n.radii.in_ball(|ball| ball.units as f64))),
        ),
    ];
    for (index, radius) in plan.measured.class.iter().enumerate() {
        let name = format!("class at {radius}");
        let of = move |n: &Network| Ok(n.radii.class(index));
        columns.push(column(&name, Box::new(whole), Box::new(of)));
    }
    columns.push(column(
        "epoch s",
        Box::new(|v| format!("{v:.1}")),
        Box::new(|n| Ok(n.training_seconds / n.config.epochs as f64)),
    ));
    columns
}

/// One line for each network.
pub(super) fn csv(plan: &Plan, networks: &[Network]) -> anyhow::Result<Vec<u8>> {
    let columns = columns(plan);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = columns.iter().map(|column| column.name.replace(' ', "_"));
    let first = ["run", "objective", "seed", "threads", "valid_accuracy"].map(str::to_owned);
    writer.write_record(first.into_iter().chain(names))?;
    for network in networks {
        let mut record = vec![
            network.run.clone(),
            network.objective.clone(),
            network.config.seed.to_string(),
            network.training_threads.to_string(),
            network.valid_accuracy.to_string(),
        ];
        for column in &columns {
            record.push((column.of)(network)?.to_string());
        }
        writer.write_record(record)?;
    }
    writer.into_inner().context("cannot finish the table")
}
