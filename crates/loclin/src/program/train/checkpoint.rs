//! What a run needs to go on exactly where it stopped.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, anyhow};
use candle_core::{Device, Tensor};
use loclin_data::Applied;
use loclin_tensor::{Optimizer, Parameters};
use serde::{Deserialize, Serialize};

use super::outcome::Epoch;
use crate::program::files;
use crate::program::outcome::infinite;

const KEY: &str = "roll-run";
const MODEL: &str = "model.";
const AVERAGE: &str = "average.";
const OPTIMIZER: &str = "optimizer.";

/// Where a run stands. Every random number is a function of the seed, the epoch and the step, so this is the
/// position of all generators too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    /// Epochs completed.
    pub(super) epoch: usize,
    /// Steps taken in the current epoch.
    pub(super) step: usize,
    /// Sums over the inputs since the last validation: task loss, regulariser.
    pub(super) sums: [f64; 2],
    /// Inputs in those sums.
    pub(super) inputs: usize,
    /// Seconds since the last validation.
    pub(super) seconds: f64,
    /// The gradient's norm in the last step of the last epoch; earlier versions did not keep it.
    #[serde(default, deserialize_with = "infinite")]
    pub(super) gradient_norm: f64,
    /// The validated epochs.
    pub(super) history: Vec<Epoch>,
    /// What was done to the inputs; earlier versions did not say.
    #[serde(default)]
    pub(super) preprocessing: Option<Applied>,
    /// The digest of the data that it is trained on ([`Datasets::digest`](super::Datasets)); earlier versions did not keep it.
    #[serde(default)]
    pub(super) data: Option<String>,
    /// The SHA-256 of the file that its first weights came from, if they did; earlier versions did not keep it.
    #[serde(default)]
    pub(super) init: Option<String>,
    /// The SHA-256 of the best network's file; earlier versions did not keep it.
    #[serde(default)]
    pub(super) model: Option<String>,
    /// The threads that trained it last; earlier versions did not say.
    #[serde(default)]
    pub(super) threads: Option<usize>,
}

/// What training changes: the weights, their mean (where there is one), and the optimiser.
pub(super) struct State<'a> {
    pub(super) parameters: &'a Parameters,
    pub(super) average: Option<&'a Parameters>,
    pub(super) optimizer: &'a mut dyn Optimizer,
}

/// The bytes of `last.safetensors`: state and progress.
pub(super) fn to_bytes(progress: &Progress, state: &State<'_>) -> anyhow::Result<Vec<u8>> {
    let prefixed = |prefix: &'static str, tensors: BTreeMap<String, Tensor>| {
        tensors
            .into_iter()
            .map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
    };
    let average = state
        .average
        .map_or(Ok(BTreeMap::new()), Parameters::tensors)?;
    let tensors: BTreeMap<String, Tensor> = prefixed(MODEL, state.parameters.tensors()?)
        .chain(prefixed(AVERAGE, average))
        .chain(prefixed(OPTIMIZER, state.optimizer.state()?))
        .collect();
    let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(progress)?)]);
    Ok(safetensors::serialize(tensors, Some(metadata))?)
}

/// The progress that a checkpoint's bytes record.
fn recorded(bytes: &[u8]) -> anyhow::Result<Progress> {
    let (_, metadata) = safetensors::SafeTensors::read_metadata(bytes)?;
    let json = metadata
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get(KEY))
        .ok_or_else(|| anyhow!("its metadata has no key `{KEY}`"))?;
    Ok(serde_json::from_str(json)?)
}

fn unusable(path: &Path) -> String {
    format!("{}: not a checkpoint of this run", path.display())
}

/// How far the run of `last.safetensors` is.
pub(super) fn progress(path: &Path) -> anyhow::Result<Progress> {
    recorded(&files::read(path)?).with_context(|| unusable(path))
}

/// Restores the state from `last.safetensors` and returns the progress.
pub(super) fn restore(
    path: &Path,
    state: &mut State<'_>,
    device: &Device,
) -> anyhow::Result<Progress> {
    let bytes = files::read(path)?;
    let mut restored = || -> anyhow::Result<Progress> {
        let progress = recorded(&bytes)?;
        let mut tensors = candle_core::safetensors::load_buffer(&bytes, device)?;
        let mut with_prefix = |prefix: &str| -> BTreeMap<String, Tensor> {
            let names: Vec<String> = tensors
                .keys()
                .filter(|n| n.starts_with(prefix))
                .cloned()
                .collect();
            let take =
                |name: String| Some((name[prefix.len()..].to_owned(), tensors.remove(&name)?));
            names.into_iter().filter_map(take).collect()
        };
        state.parameters.load(&with_prefix(MODEL))?;
        if let Some(average) = state.average {
            average.load(&with_prefix(AVERAGE))?;
        }
        state.optimizer.load_state(&with_prefix(OPTIMIZER))?;
        Ok(progress)
    };
    restored().with_context(|| unusable(path))
}
