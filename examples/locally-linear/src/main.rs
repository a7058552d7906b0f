//! Trains a network to be locally linear, and asks how far each gradient provably holds. To run:
//! `cargo run --release --manifest-path examples/locally-linear/Cargo.toml`

use candle_core::{DType, Device, Tensor};
use candle_nn::{AdamW, Optimizer, loss::cross_entropy};
use loclin_models::{Mlp, Parameters};
use loclin_objectives::{Gamma, RollConfig, roll};
use loclin_regions::{Budget, Linearization, Method, Norm};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Point `i` of two spirals around each other; the class is `i % 2`.
fn spiral(i: u32) -> Vec<f64> {
    let along = f64::from(i / 2) / 40.0;
    let angle = 4.0 * along + std::f64::consts::PI * f64::from(i % 2);
    let radius = 0.2 + 1.3 * along;
    vec![radius * angle.cos(), radius * angle.sin()]
}

/// Trains with the task loss plus `lambda` times ROLL. The final task loss, and the median radius around the
/// points within which the gradient does not change.
pub fn train(lambda: f64) -> Result<(f64, f64)> {
    let x = Tensor::new((0..80).map(spiral).collect::<Vec<_>>(), &Device::Cpu)?;
    let y = Tensor::new((0..80).map(|i| i % 2).collect::<Vec<u32>>(), &Device::Cpu)?;
    let parameters = Parameters::seeded(1);
    let (inputs, hidden) = (vec![2], vec![32, 32]);
    let network = Mlp {
        inputs,
        hidden,
        outputs: 2,
        negative_slope: 0.0,
    }
    .build(parameters.builder(DType::F64, &Device::Cpu))?;
    let variables = parameters.named().into_iter().map(|(_, v)| v).collect();
    let mut optimizer = AdamW::new_lr(variables, 0.01)?;
    let (c, gamma) = (4.0, Gamma::Percent(100.0));
    for _ in 0..500 {
        let trace = network.trace(&x)?; // the value, and what the regulariser needs
        let task = cross_entropy(trace.output(), &y)?;
        let loss = (task + (lambda * roll(&trace, RollConfig { c, gamma })?)?)?;
        optimizer.backward_step(&loss)?;
    }
    let here = Linearization::new(&network, &x, Budget::default())?;
    let mut radii = here.margins(&[Norm::L2], Method::Auto)?.remove(0).radius;
    radii.sort_by(f64::total_cmp);
    let task = cross_entropy(here.trace().output(), &y)?;
    Ok((task.to_scalar()?, radii[radii.len() / 2]))
}

fn main() -> Result<()> {
    for (name, lambda) in [("vanilla", 0.0), ("ROLL", 0.03)] {
        let (task, radius) = train(lambda)?;
        println!("{name:>7}: task loss {task:.4}, median l2 margin {radius:.4}");
    }
    Ok(())
}
