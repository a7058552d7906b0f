//! A model and the inputs that a command asks it about.

use anyhow::{Context, bail, ensure};
use loclin_data::{
    Applied, Classes as OfModel, Data, Layout, LeftOut, Preprocessing, Rows, Scale, Split, Stored,
    source,
};
use loclin_models::{Model, ModelFile, Normalization};

use crate::program::classes::{self, Classes};
use crate::program::compute::Dtype;
use crate::program::errors::Usage;
use crate::program::model::ModelPath;
use crate::program::options::{Global, InputOptions};
use crate::program::process;
use crate::program::run_directory::Trained;

/// A model, and data that it takes.
pub struct Opened {
    /// The model; its normalisation is its own, or else the one asked for.
    pub model: ModelFile,
    /// Its raw inputs, before that normalisation.
    pub data: Data,
    /// The type that the model's parameters were converted to.
    pub dtype: Dtype,
    /// What was done to the inputs.
    pub applied: Applied,
    /// How the model's classes are called, where anybody says it.
    pub classes: Option<Classes>,
}

/// A model that several data are opened for.
pub struct Loaded<'a> {
    source: &'a ModelPath,
    model: ModelFile,
    /// The type of its inputs where they are whole numbers.
    integers: Option<&'static str>,
    run: Option<Trained>,
    given: Preprocessing,
    /// The names of the model's classes, where a file says them.
    names: Option<Vec<String>>,
    dtype: Dtype,
}

impl<'a> Loaded<'a> {
    /// Loads the model, and reads what is to be done to inputs and how the classes are called.
    ///
    /// # Errors
    /// A model, its run directory, a preprocessing or names that cannot be read, and names of another number of classes.
    pub fn new(
        source: &'a ModelPath,
        inputs: &InputOptions,
        global: &Global,
    ) -> anyhow::Result<Self> {
        let given = inputs.preprocessing.read()?;
        let run = Trained::of(&source.model)?;
        let dtype = dtype(global);
        let (model, integers) = source.read(dtype.candle(), &global.device.open()?)?;
        Ok(Self {
            source,
            names: inputs.classes.read(outputs(&model))?,
            model,
            integers,
            run,
            given,
            dtype,
        })
    }

    /// Opens rows of the data that the options name, or else of the data of the run directory; what is to be done to them was
    /// said before.
    ///
    /// # Errors
    /// As [`Opened::new`].
    pub fn open(&self, inputs: &InputOptions, rows: Rows) -> anyhow::Result<Opened> {
        let run = self.run.as_ref();
        // A run's own data are those however they are named.
        let is_own = |name: &&str| run.is_some_and(|run| run.dataset == *name);
        let named = inputs.data.as_deref().filter(|name| !is_own(name));
        let Some(name) = named.or(run.map(|run| &run.dataset[..])) else {
            return Err(Usage::new("--data is needed where --model is not a run directory: a dataset's name, a folder of images, or a file of inputs").into());
        };
        if let (
            Some(Trained {
                dataset,
                also: Some(also),
                ..
            }),
            None,
        ) = (run, &inputs.data)
        {
            let message = format!(
                "the run was trained on `{also}`, which may be {dataset} or the one in this folder; --data says which"
            );
            return Err(Usage::new(message).into());
        }
        let of_run = match (run, named) {
            (Some(run), None) => run.preprocessing()?,
            (Some(run), Some(_)) => Preprocessing {
                scale: run.preprocessing()?.scale,
                ..Preprocessing::default()
            },
            (None, _) => Preprocessing::default(),
        };
        let mut preprocessing = self.given.clone().or(of_run);
        if matches!(self.model, ModelFile::Recurrent(_)) {
            preprocessing = of_steps(preprocessing)?;
        }
        if self.integers.is_some() && preprocessing.scale.is_none() {
            // What a runtime can give to the model.
            preprocessing.scale = Some(Scale::ONE);
        }
        let fold = match (run, named) {
            (Some(run), None) => run.fold()?,
            _ => None,
        };
        let classes = classes::count(outputs(&self.model));
        let request = source::Request {
            split: inputs.split,
            fold,
            data_dir: Some(&inputs.place.data_dir),
            seed: run.map_or(0, |run| run.seed),
            rows,
            preprocessing: &preprocessing,
            input_shape: input_shape(&self.model),
            classes: Some(match &self.names {
                Some(names) => OfModel::Names(names),
                None => OfModel::Count(classes),
            }),
        };
        let data = read(name, &request)?;
        if let Some(integers) = self.integers {
            warn_of_fractions(self.source, integers, &data);
        }
        let is_test_of_run = named.is_none() && inputs.split == Split::Test;
        if is_test_of_run && !source::holds_out(name, request.data_dir)? {
            tracing::warn!(
                "{name} has no rows that are held out: these are all, those that the network was trained on among them; --data names \
                 others, and --split valid takes those that it was chosen by"
            );
        }
        if let Some(labels) = data.labels() {
            let first = match rows {
                Rows::One(row) => row,
                Rows::All | Rows::First(_) => 0,
            };
            classes::check_labels(data.name(), labels, first, outputs(&self.model))?;
        }
        let (model, applied) = normalized(self.model.clone(), self.source, &preprocessing, &data)?;
        if let (Data::Sequences(sequences), ModelFile::Network(model)) = (&data, &model) {
            bail!(
                "{}: sequences of different lengths; the model takes inputs of shape {:?} only",
                sequences.name(),
                model.network.input_shape()
            );
        }
        let of_data = data.class_names().filter(|names| names.len() == classes);
        let names = self.names.as_deref().or(of_data).map(Classes::new);
        Ok(Opened {
            model,
            data,
            dtype: self.dtype,
            applied,
            classes: names,
        })
    }
}

impl Opened {
    /// Opens the model and rows of the data that the options name, or else of the data of the run directory.
    ///
    /// What the options leave open is as the run directory says: all of it for the run's own data, the scale for other
    /// data. A run's network has its normalisation in it.
    ///
    /// # Errors
    /// A model or dataset that cannot be read, or that do not belong together; a normalisation where the model has its own.
    pub fn new(
        source: &ModelPath,
        inputs: &InputOptions,
        rows: Rows,
        global: &Global,
    ) -> anyhow::Result<Self> {
        Loaded::new(source, inputs, global)?.open(inputs, rows)
    }
}

/// Says that a model of whole numbers is given others.
fn warn_of_fractions(source: &ModelPath, integers: &str, data: &Data) {
    let applied = data.applied();
    if applied.scale != Scale::ONE || applied.what == Stored::Numbers {
        tracing::warn!(
            "{}: its inputs are whole numbers ({integers}); those given are {}, and a runtime takes of them what is whole alone",
            source.model.display(),
            applied.numbers()
        );
    }
}

/// What was done to inputs in front of a model with this normalisation of its own.
pub fn by_model(applied: Applied, own: Option<&Normalization>) -> Applied {
    match own {
        Some(Normalization { mean, std }) => applied.normalized(mean, std, true),
        None => applied,
    }
}

/// The shape of a model's inputs, where they have one.
fn input_shape(model: &ModelFile) -> Option<&[usize]> {
    match model {
        ModelFile::Network(model) => Some(model.network.input_shape()),
        ModelFile::Recurrent(_) => None,
    }
}

/// How many outputs a model has.
fn outputs(model: &ModelFile) -> usize {
    match model {
        ModelFile::Network(model) => model.network.output_size(),
        ModelFile::Recurrent(rnn) => rnn.config().outputs,
    }
}

/// The model behind its own normalisation or the one asked for, and what was done to the data.
fn normalized(
    model: ModelFile,
    source: &ModelPath,
    preprocessing: &Preprocessing,
    data: &Data,
) -> anyhow::Result<(ModelFile, Applied)> {
    let applied = data.applied();
    let Preprocessing { mean, std, .. } = preprocessing;
    let path = source.model.display();
    let model = match model {
        ModelFile::Network(model) => model,
        recurrent if mean.is_empty() => return Ok((recurrent, applied)),
        ModelFile::Recurrent(_) => {
            let message = format!("--mean, --std: {path} takes sequences as they are");
            return Err(Usage::new(message).into());
        }
    };
    if let Some(own) = &model.normalization {
        if !mean.is_empty() {
            let (means, stds) = (list(&own.mean), list(&own.std));
            let message = format!(
                "--mean, --std: {path} normalises its inputs itself, by mean {means} and std {stds}; leave them out"
            );
            return Err(Usage::new(message).into());
        }
        let applied = by_model(applied, Some(own));
        return Ok((ModelFile::Network(model), applied));
    }
    if mean.is_empty() {
        return Ok((ModelFile::Network(model), applied));
    }
    let layout = match data {
        Data::Table(table) => table.layout(),
        Data::Sequences(_) => None,
    };
    let shape = model.network.input_shape();
    let model = match channels_last(shape, mean.len(), layout)? {
        false => Model {
            normalization: Some(Normalization {
                mean: mean.clone(),
                std: std.clone(),
            }),
            ..model
        },
        true => Model {
            network: model.network.standardized_last(mean, std)?,
            ..model
        },
    };
    let fits = model.raw().map(|_| ());
    fits.context("--mean, --std: do not fit the model")?;
    Ok((
        ModelFile::Network(model),
        applied.normalized(mean, std, false),
    ))
}

/// Whether so many means belong to the last dimension of an input.
fn channels_last(shape: &[usize], means: usize, layout: Option<Layout>) -> anyhow::Result<bool> {
    let (first, last) = (shape.first() == Some(&means), shape.last() == Some(&means));
    // A number for each channel, and no other dimension.
    let is_vector = first && shape.iter().skip(1).all(|side| *side == 1);
    Ok(match layout {
        _ if means == 1 || is_vector => false,
        Some(layout) => layout == Layout::ChannelsLast,
        None => {
            ensure!(
                !(first && last),
                "--mean, --std: the model's inputs {shape:?} have {means} channels first or last; --layout says which"
            );
            last
        }
    })
}

fn list(numbers: &[f64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
    numbers.join(",")
}

/// The floating-point type asked for, or float64, in which rounding errors are bounded, whatever the model's file has.
pub fn dtype(global: &Global) -> Dtype {
    global.dtype.unwrap_or(Dtype::F64)
}

/// How a dataset that is not there is had, in words; nothing for one that is.
fn remedy(name: &str, request: &source::Request<'_>) -> String {
    let name = name.split(',').next().unwrap_or(name);
    let Some(folder) = request.data_dir.map(|all| all.join(name)) else {
        return String::new();
    };
    // The digits are in the program.
    if !source::NAMES.contains(&name) || name == "digits" || folder.is_dir() {
        return String::new();
    }
    let place = request.data_dir.unwrap_or(&folder).display();
    match name {
        "mnist" | "cifar10" => format!(
            "; `{} fetch {name} --data-dir {place}` downloads it",
            process::name()
        ),
        _ => format!(
            "; its files are expected in {}, --data-dir says otherwise",
            folder.display()
        ),
    }
}

/// What is done to arrays of sequences, which are `[steps, channels]` and nothing else.
///
/// # Errors
/// Channels before the steps.
pub fn of_steps(preprocessing: Preprocessing) -> Result<Preprocessing, Usage> {
    match preprocessing.layout {
        Some(Layout::ChannelsFirst) => Err(Usage::new(
            "layout channels-first: the model takes sequences, [steps, channels]; transpose the array to [rows, steps, channels]",
        )),
        _ => Ok(Preprocessing {
            layout: None,
            ..preprocessing
        }),
    }
}

/// A whole split as it is stored.
///
/// # Errors
/// A dataset that cannot be read.
pub fn data(
    name: &str,
    split: Split,
    data_dir: &std::path::Path,
    seed: u64,
) -> anyhow::Result<Data> {
    let request = source::Request {
        data_dir: Some(data_dir),
        seed,
        ..source::Request::of(split)
    };
    read(name, &request)
}

/// The dataset `name`, with a word on the images that its options leave out (`-v` names all of them), and on bytes that
/// nobody said the scale of, and on sub-folders that are not
/// known to be classes.
///
/// # Errors
/// A dataset that cannot be read, or that the model of the request does not take.
pub fn read(name: &str, request: &source::Request<'_>) -> anyhow::Result<Data> {
    let split = request.split;
    let data = source::open_with(name, request).with_context(|| {
        let remedy = remedy(name, request);
        format!("dataset `{name}`: cannot load its {split} split{remedy}")
    })?;
    if let [first, more @ ..] = data.left_out() {
        let (path, cause, count) = (first.path.display(), &first.cause, 1 + more.len());
        tracing::warn!(
            "dataset `{name}`: {count} images left out of its {split} split, the first of them {path}: {cause}"
        );
    }
    for LeftOut { path, cause } in data.left_out() {
        tracing::debug!("left out: {}: {cause}", path.display());
    }
    if let (Some(folders), Some(classes)) = (data.unnumbered_folders(), request.classes) {
        tracing::warn!(
            "dataset `{name}`: {folders} sub-folders, and the model has {} classes: which folder is which class is not known, so the \
             inputs have no labels; --classes FILE.txt names the model's classes, or let there be a sub-folder for every class",
            classes.count()
        );
    }
    let applied = data.applied();
    let unsaid = request.preprocessing.scale.is_none();
    if unsaid && applied.what == Stored::Bytes && applied.scale == Scale::ONE {
        tracing::warn!(
            "dataset `{name}`: bytes, taken as they are, 0 to 255; a scale of 1/255 brings them to [0, 1]"
        );
    }
    Ok(data)
}
