//! Options of `loclin explain`.

use std::path::PathBuf;

use crate::program::classes::ClassOptions;
use crate::program::distortion::Radius;
use crate::program::domain::DomainOptions;
use crate::program::model::ModelPath;
use crate::program::options::InputOptions;

const EXAMPLE: &str = "\
Examples:
  loclin explain --model runs/cifar10-roll-seed0 --input 17
  loclin explain --model runs/cifar10-roll-seed0 --input cat.jpg --resize --out cat.png --report cat.html
  loclin explain --model resnet.onnx --input cat.png --label 3 --mean 0.49,0.48,0.45 --std 0.25,0.24,0.26
  loclin explain --model cnn.pth --architecture digit-recognizer --input 5 --data mnist";

/// Options of `explain`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The model
    #[command(flatten)]
    pub source: ModelPath,
    /// A JPEG or PNG file, an .npy file of one input, or the number of an input of --data, from 0
    #[arg(long, value_name = "IMAGE_OR_INDEX")]
    pub input: String,
    /// The class whose score is explained [default: the input's label, or the predicted class where it has none]
    #[arg(long, value_name = "CLASS")]
    pub label: Option<u32>,
    /// How the classes are called
    #[command(flatten)]
    pub classes: ClassOptions,
    /// How far every pixel may move in the search for the gradient that differs most: a number or a quotient
    #[arg(long, value_name = "EPS", default_value = "8/256")]
    pub eps: Radius,
    /// The domain of the inputs
    #[command(flatten)]
    pub domain: DomainOptions,
    /// Gradients that the search may evaluate
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub evaluations: usize,
    /// Gradients along the segment from black to the image, of which the integrated gradients are the mean
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
    /// Where to draw the picture
    #[arg(long, value_name = "FILE.png", default_value = "explanation.png")]
    pub out: PathBuf,
    /// Write a report, too
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Where numbers count, and what is done to the input
    #[command(flatten)]
    pub inputs: InputOptions,
}
