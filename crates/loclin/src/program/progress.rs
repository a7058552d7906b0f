//! What a person watching sees on stderr: log lines, and a bar for whatever takes longer than two seconds.
//!
//! Bars are drawn only where stderr is a terminal and `--quiet` was not given. Log lines step around
//! the bars, and neither ever reaches stdout.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::EnvFilter;

use crate::program::options::Global;

/// Work shorter than this shows no bar.
const PATIENCE: Duration = Duration::from_secs(2);

static SCREEN: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
static BARS_WANTED: AtomicBool = AtomicBool::new(false);

/// Starts logging at the level that `--verbose` and `--quiet` ask for, and allows bars on a terminal.
pub fn start(global: &Global) {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let terminal = io::stderr().is_terminal();
        BARS_WANTED.store(terminal && !global.quiet, Ordering::Relaxed);
        let level = match (global.quiet, global.verbose) {
            (true, _) => "error",
            (false, 0) => "warn,loclin=info,xtask=info",
            (false, 1) => "info,loclin=debug,xtask=debug",
            (false, _) => "debug,loclin=trace,xtask=trace",
        };
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(level))
            .with_writer(|| AroundBars)
            .with_ansi(terminal)
            .with_target(false)
            .without_time()
            .init();
    });
}

/// A count towards an end; it shows itself once two seconds have passed and vanishes when dropped.
///
/// ```
/// let bar = loclin::program::progress::Bar::count("epoch", 20);
/// for _ in 0..20 {
///     bar.advance(1);
/// }
/// assert_eq!(bar.position(), 20);
/// ```
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    since: Instant,
    shown: AtomicBool,
}

impl Bar {
    /// A bar over `total` things.
    pub fn count(label: impl Into<String>, total: u64) -> Self {
        Self::new(label, total, "{msg} [{bar:30}] {pos}/{len} {eta} left")
    }

    /// A bar over `total` bytes.
    pub fn bytes(label: impl Into<String>, total: u64) -> Self {
        Self::new(
            label,
            total,
            "{msg} [{bar:30}] {bytes}/{total_bytes} {eta} left",
        )
    }

    fn new(label: impl Into<String>, total: u64, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        // The templates are the two constants above; were one wrong, the default look would do.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(label.into());
        Self {
            bar,
            since: Instant::now(),
            shown: AtomicBool::new(false),
        }
    }

    /// `n` more are done.
    pub fn advance(&self, n: u64) {
        let due = BARS_WANTED.load(Ordering::Relaxed) && self.since.elapsed() >= PATIENCE;
        if due && !self.shown.swap(true, Ordering::Relaxed) {
            SCREEN.add(self.bar.clone());
        }
        self.bar.inc(n);
    }

    /// Changes the words in front of the bar.
    pub fn label(&self, label: impl Into<String>) {
        self.bar.set_message(label.into());
    }

    /// How many are done.
    pub fn position(&self) -> u64 {
        self.bar.position()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Stderr, with the bars taken away for the moment of writing.
struct AroundBars;

impl Write for AroundBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SCREEN.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
