//! Names of tensors: which of them a network has, which a file has, and what wrappers put in front of them.

use super::state_dict::StateDict;
use crate::error::{Error, Result};
use std::collections::{BTreeSet, HashSet};

/// What `nn.DataParallel` and `torch.compile` call the module that they wrap.
const WRAPPERS: [&str; 2] = ["module", "_orig_mod"];
/// How many components at most are taken off.
const DEEP: usize = 8;

/// Refuses a state dict that lacks a tensor of the network or has one that it lacks, as `strict=True` does.
pub(super) fn check(wanted: &BTreeSet<String>, tensors: &StateDict) -> Result<()> {
    let there: HashSet<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    let missing: Vec<String> = wanted
        .iter()
        .filter(|name| !there.contains(name.as_str()))
        .cloned()
        .collect();
    let left_over = tensors.iter().filter(|(name, _)| !wanted.contains(name));
    let left_over: Vec<String> = left_over.map(|(name, _)| name.clone()).collect();
    match missing.is_empty() && left_over.is_empty() {
        true => Ok(()),
        false => Err(Error::TensorNames {
            missing,
            left_over,
            there: tensors.iter().map(|(name, _)| name.clone()).collect(),
        }),
    }
}

/// The state dict as it is, and without what may stand in front of its names: the words of wrappers wherever they are, and
/// components that all names begin with.
pub(super) fn readings(tensors: StateDict) -> Vec<StateDict> {
    let mut readings = vec![tensors];
    let unwrapped = renamed(&readings[0], |name| {
        let parts = name.split('.').filter(|part| !WRAPPERS.contains(part));
        parts.collect::<Vec<_>>().join(".")
    });
    readings.extend(unwrapped);
    for _ in 0..DEEP {
        let last = &readings[readings.len() - 1];
        let first = last.first().and_then(|(name, _)| name.split_once('.'));
        let Some(first) = first.map(|(first, _)| format!("{first}.")) else {
            break;
        };
        if !last.iter().all(|(name, _)| name.starts_with(&first)) {
            break;
        }
        let Some(shorter) = renamed(last, |name| name[first.len()..].to_string()) else {
            break;
        };
        readings.push(shorter);
    }
    readings
}

/// The state dict under other names, if they are others and still tell the tensors apart.
fn renamed(tensors: &StateDict, rename: impl Fn(&str) -> String) -> Option<StateDict> {
    let renamed: StateDict = tensors
        .iter()
        .map(|(name, tensor)| (rename(name), tensor.clone()))
        .collect();
    let names: HashSet<&str> = renamed.iter().map(|(name, _)| name.as_str()).collect();
    let same = renamed.iter().zip(tensors).all(|((a, _), (b, _))| a == b);
    (!same && names.len() == tensors.len() && !names.contains("")).then_some(renamed)
}
