//! Options of `loclin bound`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use loclin_regions::Norm;
use serde::{Deserialize, Serialize};

use crate::program::distortion::Radius;
use crate::program::domain::DomainOptions;
use crate::program::jobs::JobOptions;
use crate::program::model::ModelPath;
use crate::program::options::InputOptions;

const EXAMPLE: &str = "\
Examples:
  loclin bound --model runs/demo-seed0 --limit 5 --eps 1/255
  loclin bound --model RUN --data mnist --limit 5 --eps 1/255 --eps 4/255 --curve 12 \\
      --report bound.html
  loclin bound --model network.onnx --data inputs.npy --norm 2 --eps 0.1 --what lipschitz
  loclin bound --model network.onnx --data inputs.npy --domain 0,1 --eps 0.05 \\
      --what lipschitz --operator-norm 2
  loclin bound --model runs/demo-seed0 --index 3 --what sign --eps 2/255 --report signs.html
  loclin bound --model runs/demo-seed0 --limit 5 --change 10%
  loclin bound --model runs/demo-seed0 --limit 5 --what top-k --top 10 --largest
  loclin bound --model network.onnx --data inputs.npy --eps 1/255 --parts 1000 \\
      --out bounds.csv --resume";

/// Options of `bound`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The model
    #[command(flatten)]
    pub source: ModelPath,
    /// Ask about the first N inputs only
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Ask about one input: its number, from 0
    #[arg(long, value_name = "I", conflicts_with = "limit")]
    pub index: Option<usize>,
    /// What is asked about
    #[command(flatten)]
    pub about: About,
    /// In which balls
    #[command(flatten)]
    pub balls: Balls,
    /// Seconds that each question may take: each radius of an input, and each search for a largest one. With 0, bounds without
    /// branching, the same at every run [default: 10, or none with --parts]
    #[arg(long, value_name = "SECONDS")]
    pub time: Option<f64>,
    /// Parts of a ball that are looked at, at most: a limit by which every run has the same result
    #[arg(long, value_name = "N")]
    pub parts: Option<usize>,
    /// Write one row for each input and radius: index, file, label, prediction, class, at_input, margin, eps, found, proved, exact
    /// and more
    #[arg(long, value_name = "FILE.csv")]
    pub out: Option<PathBuf>,
    /// Write the inputs found, one for each input asked about, [N, in...]: that of the largest radius
    #[arg(long, value_name = "FILE.npy")]
    pub witness: Option<PathBuf>,
    /// Write what proves each bound, part by part, for `loclin check`: not for signs
    #[arg(long, value_name = "FILE.json")]
    pub proof: Option<PathBuf>,
    /// Write a page, too: curves, and for images the pixels whose sign is proved
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// The job
    #[command(flatten)]
    pub job: JobOptions,
    /// The inputs
    #[command(flatten)]
    pub inputs: InputOptions,
}

/// What is asked about the inputs of a ball.
#[derive(Clone, Debug, clap::Args)]
pub struct About {
    /// What is bounded: `change`, how much the gradient differs from that at the input; `lipschitz`, how long the gradient is (the
    /// local Lipschitz constant); `sign`, how many numbers of the gradient change their sign; `top-k`, whether the k largest of
    /// them in absolute value stay the largest; `class`, whether the class stays the largest output
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = What::Change, hide_possible_values = true)]
    pub what: What,
    /// Whose score is differentiated, and for `class` the class that is to stay the largest: prediction, label, or the number of
    /// an output
    #[arg(long, value_name = "CLASS", default_value = "prediction")]
    pub class: Of,
    /// Ask about the class's score minus that of this output
    #[arg(long, value_name = "CLASS")]
    pub minus: Option<u32>,
    /// For change and lipschitz, the norm of a gradient: a number from 1, or inf [default: 1 for change; for lipschitz the dual
    /// norm of the ball's]
    #[arg(long, value_name = "Q")]
    pub gradient_norm: Option<Norm>,
    /// For lipschitz, ask about all outputs: the operator norm of their Jacobian from lp to lp, for p 1, 2 or inf
    #[arg(long, value_name = "P", conflicts_with_all = ["gradient_norm", "minus"])]
    pub operator_norm: Option<Norm>,
    /// For top-k, how many numbers of the gradient [default: 10]
    #[arg(long, value_name = "K")]
    pub top: Option<usize>,
}

/// The balls that are asked about.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("radii").args(["eps", "change", "largest"]).required(true).multiple(true)))]
pub struct Balls {
    /// The ball's norm: a number from 1, or inf
    #[arg(long, value_name = "P", default_value = "inf")]
    pub norm: Norm,
    /// The ball's radius in units of the raw input: a number or a quotient; may be given several times
    #[arg(long, value_name = "EPS")]
    pub eps: Vec<Radius>,
    /// As many radii more, from the margin, where the gradient begins to change, to the largest --eps
    #[arg(long, value_name = "N", requires = "eps")]
    pub curve: Option<usize>,
    /// Find the largest radius within which the gradient (or its length, for lipschitz) changes by at most this: a share of the
    /// gradient's norm such as 10%, or a number
    #[arg(long, value_name = "CHANGE", conflicts_with = "largest")]
    pub change: Option<Allowed>,
    /// Find the largest radius within which every sign, the top k or the class stays
    #[arg(long)]
    pub largest: bool,
    /// The largest radius that is tried for --change and --largest [default: the size of the domain, or 1]
    #[arg(long, value_name = "EPS")]
    pub up_to: Option<Radius>,
    /// The domain of the inputs
    #[command(flatten)]
    pub domain: DomainOptions,
}

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// How much the gradient differs from that at the input
    Change,
    /// How long the gradient is: the local Lipschitz constant
    Lipschitz,
    /// How many numbers of the gradient change their sign
    Sign,
    /// Whether the k numbers of the gradient that are largest in absolute value stay the largest
    TopK,
    /// Whether the class stays the largest output
    Class,
}

/// A class that is named or depends on the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The predicted one.
    Prediction,
    /// The input's label.
    Label,
    /// This one.
    Class(u32),
}

/// A change that is allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Allowed {
    /// This share of what is at the input.
    Share(f64),
    /// This much.
    Value(f64),
}

/// Why a class was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected prediction, label, or the number of an output, from 0")]
pub struct OfError;

/// Why a change was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a share such as `10%`, or a number such as `0.5`, at least 0")]
pub struct AllowedError;

impl FromStr for Of {
    type Err = OfError;

    fn from_str(text: &str) -> Result<Self, OfError> {
        match text {
            "prediction" => Ok(Self::Prediction),
            "label" => Ok(Self::Label),
            number => number.parse().map(Self::Class).map_err(|_| OfError),
        }
    }
}

impl FromStr for Allowed {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Self, AllowedError> {
        let number = |text: &str| match text.trim().parse::<f64>() {
            Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
            _ => Err(AllowedError),
        };
        match text.strip_suffix('%') {
            Some(percent) => Ok(Self::Share(number(percent)? / 100.0)),
            None => Ok(Self::Value(number(text)?)),
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Not 7.000000000000001.
            Self::Share(share) => write!(f, "{}%", (share * 1e8).round() / 1e6),
            // Exponents where numbers are long.
            Self::Value(value) => write!(f, "{value:?}"),
        }
    }
}

impl What {
    /// Whether the answer is yes or no.
    pub fn is_decision(self) -> bool {
        matches!(self, Self::TopK | Self::Class)
    }

    /// Its word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Lipschitz => "lipschitz",
            Self::Sign => "sign",
            Self::TopK => "top-k",
            Self::Class => "class",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_shares_or_numbers() {
        assert_eq!("10%".parse(), Ok(Allowed::Share(0.1)));
        assert_eq!("0.5".parse(), Ok(Allowed::Value(0.5)));
        assert_eq!(Allowed::Share(0.07).to_string(), "7%");
        for wrong in ["", "%", "-1%", "-0.5", "nan", "inf%", "10%%", "a"] {
            assert_eq!(wrong.parse::<Allowed>(), Err(AllowedError), "{wrong}");
        }
    }

    #[test]
    fn classes_are_named_or_numbered() {
        assert_eq!("label".parse(), Ok(Of::Label));
        assert_eq!("7".parse(), Ok(Of::Class(7)));
        for wrong in ["", "-1", "predicted", "1.5", "4294967296"] {
            assert_eq!(wrong.parse::<Of>(), Err(OfError), "{wrong}");
        }
    }
}
