//! Whether a run goes on in a directory, and whether it is finished there.

use std::path::Path;

use anyhow::ensure;

use super::checkpoint::{self, Progress};
use super::datasets::Datasets;
use super::outcome::{Epoch, Outcome};
use crate::program::config::Config;
use crate::program::errors::Usage;
use crate::program::files::{self, Lock};
use crate::program::run_directory::{CONFIG, LAST, METRICS, MODEL, files_of};

/// What a run of `config` in the directory `out` says of itself if all its epochs are trained.
///
/// # Errors
/// A configuration, a checkpoint or data that cannot be read, and a run that was trained on other data.
pub fn finished(
    config: &Config,
    out: &Path,
    datasets: &Datasets,
) -> anyhow::Result<Option<Outcome>> {
    let [begun, last] = [CONFIG, LAST].map(|name| out.join(name));
    if !last.exists() || !config.continues(&Config::load(&begun, &[])?) {
        return Ok(None);
    }
    // The checkpoint is written last of all, so what it counts as done is there.
    let progress = checkpoint::progress(&last)?;
    if progress.epoch != config.epochs {
        return Ok(None);
    }
    // Without a digest to compare with, the data need not be there any more.
    if progress.data.is_some() {
        check_data(&last, &progress, config, &datasets.digest(config)?)?;
    }
    check_model(out, &progress)?;
    Outcome::new(out, &progress.history, progress.preprocessing).map(Some)
}

/// Refuses a run whose best network is gone: what is left of the run does not have it.
fn check_model(out: &Path, progress: &Progress) -> anyhow::Result<()> {
    let model = out.join(MODEL);
    ensure!(
        progress.history.is_empty() || model.exists(),
        "{}: the run's best network is gone, and its checkpoint has the last one only; bring the file back, or --out names another directory",
        model.display()
    );
    Ok(())
}

/// Refuses a run that was trained on other data than those of the `digest`; of one that an earlier version began nobody knows.
fn check_data(
    last: &Path,
    progress: &Progress,
    config: &Config,
    digest: &str,
) -> anyhow::Result<()> {
    let there = progress.data.as_deref().unwrap_or(digest);
    ensure!(
        there == digest,
        "{}: the run was trained on other data: the SHA-256 of `{}` was {there}, it is {digest} now; bring those data back, or --out names another directory",
        last.display(),
        config.dataset
    );
    Ok(())
}

/// Refuses more epochs for a run whose last was validated as the last: the longer run would not validate there, and may choose
/// another network.
fn check_validations(last: &Path, progress: &Progress, config: &Config) -> anyhow::Result<()> {
    let every = config.validate_every;
    match progress.history.last() {
        Some(Epoch { epoch, .. }) if *epoch < config.epochs && !epoch.is_multiple_of(every) => {
            let message = format!(
                "{}: the run is finished, and its last epoch, {epoch}, was validated because it is the last; a run of {} epochs with \
                 validate_every = {every} is another one; --out names another directory",
                last.display(),
                config.epochs
            );
            Err(Usage::new(message).into())
        }
        _ => Ok(()),
    }
}

/// Says where a run goes on with another number of threads: sums are then rounded in another order.
fn check_threads(last: &Path, progress: &Progress) {
    let now = rayon::current_num_threads();
    match progress.threads {
        Some(begun) if begun != now => tracing::warn!(
            "{}: trained by {begun} threads so far, goes on with {now}: the bits are not those of a run with one number of threads; \
             RAYON_NUM_THREADS={begun} keeps them",
            last.display()
        ),
        _ => {}
    }
}

/// Makes the directory, takes it for as long as the lock lives, and writes the configuration, or checks that it is the one
/// of the run begun there, on data of this digest.
pub(super) fn prepare(
    out: &Path,
    config: &Config,
    resume: bool,
    digest: &str,
) -> anyhow::Result<Lock> {
    files::create_dir(out)?;
    let lock = files::lock(out)?;
    if !resume && let Some(file) = files_of(out).iter().find(|file| file.exists()) {
        let message = format!(
            "{}: a run was begun here; --resume goes on with it, --out names another directory",
            file.display()
        );
        return Err(Usage::new(message).into());
    }
    // A run that was stopped before its first checkpoint begins again, and may already have a network.
    if [LAST, METRICS, MODEL]
        .iter()
        .any(|name| out.join(name).exists())
    {
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
    let last = out.join(LAST);
    if last.exists() {
        let progress = checkpoint::progress(&last)?;
        check_data(&last, &progress, config, digest)?;
        check_model(out, &progress)?;
        check_validations(&last, &progress, config)?;
        check_threads(&last, &progress);
    }
    if resume {
        files::remove_leftovers(out)?;
    }
    files::write_atomic(&out.join(CONFIG), config.to_toml()?.as_bytes())?;
    Ok(lock)
}
