//! The paths that stand in a module.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, ItemMod, ItemUse, Macro, Path, UseTree};

/// A path, its segments in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference {
    pub(super) path: Vec<String>,
}

/// Names in scope with their paths.
type Bindings = BTreeMap<String, Vec<String>>;

/// Every path in the items, but for those in modules below, which are theirs.
pub(super) fn found_in(items: &[&Item]) -> Vec<Reference> {
    let mut found = Found::default();
    items.iter().for_each(|item| found.visit_item(item));
    found.0.sort();
    found.0.dedup();
    found.0
}

/// The names that the items' `use` declarations bring into scope, and the paths that end in a star.
pub(super) fn bindings(items: &[&Item]) -> (Bindings, Vec<Vec<String>>) {
    let (mut bindings, mut globs) = (Bindings::new(), Vec::new());
    for item in items {
        if let Item::Use(item) = item {
            for leaf in leaves(&item.tree) {
                match leaf.name {
                    Some(name) => {
                        bindings.insert(name, leaf.path);
                    }
                    None => globs.push(leaf.path),
                }
            }
        }
    }
    (bindings, globs)
}

/// One import of a `use` declaration; no name for a star.
struct Leaf {
    name: Option<String>,
    path: Vec<String>,
}

fn leaves(tree: &UseTree) -> Vec<Leaf> {
    fn walk(tree: &UseTree, before: &[String], leaves: &mut Vec<Leaf>) {
        let with = |name: &dyn ToString| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => walk(&path.tree, &with(&path.ident), leaves),
            UseTree::Group(group) => {
                let trees = group.items.iter();
                trees.for_each(|tree| walk(tree, before, leaves));
            }
            UseTree::Glob(_) => leaves.push(Leaf {
                name: None,
                path: before.to_vec(),
            }),
            // `use a::b::{self}` brings `b` into scope.
            UseTree::Name(name) if name.ident == "self" => leaves.push(Leaf {
                name: before.last().cloned(),
                path: before.to_vec(),
            }),
            UseTree::Name(name) => leaves.push(Leaf {
                name: Some(name.ident.to_string()),
                path: with(&name.ident),
            }),
            UseTree::Rename(rename) => leaves.push(Leaf {
                name: Some(rename.rename.to_string()),
                path: match rename.ident == "self" {
                    true => before.to_vec(),
                    false => with(&rename.ident),
                },
            }),
        }
    }
    let mut found = Vec::new();
    walk(tree, &[], &mut found);
    found
}

#[derive(Default)]
struct Found(Vec<Reference>);

impl<'a> Visit<'a> for Found {
    fn visit_item_mod(&mut self, _: &'a ItemMod) {}

    fn visit_item_use(&mut self, item: &'a ItemUse) {
        let paths = leaves(&item.tree).into_iter().map(|leaf| leaf.path);
        self.0.extend(paths.map(|path| Reference { path }));
    }

    fn visit_path(&mut self, path: &'a Path) {
        // A single name is one of the module's own or imported, and then its import counts.
        if path.segments.len() > 1 {
            let segments = path.segments.iter();
            let path = segments.map(|segment| segment.ident.to_string()).collect();
            self.0.push(Reference { path });
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'a Macro) {
        self.visit_path(&called.path);
        self.0.extend(in_tokens(called.tokens.clone()));
    }
}

/// The paths among the tokens of a macro's arguments: names with `::` between them.
fn in_tokens(tokens: TokenStream) -> Vec<Reference> {
    let (mut found, mut path, mut colons) = (Vec::new(), Vec::new(), 0);
    let mut end = |path: &mut Vec<String>| {
        let path = std::mem::take(path);
        if path.len() > 1 {
            found.push(Reference { path });
        }
    };
    let mut groups = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    end(&mut path);
                }
                path.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            other => {
                end(&mut path);
                colons = 0;
                if let TokenTree::Group(group) = other {
                    groups.push(group.stream());
                }
            }
        }
    }
    end(&mut path);
    found.extend(groups.into_iter().flat_map(in_tokens));
    found
}
