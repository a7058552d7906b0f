//! Options behind a dataset's name: `cifar10,missing=skip`.

use std::path::{Path, PathBuf};

use crate::pattern;
use crate::{Error, Grey, ImageOptions, Unusable};

/// A name and the options behind it that nobody has asked for yet.
pub(crate) struct Options<'a> {
    given: &'a str,
    name: &'a str,
    left: Vec<(&'a str, &'a str)>,
    known: Vec<&'static str>,
}

impl<'a> Options<'a> {
    /// Splits what a person gave; an existing path is a name as a whole, and so is a pattern of existing files. No option has a
    /// `*` or `?`.
    pub(crate) fn behind(given: &'a str) -> Self {
        Self::below(Path::new(""), given)
    }

    /// The same of what was given in a folder.
    pub(crate) fn below(folder: &Path, given: &'a str) -> Self {
        let mut name = given;
        let mut left = Vec::new();
        while !is_there(&folder.join(name))
            && let Some((before, option)) = name.rsplit_once(',')
            && let Some((key, value)) = option.split_once('=')
            && !key.is_empty()
            && key.bytes().all(|byte| byte.is_ascii_lowercase())
            && !pattern::is_one(value)
        {
            left.push((key, value));
            name = before;
        }
        Self {
            given,
            name,
            left,
            known: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    /// Whether to go on without missing files.
    pub(crate) fn missing(&mut self) -> Result<Unusable, Error> {
        self.unusable("missing", "missing=refuse or missing=skip")
    }

    /// Which images are taken.
    pub(crate) fn images(&mut self) -> Result<ImageOptions, Error> {
        const GREY: &str = "grey=repeat, grey=refuse or grey=skip";
        let broken = self.unusable("broken", "broken=refuse or broken=skip")?;
        let grey = match self.take("grey", GREY) {
            None | Some("repeat") => Grey::Repeat,
            Some("refuse") => Grey::Refuse,
            Some("skip") => Grey::Skip,
            Some(value) => return Err(self.refuse("grey", value, GREY)),
        };
        let options = ImageOptions::default();
        Ok(ImageOptions {
            broken,
            grey,
            ..options
        })
    }

    /// The file of labels, which is named as from the folder of the `inputs`.
    pub(crate) fn labels(&mut self, inputs: &Path) -> Result<Option<PathBuf>, Error> {
        const LABELS: &str = "labels=FILE.npy";
        match self.take("labels", LABELS) {
            Some("") => Err(self.refuse("labels", "", LABELS)),
            found => Ok(found.map(|file| inputs.with_file_name(file))),
        }
    }

    /// An error if an option is left that was not asked for.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        match self.left.last() {
            None => Ok(()),
            Some((key, value)) => {
                let expected = match self.known.is_empty() {
                    _ if *key == "size" => {
                        "--resize (`resize` in a configuration), which has taken its place"
                            .to_owned()
                    }
                    true => "no options for this dataset".to_owned(),
                    false => self.known.join("; "),
                };
                Err(self.refuse(key, value, &expected))
            }
        }
    }

    fn unusable(&mut self, key: &str, expected: &'static str) -> Result<Unusable, Error> {
        match self.take(key, expected) {
            None | Some("refuse") => Ok(Unusable::Refuse),
            Some("skip") => Ok(Unusable::Skip),
            Some(value) => Err(self.refuse(key, value, expected)),
        }
    }

    /// The value of an option; one that is given twice is left over.
    fn take(&mut self, key: &str, expected: &'static str) -> Option<&'a str> {
        self.known.push(expected);
        let position = self.left.iter().position(|(known, _)| *known == key)?;
        Some(self.left.remove(position).1)
    }

    fn refuse(&self, key: &str, value: &str, expected: &str) -> Error {
        Error::DatasetOption {
            given: self.given.into(),
            found: format!("{key}={value}"),
            expected: expected.into(),
        }
    }
}

/// Whether a path exists, or files of a pattern do.
pub(crate) fn is_there(path: &Path) -> bool {
    path.exists() || matches!(pattern::expand(path), Ok(Some(_)))
}
