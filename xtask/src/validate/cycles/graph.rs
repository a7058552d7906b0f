//! Files, what they import, and circles among them.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

/// For each file the files that it imports from, each with one path that does.
#[derive(Debug, Default)]
pub(super) struct Imports(BTreeMap<PathBuf, BTreeMap<PathBuf, String>>);

/// One import of a circle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The file that imports.
    pub(super) from: PathBuf,
    /// The path by which it does.
    pub(super) path: String,
    /// The file that defines what is imported.
    pub(super) to: PathBuf,
}

impl Imports {
    /// Notes that `from` imports `path`, which `to` defines. A file's own names are no import.
    pub(super) fn add(&mut self, from: &Path, to: &Path, path: &str) {
        if from != to {
            let own = self.0.entry(from.to_owned()).or_default();
            own.entry(to.to_owned()).or_insert_with(|| path.to_owned());
        }
    }
}

/// Circles without a common import, a shortest first, such that no circle is left without their imports. The steps of each
/// lead from a file back to it.
pub(super) fn circles(mut imports: Imports) -> Vec<Vec<Step>> {
    let mut found = Vec::new();
    while let Some(circle) = shortest(&imports) {
        for step in &circle {
            if let Some(own) = imports.0.get_mut(&step.from) {
                own.remove(&step.to);
            }
        }
        found.push(circle);
    }
    found
}

fn shortest(imports: &Imports) -> Option<Vec<Step>> {
    let circles = imports.0.keys().filter_map(|start| back(imports, start));
    circles.min_by_key(Vec::len)
}

/// The shortest way from a file back to itself.
fn back(imports: &Imports, start: &PathBuf) -> Option<Vec<Step>> {
    let mut reached: BTreeMap<&PathBuf, Step> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(from) = queue.pop_front() {
        for (to, path) in imports.0.get(from).into_iter().flatten() {
            if reached.contains_key(to) {
                continue;
            }
            let step = Step {
                from: from.clone(),
                path: path.clone(),
                to: to.clone(),
            };
            reached.insert(to, step);
            if to == start {
                return Some(walked(&reached, start));
            }
            queue.push_back(to);
        }
    }
    None
}

/// The steps that lead to `start`, from there on.
fn walked(reached: &BTreeMap<&PathBuf, Step>, start: &PathBuf) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = start;
    while let Some(step) = reached.get(at) {
        steps.push(step.clone());
        at = &step.from;
        if at == start {
            break;
        }
    }
    steps.reverse();
    steps
}
