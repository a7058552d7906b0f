//! One seed and one set of settings for all processes of a job.

use std::path::Path;

use anyhow::Context;

use super::error::JobError;
use super::journal::Journal;
use super::options::JobOptions;
use super::settings::Settings;
use crate::program::errors::Usage;
use crate::program::files;

/// Where the seed of a job comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// The numbers depend on none.
    None,
    /// The command line.
    Given(u64),
    /// The first process of the job draws it.
    Drawn,
}

/// The settings of the job of the table `out`: `own`, with the seed that an earlier process drew, or else with a new one by
/// `draw`. Where the processes share a file of settings, they are those of the file.
///
/// # Errors
/// Other settings in the shared file, a part whose seed is to be drawn and nobody else could know, or a file that cannot be used.
pub fn agreed(
    own: Settings,
    seed: Seed,
    out: &Path,
    options: &JobOptions,
    draw: impl FnOnce() -> anyhow::Result<u64>,
) -> anyhow::Result<Settings> {
    let shared = options.settings.as_deref();
    let kept = match options.resume {
        true => Journal::open(out)?.map(|journal| journal.job().settings.clone()),
        false => None,
    };
    let kept = match (kept, shared) {
        (None, Some(file)) => read(file)?,
        (kept, _) => kept,
    };
    let is_drawn = seed == Seed::Drawn;
    let seed = match (seed, kept) {
        (Seed::None, _) => None,
        (Seed::Given(seed), _) => Some(seed),
        (Seed::Drawn, Some(kept)) => kept.seed(),
        (Seed::Drawn, None) if shared.is_none() && !options.shard()?.is_whole() => {
            let message = "--shard: the parts draw their directions by one seed; name a --seed, or a file that they share (--settings FILE.json)";
            return Err(Usage::new(message).into());
        }
        (Seed::Drawn, None) => Some(draw()?),
    };
    let own = own.seeded(seed);
    match shared {
        None => Ok(own),
        Some(file) => share(own, file, is_drawn),
    }
}

/// Writes the settings into the shared file, or checks that they are those of the file; a seed that two processes drew at the same
/// time is that of the one whose file it is.
fn share(own: Settings, file: &Path, is_drawn: bool) -> anyhow::Result<Settings> {
    let mut bytes = serde_json::to_vec_pretty(&own)?;
    bytes.push(b'\n');
    let there = match read(file)? {
        Some(there) => there,
        None => match files::write_new(file, &bytes) {
            Ok(()) => return Ok(own),
            // Where another process was faster, it is there now.
            Err(refused) => read(file)?.ok_or(refused).context("--settings")?,
        },
    };
    let own = match is_drawn {
        true => own.seeded(there.seed()),
        false => own,
    };
    match there.difference(&own) {
        None => Ok(own),
        Some((name, there, here)) => {
            let place = file.to_owned();
            Err(JobError::Other {
                place,
                name,
                there,
                here,
            }
            .into())
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Option<Settings>> {
    if !file.exists() {
        return Ok(None);
    }
    let text = files::read_text(file)?;
    let read = serde_json::from_str(&text);
    read.with_context(|| format!("{}: not the settings of a job", file.display()))
        .map(Some)
}
