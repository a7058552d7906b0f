//! `loclin init`: a network with seeded parameters, as a model file.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use loclin_data::{Applied, Rows, Split, source};
use loclin_models::{Model, Network, Operator};
use serde::Serialize;

use crate::program::compute::Dtype;
use crate::program::errors::Usage;
use crate::program::model::Described;
use crate::program::options::{DataDir, Global};
use crate::program::outputs::{self, Named};
use crate::program::preprocessing::PreprocessingOptions;
use crate::program::{files, opened, tensors};

const EXAMPLE: &str = "\
Examples:
  loclin init --architecture convnet --out convnet.safetensors
  loclin init --architecture resnet18 --statistics images.npy \\
      --out resnet18.safetensors --seed 7";

/// Options of `init`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// What network: a file, or a name of those that `loclin config list` shows
    #[arg(long, value_name = "NAME_OR_FILE")]
    pub architecture: PathBuf,
    /// Inputs that the statistics of batch normalisations are set from, layer by layer, so that activations have
    /// the scale of a trained network's: a dataset's name or path [default: mean 0 and variance 1]
    #[arg(long, value_name = "NAME_OR_PATH")]
    pub statistics: Option<String>,
    /// Which part of that dataset: train, valid or test
    #[arg(long, default_value = "test", requires = "statistics")]
    pub split: Split,
    /// How many of its inputs, the first ones
    #[arg(long, value_name = "N", default_value_t = 16, requires = "statistics")]
    pub limit: usize,
    /// Where to write the model
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
    /// Replace a model that is there
    #[arg(long)]
    pub force: bool,
    /// Where the datasets are
    #[command(flatten)]
    pub place: DataDir,
    /// What is done to those inputs
    #[command(flatten)]
    pub preprocessing: PreprocessingOptions,
}

/// The model that was written.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Its file.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub out: PathBuf,
    /// Number of its parameters, statistics included.
    pub parameters: usize,
    /// Shape of one input.
    pub input_shape: Vec<usize>,
    /// Number of outputs.
    pub outputs: usize,
    /// How many inputs the statistics are of.
    pub statistics: Option<usize>,
    /// What was done to those inputs.
    pub preprocessing: Option<Applied>,
    /// The seed of the parameters.
    pub seed: u64,
    /// The floating-point type of the file's numbers.
    pub dtype: Dtype,
}

/// Initialises as the options say.
///
/// # Errors
/// An architecture or dataset that cannot be used, or an output that cannot be written.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    if args.limit == 0 {
        return Err(Usage::new("--limit 0: expected at least 1").into());
    }
    if args.statistics.is_none() && args.preprocessing.is_given() {
        let message = "--scale, --layout, --mean, --std, --resize, --exif-orientation, --preprocessing: they say what is done to the inputs \
                       of --statistics, and there are none; a normalisation of the model belongs in the architecture file, as [normalization]";
        return Err(Usage::new(message).into());
    }
    let read = Named::default().with("--architecture", [&args.architecture]);
    outputs::check(&Named::default().with("--out", [&args.out]), &read)?;
    files::check_new(&args.out, args.force)?;
    let ending = args.out.extension().unwrap_or_default();
    if !ending.eq_ignore_ascii_case("safetensors") {
        let out = args.out.display();
        let message = format!(
            "--out {out}: expected a name that ends in .safetensors, as what is written is that"
        );
        return Err(Usage::new(message).into());
    }
    if args.architecture.starts_with("torchvision") && !args.architecture.exists() {
        let message = "--architecture torchvision/NAME is for state dicts, whose tensors say the sizes; `init` takes a file, or a \
                       name of `config list`";
        return Err(Usage::new(message).into());
    }
    let Described {
        architecture,
        normalization,
    } = Described::read(&args.architecture)?;
    let (seed, dtype) = (global.seed.unwrap_or(0), global.dtype.unwrap_or(Dtype::F32));
    let name = args.architecture.display().to_string();
    let network = architecture.seeded(seed, dtype.candle(), &global.device.open()?);
    let mut model = Model {
        network: network.with_context(|| name.clone())?,
        normalization,
    };
    // A normalisation that does not fit is this file's mistake and not the data's.
    model.raw().with_context(|| name.clone())?;
    let (mut used, mut applied) = (None, None);
    if let Some(data) = &args.statistics {
        ensure!(
            normalizes(&model.network),
            "{name}: --statistics: the network has no batch normalisation"
        );
        let preprocessing = args.preprocessing.read()?;
        if !preprocessing.mean.is_empty() {
            let message = "--mean, --std: a normalisation belongs in the architecture file, as [normalization]";
            return Err(Usage::new(message).into());
        }
        let request = source::Request {
            data_dir: Some(&args.place.data_dir),
            seed,
            rows: Rows::First(args.limit),
            preprocessing: &preprocessing,
            input_shape: Some(model.network.input_shape()),
            ..source::Request::of(args.split)
        };
        let dataset = opened::read(data, &request)?.into_table()?;
        applied = Some(dataset.applied());
        let rows: Vec<usize> = (0..dataset.len()).collect();
        let mut x = tensors::inputs(&dataset, &rows, dtype.candle(), model.network.device())?;
        if let Some(normalization) = &model.normalization {
            x = normalization.apply(&x)?;
        }
        model.network = model.network.with_batch_statistics(&x)?;
        used = Some(rows.len());
    }
    files::write_atomic(&args.out, &model.to_bytes()?)?;
    let parameters = model.network.parameters();
    Ok(Outcome {
        out: args.out.clone(),
        parameters: parameters
            .iter()
            .map(|(_, tensor)| tensor.elem_count())
            .sum(),
        input_shape: model.network.input_shape().to_vec(),
        outputs: model.network.output_size(),
        statistics: used,
        preprocessing: applied,
        seed,
        dtype,
    })
}

fn normalizes(network: &Network) -> bool {
    let mut operators = network.nodes().iter().map(|node| &node.operator);
    operators.any(
        |operator| matches!(operator, Operator::Affine(affine) if affine.normalization().is_some()),
    )
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} parameters, inputs {:?}, {} outputs, seed {}, {}",
            self.out.display(),
            self.parameters,
            self.input_shape,
            self.outputs,
            self.seed,
            self.dtype
        )?;
        match self.statistics {
            Some(inputs) => write!(f, "; statistics of {inputs} inputs")?,
            None => return Ok(()),
        }
        match &self.preprocessing {
            Some(applied) => write!(f, "\ninputs: {applied}"),
            None => Ok(()),
        }
    }
}
