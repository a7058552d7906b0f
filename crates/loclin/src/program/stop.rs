//! Signals that ask a process to end: a long job keeps what it has done first.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag as on_signal;

/// A process that was asked to end, and did so where nothing was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped by {}{}", if *signal == SIGINT { "an interrupt" } else { "SIGTERM" }, if *keeps { ": what was done is kept" } else { "" })]
pub struct Stopped {
    signal: i32,
    /// Whether there was something to keep.
    keeps: bool,
}

impl Stopped {
    /// The end of what makes nothing that could be kept.
    pub fn without_results(self) -> Self {
        Self {
            keeps: false,
            ..self
        }
    }

    /// The exit code by which shells and schedulers know the signal: 143 for SIGTERM, 130 for an interrupt.
    pub fn exit_code(self) -> u8 {
        if self.signal == SIGINT { 130 } else { 143 }
    }
}

/// The signal that came; 0 for none.
static CAME: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Set behind [`CAME`], so that whoever sees it finds the signal there.
static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Is set when [`check`] would say so, for work that looks at it more often.
pub fn flag() -> Arc<AtomicBool> {
    Arc::clone(FLAG.get_or_init(Arc::default))
}

/// From now on the first SIGTERM or interrupt does not end the process: [`check`] tells of it. The second one ends it.
///
/// For work that calls [`check`] where it can stop without loss.
pub fn watch() {
    CAME.get_or_init(|| {
        let came = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order, so that only a second signal finds the flag set. Where the system refuses, it ends the process as
            // ever.
            let registered = on_signal::register_conditional_default(signal, Arc::clone(&again))
                .and_then(|_| on_signal::register(signal, Arc::clone(&again)))
                .and_then(|_| on_signal::register_usize(signal, Arc::clone(&came), signal as usize))
                .and_then(|_| on_signal::register(signal, flag()));
            if let Err(cause) = registered {
                tracing::debug!("signal {signal} ends the process at once: {cause}");
            }
        }
        came
    });
}

/// Whether to go on.
///
/// # Errors
/// A signal that asked the process to end came after [`watch`].
pub fn check() -> Result<(), Stopped> {
    match CAME.get().map_or(0, |came| came.load(Ordering::Relaxed)) {
        0 => Ok(()),
        signal => Err(Stopped {
            signal: signal as i32,
            keeps: true,
        }),
    }
}
