//! Options of `loclin explain`.

use std::path::PathBuf;

use crate::program::distortion::Radius;
use crate::program::domain::DomainOptions;
use crate::program::model::ModelPath;
use crate::program::options::InputOptions;

const EXAMPLE: &str = "\
Examples:
  loclin explain --model runs/cifar10-roll-seed0 --input 17
  loclin explain --model runs/cifar10-roll-seed0 --input cat.jpg --resize \\
      --out explained.png --report explained.html
  loclin explain --model resnet.onnx --input cat.png --label 3 \\
      --mean 0.49,0.48,0.45 --std 0.25,0.24,0.26
  loclin explain --model net.onnx --data table.npy --input 0 --input 7 --exact \\
      --baseline mean.npy --out numbers.npz
  loclin explain --model cnn.pth --architecture digit-recognizer --input 5 --data mnist";

/// Options of `explain`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The model
    #[command(flatten)]
    pub source: ModelPath,
    /// A JPEG or PNG file, an .npy file of one input, or the number of an input of --data, from 0; may be given several times
    #[arg(long = "input", value_name = "FILE_OR_INDEX", required = true)]
    pub inputs: Vec<String>,
    /// The class whose score is explained [default: the input's label, or the predicted class where it has none]
    #[arg(long, value_name = "CLASS")]
    pub label: Option<u32>,
    /// How far every pixel may move in the search for the gradient that differs most: a number or a quotient
    #[arg(long, value_name = "EPS", default_value = "8/256")]
    pub eps: Radius,
    /// The domain of the inputs
    #[command(flatten)]
    pub domain: DomainOptions,
    /// Gradients that the search may evaluate, at least 3
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub evaluations: usize,
    /// Where integrated gradients begin: a number that every number of the input has there, in its units, or an image or .npy file, to
    /// which is done what is done to inputs, such as --scale
    #[arg(
        long,
        value_name = "NUMBER_OR_FILE",
        default_value = "0",
        allow_hyphen_values = true
    )]
    pub baseline: String,
    /// Average the gradient over so many noisy copies of the input, too (SmoothGrad)
    #[arg(long, value_name = "N")]
    pub smooth: Option<usize>,
    /// Standard deviation of their Gaussian noise, in raw units of the input
    #[arg(
        long,
        value_name = "DEVIATION",
        default_value_t = 0.1,
        requires = "smooth"
    )]
    pub noise: f64,
    /// Gradients along the segment from the baseline to the input, of which the integrated gradients are the mean
    #[arg(
        long,
        value_name = "N",
        default_value_t = 300,
        conflicts_with = "exact"
    )]
    pub steps: usize,
    /// Integrate exactly, through every region that the segment crosses; slow for large networks
    #[arg(long)]
    pub exact: bool,
    /// Seconds for bounds of what can change nearby: how much the gradient can, and how far its largest numbers stay the largest
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub time: f64,
    /// How many numbers of the gradient are asked to stay the largest
    #[arg(long, value_name = "K", default_value_t = 10)]
    pub top: usize,
    /// Where to write the picture (.png), or all attributions and the input found as numbers (.npz, .safetensors or .csv); may
    /// be given several times
    #[arg(long, value_name = "FILE", default_value = "explanation.png")]
    pub out: Vec<PathBuf>,
    /// Write a page, too
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Replace a result that is there
    #[arg(long)]
    pub force: bool,
    /// Where numbers count, and what is done to the input
    #[command(flatten)]
    pub data: InputOptions,
}
