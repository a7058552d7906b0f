//! The modules of a crate, read from its files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use loclin::program::files;
use syn::{Attribute, Item, ItemMod, Meta};

use super::references::{Reference, bindings, found_in};

/// One module, of a file of its own or inside another's.
#[derive(Debug)]
pub(super) struct Module {
    /// The file that it is written in.
    pub(super) file: PathBuf,
    /// The module around it; its own number for the crate's root.
    pub(super) parent: usize,
    /// The modules declared in it.
    pub(super) children: BTreeMap<String, usize>,
    /// Names of the items that it defines itself.
    pub(super) items: BTreeSet<String>,
    /// Names that its `use` declarations bring into scope, with their paths.
    pub(super) bindings: BTreeMap<String, Vec<String>>,
    /// Paths all of whose names are in scope.
    pub(super) globs: Vec<Vec<String>>,
    references: Vec<Reference>,
}

/// A crate's modules; the first is its root.
#[derive(Debug, Default)]
pub(super) struct Crate {
    pub(super) modules: Vec<Module>,
}

impl Crate {
    /// Reads the crate whose root is `file`.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let mut sources = Self::default();
        let folder = file.parent().unwrap_or(Path::new(""));
        sources.read_file(file, folder, 0)?;
        Ok(sources)
    }

    /// All references with the number of the module that they stand in.
    pub(super) fn references(&self) -> impl Iterator<Item = (usize, &Reference)> {
        let modules = self.modules.iter().enumerate();
        modules.flat_map(|(number, module)| module.references.iter().map(move |r| (number, r)))
    }

    /// Reads a module's file; the files of its children lie in `folder`.
    fn read_file(&mut self, file: &Path, folder: &Path, parent: usize) -> anyhow::Result<usize> {
        let text = files::read_text(file)?;
        let parsed = syn::parse_file(&text)
            .with_context(|| format!("{}: cannot be parsed", file.display()))?;
        self.add(&parsed.items, file, folder, parent)
    }

    fn add(
        &mut self,
        items: &[Item],
        file: &Path,
        folder: &Path,
        parent: usize,
    ) -> anyhow::Result<usize> {
        let number = self.modules.len();
        let items: Vec<&Item> = items.iter().filter(|item| !is_test(item)).collect();
        let (bindings, globs) = bindings(&items);
        self.modules.push(Module {
            file: file.to_owned(),
            parent,
            children: BTreeMap::new(),
            items: items.iter().filter_map(|item| name(item)).collect(),
            bindings,
            globs,
            references: found_in(&items),
        });
        for item in items {
            let Item::Mod(module) = item else { continue };
            let child = self.child(module, file, folder, number)?;
            self.modules[number]
                .children
                .insert(module.ident.to_string(), child);
        }
        Ok(number)
    }

    fn child(
        &mut self,
        module: &ItemMod,
        file: &Path,
        folder: &Path,
        parent: usize,
    ) -> anyhow::Result<usize> {
        let name = module.ident.to_string();
        let below = folder.join(&name);
        if let Some((_, items)) = &module.content {
            return self.add(items, file, &below, parent);
        }
        let beside = folder.join(format!("{name}.rs"));
        let own = match beside.is_file() {
            true => beside,
            false => below.join("mod.rs"),
        };
        self.read_file(&own, &below, parent)
    }
}

/// The name that an item defines in its module, if it is not a module itself.
fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// Whether an item is compiled for tests alone.
fn is_test(item: &Item) -> bool {
    let attributes: &[Attribute] = match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    };
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            matches!(list.tokens.to_string().as_str(), "test" | "doctest")
        }
        _ => false,
    })
}
