//! `loclin fetch`: full datasets for people with a network.
//!
//! A file is trusted for its content, not for where it came from: the SHA-256 of the decompressed
//! bytes must be the known one before anything is placed, and it is placed whole or not at all.

mod archive;
mod datasets;
mod download;
mod outcome;
#[cfg(test)]
mod tests;
mod verify;

use std::time::Duration;

use anyhow::Context;

use self::datasets::{
    CIFAR10_ARCHIVE, CIFAR10_FILES, CIFAR10_MIRRORS, Expected, MNIST_FILES, MNIST_MIRRORS, Source,
};
use crate::program::errors::Usage;
use crate::program::options::{DataDir, Global};

pub use self::outcome::{Fetched, FetchedFile, Status};

/// Options of `loclin fetch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  loclin fetch mnist --data-dir data
  loclin fetch cifar10

Files that are there and intact are kept, so an interrupted download goes on where it stopped.")]
pub struct Args {
    /// The dataset: `mnist` (70,000 handwritten digits, 11 MB) or `cifar10` (60,000 small photographs, 162 MB)
    #[arg(value_enum, value_name = "NAME", hide_possible_values = true)]
    pub name: Name,
    /// Where it goes.
    #[command(flatten)]
    pub data_dir: DataDir,
    /// Download from this address in place of the known mirrors
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// Download again what is there, and replace files of other content
    #[arg(long)]
    pub force: bool,
}

/// Datasets that can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Name {
    /// 60,000 photographs of 10 classes, 32 x 32, in the binary layout.
    Cifar10,
    /// 70,000 handwritten digits, 28 x 28.
    Mnist,
}

/// Downloads what is missing into the dataset's folder of the data directory.
///
/// # Errors
/// A [`Usage`] error for a mirror that is no http address; otherwise when no mirror gives the right
/// content, a file of other content is in the way, or the directory cannot be written.
pub fn run(args: &Args, _: &Global) -> anyhow::Result<Fetched> {
    let (folder, mirrors, archive, files): (_, &[&str], _, &[Expected]) = match args.name {
        Name::Cifar10 => (
            "cifar10",
            &CIFAR10_MIRRORS,
            Some(CIFAR10_ARCHIVE),
            &CIFAR10_FILES,
        ),
        Name::Mnist => ("mnist", &MNIST_MIRRORS, None, &MNIST_FILES),
    };
    let mirrors = match &args.mirror {
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => vec![url.clone()],
        Some(url) => {
            return Err(Usage::new(format!(
                "--mirror {url}: expected an http:// or https:// address"
            ))
            .into());
        }
        None => mirrors.iter().map(ToString::to_string).collect(),
    };
    let source = Source {
        folder,
        mirrors,
        archive,
        files,
    };
    let agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(15)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .timeout_per_read(Some(Duration::from_secs(30)))
        .timeout_global(Some(Duration::from_secs(900)))
        .user_agent(concat!("loclin/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent();
    download::fetch(&source, &agent, &args.data_dir.data_dir, args.force).with_context(|| {
        format!(
            "cannot fetch {} into {}",
            source.folder,
            args.data_dir.data_dir.display()
        )
    })
}
