//! Where in a checkpoint the state dict is.

use super::{
    object::{Id, Object, Objects, TensorView},
    refusals,
    state_dict::{malformed, says},
};
use crate::error::{Error, Result};
use std::collections::HashSet;

/// Keys under which checkpoints keep their state dict, without what [`word`] drops.
const USUAL: [&str; 15] = [
    "backbone",
    "ema",
    "model",
    "modelema",
    "modelstate",
    "modelweights",
    "module",
    "net",
    "network",
    "parameters",
    "params",
    "paramsema",
    "state",
    "stateema",
    "weights",
];
/// How deep a state dict may lie.
const DEEP: usize = 8;

/// A dictionary in the file, and the keys that lead to it.
struct Place<'o> {
    path: Vec<&'o str>,
    entries: &'o [(Id, Id)],
}

/// The names and tensors of the state dict in an object.
///
/// That is the dictionary of tensors under a usual key, wherever it is, if no other could be a network; else the object itself; else
/// the only one that there is. Lists of one are opened.
pub(super) fn entries<'o, 'a>(
    objects: &'o Objects<'a>,
    root: Id,
) -> Result<Vec<(&'o str, &'o TensorView<'a>)>> {
    let mut found = Vec::new();
    let mut foreign = None;
    walk(
        objects,
        root,
        &mut Vec::new(),
        &mut HashSet::new(),
        &mut found,
        &mut foreign,
    );
    let (usual, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|place| place.path.iter().any(|key| is_usual(key)));
    let networks = || others.iter().filter(|place| is_network(objects, place));
    let chosen = match (&usual[..], &others[..]) {
        ([one], _) if networks().next().is_none() => one,
        ([_], _) => return Err(refuse(usual.iter().chain(networks()))),
        ([], [root, ..]) if root.path.is_empty() => root,
        ([], [one]) => one,
        ([], []) => {
            return Err(foreign.map_or_else(
                || malformed("no dictionary of tensors in the file".into()),
                |(path, module, name)| refusals::object(&path, module, name),
            ));
        }
        ([], several) | (several, _) => return Err(refuse(several.iter())),
    };
    chosen
        .entries
        .iter()
        .map(|(key, value)| match (&objects[*key], &objects[*value]) {
            (Object::Text(name), Object::Tensor(view)) => Ok((*name, view)),
            (Object::Text(name), _) => Err(says(*name, "is no tensor")),
            _ => Err(malformed("a state dict with a key that is no text".into())),
        })
        .collect()
}

/// The object of another class that was met first, and where.
type Foreign<'o> = Option<(Vec<&'o str>, &'o str, &'o str)>;

fn walk<'o>(
    objects: &'o Objects<'_>,
    at: Id,
    path: &mut Vec<&'o str>,
    // A pickle can make an object that contains itself, and many that contain one another.
    seen: &mut HashSet<Id>,
    found: &mut Vec<Place<'o>>,
    foreign: &mut Foreign<'o>,
) {
    if path.len() > DEEP || !seen.insert(at) {
        return;
    }
    match &objects[at] {
        Object::List(items) => {
            if let [only] = items[..] {
                path.push(refusals::FIRST);
                walk(objects, only, path, seen, found, foreign);
                path.pop();
            }
        }
        Object::Foreign(module, name)
            if foreign.is_none() && (path.is_empty() || path.iter().any(|key| is_usual(key))) =>
        {
            *foreign = Some((path.clone(), module, name));
        }
        Object::Dict(entries) => {
            let tensor = |(_, value): &(Id, Id)| matches!(objects[*value], Object::Tensor(_));
            if entries.iter().any(tensor) {
                let path = path.clone();
                found.push(Place { path, entries });
            }
            for (key, value) in entries {
                if let Object::Text(key) = objects[*key]
                    && !is_training(key)
                {
                    path.push(key);
                    walk(objects, *value, path, seen, found, foreign);
                    path.pop();
                }
            }
        }
        _ => {}
    }
}

/// A key without case, underscores and the words that say that it is a state dict.
fn word(key: &str) -> String {
    let key = key.to_ascii_lowercase();
    let parts = key.split(['_', '-', '.']);
    parts
        .filter(|part| !matches!(*part, "dict" | "statedict"))
        .collect()
}

fn is_usual(key: &str) -> bool {
    let word = word(key);
    let word = word
        .strip_suffix("state")
        .filter(|rest| !rest.is_empty())
        .unwrap_or(&word);
    word.is_empty() || USUAL.contains(&word)
}

/// Whether a key is that of an optimiser's or schedule's own tensors.
fn is_training(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.contains("optim") || key.contains("sched")
}

/// Whether a dictionary could be that of a network: tensors alone, and weights of two or more dimensions among them. Statistics,
/// states of random numbers and a checkpoint that holds a tensor beside other things are none.
fn is_network(objects: &Objects<'_>, place: &Place<'_>) -> bool {
    let mut values = place.entries.iter().map(|(_, value)| &objects[*value]);
    let is_tensor = |value: &Object<'_>| matches!(value, Object::Tensor(_));
    let is_weight =
        |value: &Object<'_>| matches!(value, Object::Tensor(view) if view.shape.len() > 1);
    values.clone().all(is_tensor) && values.any(is_weight)
}

fn refuse<'o>(several: impl Iterator<Item = &'o Place<'o>>) -> Error {
    let mut paths: Vec<String> = several.map(|place| refusals::keys(&place.path)).collect();
    let first = paths[0].clone();
    let more = paths.len().saturating_sub(8);
    paths.truncate(8);
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Error::Unreadable(format!(
        "several dictionaries of tensors: {}{more}; save the one that is meant: torch.save(torch.load(\"model.pth\"){first}, \
         \"state_dict.pth\")",
        paths.join(", ")
    ))
}
