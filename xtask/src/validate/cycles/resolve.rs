//! What a path names.

use std::path::Path;

use super::modules::Crate;

/// Re-exports followed for one path; more would be a circle among them, which the compiler refuses.
const DEPTH: usize = 32;

/// What a path of the crate names.
#[derive(Clone, Copy)]
enum Named {
    /// A module, by its number.
    Module(usize),
    /// Something that this module defines.
    Item(usize),
}

/// The file that defines what `path` names in the module numbered `from`; `None` for what other crates define, and for
/// modules: what is taken from a module is named by a path of its own.
pub(super) fn target<'a>(sources: &'a Crate, from: usize, path: &[String]) -> Option<&'a Path> {
    match named(sources, from, path, DEPTH)? {
        Named::Item(module) => Some(&sources.modules[module].file),
        Named::Module(_) => None,
    }
}

fn named(sources: &Crate, from: usize, path: &[String], depth: usize) -> Option<Named> {
    let depth = depth.checked_sub(1)?;
    let (first, rest) = path.split_first()?;
    let start = match first.as_str() {
        "crate" => Named::Module(0),
        "self" => Named::Module(from),
        "super" => Named::Module(sources.modules[from].parent),
        name => in_module(sources, from, name, depth)?,
    };
    let step = |at: Named, name: &String| match at {
        // A variant or an associated item: where its type is defined.
        Named::Item(_) => Some(at),
        Named::Module(module) if name == "super" => {
            Some(Named::Module(sources.modules[module].parent))
        }
        Named::Module(module) if name == "self" => Some(Named::Module(module)),
        Named::Module(module) => in_module(sources, module, name, depth),
    };
    rest.iter().try_fold(start, step)
}

/// What `name` is in a module: its child, its own item, or what a `use` declaration brought.
fn in_module(sources: &Crate, number: usize, name: &str, depth: usize) -> Option<Named> {
    let module = &sources.modules[number];
    if let Some(child) = module.children.get(name) {
        return Some(Named::Module(*child));
    }
    if module.items.contains(name) {
        return Some(Named::Item(number));
    }
    if let Some(path) = module.bindings.get(name) {
        // `use serde;` names another crate by itself.
        return match path[..] == [name.to_owned()] {
            true => None,
            false => named(sources, number, path, depth),
        };
    }
    let mut globs = module.globs.iter();
    globs.find_map(|path| match named(sources, number, path, depth)? {
        Named::Module(other) if other != number => {
            in_module(sources, other, name, depth.checked_sub(1)?)
        }
        _ => None,
    })
}
