//! Which class of a model a folder of images is.

use std::sync::Arc;

use crate::Error;

/// The classes of a model that images in folders are for.
#[derive(Debug, Clone, Copy)]
pub enum Classes<'a> {
    /// So many, in the order of the folders' names: known where there are as many folders.
    Count(usize),
    /// Called so, in the order of their numbers: a folder is the class of its name.
    Names(&'a [String]),
}

/// The classes of folders side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FolderClasses {
    /// The number of each folder's class, and what all classes are called.
    Known {
        /// As many as folders.
        numbers: Vec<u32>,
        /// As many as classes.
        names: Arc<[String]>,
    },
    /// So many folders, and another number of classes.
    Unknown {
        /// How many.
        folders: usize,
    },
}

impl Classes<'_> {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Count(count) => *count,
            Self::Names(names) => names.len(),
        }
    }

    /// The number of the class that folders of this name are; `None` where there is none, or where several are called so.
    pub(crate) fn number_of(names: &[String], folder: &str) -> Option<u32> {
        let all = names.iter().enumerate();
        let mut called_so = all.filter(|(_, name)| *name == folder);
        match (called_so.next(), called_so.next()) {
            (Some((number, _)), None) => u32::try_from(number).ok(),
            _ => None,
        }
    }
}

impl FolderClasses {
    /// The classes of the sub-folders of `directory`, sorted by name; the folders themselves where the model's are not said.
    ///
    /// # Errors
    /// A folder that is called as no class is, or as several are.
    pub(crate) fn new(
        directory: &str,
        folders: Vec<String>,
        of_model: Option<Classes<'_>>,
    ) -> Result<Self, Error> {
        match of_model {
            Some(Classes::Count(count)) if count != folders.len() => Ok(Self::Unknown {
                folders: folders.len(),
            }),
            Some(Classes::Names(names)) => {
                let number = |folder: &String| {
                    Classes::number_of(names, folder)
                        .ok_or_else(|| misnamed(directory, folder, names))
                };
                Ok(Self::Known {
                    numbers: folders.iter().map(number).collect::<Result<_, _>>()?,
                    names: names.into(),
                })
            }
            None | Some(Classes::Count(_)) => Ok(Self::Known {
                numbers: (0..).take(folders.len()).collect(),
                names: folders.into(),
            }),
        }
    }
}

/// A folder that is none of the classes, or one of several.
fn misnamed(directory: &str, folder: &str, names: &[String]) -> Error {
    let count = names.iter().filter(|name| *name == folder).count();
    let found = match count {
        0 => format!("`{folder}`, which is none of the names of --classes"),
        _ => format!("`{folder}`, which {count} classes of --classes are called"),
    };
    let first: Vec<String> = names
        .iter()
        .take(5)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = match names.len() - first.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let expected = format!(
        "sub-folders with names that one class each has ({}{more}): rename the folder or the line of --classes, or move the folder \
         away",
        first.join(", ")
    );
    Error::malformed(directory, "folders of classes", found, expected)
}
