//! Work on a thread of its own, while Python may do other things.

use crate::errors::{InternalError, raise};
use anyhow::{Context, bail};
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long an interrupt may wait.
const PATIENCE: Duration = Duration::from_millis(100);

/// The stack of a thread that works: as much as a program's first thread has.
const STACK: usize = 8 << 20;

/// How a question is asked.
#[derive(FromPyObject)]
pub(crate) struct How {
    /// How many threads share the work; all of the machine's, or `RAYON_NUM_THREADS`, if nothing is said.
    #[pyo3(item)]
    threads: Option<usize>,
    /// Is called with the number of inputs that are done, and what goes on.
    #[pyo3(item)]
    progress: Option<Py<PyAny>>,
}

/// What the work tells of itself, and is told.
#[derive(Clone, Default)]
pub(crate) struct Job {
    cancelled: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    now: Arc<Mutex<String>>,
}

impl Job {
    /// What goes on, where one input takes long.
    pub(crate) fn say(&self, now: String) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// How many inputs are done, and what goes on.
    fn state(&self) -> (usize, String) {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        (self.done.load(Ordering::Relaxed), now.clone())
    }

    /// Is set when nobody waits for the answer any more.
    pub(crate) fn cancelled(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    /// So many more inputs are done.
    ///
    /// # Errors
    /// Where nobody waits for the answer any more.
    pub(crate) fn advance(&self, inputs: usize) -> anyhow::Result<()> {
        self.done.fetch_add(inputs, Ordering::Relaxed);
        if self.cancelled.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }
}

/// Does the work on a thread of its own and waits for it without the GIL. An interrupt is noticed within [`PATIENCE`]: the
/// thread is then left to itself, and ends after the batch at hand.
///
/// # Errors
/// That of the work as Python's exception, a signal's, that of the progress; a panic as [`InternalError`].
pub(crate) fn run<T: Send + 'static>(
    py: Python<'_>,
    how: How,
    work: impl FnOnce(&Job) -> anyhow::Result<T> + Send + 'static,
) -> PyResult<T> {
    let job = Job::default();
    let (sender, mut receiver) = channel();
    let (own, threads) = (job.clone(), how.threads);
    let worker = thread::Builder::new()
        .name("loclin".into())
        .stack_size(STACK)
        .spawn(move || {
            let found = shared(threads, move || work(&own));
            // Nobody may wait for it any more.
            let _ = sender.send(found);
        })?;
    let mut told = (0, String::new());
    loop {
        let found;
        (receiver, found) = py.detach(move || {
            let found = receiver.recv_timeout(PATIENCE);
            (receiver, found)
        });
        let state = job.state();
        let mut stop = py.check_signals();
        if let (Ok(()), Some(progress), true) = (&stop, &how.progress, state != told) {
            told.clone_from(&state);
            stop = progress.call1(py, state).map(drop);
        }
        if let Err(error) = stop {
            job.cancelled.store(true, Ordering::Relaxed);
            return Err(error);
        }
        match found {
            Ok(found) => return found.map_err(|error| raise(&error)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    // It ended without an answer.
    let panic = py.detach(|| worker.join()).err();
    let text = panic.as_ref().and_then(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied())
    });
    let text = text.unwrap_or("no message");
    Err(InternalError::new_err(format!(
        "a defect of loclin, please report it: {text}"
    )))
}

/// The work with threads of its own, if it is said how many.
fn shared<T: Send>(
    threads: Option<usize>,
    work: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let Some(threads) = threads else {
        return work();
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(STACK)
        .build()
        .with_context(|| format!("threads={threads}: cannot start them"))?;
    pool.install(work)
}
