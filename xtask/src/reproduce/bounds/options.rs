//! Options of `reproduce bounds`, and what its sections read.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use loclin::program::model::ModelPath;
use loclin::program::tensors;
use loclin_data::npy;
use loclin_models::Network;

/// Options of `reproduce bounds`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The directory with networks, inputs and other programs' values (`nets`, `reference`)
    #[arg(long, value_name = "DIR", default_value = "../shared")]
    pub shared: PathBuf,
    /// The directory of results of `loclin demo`, with its two networks
    #[arg(long, value_name = "DIR")]
    pub demo: Option<PathBuf>,
    /// Run directories of networks of digits, whose radii are compared; may be given several times
    #[arg(long = "run", value_name = "DIR")]
    pub runs: Vec<PathBuf>,
    /// An .npy file of digits to ask about, `[N, ...]`, in [0, 1]
    #[arg(long, value_name = "FILE.npy")]
    pub digits: Option<PathBuf>,
    /// How many digits the radii are medians of
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub limit: usize,
    /// Seconds for each question with branching
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub time: f64,
    /// One section only
    #[arg(long, value_enum)]
    pub only: Option<Section>,
    /// Directory of the results [default: docs/results/bounds]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// A section of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Section {
    /// Exact local Lipschitz constants of small networks
    Lipbab,
    /// Changes of the gradient beside auto_LiRPA's bounds
    Lirpa,
    /// The demo's two networks
    Demo,
    /// How far one may go for a change, networks of Table 1
    Radii,
    /// Residual networks
    General,
}

/// A section of the page, and its table as a file of numbers.
pub(super) struct Part {
    pub(super) text: String,
    pub(super) name: &'static str,
    pub(super) csv: String,
}

/// The network of a file or a run directory, of raw inputs, in float64.
pub(super) fn network(path: PathBuf) -> anyhow::Result<Network> {
    let source = ModelPath {
        model: path,
        architecture: None,
        output: None,
        input_shape: Vec::new(),
    };
    let file = source.load(DType::F64, &Device::Cpu)?;
    Ok(file.into_network()?.raw()?)
}

/// The rows of an array.
pub(super) fn rows(path: &Path) -> anyhow::Result<Vec<Vec<f64>>> {
    let dataset = npy::read(path)?;
    let all: Vec<usize> = (0..dataset.len()).collect();
    let x = tensors::inputs(&dataset, &all, DType::F64, &Device::Cpu)?;
    Ok(x.flatten_from(1)?.to_vec2()?)
}
