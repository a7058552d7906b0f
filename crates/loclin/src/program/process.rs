//! What a process of the program needs before it has a second thread, and the name that it goes by.

use std::env;
use std::sync::OnceLock;

/// Threads of Candle's element-wise operations: a pool of its own, which spins while it waits. On few cores it takes the
/// processor from the threads that multiply matrices, so one thread is the fastest there (docs/performance.md).
const ELEMENTWISE_THREADS: (&str, &str) = ("CANDLE_NUM_THREADS", "1");

static NAME: OnceLock<&str> = OnceLock::new();

/// Prepares the process; the first thing that `main` does. `name` is what a user types to start the program.
///
/// A variable that is set already stays as it is.
pub fn prepare(name: &'static str) {
    // Only the first call counts; there is no second one in a program.
    let _ = NAME.set(name);
    let (variable, value) = ELEMENTWISE_THREADS;
    if env::var_os(variable).is_none() {
        // SAFETY: `main` calls this before anything else, so there is no other thread that could read the environment.
        #[allow(unsafe_code)]
        unsafe {
            env::set_var(variable, value);
        }
    }
}

/// What a user types to start this program: `loclin`, or `cargo xtask` inside the repository.
pub fn name() -> &'static str {
    NAME.get().copied().unwrap_or("loclin")
}
