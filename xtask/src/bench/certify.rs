//! The margins of a trained network.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Context;
use candle_core::{DType, Tensor};
use loclin_data::{Dataset, Split};
use loclin_models::{Model, Module, Network};
use loclin_regions::{Budget, Linearizer, Method, Norm};
use serde::Serialize;

use super::faster::faster;
use super::options::Args;
use super::subject::{Subject, Way, table1};
use super::{machine, peer};
use loclin::program::certify::{BATCH, Question, certify};
use loclin::program::compute::Dtype;
use loclin::program::model::ModelPath;
use loclin::program::options::Global;
use loclin::program::{opened, tensors};
use loclin_report::stats::Percentiles;

/// Passes over the whole dataset, of which the median counts: margins differ in what they cost.
const PASSES: usize = 5;
/// Epochs of the network that is trained here.
const EPOCHS: u64 = 5;
/// Inputs that PyTorch certifies in one measurement.
const PEER_INPUTS: f64 = 640.0;

/// Seconds for each input: linearisation and margins, data already loaded, what is done once for the network
/// included.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outcome {
    l1_seconds_per_input: f64,
    l2_seconds_per_input: f64,
    linf_seconds_per_input: f64,
    /// The margins of all three norms together.
    all_seconds_per_input: f64,
    /// All that `certify` does for the l2 margins: reading rows, margins, predictions, counting regions.
    certify_seconds_per_input: f64,
    /// A plain forward pass of the same batches in the same floating-point type.
    forward_seconds_per_input: f64,
    /// Number of inputs.
    inputs: usize,
    /// Median l2 margin, in raw input units: what kind of network it is.
    median_eps_2: f64,
    /// PyTorch's seconds for each input, all neurons' gradients, l2.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_seconds_per_input: Option<BTreeMap<String, f64>>,
}

pub(super) fn measure(
    args: &Args,
    global: &Global,
    peer: Option<&peer::Peer>,
) -> anyhow::Result<Outcome> {
    let seed = global.seed.unwrap_or(0);
    let open = |split| opened::data(&args.data, split, &args.place.data_dir, seed);
    let test = open(Split::Test)?.into_table()?;
    let test = match args.limit {
        Some(limit) => test.take(limit)?,
        None => test,
    };
    let train = || Ok(open(Split::Train)?.into_table()?);
    let network = network(args, global, test.input_shape(), train)?;
    let test = test.fit(network.input_shape())?;
    let batches = batches(&test, DType::F64, &network)?;
    let mut radii = Vec::new();
    let mut seconds = |norms: &[Norm]| {
        let seconds = machine::median_seconds(PASSES.min(args.runs), |_| {
            radii = margins(&network, &batches, norms)?;
            Ok(())
        })?;
        anyhow::Ok(seconds / test.len() as f64)
    };
    let [l1, linf, l2] = [Norm::L1, Norm::LINF, Norm::L2];
    let outcome = Outcome {
        all_seconds_per_input: seconds(&[l1, l2, linf])?,
        l1_seconds_per_input: seconds(&[l1])?,
        linf_seconds_per_input: seconds(&[linf])?,
        l2_seconds_per_input: seconds(&[l2])?,
        certify_seconds_per_input: certify(
            &network,
            &test,
            &Question::new(&[l2], Method::Auto),
            "certifying",
        )?
        .seconds
            / test.len() as f64,
        forward_seconds_per_input: forward(&network, &test, args.runs)?,
        inputs: test.len(),
        // The last margins were those of l2.
        median_eps_2: Percentiles::of(&radii).context("no inputs")?.p50,
        peer_seconds_per_input: None,
    };
    let seconds = peer.map(|peer| peer.measure("margins")).transpose()?;
    Ok(Outcome {
        peer_seconds_per_input: seconds.map(|seconds| {
            let each = |(name, seconds)| (name, seconds / PEER_INPUTS);
            seconds.into_iter().map(each).collect()
        }),
        ..outcome
    })
}

/// The network of raw inputs: the one asked for, or one trained here.
fn network(
    args: &Args,
    global: &Global,
    input_shape: &[usize],
    train: impl Fn() -> anyhow::Result<Dataset>,
) -> anyhow::Result<Network> {
    let seed = global.seed.unwrap_or(0);
    let dtype = global.dtype.unwrap_or(Dtype::F32).candle();
    let device = global.device.open()?;
    if let Some(model) = args.model.clone() {
        let source = ModelPath {
            model,
            architecture: None,
            output: None,
            input_shape: Vec::new(),
        };
        return Ok(source.load(dtype, &device)?.raw(input_shape)?);
    }
    let data = train()?;
    let mut subject = Subject::new(&table1(&data)?, dtype, &device, seed)?;
    for epoch in 0..EPOCHS {
        subject.train(&data, Way::Vanilla, seed, epoch)?;
    }
    let model = Model {
        network: subject.network,
        normalization: tensors::normalization(&data),
    };
    Ok(model.raw()?)
}

/// The dataset as tensors.
fn batches(data: &Dataset, dtype: DType, network: &Network) -> anyhow::Result<Vec<Tensor>> {
    let rows: Vec<usize> = (0..data.len()).collect();
    rows.chunks(BATCH)
        .map(|rows| tensors::inputs(data, rows, dtype, network.device()))
        .collect()
}

/// The margins of all batches in the first of `norms`.
fn margins(network: &Network, batches: &[Tensor], norms: &[Norm]) -> anyhow::Result<Vec<f64>> {
    let linearizer = Linearizer::new(network, Budget::default())?;
    let mut radii = Vec::new();
    for x in batches {
        let margins = linearizer.at(x)?.margins(norms, Method::Auto)?;
        radii.extend(margins.into_iter().take(1).flat_map(|m| m.radius));
    }
    Ok(radii)
}

/// Seconds for each input of a plain forward pass.
fn forward(network: &Network, data: &Dataset, runs: usize) -> anyhow::Result<f64> {
    let network = network.detached()?;
    let batches = batches(data, network.dtype(), &network)?;
    let seconds = machine::median_seconds(PASSES.min(runs), |_| {
        for x in &batches {
            network.forward(x)?;
        }
        Ok(())
    })?;
    Ok(seconds / data.len() as f64)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let microseconds = |seconds: f64| format!("{:.2} us", 1e6 * seconds);
        writeln!(
            f,
            "margins of {} inputs, for each (median eps_2 {:.3e})",
            self.inputs, self.median_eps_2
        )?;
        let times = [
            ("forward", self.forward_seconds_per_input),
            ("l1", self.l1_seconds_per_input),
            ("l2", self.l2_seconds_per_input),
            ("linf", self.linf_seconds_per_input),
            ("l1, l2 and linf", self.all_seconds_per_input),
            ("certify, l2", self.certify_seconds_per_input),
        ];
        for (name, seconds) in times {
            writeln!(
                f,
                "  {name:<20} {:>14} {:>9.2} forward passes",
                microseconds(seconds),
                seconds / self.forward_seconds_per_input
            )?;
        }
        let Some(peer) = &self.peer_seconds_per_input else {
            return Ok(());
        };
        writeln!(f, "PyTorch, for each input")?;
        for (name, seconds) in peer {
            writeln!(f, "  {name:<20} {:>14}", microseconds(*seconds))?;
        }
        for (what, own, other) in [
            (
                "l2 against published",
                self.l2_seconds_per_input,
                "published",
            ),
            ("l1 against jacobian", self.l1_seconds_per_input, "jacobian"),
            (
                "linf against jacobian",
                self.linf_seconds_per_input,
                "jacobian",
            ),
        ] {
            let other = peer.get(other).copied().unwrap_or(f64::NAN);
            faster(f, what, own, other)?;
        }
        Ok(())
    }
}
