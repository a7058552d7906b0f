//! Downloads: a file from the first mirror that has the right content.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use super::archive;
use super::datasets::{Expected, Source, placed};
use super::outcome::{Fetched, FetchedFile, Status};
use super::verify::{is_gzip, verify};
use crate::program::files;
use crate::program::progress::Bar;

/// Keeps what is there and intact, and places what is missing.
pub(super) fn fetch(
    source: &Source<'_>,
    agent: &ureq::Agent,
    data_dir: &Path,
    force: bool,
) -> anyhow::Result<Fetched> {
    let directory = directory(source, data_dir);
    let mut files: Vec<Option<FetchedFile>> = Vec::with_capacity(source.files.len());
    for expected in source.files {
        let present = match force {
            true => None,
            false => intact(source, &directory, expected)?,
        };
        files.push(present.map(|path| placed(path, Status::Kept, expected)));
    }
    if let Some(archive) = source.archive {
        archive::download(source, archive, agent, &directory, &mut files)?;
    }
    for (file, expected) in files.iter_mut().zip(source.files) {
        if file.is_none() {
            let path = download(source, agent, &directory, expected)?;
            *file = Some(placed(path, Status::Fetched, expected));
        }
    }
    Ok(Fetched {
        dataset: source.folder.to_owned(),
        directory,
        files: files.into_iter().flatten().collect(),
    })
}

/// The folder that is read: that of an archive unpacked by hand comes before the dataset's own.
fn directory(source: &Source<'_>, data_dir: &Path) -> PathBuf {
    let own = data_dir.join(source.folder);
    let unpacked = source.archive.map(|archive| own.join(archive.folder));
    unpacked.filter(|folder| folder.is_dir()).unwrap_or(own)
}

/// Where a file may be. The first that is there is the one that is read.
fn forms(source: &Source<'_>, directory: &Path, expected: &Expected) -> Vec<PathBuf> {
    let plain = directory.join(expected.name);
    match source.archive {
        Some(_) => vec![plain],
        None => vec![plain, directory.join(format!("{}.gz", expected.name))],
    }
}

/// The expected file, if it is there and right; an error if it is there and wrong.
fn intact(
    source: &Source<'_>,
    directory: &Path,
    expected: &Expected,
) -> anyhow::Result<Option<PathBuf>> {
    for path in forms(source, directory, expected) {
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
                remove_others(&forms(source, directory, expected), &path)?;
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

/// Removes the other forms of a file that was placed: one of them would be read in its place.
fn remove_others(forms: &[PathBuf], placed: &Path) -> anyhow::Result<()> {
    for other in forms.iter().filter(|form| *form != placed) {
        if other.symlink_metadata().is_ok() {
            fs::remove_file(other).with_context(|| {
                let (other, placed) = (other.display(), placed.display());
                format!("{other}: cannot remove the file, which {placed} replaces; remove it")
            })?;
        }
    }
    Ok(())
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
