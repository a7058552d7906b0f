//! The paper's Figure 1: linear regions of classifiers on the plane.

use anyhow::Context;
use candle_core::{D, DType, Device, Tensor};
use candle_nn::ops::sigmoid;
use loclin_data::toy::{Moons, moons};
use loclin_models::{Mlp, Module, Network};
use loclin_regions::planar::{self, Viewport};
use loclin_regions::{Budget, Linearization, Method, Norm};
use loclin_tensor::{Adam, AdamConfig, Optimizer, Parameters, random};

use crate::program::config::{Config, Gamma, Here, Loss, Settings};
use crate::program::progress::Bar;
use crate::program::tensors;
use crate::program::train::Parts;
use loclin_report::stats::Percentiles;
use loclin_report::{HeatMap, ToyPanel, ToyPoint};

/// As in the paper: four hidden layers of 100, and C = 5.
const HIDDEN: [usize; 4] = [100; 4];
const C: f64 = 5.0;
const LEARNING_RATE: f64 = 2e-3;
const VIEW: [f64; 2] = [-2.0, 2.0];
const HEAT: usize = 160;
/// Lattice from which regions are searched, and the most that a picture may hold.
const LATTICE: usize = 200;
const MOST_REGIONS: usize = 200_000;

/// How the three networks are trained.
#[derive(Clone, Debug)]
pub struct Toy {
    /// Seed of the points and of the weights.
    pub seed: u64,
    /// Full-batch steps of Adam. Paper: 5000.
    pub epochs: usize,
    /// Values of lambda, increasing, for both regularised networks: the last is taken with which every value up to
    /// it classifies all points, or the first. Paper: 1e-2 to 1e2, of which 1 was taken.
    pub lambdas: Vec<f64>,
}

/// The three panels: vanilla, distance regularisation (Eq. 4) and the relaxed objective (Eq. 7).
///
/// # Errors
/// When there is no lambda, or a network cannot be trained.
pub fn panels(toy: &Toy) -> anyhow::Result<Vec<ToyPanel>> {
    let data = moons(&Moons {
        seed: toy.seed,
        ..Moons::default()
    })?;
    let rows: Vec<usize> = (0..data.len()).collect();
    let x = tensors::inputs(&data, &rows, DType::F64, &Device::Cpu)?;
    let labels: Vec<bool> = data
        .row_labels(&rows)?
        .iter()
        .map(|label| *label == 1)
        .collect();
    let panels = [
        (
            Loss::Vanilla,
            "vanilla",
            "The task loss alone: a boundary passes close to every point.",
        ),
        (
            Loss::Distance,
            "distance (Eq. 4)",
            "The nearest boundary of each point is pushed away.",
        ),
        (
            Loss::Relaxed,
            "relaxed (Eq. 7)",
            "The TSVM loss of the worst neuron at each point: few boundaries are left among the points.",
        ),
    ];
    let bar = Bar::count(
        "regions on the plane",
        ((1 + 2 * toy.lambdas.len()) * toy.epochs) as u64,
    );
    let panel = |(objective, title, caption): (Loss, &str, &str)| {
        let lambdas: &[f64] = match objective {
            Loss::Vanilla => &[0.0],
            _ => &toy.lambdas,
        };
        let mut chosen = None;
        for &lambda in lambdas {
            let network = train((objective, lambda), &x, &labels, toy, &bar)?;
            let title = match objective {
                Loss::Vanilla => title.to_owned(),
                _ => format!("{title}, λ = {lambda}"),
            };
            let panel = draw(&network, &x, &labels, title, caption)?;
            let perfect = panel.accuracy == 1.0;
            if perfect || chosen.is_none() {
                chosen = Some(panel);
            }
            if !perfect {
                break;
            }
        }
        chosen.context("there is no lambda")
    };
    panels.into_iter().map(panel).collect()
}

/// The network with the least training loss of all epochs.
fn train(
    (objective, lambda): (Loss, f64),
    x: &Tensor,
    labels: &[bool],
    toy: &Toy,
    bar: &Bar,
) -> anyhow::Result<Network> {
    let parameters = Parameters::seeded(toy.seed);
    let config = Mlp {
        inputs: vec![2],
        hidden: HIDDEN.to_vec(),
        outputs: 1,
        negative_slope: 0.0,
    };
    let network = config.build(parameters.builder(DType::F64, &Device::Cpu))?;
    let adam = AdamConfig {
        learning_rate: LEARNING_RATE,
        ..AdamConfig::default()
    };
    let mut optimizer = Adam::new(parameters.named(), adam)?;
    let targets: Vec<f64> = labels
        .iter()
        .map(|label| f64::from(u8::from(*label)))
        .collect();
    let targets = Tensor::new(targets, &Device::Cpu)?;
    // The network has one output.
    let classes = Tensor::zeros(labels.len(), DType::U32, &Device::Cpu)?;
    let settings = Settings {
        c: C,
        gamma: Gamma::Percent(100.0),
        axes: 2,
        ..Config::default().settings()
    };
    let mut rng = random::stream(toy.seed, &[]);
    let mut best = (f64::INFINITY, parameters.tensors()?);
    for _ in 0..toy.epochs {
        let trace = network.trace(x)?;
        let task = binary_cross_entropy(&trace.output().squeeze(1)?, &targets)?;
        let here = Here {
            trace: &trace,
            inputs: x,
            labels: &classes,
        };
        let regulariser = objective.regulariser(&[here], &settings, &mut rng)?;
        let loss = Parts { task, regulariser }.total(lambda)?;
        let value = loss.to_scalar::<f64>()?;
        if value < best.0 {
            best = (value, parameters.tensors()?);
        }
        optimizer.step(&loss.backward()?)?;
        bar.advance(1);
    }
    parameters.load(&best.1)?;
    Ok(network)
}

/// Mean sigmoid cross entropy of scores `[B]` and targets 0 or 1 `[B]`: `max(s, 0) - s t + ln(1 + exp(-|s|))`,
/// which neither overflows nor loses small losses.
fn binary_cross_entropy(scores: &Tensor, targets: &Tensor) -> candle_core::Result<Tensor> {
    let rest = (scores.abs()?.neg()?.exp()? + 1.0)?.log()?;
    (scores.relu()? - (scores * targets)? + rest)?.mean_all()
}

fn draw(
    network: &Network,
    x: &Tensor,
    labels: &[bool],
    title: String,
    caption: &str,
) -> anyhow::Result<ToyPanel> {
    let here = Linearization::new(network, x, Budget::default())?;
    let radius = &here.margins(&[Norm::L2], Method::Auto)?[0].radius;
    let gradients = here
        .output_gradients(&vec![0; labels.len()])?
        .to_vec2::<f64>()?;
    let scores = here.trace().output().squeeze(1)?.to_vec1::<f64>()?;
    let correct = scores
        .iter()
        .zip(labels)
        .filter(|(score, label)| (**score > 0.0) == **label)
        .count();
    let points = x
        .to_vec2::<f64>()?
        .into_iter()
        .zip(labels)
        .enumerate()
        .map(|(i, (x, &label))| ToyPoint {
            x: [x[0], x[1]],
            label,
            radius: radius[i],
            gradient: [gradients[i][0], gradients[i][1]],
        });
    let view = Viewport { x: VIEW, y: VIEW };
    let median = Percentiles::of(radius)
        .context("the toy has no points")?
        .p50;
    Ok(ToyPanel {
        title,
        caption: caption.into(),
        viewport: [VIEW[0], VIEW[1], VIEW[0], VIEW[1]],
        cells: planar::regions(network, view, LATTICE, MOST_REGIONS)?,
        points: points.collect(),
        heat: heat(network)?,
        accuracy: correct as f64 / labels.len() as f64,
        median_radius: median,
    })
}

/// Predicted probabilities at the centres of a lattice over the view.
fn heat(network: &Network) -> anyhow::Result<HeatMap> {
    let at = |i: usize| VIEW[0] + (VIEW[1] - VIEW[0]) * (i as f64 + 0.5) / HEAT as f64;
    let points: Vec<f64> = (0..HEAT * HEAT)
        .flat_map(|i| [at(i % HEAT), at(i / HEAT)])
        .collect();
    let scores = network.forward(&Tensor::from_vec(points, (HEAT * HEAT, 2), &Device::Cpu)?)?;
    let values = sigmoid(&scores.squeeze(D::Minus1)?)?
        .to_dtype(DType::F32)?
        .to_vec1()?;
    Ok(HeatMap {
        rows: HEAT,
        cols: HEAT,
        values,
    })
}
