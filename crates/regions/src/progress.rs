//! How far a long proof is.

use std::{fmt, sync::Arc};

/// What is known of a search for the nearest neuron while it goes on: [`crate::Linearizer::watched`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The input, counted within its batch.
    pub input: usize,
    /// Gradients of neurons begun so far.
    pub begun: usize,
    /// Gradients that bounds do not exclude from the start: no more are begun.
    pub candidates: usize,
    /// The share of the work that is done, from 0 to 1, if what is left goes as what is done did.
    pub share: f64,
}

/// Who is told.
#[derive(Clone, Default)]
pub(crate) struct Watch(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl Watch {
    pub(crate) fn new(tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, progress: Progress) {
        if let Some(tell) = &self.0 {
            tell(progress);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Watch(..)"
        } else {
            "Watch"
        })
    }
}
