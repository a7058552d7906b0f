//! Figure 3: how far single values of a sequence may move before the derivative changes, vanilla beside ROLL.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use candle_core::DType;
use loclin_data::{Data, Split, source};
use loclin_models::ModelFile;
use loclin_regions::{Budget, Linearization, Method, Norm};

use super::provenance::Provenance;
use super::results::{PAGE, Results};
use loclin::program::certify::{Question, certify_all};
use loclin::program::errors::Usage;
use loclin::program::opened;
use loclin::program::options::{DataDir, Global};
use loclin::program::run_directory::Trained;
use loclin::program::{tensors, train};
use loclin_report::figure::{Axes, Chart, Curve, Scale, charts};

/// Options of `reproduce figure3`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The run directory of the vanilla network
    #[arg(long, value_name = "DIR", default_value = "runs/table3/vanilla-seed10")]
    pub vanilla: PathBuf,
    /// The run directory of the ROLL network
    #[arg(
        long,
        value_name = "DIR",
        default_value = "runs/table3/roll-less-seed10"
    )]
    pub roll: PathBuf,
    /// The channel to draw, counted from 1; may be given several times, for a figure each
    #[arg(long, value_name = "N", default_value = "1")]
    pub channel: Vec<usize>,
    /// Directory of the results [default: docs/results/figure3]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Where the datasets are.
    #[command(flatten)]
    pub data: DataDir,
}

/// The percentiles of the ROLL network's `eps_2` whose sequences are drawn.
const PERCENTILES: [usize; 2] = [50, 75];
const MODELS: [&str; 2] = ["vanilla", "ROLL"];

/// A test sequence with the directional margins of both networks.
struct Drawn {
    percentile: usize,
    /// Its position among the test sequences, and its label.
    index: usize,
    label: u32,
    eps_2: f64,
    channels: usize,
    /// Row-major, `[steps, channels]`.
    values: Vec<f64>,
    /// Of each network, down and up from each value.
    margins: [Vec<[f64; 2]>; 2],
}

pub(super) fn run(args: &Args, global: &Global) -> anyhow::Result<Results> {
    let device = global.device.open()?;
    let load = |run: &Path| -> anyhow::Result<ModelFile> {
        let model = ModelFile::load(&run.join(train::MODEL), DType::F64, &device);
        model.with_context(|| {
            let run = run.display();
            format!("{run}: no trained network; `cargo xtask reproduce table3` trains those of its table")
        })
    };
    let models = [load(&args.vanilla)?, load(&args.roll)?];
    let run = Trained::of(&args.roll)?;
    let run = run.with_context(|| format!("{}: not a run directory", args.roll.display()))?;
    let request = source::Request {
        data_dir: Some(&args.data.data_dir),
        seed: run.seed,
        preprocessing: &run.preprocessing()?,
        ..source::Request::of(Split::Test)
    };
    let data = opened::read(&run.dataset, &request)?;
    let Data::Sequences(sequences) = &data else {
        bail!("{}: not sequences", data.name())
    };
    let channels = sequences.channels();
    if let Some(channel) = args.channel.iter().find(|n| !(1..=channels).contains(n)) {
        let message = format!("--channel {channel}: expected 1 to {channels}");
        return Err(Usage::new(message).into());
    }
    let norms = [Norm::L2];
    let found = certify_all(
        &models[1],
        &data,
        &Question::new(&norms, Method::Auto),
        "certifying",
    )?;
    let drawn = PERCENTILES
        .map(|percentile| Drawn::new(&models, &data, &found.margins[0].radius, percentile));
    let [half, three_quarters] = drawn;
    let drawn = [half?, three_quarters?];

    let mut files = Vec::new();
    let mut pictures = String::new();
    for &channel in &args.channel {
        let all: Vec<Chart> = drawn.iter().flat_map(|d| d.charts(channel)).collect();
        let canvas = charts(&all, 3);
        let name = format!("figure3-channel{channel}");
        pictures += &format!(
            "![Channel {channel} of two sequences with the stability bands of the vanilla and the ROLL network, and \
             the bands' widths]({name}.svg)\n\n"
        );
        files.push((format!("{name}.svg"), canvas.svg().into_bytes()));
        files.push((format!("{name}.png"), canvas.png()?));
    }
    let words = drawn.iter().map(|d| {
        let (percentile, index, label) = (d.percentile, d.index, d.label);
        let (steps, eps_2) = (d.values.len() / d.channels, d.eps_2);
        let has_no_width = |margins: &[[f64; 2]]| margins.iter().flatten().all(|step| *step == 0.0);
        let open = ["vanilla", "ROLL"].into_iter().zip(&d.margins);
        let open = open.filter(|(_, margins)| has_no_width(margins));
        let open: String = open
            .map(|(name, _)| {
                format!(
                    " Of the {name} network bounds of rounding leave a neuron's side open along the axes, so that its band has no \
                     width: nothing is proved there."
                )
            })
            .collect();
        format!(
            "* P{percentile}: test sequence {index}, speaker {label}, {steps} time steps, eps_2 {eps_2:.3e}.{open}\n"
        )
    });
    let words: String = words.collect();
    let page = format!(
        "# Figure 3: stability bands of speech\n\n{pictures}\
         At every time step, how far the value of one channel can move, all else unchanged, until the derivative \
         changes: the margins along the two signed axes, in float64. The sequences are those at the percentiles of the \
         ROLL network's eps_2 on the test sequences:\n\n{words}\n\
         All channels are in [`bands.csv`](bands.csv), and `--channel N` draws another.\n\n{}\n",
        Provenance::of(command(args)),
    );
    files.push((PAGE.into(), page.into_bytes()));
    files.push(("bands.csv".into(), csv(&drawn)?));
    Ok(Results { files, text: words })
}

/// The command, with the options that decide what is drawn.
fn command(args: &Args) -> String {
    let channels = args.channel.iter().map(|n| format!(" --channel {n}"));
    let (vanilla, roll) = (args.vanilla.display(), args.roll.display());
    let channels: String = channels.collect();
    format!("cargo xtask reproduce figure3 --vanilla {vanilla} --roll {roll}{channels}")
}

impl Drawn {
    /// The sequence whose `eps_2`, among those of all, is nearest in rank to the percentile.
    fn new(
        models: &[ModelFile; 2],
        data: &Data,
        eps_2: &[f64],
        percentile: usize,
    ) -> anyhow::Result<Self> {
        let mut order: Vec<usize> = (0..eps_2.len()).collect();
        order.sort_by(|a, b| eps_2[*a].total_cmp(&eps_2[*b]));
        let last = order.len().checked_sub(1).context("no test sequences")?;
        let index = order[(last * percentile + 50) / 100];
        let parts = data.tables(&[index])?;
        let part = parts.first().context("no such sequence")?;
        let shape = part.inputs.input_shape();
        let channels = shape.last().copied().context("an input without channels")?;
        let margins = |model: &ModelFile| -> anyhow::Result<Vec<[f64; 2]>> {
            let network = model.raw(shape)?;
            let x = tensors::inputs(&part.inputs, &[0], DType::F64, network.device())?;
            let here = Linearization::new(&network, &x, Budget::default())?;
            let found = here.axis_margins()?;
            // First all positive axes, then all negative ones.
            let (up, down) = found.of_input(0).split_at(shape.iter().product());
            Ok(down.iter().zip(up).map(|(down, up)| [*down, *up]).collect())
        };
        Ok(Self {
            percentile,
            index,
            label: data.row_labels(&[index])?[0],
            eps_2: eps_2[index],
            channels,
            values: part.inputs.rows_f64(&[0])?,
            margins: [margins(&models[0])?, margins(&models[1])?],
        })
    }

    /// The rows `[time step, value, down, up]` of a channel, counted from 1, of a network.
    fn band(&self, model: usize, channel: usize) -> Vec<[f64; 4]> {
        let own = self.values.iter().zip(&self.margins[model]);
        let own = own.skip(channel - 1).step_by(self.channels);
        own.zip(1..)
            .map(|((value, [down, up]), step)| [f64::from(step), *value, *down, *up])
            .collect()
    }

    /// The sequence with the band of each network on one scale, and the widths of the bands.
    fn charts(&self, channel: usize) -> [Chart; 3] {
        let bands = [0, 1].map(|model| self.band(model, channel));
        let ends = |[step, value, down, up]: [f64; 4]| [step, value - down, value + up];
        let y_holds: Vec<f64> = bands
            .iter()
            .flatten()
            .flat_map(|row| ends(*row)[1..].to_vec())
            .collect();
        let chart = |model: usize| Chart {
            axes: Axes {
                title: format!("P{}, {}", self.percentile, MODELS[model]),
                x_label: "time step".into(),
                x_scale: Scale::Linear,
                y_label: format!("channel {channel} (cepstrum, no unit)"),
                y_scale: Scale::Linear,
                y_holds: y_holds.clone(),
            },
            curves: vec![Curve {
                name: "sequence".into(),
                points: bands[model].iter().map(|row| [row[0], row[1]]).collect(),
            }],
            band: bands[model].iter().map(|row| ends(*row)).collect(),
        };
        let width = |model: usize| Curve {
            name: format!("width, {}", MODELS[model]),
            points: bands[model]
                .iter()
                .map(|row| [row[0], row[2] + row[3]])
                .collect(),
        };
        [
            chart(0),
            chart(1),
            Chart {
                axes: Axes {
                    title: format!("P{}, width of the bands", self.percentile),
                    x_label: "time step".into(),
                    x_scale: Scale::Linear,
                    y_label: format!("width, channel {channel} (no unit)"),
                    y_scale: Scale::Log,
                    y_holds: Vec::new(),
                },
                // The sequence's own dashes and mark are the first.
                curves: vec![
                    Curve {
                        name: "sequence".into(),
                        points: Vec::new(),
                    },
                    width(0),
                    width(1),
                ],
                band: Vec::new(),
            },
        ]
    }
}

/// All channels of the drawn sequences.
fn csv(drawn: &[Drawn]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "percentile",
        "sequence",
        "label",
        "network",
        "channel",
        "step",
        "value",
        "down",
        "up",
    ])?;
    for d in drawn {
        for (model, name) in MODELS.iter().enumerate() {
            for channel in 1..=d.channels {
                for [step, value, down, up] in d.band(model, channel) {
                    writer.write_record([
                        d.percentile.to_string(),
                        d.index.to_string(),
                        d.label.to_string(),
                        (*name).to_owned(),
                        channel.to_string(),
                        step.to_string(),
                        value.to_string(),
                        down.to_string(),
                        up.to_string(),
                    ])?;
                }
            }
        }
    }
    writer.into_inner().context("cannot finish the table")
}
