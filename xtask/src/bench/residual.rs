//! One step of training of the residual network of the preset `cifar10-vanilla`, in alternation with PyTorch.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use loclin_data::Split;
use loclin_models::architectures::ResNetConfig;
use loclin_models::{BatchStatistics, Network};
use loclin_tensor::{Optimizer, OptimizerConfig, Parameters, SgdConfig, random};
use serde::Serialize;

use super::options::{Args, DIGITS};
use super::peer::{Conversation, PAUSE, Peer};
use super::spread::Spread;
use super::subject::{self, Batch};
use super::{estimators, residual_estimates};
use loclin::program::compute::Dtype;
use loclin::program::config::{Config, Here, Loss, Settings};
use loclin::program::opened;
use loclin::program::options::Global;
use loclin::program::train::Parts;

/// Inputs of a step, and classes.
const BATCH: usize = 64;
const CLASSES: usize = 10;
/// The preset's regulariser, where it has one (`cifar10-roll`).
const LAMBDA: f64 = 0.1;
const C: f64 = 0.5;
/// Steps of one kind before those of another.
const STEPS: usize = 5;
/// Steps of sampled ROLL between the first and the second look at estimates, and batches of a dataset that are taken in turn.
const TRAINING: usize = 150;

/// Both sides' seconds of a step of one kind.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    objective: &'static str,
    seconds: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_seconds: Option<Spread>,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outcome {
    residual: Vec<Row>,
    /// Rounds of a few steps of each kind on each side.
    rounds: usize,
    /// Estimates of the regulariser at initialisation, and after some steps.
    initial_estimates: Vec<estimators::Row>,
    estimates: Vec<estimators::Row>,
}

pub(super) fn measure(
    args: &Args,
    global: &Global,
    peer: Option<&Peer>,
) -> anyhow::Result<Outcome> {
    let seed = global.seed.unwrap_or(0);
    let dtype = global.dtype.unwrap_or(Dtype::F32).candle();
    let mut learner = Learner::new(args, seed, dtype, &global.device.open()?)?;
    let initial_estimates = learner.estimates()?;
    for _ in 0..TRAINING {
        learner.seconds(Loss::Sampled)?;
    }
    let estimates = learner.estimates()?;
    let mut conversation = peer.map(Peer::converse).transpose()?;
    let kinds = [("vanilla", Loss::Vanilla), ("sampled", Loss::Sampled)];
    let (mut own, mut other) = (BTreeMap::new(), BTreeMap::new());
    // The first round warms up.
    for round in 0..=args.runs {
        for (name, loss) in kinds {
            let times = (0..STEPS).map(|_| learner.seconds(loss));
            let times = times.collect::<anyhow::Result<Vec<f64>>>()?;
            let others = match &mut conversation {
                Some(conversation) => ask(conversation, name)?,
                None => Vec::new(),
            };
            if round > 0 {
                own.entry(name).or_insert_with(Vec::new).extend(times);
                other.entry(name).or_insert_with(Vec::new).extend(others);
            }
        }
    }
    let rows = kinds.into_iter().filter_map(|(objective, _)| {
        Some(Row {
            objective,
            seconds: Spread::of(own.remove(objective)?)?,
            peer_seconds: other.remove(objective).and_then(Spread::of),
        })
    });
    Ok(Outcome {
        residual: rows.collect(),
        rounds: args.runs,
        initial_estimates,
        estimates,
    })
}

/// The other side's seconds of some steps, nothing else at work.
fn ask(conversation: &mut Conversation, name: &str) -> anyhow::Result<Vec<f64>> {
    std::thread::sleep(PAUSE);
    let seconds = conversation.ask(&format!("{name} {STEPS}"))?;
    std::thread::sleep(PAUSE);
    Ok(seconds)
}

/// The network in training, on batches in turn.
struct Learner {
    network: Network,
    parameters: Parameters,
    optimizer: Box<dyn Optimizer>,
    batches: Vec<Batch>,
    steps: u64,
}

/// Batches of the dataset that was asked for; where that is none of such images, one of random numbers.
fn batches(args: &Args, seed: u64, network: &Network) -> anyhow::Result<Vec<Batch>> {
    let (dtype, device) = (network.dtype(), network.device());
    if args.data != DIGITS {
        let data = opened::data(&args.data, Split::Train, &args.place.data_dir, seed)?;
        let data = data.into_table()?;
        let all = loclin_data::batches(data.len(), subject::BATCH, seed, 0);
        let some = all.take(TRAINING);
        return some
            .map(|rows| subject::batch(&data, &rows, network))
            .collect();
    }
    let shape = [&[BATCH], network.input_shape()].concat();
    let x = random::normal(&mut random::stream(seed, &[0]), &shape[..], dtype, device)?;
    let labels = (0..BATCH as u32).map(|index| index % CLASSES as u32);
    Ok(vec![(x, Tensor::new(labels.collect::<Vec<_>>(), device)?)])
}

impl Learner {
    fn new(args: &Args, seed: u64, dtype: DType, device: &Device) -> anyhow::Result<Self> {
        let config = ResNetConfig {
            width: 8,
            blocks: vec![1; 3],
            ..ResNetConfig::resnet20(CLASSES)
        };
        let parameters = Parameters::seeded(seed);
        let network = config.build(parameters.builder(dtype, device))?;
        let optimizer = OptimizerConfig::Sgd(SgdConfig {
            learning_rate: 0.05,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 5e-4,
        });
        Ok(Self {
            batches: batches(args, seed, &network)?,
            optimizer: optimizer.build(parameters.named())?,
            network,
            parameters,
            steps: 0,
        })
    }

    /// Estimates of the regulariser.
    fn estimates(&self) -> anyhow::Result<Vec<estimators::Row>> {
        residual_estimates::measure(&self.network, &self.parameters, &self.batches)
    }

    /// What a step took: that of the program's own training, but for the data.
    fn seconds(&mut self, loss: Loss) -> anyhow::Result<f64> {
        let start = Instant::now();
        self.steps += 1;
        let (x, y) = &self.batches[self.steps as usize % self.batches.len()];
        let (trace, statistics) = self.network.trace_train(x)?;
        let task = candle_nn::loss::cross_entropy(trace.output(), y)?;
        let rng = &mut random::stream(0, &[self.steps]);
        let here = Here {
            trace: &trace,
            inputs: x,
            labels: y,
        };
        let settings = Settings {
            c: C,
            ..Config::default().settings()
        };
        let regulariser = loss.regulariser(&[here], &settings, rng)?;
        Parts { task, regulariser }.descend(LAMBDA, &mut *self.optimizer)?;
        BatchStatistics::update(&statistics, &self.parameters, 0.1)?;
        Ok(start.elapsed().as_secs_f64())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = self.rounds;
        writeln!(
            f,
            "one step of {BATCH} images, residual network of 8, 16 and 32 channels: least and median of {rounds} times {STEPS}, ms"
        )?;
        let mut line = |name: &str, own: String, other: String, ratio: String| {
            writeln!(f, "  {name:<20} {own:>14} {other:>14} {ratio:>14}")
        };
        let title = |text: &str| text.to_owned();
        line("", title("ours"), title("PyTorch"), title("ratio"))?;
        for row in &self.residual {
            let (own, other) = (row.seconds, row.peer_seconds);
            let text = |spread: Spread| spread.to_string();
            line(
                row.objective,
                text(own),
                other.map_or_else(String::new, text),
                other.map_or_else(String::new, |other| own.over(other)),
            )?;
        }
        if let [vanilla, sampled] = &self.residual[..] {
            let ratio = sampled.seconds.over(vanilla.seconds);
            line("sampled / vanilla", ratio, String::new(), String::new())?;
        }
        estimators::write(f, "estimates at initialisation", &self.initial_estimates)?;
        let title = format!("estimates after {TRAINING} steps of sampled ROLL");
        estimators::write(f, &title, &self.estimates)
    }
}
