//! Whether a run goes on in a directory, and whether it is finished there.

use std::path::Path;

use anyhow::{Context, ensure};

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
    let data = progress.data.as_ref().map(|_| datasets.digest(config));
    let now = Progress {
        data: data.transpose()?,
        init: datasets.initial(config)?,
        ..Progress::default()
    };
    check_origin(&last, &progress, config, &now)?;
    check_model(out, &progress)?;
    Outcome::new(out, &progress.history, progress.preprocessing).map(Some)
}

/// Refuses a run whose best network is gone, or is another one in a run that is finished: what is left of the run does not have it. A run
/// that goes on from its checkpoint may have been stopped between the network's file and that.
pub(super) fn check_model(out: &Path, progress: &Progress) -> anyhow::Result<()> {
    check_there(out, progress)?;
    let model = out.join(MODEL);
    if let Some(written) = &progress.model {
        let there = files::digest(&model)?;
        ensure!(
            there == *written,
            "{}: it is not the run's best network any more: the SHA-256 was {written}, it is {there} now; {REMEDY}",
            model.display()
        );
    }
    Ok(())
}

/// What can be done without the best network.
const REMEDY: &str = "its checkpoint has the last one only; bring the file back, or remove the run's directory to train it anew";

fn check_there(out: &Path, progress: &Progress) -> anyhow::Result<()> {
    let model = out.join(MODEL);
    ensure!(
        progress.history.is_empty() || model.exists(),
        "{}: the run's best network is gone, and {REMEDY}",
        model.display()
    );
    Ok(())
}

/// Refuses a run that was trained on other data, or began from other weights, than those that there are `now`; where one of the two has no
/// digest nobody knows.
fn check_origin(
    last: &Path,
    progress: &Progress,
    config: &Config,
    now: &Progress,
) -> anyhow::Result<()> {
    let place = last.display();
    if let (Some(there), Some(now)) = (&progress.data, &now.data) {
        ensure!(
            there == now,
            "{place}: the run was trained on other data: the SHA-256 of `{}` was {there}, it is {now} now; bring those data back, or --out names another directory",
            config.dataset
        );
    }
    if let (Some(there), Some(now)) = (&progress.init, &now.init) {
        ensure!(
            there == now,
            "{place}: the run began from other weights: the SHA-256 of `{}` was {there}, it is {now} now; bring that file back, or --out names another directory",
            config.init
        );
    }
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

/// Refuses a directory in which another run was begun, or whose configuration is somebody else's.
///
/// # Errors
/// The file, and what to do.
pub fn check_configuration(out: &Path, config: &Config) -> anyhow::Result<()> {
    let path = out.join(CONFIG);
    let begun = [LAST, METRICS, MODEL]
        .into_iter()
        .find(|name| out.join(name).exists());
    if !path.exists() {
        return match begun {
            Some(name) => Err(Usage::new(format!(
                "{}: there is none beside {name}, so nobody knows what run it is of; bring the file back, or --out names another directory",
                path.display()
            ))
            .into()),
            None => Ok(()),
        };
    }
    let there = Config::load(&path, &[])
        .with_context(|| format!("{}: not that of a run", path.display()))?;
    if config.continues(&there) {
        return Ok(());
    }
    let remedy = match begun {
        Some(_) => {
            "only more epochs (unless schedule = \"cosine\") and other checkpoint_seconds go on with it"
        }
        None => "it has no checkpoint yet: remove the file to begin anew",
    };
    let message = format!(
        "{}: the run begun here has another configuration; {remedy}, --out names another directory",
        path.display()
    );
    Err(Usage::new(message).into())
}

/// Makes the directory, takes it for as long as the lock lives, and writes the configuration, or checks that it is the one
/// of the run begun there, on the data and from the weights that `begun` has the digests of.
pub(super) fn prepare(
    out: &Path,
    config: &Config,
    resume: bool,
    begun: &Progress,
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
    check_configuration(out, config)?;
    let last = out.join(LAST);
    if last.exists() {
        let progress = checkpoint::progress(&last)?;
        check_origin(&last, &progress, config, begun)?;
        if progress.epoch == config.epochs {
            check_model(out, &progress)?;
        } else {
            check_there(out, &progress)?;
        }
        check_validations(&last, &progress, config)?;
        check_threads(&last, &progress);
    }
    if resume {
        files::remove_leftovers(out)?;
    }
    files::write_atomic(&out.join(CONFIG), config.to_toml()?.as_bytes())?;
    Ok(lock)
}
