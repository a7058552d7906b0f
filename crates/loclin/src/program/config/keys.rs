//! The configuration of one training run: a flat TOML file that holds every key.
//!
//! A run copies its complete effective configuration into its directory, so there are no defaults
//! in the program: a key that is missing is an error, and so is a key that nobody knows.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::program::compute::Dtype;
use crate::program::errors::Usage;
use crate::program::files;
use crate::program::options::Global;

mod gamma;
mod keys;
mod schedule;

pub use keys::ConfigError;
pub use loclin_models::architectures::ResNetFamily;
pub use loclin_objectives::Gamma;
pub use schedule::{Average, Schedule};

use keys::{complete, expectation, set, split};

/// The value of `init` for weights drawn from the seed.
pub const SEEDED: &str = "seeded";

/// Everything that decides how a network is trained.
///
/// "Paper" is what the experiments of Table 1 use. Every range is checked by [`Config::load`],
/// whose message names the file or the option, the key, its value and the range.
///
/// ```
/// use loclin::program::config::Config;
/// let text = include_str!("../../../presets/mnist-roll-1.toml");
/// let config = Config::parse(text, &["epochs=3".into()])?;
/// assert_eq!((config.epochs, config.hidden.len()), (3, 4));
/// assert_eq!(Config::parse(&config.to_toml()?, &[])?, config);
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What to learn: `"digits"` (in the program), `"mnist"`, `"cifar10"`, `"caltech256"` or
    /// `"japanese-vowels"` (in the data directory), or the path of a directory in the layout of one, with
    /// the options of [`loclin_data::source::open`] behind it. Not empty. Paper: `"mnist"`.
    pub dataset: String,
    /// The kind of network. Paper: [`Architecture::Fc`]; for Table 3, [`Architecture::ScoRnn`]; for Table 4,
    /// [`Architecture::ResNet`].
    pub architecture: Architecture,
    /// Widths of the hidden layers, first to last: 1 to 64 of them, each 1 to 65536.
    /// One for [`Architecture::ScoRnn`]; one for [`Architecture::ResNet`], the channels of its first
    /// stage. Paper: `[300, 300, 300, 300]`; for Table 3, `[512]`; for Table 4, `[64]`.
    pub hidden: Vec<usize>,
    /// Entries of -1 on the diagonal `D` of [`Architecture::ScoRnn`], at most its width; unused by
    /// the others. The paper does not say.
    pub negative: usize,
    /// How [`Architecture::ResNet`] begins and projects; unused by the others. Paper:
    /// [`ResNetFamily::ImageNet`].
    pub family: ResNetFamily,
    /// Blocks in each stage of [`Architecture::ResNet`], 1 to 8 stages of 1 to 64; unused by the others.
    /// Paper: `[2, 2, 2, 2]`.
    pub blocks: Vec<usize>,
    /// Where the weights come from before training: `"seeded"`, or a PyTorch state dict (`.pth`, or
    /// `.safetensors` with its names) of a network of this architecture. An output layer for another number of
    /// classes is left at its seeded weights. Paper: ImageNet's weights (Table 4).
    pub init: String,
    /// Slope of the activation for negative pre-activations, in [0, 1); 0 is ReLU, and all that
    /// [`Architecture::ResNet`] has. Paper: 0.
    pub negative_slope: f64,
    /// The training objective. Paper: [`Loss::Roll`].
    pub loss: Loss,
    /// Weight of the regulariser, 0 or more; unused by [`Loss::Vanilla`]. Paper: 2.
    pub lambda: f64,
    /// Weight C of the hinge in the TSVM loss (Eq. 7), 0 or more; used by [`Loss::Relaxed`],
    /// [`Loss::Roll`], [`Loss::Sampled`] and [`Loss::Axes`]. Paper: 0.25 and 1.
    pub c: f64,
    /// Percentage of neurons that [`Loss::Roll`] regularises (Eq. 9). Paper: 100.
    #[serde(with = "gamma")]
    pub gamma: Gamma,
    /// Input axes that [`Loss::Axes`] draws per step (D' of Eq. 10), 1 or more. Paper: 3 (Table 2).
    pub axes: usize,
    /// The optimiser. Paper: [`Optimizer::Sgd`].
    pub optimizer: Optimizer,
    /// Step size, above 0. Paper: 0.01.
    pub learning_rate: f64,
    /// Momentum of [`Optimizer::Sgd`], in [0, 1). Paper: 0.5.
    pub momentum: f64,
    /// Whether that momentum is Nesterov's, which needs momentum above 0. Paper: true.
    pub nesterov: bool,
    /// L2 penalty that the optimiser adds to every gradient, 0 or more. Paper: 0.
    pub weight_decay: f64,
    /// How the learning rate falls. Paper: [`Schedule::Constant`]; for Table 4, [`Schedule::Step`].
    pub schedule: Schedule,
    /// Factor of [`Schedule::Step`], in (0, 1]. Paper: 0.1 (Table 4).
    pub decay: f64,
    /// Epochs after which [`Schedule::Step`] applies its factor, increasing, each at least 1; at least one for
    /// that schedule. Paper: `[10]` (Table 4).
    pub decay_epochs: Vec<usize>,
    /// Epochs, whole or not, in which lambda rises in proportion from 0 to its value; 0 or more. The losses of
    /// `metrics.jsonl` and the choice of the best epoch take its final value throughout. Paper: 0.
    pub lambda_warmup: f64,
    /// Epochs at the start in which the steps of [`Loss::Roll`] take the estimate of [`Loss::Sampled`] for its mean of
    /// squared gradients; validation is exact throughout. An estimate costs a fraction of the exact mean, above all
    /// for sequences. 0 for another loss and for `gamma` below 100. Paper: 0.
    pub estimated_epochs: usize,
    /// Which mean of the weights is validated and saved. Paper: [`Average::None`].
    pub average: Average,
    /// Epochs, whole or not, after which the averaging begins: 0 or more, and below `epochs` unless
    /// [`Average::None`].
    pub average_from: f64,
    /// Decay rate of [`Average::Ema`] for each step, in [0, 1).
    pub average_decay: f64,
    /// Black pixels around a training image that is cropped back to its size at a random place, 0 to 1000000;
    /// 0 for none, and for inputs that are no images. Paper: 0.
    pub crop_padding: usize,
    /// Whether every other training image is mirrored, at random; false for inputs that are no images. Paper: false.
    pub flip: bool,
    /// Inputs per step, 1 to 1000000. Paper: 64.
    pub batch_size: usize,
    /// Passes over the training set, 1 to 1000000. Paper: 20.
    pub epochs: usize,
    /// Epochs from one validation to the next, 1 to 1000000; the last epoch is always validated. A line of
    /// `metrics.jsonl` and a candidate for the best network is what was validated. Paper: 1.
    pub validate_every: usize,
    /// Seed of the initial weights, the split, the batches and the directions sampled, below 2^63.
    pub seed: u64,
    /// Floating-point type of all tensors.
    pub dtype: Dtype,
    /// A checkpoint is written once this many seconds have passed since the last (and at the end of
    /// every epoch): the most work that a kill may lose. 0 or more.
    pub checkpoint_seconds: f64,
}

/// Kinds of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Fully connected, for inputs of one shape.
    Fc,
    /// Recurrent with an orthogonal matrix, for sequences of any length (Helfrich et al., 2018).
    ScoRnn,
    /// Residual, for images (He et al., 2016); trained with batch statistics, saved with running ones.
    ResNet,
}

/// Training objectives, by the equation of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// The task loss alone.
    Vanilla,
    /// The largest distance to the region's boundary (Eq. 4).
    Distance,
    /// The largest TSVM loss of any neuron (Eq. 7).
    Relaxed,
    /// The mean TSVM loss of the `gamma` percent worst neurons (Eq. 9).
    Roll,
    /// ROLL at `gamma = 100` with derivatives along a random direction for each input.
    Sampled,
    /// ROLL at `gamma = 100` with derivatives along random axes (Eq. 10).
    Axes,
}

/// Optimisers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent, with momentum.
    Sgd,
    /// Adam.
    Adam,
    /// Adam that never forgets its largest second moment.
    AmsGrad,
}

impl Config {
    /// Reads the file at `path`, then sets the `overrides`, each `key=value`.
    ///
    /// A value is TOML; a bare word such as `roll` stands for the string.
    ///
    /// # Errors
    /// When the file cannot be read, or does not hold every known key and no other, or a value has
    /// the wrong type or is out of its range. An error in an override is a [`Usage`] error.
    pub fn load(path: &Path, overrides: &[String]) -> anyhow::Result<Self> {
        let text = files::read_text(path)?;
        Self::parse(&text, overrides)
            .with_context(|| format!("{}: not a usable configuration", path.display()))
    }

    /// Like [`Config::load`], for the text of a file.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, overrides: &[String]) -> anyhow::Result<Self> {
        let (mut table, mut config) = complete(text)?;
        for pair in overrides {
            config = split(pair)
                .and_then(|(key, value)| set(&mut table, key, value))
                .map_err(|error| Usage::caused_by(format!("--set {pair}"), error))?;
        }
        config.check().map_err(|error| {
            let key = match &error {
                ConfigError::Invalid { key, .. } => *key,
                _ => "",
            };
            let set = overrides
                .iter()
                .rfind(|pair| pair.split_once('=').is_some_and(|(k, _)| k.trim() == key));
            match set {
                Some(pair) => Usage::caused_by(format!("--set {pair}"), error).into(),
                None => anyhow::Error::from(error),
            }
        })?;
        Ok(config)
    }

    /// This configuration with some keys set to other values.
    ///
    /// # Errors
    /// A key that no configuration has, or a value that its key does not take.
    pub fn with<'a>(
        &self,
        pairs: impl Iterator<Item = (&'a String, &'a toml::Value)>,
    ) -> Result<Self, ConfigError> {
        let (mut table, mut config) = complete(&self.to_toml()?)?;
        for (key, value) in pairs {
            config = set(&mut table, key, value.clone())?;
        }
        config.check()?;
        Ok(config)
    }

    /// Gives `--seed` and `--dtype` the last word.
    pub fn apply(&mut self, global: &Global) {
        self.seed = global.seed.unwrap_or(self.seed);
        self.dtype = global.dtype.unwrap_or(self.dtype);
    }

    /// The complete configuration as a file that [`Config::load`] reads back to an equal value.
    ///
    /// # Errors
    /// When TOML cannot hold a value; no configuration that passed [`Config::load`] has one.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        let keys = toml::to_string(self)?;
        Ok(format!("# The complete configuration of this run.\n{keys}"))
    }

    /// Ranges, and the combinations that mean nothing.
    fn check(&self) -> Result<(), ConfigError> {
        let at_least_0 = |x: f64| x.is_finite() && x >= 0.0;
        let in_0_1 = |x: f64| (0.0..1.0).contains(&x);
        let count = |n: usize| (1..=1_000_000).contains(&n);
        let widths = (1..=64).contains(&self.hidden.len())
            && self.hidden.iter().all(|n| (1..=65_536).contains(n));
        let blocks = (1..=8).contains(&self.blocks.len())
            && self.blocks.iter().all(|n| (1..=64).contains(n));
        let text = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        let ranges = [
            ("dataset", text(&self.dataset)),
            ("hidden", widths),
            ("blocks", blocks),
            ("init", text(&self.init)),
            ("negative_slope", in_0_1(self.negative_slope)),
            ("lambda", at_least_0(self.lambda)),
            ("c", at_least_0(self.c)),
            ("gamma", gamma::is_valid(self.gamma)),
            ("axes", self.axes >= 1),
            (
                "learning_rate",
                self.learning_rate.is_finite() && self.learning_rate > 0.0,
            ),
            ("momentum", in_0_1(self.momentum)),
            ("weight_decay", at_least_0(self.weight_decay)),
            ("decay", self.decay > 0.0 && self.decay <= 1.0),
            ("decay_epochs", increasing(&self.decay_epochs)),
            ("lambda_warmup", at_least_0(self.lambda_warmup)),
            ("average_from", at_least_0(self.average_from)),
            ("average_decay", in_0_1(self.average_decay)),
            ("crop_padding", self.crop_padding <= 1_000_000),
            ("batch_size", count(self.batch_size)),
            ("epochs", count(self.epochs)),
            ("validate_every", count(self.validate_every)),
            ("seed", i64::try_from(self.seed).is_ok()),
            ("checkpoint_seconds", at_least_0(self.checkpoint_seconds)),
        ];
        if let Some((key, _)) = ranges.iter().find(|(_, valid)| !valid) {
            return Err(self.invalid(key, expectation(key).to_owned()));
        }
        self.check_architecture()?;
        let estimate = matches!(self.loss, Loss::Sampled | Loss::Axes);
        if estimate && self.gamma != Gamma::Percent(100.0) {
            let expected = r#"100, because loss = "sampled" and "axes" are estimates of the mean over all neurons (Eq. 10)"#;
            return Err(self.invalid("gamma", expected.to_owned()));
        }
        let mean = self.loss == Loss::Roll && self.gamma == Gamma::Percent(100.0);
        if self.estimated_epochs > 0 && !mean {
            let expected = r#"0 unless loss = "roll" and gamma = 100, whose mean can be estimated"#;
            return Err(self.invalid("estimated_epochs", expected.to_owned()));
        }
        if self.optimizer == Optimizer::Sgd && self.nesterov && self.momentum == 0.0 {
            return Err(self.invalid("nesterov", "false where momentum is 0".to_owned()));
        }
        if self.schedule == Schedule::Step && self.decay_epochs.is_empty() {
            let expected = r#"at least one epoch, because schedule = "step""#;
            return Err(self.invalid("decay_epochs", expected.to_owned()));
        }
        if self.average != Average::None && self.average_from >= self.epochs as f64 {
            let expected = format!("less than the {} epochs", self.epochs);
            return Err(self.invalid("average_from", expected));
        }
        Ok(())
    }

    /// What an architecture does not take.
    fn check_architecture(&self) -> Result<(), ConfigError> {
        let because = |architecture: &str, expected: &str| {
            format!(r#"{expected}, because architecture = "{architecture}""#)
        };
        match (self.architecture, &self.hidden[..]) {
            (Architecture::Fc, _) => {}
            (Architecture::ScoRnn, [width]) => {
                if self.negative > *width {
                    let expected = format!("at most {width}, the hidden width");
                    return Err(self.invalid("negative", expected));
                }
                if self.init != SEEDED {
                    return Err(self.invalid("init", because("scornn", r#""seeded""#)));
                }
            }
            (Architecture::ResNet, [_]) => {
                if self.negative_slope != 0.0 {
                    return Err(self.invalid("negative_slope", because("resnet", "0")));
                }
            }
            (Architecture::ScoRnn, _) => {
                return Err(self.invalid("hidden", because("scornn", "one width")));
            }
            (Architecture::ResNet, _) => {
                return Err(self.invalid("hidden", because("resnet", "one width")));
            }
        }
        Ok(())
    }

    fn invalid(&self, key: &'static str, expected: String) -> ConfigError {
        let table = toml::Table::try_from(self).unwrap_or_default();
        // Only a seed beyond TOML's integers makes the table fail, and then it is the culprit.
        let value = table
            .get(key)
            .map_or_else(|| self.seed.to_string(), ToString::to_string);
        ConfigError::Invalid {
            key,
            value,
            expected,
        }
    }
}

/// Whether the epochs of a schedule are increasing, from 1 on.
fn increasing(epochs: &[usize]) -> bool {
    let mut last = 0;
    epochs
        .iter()
        .all(|epoch| *epoch > std::mem::replace(&mut last, *epoch))
}
