//! How a step's time grows with the network and the batch, at initialisation, on Gaussian inputs.

use std::fmt;

use candle_core::{DType, Device, Tensor};
use loclin_models::Mlp;
use loclin_tensor::product::{View, Write, gram, multiply_shared};
use loclin_tensor::random;
use serde::Serialize;

use super::machine::median_seconds;
use super::options::Args;
use super::subject::{Batch, Subject, Way};
use loclin::program::compute::Dtype;
use loclin::program::options::Global;

/// The network of Table 1, from which one size at a time departs.
const TABLE_1: Size = Size {
    inputs: 784,
    width: 300,
    depth: 4,
    batch: 64,
};

/// What a step's time depends on.
#[derive(Clone, Copy, Debug, Serialize)]
struct Size {
    /// `D`, the input's dimension.
    inputs: usize,
    /// Units of each hidden layer.
    width: usize,
    /// `M`, hidden layers.
    depth: usize,
    /// Inputs of a step.
    batch: usize,
}

/// Median seconds of a step.
#[derive(Clone, Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    size: Size,
    vanilla_seconds: f64,
    exact_seconds: f64,
    approximate_seconds: f64,
    /// The first layer's own products of an exact step: its Gram matrix and the gradient through that. With
    /// what a vanilla step takes longer for more inputs they are all that depends on `D`.
    first_layer_seconds: f64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outcome {
    rows: Vec<Row>,
    /// Exact steps with 12288 inputs against 784, the vanilla step and the first layer's products aside.
    inputs_ratio: f64,
}

pub(super) fn measure(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    let dtype = global.dtype.unwrap_or(Dtype::F32).candle();
    let device = global.device.open()?;
    let sizes = [
        TABLE_1,
        Size {
            inputs: 3072,
            ..TABLE_1
        },
        Size {
            inputs: 12288,
            ..TABLE_1
        },
        Size {
            width: 100,
            ..TABLE_1
        },
        Size {
            width: 600,
            ..TABLE_1
        },
        Size {
            depth: 2,
            ..TABLE_1
        },
        Size {
            depth: 3,
            ..TABLE_1
        },
        Size {
            depth: 8,
            ..TABLE_1
        },
        Size {
            batch: 16,
            ..TABLE_1
        },
        Size {
            batch: 256,
            ..TABLE_1
        },
    ];
    let rows = sizes
        .iter()
        .map(|size| row(*size, dtype, &device, args.runs, global.seed.unwrap_or(0)))
        .collect::<anyhow::Result<Vec<Row>>>()?;
    let regulariser = |row: &Row| row.exact_seconds - row.vanilla_seconds - row.first_layer_seconds;
    let inputs_ratio = regulariser(&rows[2]) / regulariser(&rows[0]);
    Ok(Outcome { rows, inputs_ratio })
}

fn row(size: Size, dtype: DType, device: &Device, runs: usize, seed: u64) -> anyhow::Result<Row> {
    let config = Mlp {
        inputs: vec![size.inputs],
        hidden: vec![size.width; size.depth],
        outputs: 10,
        negative_slope: 0.0,
    };
    let mut subject = Subject::new(&config, dtype, device, seed)?;
    let rng = &mut random::stream(seed, &[1]);
    let x = random::normal(rng, (size.batch, size.inputs), dtype, device)?;
    let labels: Vec<u32> = (0u32..10).cycle().take(size.batch).collect();
    let batch: Batch = (x, Tensor::new(labels, device)?);
    let turns = std::slice::from_ref(&batch);
    Ok(Row {
        size,
        vanilla_seconds: subject.seconds(turns, Way::Vanilla, 3 * runs)?,
        approximate_seconds: subject.seconds(turns, Way::Approximate, 3 * runs)?,
        exact_seconds: subject.seconds(turns, Way::Exact, runs)?,
        first_layer_seconds: first_layer(&subject, size, runs)?,
    })
}

/// `W W^T` and a product of a matrix of that size with `W`, as an exact step has them.
fn first_layer(subject: &Subject, size: Size, runs: usize) -> anyhow::Result<f64> {
    let parameters = subject.network.parameters();
    let (_, weight) = &parameters[0];
    let weight = weight
        .to_dtype(DType::F32)?
        .flatten_all()?
        .to_vec1::<f32>()?;
    let mut gradient = vec![0.0; weight.len()];
    median_seconds(runs, |_| {
        let weight = View::new(&weight, size.width, size.inputs)?;
        let products = gram(weight)?;
        let products = View::new(&products, size.width, size.width)?;
        multiply_shared(&mut gradient, Write::Replace, 1.0, products, weight)?;
        Ok(())
    })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "one step in ms (median)")?;
        let names = [
            "D",
            "N",
            "M",
            "B",
            "vanilla",
            "approximate",
            "exact",
            "of it W W^T",
        ];
        for name in names {
            write!(f, " {name:>11}")?;
        }
        writeln!(f)?;
        for row in &self.rows {
            let size = row.size;
            for n in [size.inputs, size.width, size.depth, size.batch] {
                write!(f, " {n:>11}")?;
            }
            for seconds in [
                row.vanilla_seconds,
                row.approximate_seconds,
                row.exact_seconds,
                row.first_layer_seconds,
            ] {
                write!(f, " {:>11.2}", 1e3 * seconds)?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "12288 inputs against 784, first layer's products aside: {:.2} times slower",
            self.inputs_ratio
        )
    }
}
