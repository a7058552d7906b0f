//! Datasets that are published as one archive.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, anyhow};
use flate2::read::MultiGzDecoder;

use super::datasets::{Archive, Expected, Source, placed};
use super::outcome::{FetchedFile, Status};
use super::verify::verify;
use crate::program::files;
use crate::program::progress::Bar;

/// Places the files that are still missing, each as soon as it is unpacked and verified; tries the mirrors in turn.
/// The archive itself is neither kept nor ever whole in memory.
pub(super) fn download(
    source: &Source<'_>,
    archive: Archive,
    agent: &ureq::Agent,
    directory: &Path,
    found: &mut [Option<FetchedFile>],
) -> anyhow::Result<()> {
    let mut failures = Vec::new();
    for mirror in &source.mirrors {
        if found.iter().all(Option::is_some) {
            break;
        }
        let url = format!("{}/{}", mirror.trim_end_matches('/'), archive.name);
        if let Err(error) = unpack(source.files, archive, agent, &url, directory, found) {
            tracing::debug!("{url}: {error:#}");
            failures.push(format!("{url}: {error:#}"));
        }
    }
    match missing(source.files, found) {
        missing if missing.is_empty() => Ok(()),
        missing => Err(anyhow!("{}", failures.join("\n           ")))
            .with_context(|| format!("no mirror gave {missing}")),
    }
}

/// The names of the files not found, with commas.
fn missing(expected: &[Expected], found: &[Option<FetchedFile>]) -> String {
    let missing = expected
        .iter()
        .zip(found)
        .filter(|(_, found)| found.is_none());
    let names: Vec<&str> = missing.map(|(expected, _)| expected.name).collect();
    names.join(", ")
}

fn unpack(
    expected: &[Expected],
    archive: Archive,
    agent: &ureq::Agent,
    url: &str,
    directory: &Path,
    found: &mut [Option<FetchedFile>],
) -> anyhow::Result<()> {
    // Another compression of the same files may be a little longer.
    let limit = archive.length + archive.length / 100 + 1024;
    let mut response = agent.get(url).call()?;
    let announced = response.body().content_length();
    let body = Counted {
        reader: response.body_mut().with_config().limit(limit).reader(),
        bar: Bar::bytes(archive.name, announced.unwrap_or(archive.length)),
    };
    let mut tar = tar::Archive::new(MultiGzDecoder::new(body));
    let broken = || format!("{} is damaged or broke off", archive.name);
    for entry in tar.entries().with_context(broken)? {
        let mut entry = entry.with_context(broken)?;
        let path = entry.path().with_context(broken)?.into_owned();
        let name = path.file_name().and_then(|name| name.to_str());
        let wanted = expected
            .iter()
            .position(|expected| Some(expected.name) == name);
        let Some(index) = wanted.filter(|&index| found[index].is_none()) else {
            continue;
        };
        let expected = &expected[index];
        let mut bytes = Vec::new();
        // One byte too many is enough to see that it is another file.
        let mut content = (&mut entry).take(expected.length + 1);
        content.read_to_end(&mut bytes).with_context(broken)?;
        verify(&bytes, expected).with_context(|| expected.name)?;
        let path = directory.join(expected.name);
        files::create_dir(directory)?;
        files::write_atomic(&path, &bytes)?;
        tracing::info!("{}", path.display());
        found[index] = Some(placed(path, Status::Fetched, expected));
        if found.iter().all(Option::is_some) {
            return Ok(());
        }
    }
    Err(anyhow!("{} not in the archive", missing(expected, found)))
}

/// Moves the bar along with what is read.
struct Counted<R> {
    reader: R,
    bar: Bar,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.bar.advance(count as u64);
        Ok(count)
    }
}
