//! The table of keys: everything that decides how a network is trained, each key said once.
//!
//! A row gives the type, the default, what the key means, which values it takes (in words, and as a test), and the
//! paper's value. From it come the field of [`Config`] with its documentation, the checks and their messages, `--set`,
//! and the comments of written files. The defaults are the first row of the paper's Table 1: MNIST without a
//! regulariser; of what the paper does not have, what changes nothing.

use loclin_data::{Fold, Preprocessing, Resize, Scale};
use loclin_models::architectures::ResNetFamily;
use loclin_objectives::Gamma;

use super::choices::{Architecture, Average, DataLayout, Optimizer, Schedule};
use super::table::Takes::{OneOf, Words};
use super::table::{Key, keys};
use super::{gamma, inputs};
use crate::program::compute::Dtype;
use crate::program::objective::Loss;

/// The value of `init` for weights drawn from the seed.
pub const SEEDED: &str = "seeded";

keys! {
    /// Everything that decides how a network is trained.
    ///
    /// "Paper" is what the experiments of Table 1 use, unless another table is named. Every range is checked by
    /// [`Config::load`], whose message names the file or the option, the key, its value and the range.
    ///
    /// ```
    /// use loclin::program::config::Config;
    /// let config = Config::preset("mnist-roll-1", &["epochs=3".into()])?;
    /// assert_eq!((config.epochs, config.hidden.len()), (3, 4));
    /// assert_eq!(Config::parse(&config.to_toml()?, &[])?, config);
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    Config, KEYS;

    dataset: String = "mnist".to_owned(), {
        means: "What to learn: \"digits\" (in the program), another dataset in the data directory, or the path of a directory or file in the layout of one, or of a table of your own such as \"inputs.npy,labels=labels.npy\"; options such as \",missing=skip\" may stand behind it.",
        takes: Words("a dataset such as \"digits\" or \"mnist\", or the path of a directory or file"),
        valid: |config| is_text(&config.dataset),
        paper: "\"mnist\"",
    }
    #[serde(deserialize_with = "inputs::text")]
    scale: String = inputs::BY_DATA.to_owned(), {
        means: "What stored numbers are multiplied by; \"by-data\" is 1/255 for images, and 1 for arrays.",
        takes: Words("\"by-data\", or a number or quotient such as \"1/255\""),
        valid: |config| config.scale == inputs::BY_DATA || config.scale.parse::<Scale>().is_ok(),
    }
    layout: DataLayout = DataLayout::AsStored, {
        means: "Where the channels of arrays are.",
        takes: OneOf(DataLayout::WORDS),
        valid: |_| true,
    }
    mean: Vec<f64> = Vec::new(), {
        means: "What scaled inputs are normalised with: means, one or one for each channel; none for those that the dataset has, if it has any. The normalisation becomes part of the network.",
        takes: Words("a list of as many numbers as std has"),
        valid: |config| config.mean.len() == config.std.len() && config.mean.iter().all(|m| m.is_finite()),
        paper: "[0.1307] (Table 1)",
    }
    std: Vec<f64> = Vec::new(), {
        means: "The same: standard deviations.",
        takes: Words("a list of as many numbers above 0 as mean has"),
        valid: |config| config.mean.len() == config.std.len() && config.std.iter().all(|s| s.is_normal() && *s > 0.0),
        paper: "[0.3081] (Table 1)",
    }
    #[serde(deserialize_with = "inputs::text")]
    resize: String = inputs::NO_SIZE.to_owned(), {
        means: "The size that images are resized to, whatever their proportions.",
        takes: Words("\"none\", or a size \"N\" or \"HxW\", each from 1 to 4096"),
        valid: |config| config.resize == inputs::NO_SIZE || matches!(config.resize.parse(), Ok(Resize::To(_))),
        paper: "\"299\" (Table 4)",
    }
    exif_orientation: bool = false, {
        means: "Whether images are turned as their EXIF orientation says.",
        takes: Words("true or false"),
        valid: |_| true,
    }
    architecture: Architecture = Architecture::Fc, {
        means: "The kind of network.",
        takes: OneOf(Architecture::WORDS),
        valid: |_| true,
        paper: "\"fc\"; \"scornn\" for Table 3, \"resnet\" for Table 4",
    }
    hidden: Vec<usize> = vec![300; 4], {
        means: "Widths of the hidden layers, first to last. One for \"scornn\"; one for \"resnet\", the channels of its first stage.",
        takes: Words("a list of 1 to 64 widths, each 1 to 65536"),
        valid: |config| numbers(&config.hidden, 64, 65_536),
        paper: "[300, 300, 300, 300]; [512] for Table 3, [64] for Table 4",
    }
    negative: usize = 0, {
        means: "How many entries of the diagonal D of \"scornn\" are -1, at most its width; unused by the others.",
        takes: Words("an integer of at least 0"),
        valid: |_| true,
    }
    family: ResNetFamily = ResNetFamily::Cifar, {
        means: "How \"resnet\" begins and projects; unused by the others.",
        takes: OneOf(&[
            ("cifar", "A 3 x 3 convolution first."),
            ("imagenet", "A 7 x 7 convolution and average pooling first."),
        ]),
        valid: |_| true,
        paper: "\"imagenet\" (Table 4)",
    }
    blocks: Vec<usize> = vec![1; 3], {
        means: "Blocks in each stage of \"resnet\"; unused by the others.",
        takes: Words("a list of 1 to 8 numbers, each 1 to 64"),
        valid: |config| numbers(&config.blocks, 8, 64),
        paper: "[2, 2, 2, 2] (Table 4)",
    }
    init: String = SEEDED.to_owned(), {
        means: "Where the weights come from before training: \"seeded\", or a PyTorch state dict (.pth, or .safetensors with its names) of a network of this architecture. An output layer for another number of classes is left at its seeded weights.",
        takes: Words("\"seeded\" or the path of a .pth or .safetensors file"),
        valid: |config| is_text(&config.init),
        paper: "weights of ImageNet (Table 4)",
    }
    negative_slope: f64 = 0.0, {
        was: "leak",
        means: "Slope of the activation for negative pre-activations; 0 is ReLU, and all that \"resnet\" has.",
        takes: Words("a number in [0, 1)"),
        valid: |config| in_0_1(config.negative_slope),
        paper: "0",
    }
    loss: Loss = Loss::Vanilla, {
        means: "The training objective.",
        takes: OneOf(Loss::WORDS),
        valid: |_| true,
        paper: "\"roll\"",
    }
    lambda: f64 = 2.0, {
        means: "Weight of the regulariser; unused by \"vanilla\".",
        takes: Words("a number of at least 0"),
        valid: |config| at_least_0(config.lambda),
        paper: "2",
    }
    c: f64 = 0.25, {
        means: "Weight C of the hinge in the neurons' TSVM loss (Eq. 7); used by \"relaxed\", \"roll\", \"sampled\", \"axes\" and the jump-weighted losses.",
        takes: Words("a number of at least 0"),
        valid: |config| at_least_0(config.c),
        paper: "0.25 and 1",
    }
    #[serde(with = "gamma")]
    gamma: Gamma = Gamma::Percent(100.0), {
        means: "Percentage of neurons, those with the largest loss, that \"roll\" takes (Eq. 9), and of those with the nearest boundaries that MMR takes; \"max\" is the one with the largest.",
        takes: Words(gamma::TAKES),
        valid: |config| gamma::is_valid(config.gamma),
        paper: "100",
    }
    axes: usize = 3, {
        means: "Input axes that \"axes\" draws per step (D' of Eq. 10), at most as many as an input has values.",
        takes: Words("an integer of at least 1"),
        valid: |config| config.axes >= 1,
        paper: "3 (Table 2)",
    }
    radius: f64 = 0.1, {
        means: "How far \"cure\" (in l2), \"grad-align\", \"grad-cert\" and \"elle\" (in l_inf) look beyond an input, in the units of normalised inputs.",
        takes: Words("a number above 0"),
        valid: |config| config.radius > 0.0 && config.radius.is_finite(),
    }
    boundary_margin: f64 = 0.1, {
        means: "The distance from which on the boundary of a region costs nothing in MMR (gamma_B), in the units of normalised inputs.",
        takes: Words("a number above 0"),
        valid: |config| config.boundary_margin > 0.0 && config.boundary_margin.is_finite(),
    }
    decision_margin: f64 = 0.1, {
        means: "The same of a decision boundary (gamma_D).",
        takes: Words("a number above 0"),
        valid: |config| config.decision_margin > 0.0 && config.decision_margin.is_finite(),
    }
    optimizer: Optimizer = Optimizer::Sgd, {
        means: "The optimiser.",
        takes: OneOf(Optimizer::WORDS),
        valid: |_| true,
        paper: "\"sgd\"",
    }
    learning_rate: f64 = 0.01, {
        means: "Step size, at the beginning of the schedule.",
        takes: Words("a number above 0"),
        valid: |config| config.learning_rate > 0.0 && config.learning_rate.is_finite(),
        paper: "0.01",
    }
    momentum: f64 = 0.5, {
        means: "Momentum of \"sgd\".",
        takes: Words("a number in [0, 1)"),
        valid: |config| in_0_1(config.momentum),
        paper: "0.5",
    }
    nesterov: bool = true, {
        means: "Whether that momentum is Nesterov's, which needs momentum above 0.",
        takes: Words("true or false"),
        valid: |_| true,
        paper: "true",
    }
    weight_decay: f64 = 0.0, {
        means: "L2 penalty that the optimiser adds to every gradient.",
        takes: Words("a number of at least 0"),
        valid: |config| at_least_0(config.weight_decay),
        paper: "0",
    }
    schedule: Schedule = Schedule::Constant, {
        means: "How the learning rate falls.",
        takes: OneOf(Schedule::WORDS),
        valid: |_| true,
        paper: "\"constant\"; \"step\" for Table 4",
    }
    decay: f64 = 0.1, {
        means: "Factor of the schedule \"step\".",
        takes: Words("a number in (0, 1]"),
        valid: |config| config.decay > 0.0 && config.decay <= 1.0,
        paper: "0.1 (Table 4)",
    }
    decay_epochs: Vec<usize> = vec![10], {
        means: "Epochs after which the schedule \"step\" applies its factor; at least one for that schedule.",
        takes: Words("a list of increasing epochs, each at least 1"),
        valid: |config| increasing(&config.decay_epochs),
        paper: "[10] (Table 4)",
    }
    lambda_warmup: f64 = 0.0, {
        means: "Epochs, whole or not, in which lambda rises in proportion from 0 to its value. The losses of metrics.jsonl and the choice of the best epoch take its final value throughout.",
        takes: Words("a number of at least 0"),
        valid: |config| at_least_0(config.lambda_warmup),
        paper: "0",
    }
    estimated_epochs: usize = 0, {
        means: "Epochs at the start in which the steps of \"roll\" take the estimate of \"sampled\" for its mean of squared gradients, and those of \"jump-weighted\" that of \"jump-weighted-sampled\"; validation is exact throughout. An estimate costs a fraction of the exact mean, above all for sequences. 0 for another loss and for gamma below 100.",
        takes: Words("an integer of at least 0"),
        valid: |_| true,
        paper: "0",
    }
    average: Average = Average::None, {
        means: "Which mean of the weights is validated and saved.",
        takes: OneOf(Average::WORDS),
        valid: |_| true,
        paper: "\"none\"",
    }
    average_from: f64 = 0.0, {
        means: "Epochs, whole or not, after which the averaging begins; below the number of epochs unless average is \"none\".",
        takes: Words("a number of at least 0"),
        valid: |config| at_least_0(config.average_from),
    }
    average_decay: f64 = 0.999, {
        means: "Decay rate of the average \"ema\" for each step.",
        takes: Words("a number in [0, 1)"),
        valid: |config| in_0_1(config.average_decay),
    }
    crop_padding: usize = 0, {
        means: "Black pixels around a training image, which is then cropped back to its size at a random place; 0 for none, and for inputs that are no images.",
        takes: Words("an integer from 0 to 1000000"),
        valid: |config| config.crop_padding <= MOST,
        paper: "0",
    }
    flip: bool = false, {
        means: "Whether every other training image, at random, is mirrored; false for inputs that are no images.",
        takes: Words("true or false"),
        valid: |_| true,
        paper: "false",
    }
    batch_size: usize = 64, {
        means: "Inputs per step.",
        takes: Words("an integer from 1 to 1000000"),
        valid: |config| (1..=MOST).contains(&config.batch_size),
        paper: "64",
    }
    epochs: usize = 20, {
        means: "Passes over the training set.",
        takes: Words("an integer from 1 to 1000000"),
        valid: |config| (1..=MOST).contains(&config.epochs),
        paper: "20",
    }
    validate_every: usize = 1, {
        means: "Epochs from one validation to the next; the last epoch is always validated. What was validated is a line of metrics.jsonl and a candidate for the best network; its margins are those of whole balls (Eq. 3), not cut with a domain.",
        takes: Words("an integer from 1 to 1000000"),
        valid: |config| (1..=MOST).contains(&config.validate_every),
        paper: "1",
    }
    folds: usize = 0, {
        means: "Parts that the training data, validation inputs included, are divided into by class and seed: one validates, the others train. 0 for the division that the dataset has; 1 trains on all of them and validates on the same, so that with validate_every = epochs the last network is the one that is saved.",
        takes: Words("an integer from 0 to 1000"),
        valid: |config| config.folds <= 1000,
        paper: "0",
    }
    fold: usize = 0, {
        means: "Which of them validates, counted from 0; 0 where folds is 0.",
        takes: Words("an integer below folds"),
        valid: |config| config.fold < config.folds.max(1),
    }
    seed: u64 = 0, {
        means: "Seed of the initial weights, the split, the batches and the directions sampled. The same seed gives the same bits on one machine.",
        takes: Words("an integer from 0 to 2^63 - 1"),
        valid: |config| i64::try_from(config.seed).is_ok(),
    }
    dtype: Dtype = Dtype::F32, {
        means: "Floating-point type of all tensors.",
        takes: OneOf(&[
            ("f32", "32 bits: fast, about 7 significant digits."),
            ("f64", "64 bits: about 16 significant digits."),
        ]),
        valid: |_| true,
    }
    checkpoint_seconds: f64 = 60.0, {
        means: "A checkpoint is written once this many seconds have passed since the last, and at the end of every epoch: the most work that a kill may lose.",
        takes: Words("a number of at least 0"),
        valid: |config| at_least_0(config.checkpoint_seconds),
    }
}

impl Config {
    /// The part of a cross-validation that is trained, if it is one.
    ///
    /// # Errors
    /// A part that there is not, of which a checked configuration has none.
    pub fn fold(&self) -> Result<Option<Fold>, loclin_data::Error> {
        inputs::fold(self.fold, self.folds)
    }

    /// What is done to the data.
    ///
    /// # Errors
    /// Numbers that are no preprocessing, of which a checked configuration has none.
    pub fn preprocessing(&self) -> Result<Preprocessing, loclin_data::Error> {
        let keys = inputs::Keys {
            scale: &self.scale,
            layout: self.layout,
            resize: &self.resize,
            exif_orientation: self.exif_orientation,
        };
        let (mean, std) = (self.mean.clone(), self.std.clone());
        let rest = keys.preprocessing()?;
        Ok(Preprocessing { mean, std, ..rest })
    }
}

/// The largest count that is no slip of the pen.
const MOST: usize = 1_000_000;

fn at_least_0(x: f64) -> bool {
    x.is_finite() && x >= 0.0
}

fn in_0_1(x: f64) -> bool {
    (0.0..1.0).contains(&x)
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

/// Whether there are 1 to `most` numbers, each 1 to `largest`.
fn numbers(list: &[usize], most: usize, largest: usize) -> bool {
    (1..=most).contains(&list.len()) && list.iter().all(|n| (1..=largest).contains(n))
}

/// Whether the epochs of a schedule are increasing, from 1 on.
fn increasing(epochs: &[usize]) -> bool {
    let mut last = 0;
    epochs
        .iter()
        .all(|epoch| *epoch > std::mem::replace(&mut last, *epoch))
}
