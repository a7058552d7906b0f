//! `loclin fetch`: full datasets for people with a network.
//!
//! A file is trusted for its content, not for where it came from: the SHA-256 of the decompressed
//! bytes must be the known one before anything is placed, and it is placed whole or not at all.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use flate2::read::MultiGzDecoder;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::program::errors::Usage;
use crate::program::files;
use crate::program::options::{DataDir, Global};
use crate::program::progress::Bar;

mod archive;

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

/// What was done, file by file.
#[derive(Debug, Serialize)]
pub struct Fetched {
    /// The dataset's name.
    pub dataset: String,
    /// Where it lies now.
    pub directory: PathBuf,
    /// Every file of it.
    pub files: Vec<FetchedFile>,
}

/// One file of a dataset.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct FetchedFile {
    /// Where it lies.
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

/// A file as the dataset's authors published it.
struct Expected {
    /// Name without `.gz`.
    name: &'static str,
    /// Length of the decompressed content, in bytes.
    length: u64,
    /// SHA-256 of the decompressed content.
    sha256: &'static str,
}

/// A dataset: its folder in the data directory, where to get it, and what must arrive.
struct Source<'a> {
    folder: &'a str,
    mirrors: Vec<String>,
    /// The gzipped tar archive that holds all files; `None` where each is gzipped alone.
    archive: Option<Archive>,
    files: &'a [Expected],
}

/// An archive on a mirror. What counts are the files in it.
#[derive(Clone, Copy)]
struct Archive {
    name: &'static str,
    /// Its length in bytes.
    length: u64,
}

const CIFAR10_MIRRORS: [&str; 1] = ["https://www.cs.toronto.edu/~kriz/"];

const CIFAR10_ARCHIVE: Archive = Archive {
    name: "cifar-10-binary.tar.gz",
    length: 170_052_171,
};

const CIFAR10_FILES: [Expected; 6] = [
    Expected {
        name: "data_batch_1.bin",
        length: 30_730_000,
        sha256: "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    },
    Expected {
        name: "data_batch_2.bin",
        length: 30_730_000,
        sha256: "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    },
    Expected {
        name: "data_batch_3.bin",
        length: 30_730_000,
        sha256: "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    },
    Expected {
        name: "data_batch_4.bin",
        length: 30_730_000,
        sha256: "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    },
    Expected {
        name: "data_batch_5.bin",
        length: 30_730_000,
        sha256: "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    },
    Expected {
        name: "test_batch.bin",
        length: 30_730_000,
        sha256: "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    },
];

const MNIST_MIRRORS: [&str; 2] = [
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
];

/// Small ones first: a problem shows before the ten megabytes.
const MNIST_FILES: [Expected; 4] = [
    Expected {
        name: "t10k-labels-idx1-ubyte",
        length: 10_008,
        sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    Expected {
        name: "train-labels-idx1-ubyte",
        length: 60_008,
        sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    },
    Expected {
        name: "t10k-images-idx3-ubyte",
        length: 7_840_016,
        sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    },
    Expected {
        name: "train-images-idx3-ubyte",
        length: 47_040_016,
        sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    },
];

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
    fetch(&source, &agent, &args.data_dir.data_dir, args.force).with_context(|| {
        format!(
            "cannot fetch {} into {}",
            source.folder,
            args.data_dir.data_dir.display()
        )
    })
}

fn fetch(
    source: &Source<'_>,
    agent: &ureq::Agent,
    data_dir: &Path,
    force: bool,
) -> anyhow::Result<Fetched> {
    let directory = data_dir.join(source.folder);
    let mut files: Vec<Option<FetchedFile>> = Vec::with_capacity(source.files.len());
    for expected in source.files {
        let present = match force {
            true => None,
            false => intact(&directory, expected)?,
        };
        files.push(present.map(|path| FetchedFile::new(path, Status::Kept, expected)));
    }
    if let Some(archive) = source.archive {
        archive::download(source, archive, agent, &directory, &mut files)?;
    }
    for (file, expected) in files.iter_mut().zip(source.files) {
        if file.is_none() {
            let path = download(source, agent, &directory, expected)?;
            *file = Some(FetchedFile::new(path, Status::Fetched, expected));
        }
    }
    Ok(Fetched {
        dataset: source.folder.to_owned(),
        directory,
        files: files.into_iter().flatten().collect(),
    })
}

impl FetchedFile {
    fn new(path: PathBuf, status: Status, expected: &Expected) -> Self {
        Self {
            path,
            status,
            sha256: expected.sha256.to_owned(),
        }
    }
}

/// The expected file, compressed or plain, if it is there and right; an error if it is there and wrong.
fn intact(directory: &Path, expected: &Expected) -> anyhow::Result<Option<PathBuf>> {
    for path in [
        directory.join(format!("{}.gz", expected.name)),
        directory.join(expected.name),
    ] {
        if path.symlink_metadata().is_err() {
            continue;
        }
        let bytes = files::read(&path)?;
        verify(&bytes, expected).with_context(|| {
            format!(
                "{}: its content is not this dataset's; --force replaces it",
                path.display()
            )
        })?;
        return Ok(Some(path));
    }
    Ok(None)
}

/// Tries the mirrors in turn and places the first right content.
fn download(
    source: &Source<'_>,
    agent: &ureq::Agent,
    directory: &Path,
    expected: &Expected,
) -> anyhow::Result<PathBuf> {
    let mut failures = Vec::new();
    for mirror in &source.mirrors {
        let url = format!("{}/{}.gz", mirror.trim_end_matches('/'), expected.name);
        let content = get(agent, &url, expected).and_then(|bytes| {
            verify(&bytes, expected)?;
            Ok(bytes)
        });
        match content {
            Ok(bytes) => {
                // A server may have decompressed on the way; the name says what the file is.
                let suffix = if is_gzip(&bytes) { ".gz" } else { "" };
                let path = directory.join(format!("{}{suffix}", expected.name));
                files::create_dir(directory)?;
                files::write_atomic(&path, &bytes)?;
                tracing::info!("{}", path.display());
                return Ok(path);
            }
            Err(error) => {
                tracing::debug!("{url}: {error:#}");
                failures.push(format!("{url}: {error:#}"));
            }
        }
    }
    Err(anyhow!("{}", failures.join("\n           ")))
        .with_context(|| format!("no mirror gave {}", expected.name))
}

/// The body behind `url`, no longer than the expected file can be.
fn get(agent: &ureq::Agent, url: &str, expected: &Expected) -> anyhow::Result<Vec<u8>> {
    // Compression may lengthen by a little; more than this is not the file.
    let limit = expected.length + expected.length / 100 + 1024;
    let mut response = agent.get(url).call()?;
    let announced = response.body().content_length();
    let bar = Bar::bytes(expected.name, announced.unwrap_or(expected.length));
    let mut reader = response.body_mut().with_config().limit(limit).reader();
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => {
                bytes.extend(chunk.iter().take(n));
                bar.advance(n as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("broke off after {} bytes", bytes.len()));
            }
        }
    }
    Ok(bytes)
}

/// Holds the content, decompressed if it is gzip, against its known length and hash.
fn verify(bytes: &[u8], expected: &Expected) -> anyhow::Result<()> {
    let mut content = Vec::new();
    // One byte more than expected is enough to see that it is too long, however much it would inflate to.
    let limit = expected.length + 1;
    if is_gzip(bytes) {
        MultiGzDecoder::new(bytes)
            .take(limit)
            .read_to_end(&mut content)
            .context("the gzip stream is damaged")?;
    } else {
        bytes.take(limit).read_to_end(&mut content)?;
    }
    let length = content.len() as u64;
    ensure!(
        length <= expected.length,
        "more than the expected {} bytes",
        expected.length
    );
    ensure!(
        length == expected.length,
        "{length} bytes; expected {}",
        expected.length
    );
    let sha256: String = Sha256::digest(&content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if sha256 != expected.sha256 {
        bail!("SHA-256 {sha256}; expected {}", expected.sha256);
    }
    Ok(())
}

fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
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

#[cfg(test)]
mod tests;
