//! What `loclin fetch` says of a dataset.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// What was done, file by file.
#[derive(Debug, Serialize)]
pub struct Fetched {
    /// The dataset's name.
    pub dataset: String,
    /// Where it lies now.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub directory: PathBuf,
    /// Every file of it.
    pub files: Vec<FetchedFile>,
}

/// One file of a dataset.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct FetchedFile {
    /// Where it lies.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub path: PathBuf,
    /// Whether it was there already, or came from a mirror.
    pub status: Status,
    /// SHA-256 of its decompressed content.
    pub sha256: String,
}

/// How a file came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was there and intact.
    Kept,
    /// It was downloaded and verified.
    Fetched,
}

impl fmt::Display for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            let status = match file.status {
                Status::Kept => "kept",
                Status::Fetched => "fetched",
            };
            writeln!(f, "{status:<8} {}", file.path.display())?;
        }
        write!(
            f,
            "{} is complete in {}",
            self.dataset,
            self.directory.display()
        )
    }
}
