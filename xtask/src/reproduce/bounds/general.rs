//! Residual networks: convolutions, normalisation and sums, read from a file or drawn.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::Context;
use candle_core::{DType, Device};
use loclin_models::architectures::ResNetConfig;
use loclin_models::{Network, Parameters};
use loclin_regions::Norm;
use loclin_regions::reduced::{Question, one_output};

use super::options::{Args, Part, network, rows};
use crate::reproduce::asked::{At, ask, limits};
use crate::reproduce::markdown;

const TIMES: [f64; 2] = [2.0, 10.0];

/// Pixels of a side of the drawn network's image.
const SIDE: usize = 64;

/// Rows of the table, and of the file.
#[derive(Default)]
struct Rows {
    csv: String,
    table: Vec<Vec<String>>,
}

impl Rows {
    fn add(
        &mut self,
        name: &str,
        network: &Network,
        image: &[f64],
        norm: Norm,
        time: f64,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        let at = At::new(network, image, Some([0.0, 1.0]))?;
        let around = at.around(norm)?;
        let prepared = start.elapsed().as_secs_f64();
        let margin = at.nearest(norm)?;
        for times in TIMES {
            let weights = one_output(network.output_size(), at.class);
            let question = Question::Change {
                weights,
                norm: norm.dual(),
            };
            let answer = ask(&around, times * margin, &question, limits(time))?;
            let (bound, seconds) = (&answer.bound, prepared + answer.seconds);
            writeln!(
                self.csv,
                "\"{name}\",{norm},{margin},{times},{},{},{},{},{},{seconds}",
                bound.units, bound.found, bound.proved, bound.guarantee, bound.parts
            )?;
            self.table.push(vec![
                name.to_owned(),
                norm.to_string(),
                format!("{margin:.3e}"),
                times.to_string(),
                bound.units.to_string(),
                format!("{:.4}", bound.found),
                format!("{:.4}", bound.proved),
                bound.guarantee.to_string(),
                format!("{seconds:.1}"),
            ]);
        }
        Ok(())
    }
}

pub(super) fn part(args: &Args) -> anyhow::Result<Part> {
    let mut rows_of = Rows::default();
    let resnet = network(args.shared.join("nets/cifar10_resnet/resnet_2b.onnx"))?;
    let images = rows(&args.shared.join("reference/cifar4.npy"))?;
    let image = images.first().context("cifar4.npy holds no image")?;
    for norm in [Norm::LINF, Norm::L2] {
        rows_of.add("resnet_2b", &resnet, image, norm, args.time)?;
    }
    let config = ResNetConfig {
        inputs: [3, SIDE, SIDE],
        ..ResNetConfig::resnet18(10)
    };
    let builder = Parameters::seeded(0).builder(DType::F64, &Device::Cpu);
    let drawn = config.build(builder)?;
    // An image twice as large.
    let pixel = |at: usize| {
        let (channel, row, column) = (at / (SIDE * SIDE), at / SIDE % SIDE, at % SIDE);
        image[(channel * SIDE / 2 + row / 2) * SIDE / 2 + column / 2]
    };
    let large: Vec<f64> = (0..3 * SIDE * SIDE).map(pixel).collect();
    rows_of.add("ResNet-18, 64 x 64", &drawn, &large, Norm::L2, args.time)?;
    let Rows { csv, table } = rows_of;
    let header = [
        "network",
        "norm",
        "margin",
        "times",
        "units",
        "found",
        "proved",
        "guarantee",
        "s",
    ];
    let text = format!(
        "## Residual networks\n\nThe change of the predicted class's gradient in the dual norm, one image, within [0, 1].\n\n{}",
        markdown::table(&header, &table)
    );
    Ok(Part {
        text,
        name: "general",
        csv: format!("network,norm,margin,times,units,found,proved,guarantee,parts,seconds\n{csv}"),
    })
}
