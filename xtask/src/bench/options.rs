//! Options of `cargo xtask bench`.

use std::path::PathBuf;

use loclin::program::options::DataDir;

/// The dataset that the program brings along.
pub(super) const DIGITS: &str = "digits";

const EXAMPLE: &str = "\
Examples:
  cargo xtask bench step
  cargo xtask bench step --data mnist --peer python3 --peer-script roll_torch.py
  cargo xtask bench step --model resnet --data cifar10 --peer python3
  cargo xtask bench convolution --peer python3
  cargo xtask bench certify --model runs/mnist-vanilla-seed0 --data mnist
  cargo xtask bench scaling --json";

/// Options of `bench`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// What to measure [default: everything]
    #[arg(value_enum)]
    pub work: Option<Work>,
    /// The labelled dataset to train on and to certify: a name or a directory
    #[arg(long, value_name = "NAME_OR_PATH", default_value = DIGITS)]
    pub data: String,
    /// The network to certify, a run directory or a file [default: one trained here, without a regulariser]; for `step`,
    /// `resnet`: the residual network of the preset cifar10-vanilla, on random images or those of another dataset than digits
    #[arg(long, value_name = "PATH")]
    pub model: Option<PathBuf>,
    /// Certify the first N test inputs only
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Measurements of each kind; their median counts
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub runs: usize,
    /// Measure PyTorch too, with this Python
    #[arg(long, value_name = "PYTHON")]
    pub peer: Option<PathBuf>,
    /// The program that measures PyTorch [default: ../shared/peer/roll_torch.py beside the workspace; for `resnet`
    /// xtask/peer/residual_steps.py, for `convolution` xtask/peer/convolutions.py]
    #[arg(long, value_name = "FILE.py", requires = "peer")]
    pub peer_script: Option<PathBuf>,
    /// Where the datasets are
    #[command(flatten)]
    pub place: DataDir,
}

impl Args {
    /// Whether steps of a residual network are measured.
    pub(super) fn residual(&self) -> bool {
        let resnet = self
            .model
            .as_ref()
            .is_some_and(|model| model.as_os_str() == "resnet");
        resnet && self.work == Some(Work::Step)
    }
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Work {
    /// One step of training: vanilla, exact ROLL, approximate ROLL
    Step,
    /// The margins of a trained network
    Certify,
    /// A step's growth with inputs, width, depth and batch
    Scaling,
    /// Single convolutions: forward, transposed, gradient of the weight
    Convolution,
}
