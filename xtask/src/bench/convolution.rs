//! Single convolutions, in alternation with PyTorch.

use std::fmt;
use std::time::Instant;

use candle_core::{Device, Tensor};
use loclin_tensor::{Convolution, random};
use serde::Serialize;

use super::options::Args;
use super::peer::{PAUSE, Peer};
use super::spread::Spread;
use loclin::program::compute::Dtype;
use loclin::program::options::Global;

/// Inputs, outputs, side of the image, side of the kernel, stride and batch: those of the preset `cifar10-vanilla`, of its
/// wider relatives, and of ResNet-18.
const SHAPES: [[usize; 6]; 13] = [
    [3, 8, 32, 3, 1, 64],
    [8, 8, 32, 3, 1, 64],
    [8, 16, 32, 3, 2, 64],
    [16, 16, 16, 3, 1, 64],
    [16, 32, 16, 3, 2, 64],
    [32, 32, 8, 3, 1, 64],
    [64, 64, 16, 3, 1, 64],
    [64, 64, 16, 1, 1, 64],
    [3, 64, 224, 7, 2, 4],
    [64, 64, 56, 3, 1, 4],
    [64, 128, 56, 1, 2, 4],
    [128, 128, 28, 3, 1, 4],
    [512, 512, 7, 3, 1, 4],
];
const READINGS: [&str; 3] = ["forward", "transposed", "weight"];
/// Calls of one kind before those of another.
const CALLS: usize = 5;

/// Both sides' seconds of one reading of one convolution.
#[derive(Clone, Debug, Serialize)]
struct Row {
    /// As [`SHAPES`].
    shape: [usize; 6],
    reading: &'static str,
    /// Multiply-adds of a call.
    terms: f64,
    seconds: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_seconds: Option<Spread>,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outcome {
    convolutions: Vec<Row>,
}

pub(super) fn measure(
    args: &Args,
    global: &Global,
    peer: Option<&Peer>,
) -> anyhow::Result<Outcome> {
    let mut conversation = peer.map(Peer::converse).transpose()?;
    let mut convolutions = Vec::new();
    for shape in SHAPES {
        let subject = Subject::new(shape, global)?;
        let mut own = vec![Vec::new(); READINGS.len()];
        let mut other = own.clone();
        // The first round warms up.
        for round in 0..=args.runs {
            for (index, reading) in READINGS.into_iter().enumerate() {
                let times = (0..CALLS).map(|_| subject.seconds(reading));
                let times = times.collect::<anyhow::Result<Vec<f64>>>()?;
                if round > 0 {
                    own[index].extend(times);
                }
            }
            let Some(conversation) = &mut conversation else {
                continue;
            };
            std::thread::sleep(PAUSE);
            for (index, reading) in READINGS.into_iter().enumerate() {
                let numbers = shape.map(|n| n.to_string()).join(" ");
                let times = conversation.ask(&format!("{numbers} {reading} {CALLS}"))?;
                if round > 0 {
                    other[index].extend(times);
                }
            }
            std::thread::sleep(PAUSE);
        }
        let measured = own.into_iter().zip(other).zip(READINGS);
        convolutions.extend(measured.filter_map(|((own, other), reading)| {
            Some(Row {
                shape,
                reading,
                terms: subject.terms,
                seconds: Spread::of(own)?,
                peer_seconds: Spread::of(other),
            })
        }));
    }
    Ok(Outcome { convolutions })
}

/// The operands of a convolution.
struct Subject {
    convolution: Convolution,
    size: [usize; 2],
    x: Tensor,
    weight: Tensor,
    z: Tensor,
    terms: f64,
}

impl Subject {
    fn new(
        [inputs, outputs, side, kernel, stride, batch]: [usize; 6],
        global: &Global,
    ) -> anyhow::Result<Self> {
        let dtype = global.dtype.unwrap_or(Dtype::F32).candle();
        let rng = &mut random::stream(global.seed.unwrap_or(0), &[]);
        let mut draw = |shape: [usize; 4]| random::normal(rng, &shape[..], dtype, &Device::Cpu);
        let x = draw([batch, inputs, side, side])?;
        let weight = draw([outputs, inputs, kernel, kernel])?;
        let convolution = Convolution {
            stride: [stride; 2],
            padding: [[kernel / 2; 2]; 2],
            ..Convolution::default()
        };
        let z = convolution.apply(&x, &weight)?;
        Ok(Self {
            terms: (z.elem_count() * inputs * kernel * kernel) as f64,
            convolution,
            size: [side; 2],
            x,
            weight,
            z,
        })
    }

    /// What one call took.
    fn seconds(&self, reading: &str) -> anyhow::Result<f64> {
        let start = Instant::now();
        match reading {
            "forward" => drop(self.convolution.apply(&self.x, &self.weight)?),
            "transposed" => drop(
                self.convolution
                    .transposed(&self.z, &self.weight, self.size)?,
            ),
            _ => drop(
                self.convolution
                    .weight_gradient(&self.x, &self.z, self.weight.dims())?,
            ),
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "single convolutions: least and median, ms; thousand million operations a second at the least"
        )?;
        let name = "inputs, outputs, side, kernel, stride, batch";
        writeln!(
            f,
            "  {name:<46} {:<10} {:>16} {:>7} {:>16} {:>7} {:>10}",
            "", "ours", "", "PyTorch", "", "ratio"
        )?;
        for row in &self.convolutions {
            let rate = |seconds: Spread| format!("{:.0}", 2e-9 * row.terms / seconds.least);
            let shape = row.shape.map(|n| n.to_string()).join(" ");
            let peer = row.peer_seconds;
            writeln!(
                f,
                "  {shape:<46} {:<10} {:>16} {:>7} {:>16} {:>7} {:>10}",
                row.reading,
                row.seconds.to_string(),
                rate(row.seconds),
                peer.map(|peer| peer.to_string()).unwrap_or_default(),
                peer.map(rate).unwrap_or_default(),
                peer.map(|peer| row.seconds.over(peer)).unwrap_or_default(),
            )?;
        }
        Ok(())
    }
}
