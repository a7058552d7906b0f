//! Whether a run goes on in a directory, and whether it is finished there.

use std::path::Path;

use super::checkpoint;
use super::outcome::Outcome;
use crate::program::config::Config;
use crate::program::errors::Usage;
use crate::program::files::{self, Lock};
use crate::program::run_directory::{CONFIG, LAST};

/// What a run of `config` in the directory `out` says of itself if all its epochs are trained. Its data are not read.
///
/// # Errors
/// A configuration or a checkpoint that cannot be read.
pub fn finished(config: &Config, out: &Path) -> anyhow::Result<Option<Outcome>> {
    let [begun, last] = [CONFIG, LAST].map(|name| out.join(name));
    if !last.exists() || !config.continues(&Config::load(&begun, &[])?) {
        return Ok(None);
    }
    // The checkpoint is written last of all, so what it counts as done is there.
    let progress = checkpoint::progress(&last)?;
    match progress.epoch == config.epochs {
        true => Outcome::new(out, &progress.history, progress.preprocessing).map(Some),
        false => Ok(None),
    }
}

/// Makes the directory, takes it for as long as the lock lives, and writes the configuration, or checks that it is the one
/// of the run begun there.
pub(super) fn prepare(out: &Path, config: &Config, resume: bool) -> anyhow::Result<Lock> {
    files::create_dir(out)?;
    let lock = files::lock(out)?;
    if out.join(LAST).exists() {
        if !resume {
            let dir = out.display();
            let message = format!(
                "{dir}: a run was begun here; --resume goes on with it, --out names another directory"
            );
            return Err(Usage::new(message).into());
        }
        let begun = Config::load(&out.join(CONFIG), &[])?;
        if !config.continues(&begun) {
            let path = out.join(CONFIG);
            let message = format!(
                "{}: the run begun here has another configuration; only more epochs (unless schedule = \"cosine\") and other checkpoint_seconds go on with it, --out names another directory",
                path.display()
            );
            return Err(Usage::new(message).into());
        }
    }
    if resume {
        files::remove_leftovers(out)?;
    }
    files::write_atomic(&out.join(CONFIG), config.to_toml()?.as_bytes())?;
    Ok(lock)
}
