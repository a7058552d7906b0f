//! One step of training: at initialisation, and after an epoch of exact ROLL, when more units are active.

use std::collections::BTreeMap;
use std::fmt;

use loclin_data::{Split, batches};
use serde::{Deserialize, Serialize};

use super::faster::faster;
use super::options::Args;
use super::subject::{BATCH, Batch, Subject, Way, batch, table1};
use super::{estimators, machine, peer};
use loclin::program::compute::Dtype;
use loclin::program::errors::Usage;
use loclin::program::opened;
use loclin::program::options::Global;

/// Batches that the steps take turns with.
const TURNS: usize = 8;

/// Median seconds of a step of 64 inputs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) vanilla_seconds: f64,
    pub(crate) exact_seconds: f64,
    pub(crate) approximate_seconds: f64,
    /// By the paper's 3 random axes.
    pub(crate) axes_seconds: f64,
    /// Mean share of active units.
    pub(crate) active_share: f64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outcome {
    /// At initialisation.
    #[serde(flatten)]
    initial: Times,
    /// After one epoch of exact ROLL.
    trained: Times,
    /// Estimates of the regulariser at that network.
    estimates: Vec<estimators::Row>,
    /// Seconds of that epoch.
    epoch_seconds: f64,
    /// The most memory in use after measuring vanilla steps, then approximate and exact ones too.
    vanilla_peak_bytes: Option<u64>,
    approximate_peak_bytes: Option<u64>,
    exact_peak_bytes: Option<u64>,
    /// PyTorch's seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_step_seconds: Option<BTreeMap<String, f64>>,
}

pub(super) fn measure(
    args: &Args,
    global: &Global,
    peer: Option<&peer::Peer>,
) -> anyhow::Result<Outcome> {
    let seed = global.seed.unwrap_or(0);
    let dtype = global.dtype.unwrap_or(Dtype::F32);
    let data = opened::data(&args.data, Split::Train, &args.place.data_dir, seed)?.into_table()?;
    let config = table1(&data)?;
    if peer.is_some() && (data.features(), config.outputs) != (784, 10) {
        let message = format!(
            "--data {}: {} values and {} classes; PyTorch is measured with 784 and 10",
            args.data,
            data.features(),
            config.outputs
        );
        return Err(Usage::new(message).into());
    }
    let device = global.device.open()?;
    let mut subject = Subject::new(&config, dtype.candle(), &device, seed)?;
    let turns = batches(data.len(), BATCH, seed, u64::MAX)
        .take(TURNS)
        .map(|rows| batch(&data, &rows, &subject.network))
        .collect::<anyhow::Result<Vec<Batch>>>()?;

    // Memory first, from the least to the most: the peak of a process only grows.
    let mut peak = |way| -> anyhow::Result<Option<u64>> {
        subject.seconds(&turns, way, TURNS)?;
        Ok(machine::peak_memory())
    };
    let vanilla_peak_bytes = peak(Way::Vanilla)?;
    let approximate_peak_bytes = peak(Way::Approximate)?;
    let exact_peak_bytes = peak(Way::Exact)?;

    let initial = times(&mut subject, &turns, args.runs)?;
    let start = std::time::Instant::now();
    subject.train(&data, Way::Exact, seed, 0)?;
    let epoch_seconds = start.elapsed().as_secs_f64();
    let trained = times(&mut subject, &turns, args.runs)?;
    Ok(Outcome {
        initial,
        trained,
        estimates: estimators::measure(&subject, &turns[0])?,
        epoch_seconds,
        vanilla_peak_bytes,
        approximate_peak_bytes,
        exact_peak_bytes,
        peer_step_seconds: peer.map(|peer| peer.measure("step")).transpose()?,
    })
}

fn times(subject: &mut Subject, turns: &[Batch], runs: usize) -> anyhow::Result<Times> {
    Ok(Times {
        // Short ones more often.
        vanilla_seconds: subject.seconds(turns, Way::Vanilla, 10 * runs)?,
        approximate_seconds: subject.seconds(turns, Way::Approximate, 10 * runs)?,
        axes_seconds: subject.seconds(turns, Way::Axes, 10 * runs)?,
        exact_seconds: subject.seconds(turns, Way::Exact, runs)?,
        active_share: subject.active(turns)?,
    })
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.2} ms", 1e3 * seconds)
}

/// A line of the table: at initialisation, and after the epoch.
fn row(f: &mut fmt::Formatter<'_>, name: &str, [initial, trained]: [String; 2]) -> fmt::Result {
    writeln!(f, "  {name:<20} {initial:>14} {trained:>14}")
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "one step of 64 inputs, 300x4 hidden units (median)")?;
        row(f, "", ["initially".into(), "after an epoch".into()])?;
        let (a, b) = (&self.initial, &self.trained);
        for (name, seconds) in [
            ("vanilla", [a.vanilla_seconds, b.vanilla_seconds]),
            (
                "approximate ROLL",
                [a.approximate_seconds, b.approximate_seconds],
            ),
            ("3 random axes", [a.axes_seconds, b.axes_seconds]),
            ("exact ROLL", [a.exact_seconds, b.exact_seconds]),
        ] {
            row(f, name, seconds.map(milliseconds))?;
        }
        let percent = |times: &Times| format!("{:.0}%", 100.0 * times.active_share);
        row(f, "active units", [a, b].map(percent))?;
        let over = |times: &Times, seconds: f64| format!("{:.2}", seconds / times.vanilla_seconds);
        let exact = [a, b].map(|times| over(times, times.exact_seconds));
        row(f, "exact / vanilla", exact)?;
        let approximate = [a, b].map(|times| over(times, times.approximate_seconds));
        row(f, "approximate / vanilla", approximate)?;
        writeln!(
            f,
            "  the epoch of exact ROLL took {:.1} s",
            self.epoch_seconds
        )?;
        if let (Some(vanilla), Some(approximate), Some(exact)) = (
            self.vanilla_peak_bytes,
            self.approximate_peak_bytes,
            self.exact_peak_bytes,
        ) {
            let megabytes = |bytes: u64| bytes as f64 / 1e6;
            writeln!(
                f,
                "  peak memory: vanilla {:.0} MB, approximate {:.0} MB, exact {:.0} MB",
                megabytes(vanilla),
                megabytes(approximate),
                megabytes(exact)
            )?;
        }
        estimators::write(f, "estimates after the epoch", &self.estimates)?;
        let Some(peer) = &self.peer_step_seconds else {
            return Ok(());
        };
        writeln!(f, "PyTorch, the same step")?;
        for (name, seconds) in peer {
            writeln!(f, "  {name:<20} {:>14}", milliseconds(*seconds))?;
        }
        for (when, own) in [("initially", a), ("after an epoch", b)] {
            for (what, own, other) in [
                ("vanilla against vanilla", own.vanilla_seconds, "vanilla"),
                ("exact against published", own.exact_seconds, "published"),
                ("exact against gram", own.exact_seconds, "gram"),
                (
                    "approximate against axes3",
                    own.approximate_seconds,
                    "axes3",
                ),
            ] {
                let other = peer.get(other).copied().unwrap_or(f64::NAN);
                faster(f, &format!("{what}, {when}"), own, other)?;
            }
        }
        Ok(())
    }
}
