//! The options that commands share.

use std::path::PathBuf;

use clap::Args;
use loclin_data::Split;

use crate::program::classes::ClassOptions;
use crate::program::compute::{Device, Dtype};
use crate::program::preprocessing::PreprocessingOptions;

/// Options of every command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Print one JSON object on stdout; logs and progress stay on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Where to compute: `cpu`, or `cuda:N` for the N-th GPU
    #[arg(long, global = true, value_name = "DEVICE", default_value_t)]
    pub device: Device,
    /// Floating-point type: f32, or f64 [default: the configuration's to train, f64 for everything else; margins in f32 are
    /// estimates]
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "DTYPE",
        hide_possible_values = true
    )]
    pub dtype: Option<Dtype>,
    /// Seed of every random number [default: the configuration's, else 0]
    // TOML integers end at 2^63 - 1, and a run's configuration records its seed.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    /// Say more on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Append what is logged to a file, too, with the time; RUST_LOG says what where -v and -q do not
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
}

/// Where the datasets are; for commands that read or fetch them.
#[derive(Clone, Debug, Args)]
pub struct DataDir {
    /// Directory that holds one folder per dataset, such as `mnist`
    #[arg(long, value_name = "DIR", env = "LOCLIN_DATA", default_value = "data")]
    pub data_dir: PathBuf,
}

/// Which inputs, and what is done to them; for commands that ask a model about inputs. The last of their options, since the heading
/// holds for all that follow.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Inputs")]
pub struct InputOptions {
    /// The inputs: a dataset by its name (digits, mnist, cifar10, caltech256, japanese-vowels) or its directory; a folder of
    /// JPEG and PNG files, one sub-folder for each class of the model or none; one image; an .npy file of rows, with
    /// `,labels=FILE.npy` behind it where a file beside it has their labels; a .safetensors file with the tensor `inputs`, and
    /// `labels` where there is one; several images or .npy files by a pattern in quotes, such as 'inputs/*.npy'. `digits` is in
    /// the program; `loclin fetch` downloads mnist and cifar10 [default: the dataset of the run directory]
    #[arg(long, value_name = "NAME_OR_PATH")]
    pub data: Option<String>,
    /// Which part of the dataset: train, valid or test. Where a seed divides it, that is the one of the run directory, else 0; --seed
    /// is of what is drawn
    #[arg(long, default_value = "test")]
    pub split: Split,
    /// Where the datasets are
    #[command(flatten)]
    pub place: DataDir,
    /// How the classes are called
    #[command(flatten)]
    pub classes: ClassOptions,
    /// What is done to the inputs
    #[command(flatten)]
    pub preprocessing: PreprocessingOptions,
}
