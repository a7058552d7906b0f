//! What a person watching sees on stderr: log lines, and a bar for whatever takes longer than two seconds.
//!
//! Bars are drawn only where stderr is a terminal and `--quiet` was not given; elsewhere, and in the file of `--log-file`, a
//! line a minute says how far the work is. Log lines step around the bars, and none of them ever reaches stdout.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use loclin_regions::Progress;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::program::errors::Usage;
use crate::program::options::Global;

/// Work shorter than this shows no bar.
const PATIENCE: Duration = Duration::from_secs(2);

/// The parts of a share.
const THOUSAND: u64 = 1000;

/// A line says how far the work is after so long.
const MINUTE: Duration = Duration::from_secs(60);

/// How a line of a log begins, with a digit for each 0.
const DATE: &[u8] = b"0000-00-00T00:00:00";

static SCREEN: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
static BARS_WANTED: AtomicBool = AtomicBool::new(false);

/// A log to go on with, or a new one: a file that holds something else is not for appending to.
fn log_file(path: &Path) -> Result<File, Usage> {
    let failed = |cause| {
        let message = format!("--log-file {}: cannot write it", path.display());
        Usage::caused_by(message, cause)
    };
    let mut options = OpenOptions::new();
    let file = options
        .create(true)
        .append(true)
        .open(path)
        .map_err(failed)?;
    // A device or a pipe has nothing that could be lost.
    if !file.metadata().map_err(failed)?.is_file() {
        return Ok(file);
    }
    let mut begin = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(DATE.len() as u64).read_to_end(&mut begin));
    read.map_err(failed)?;
    let is_log = begin.is_empty()
        || begin.len() == DATE.len()
            && begin.iter().zip(DATE).all(|(found, wanted)| match wanted {
                b'0' => found.is_ascii_digit(),
                other => found == other,
            });
    match is_log {
        true => Ok(file),
        false => Err(Usage::new(format!(
            "--log-file {}: holds something else than a log of this program; name another",
            path.display()
        ))),
    }
}

/// Starts logging at the level that `--verbose` and `--quiet` ask for, or else as RUST_LOG says, and allows bars on a terminal.
///
/// # Errors
/// A log file that cannot be written, or a RUST_LOG that is none.
pub fn start(global: &Global) -> Result<(), Usage> {
    static STARTED: OnceLock<()> = OnceLock::new();
    let terminal = io::stderr().is_terminal();
    let file = global.log_file.as_deref().map(log_file).transpose()?;
    // The error that ends a command has a line of its own on stderr, and a bar says more than lines.
    let hidden = if terminal {
        ",loclin::outcome=off,loclin::progress=off"
    } else {
        ",loclin::outcome=off"
    };
    let screen = filter(global, hidden)?;
    let kept = filter(
        &Global {
            quiet: false,
            ..global.clone()
        },
        "",
    )?;
    STARTED.get_or_init(|| {
        BARS_WANTED.store(terminal && !global.quiet, Ordering::Relaxed);
        let color = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let screen = fmt::layer()
            .with_writer(|| AroundBars)
            .with_ansi(color)
            .with_target(false)
            .without_time()
            .with_filter(screen);
        let file = file.map(|file| {
            let lines = fmt::layer().with_writer(Mutex::new(file)).with_ansi(false);
            lines.with_target(false).with_filter(kept)
        });
        tracing_subscriber::registry()
            .with(screen)
            .with(file)
            .init();
    });
    Ok(())
}

/// What is logged.
fn filter(global: &Global, hidden: &str) -> Result<EnvFilter, Usage> {
    let asked = env::var("RUST_LOG").ok().filter(|asked| !asked.is_empty());
    let level = match (global.quiet, global.verbose, asked) {
        (true, ..) => "error".into(),
        (false, 0, Some(asked)) => asked,
        (false, 0, None) => "warn,loclin=info,xtask=info".into(),
        (false, 1, _) => "info,loclin=debug,xtask=debug".into(),
        (false, ..) => "debug,loclin=trace,xtask=trace".to_owned(),
    };
    EnvFilter::try_new(format!("{level}{hidden}")).map_err(|cause| {
        Usage::caused_by(
            format!("RUST_LOG={level}: expected levels such as `info,loclin=debug`"),
            cause,
        )
    })
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
    /// When a line was last written.
    said: Mutex<Instant>,
    /// How many were done before.
    before: AtomicU64,
    /// Whether they are thousandths of something that has no natural count.
    share: bool,
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

    /// A bar of a share of work whose parts cannot be counted.
    fn share(label: impl Into<String>) -> Self {
        let mut bar = Self::new(label, THOUSAND, "{msg} [{bar:30}] {percent}% {eta} left");
        bar.share = true;
        bar
    }

    fn new(label: impl Into<String>, total: u64, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        // The templates are the constants above; were one wrong, the default look would do.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(label.into());
        Self {
            bar,
            since: Instant::now(),
            shown: AtomicBool::new(false),
            said: Mutex::new(Instant::now()),
            before: AtomicU64::new(0),
            share: false,
        }
    }

    /// `n` more are done.
    pub fn advance(&self, n: u64) {
        let due = BARS_WANTED.load(Ordering::Relaxed) && self.since.elapsed() >= PATIENCE;
        if due && !self.shown.swap(true, Ordering::Relaxed) {
            SCREEN.add(self.bar.clone());
        }
        self.bar.inc(n);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= MINUTE {
            *said = Instant::now();
            let (label, since) = (self.bar.message(), self.since.elapsed());
            let line = line(&label, self.numbers(), self.share, since);
            tracing::info!(target: "loclin::progress", "{line}");
        }
    }

    /// A row of a table above the bar, on a terminal; the first of the process comes below the names of its columns.
    pub fn row(&self, columns: &str, row: &str) {
        static BEGUN: AtomicBool = AtomicBool::new(false);
        if !BARS_WANTED.load(Ordering::Relaxed) {
            return;
        }
        let head = match BEGUN.swap(true, Ordering::Relaxed) {
            true => String::new(),
            false => format!("{columns}\n"),
        };
        // What cannot be written to the terminal is only missed by who looks there.
        let _ = SCREEN.suspend(|| writeln!(io::stderr(), "{head}{row}"));
    }

    /// `n` were done before this process: they say nothing of how fast it is.
    pub fn go_on(&self, n: u64) {
        self.before.fetch_add(n, Ordering::Relaxed);
        self.bar.inc(n);
        self.bar.reset_eta();
    }

    /// How many were done before, how many are, and how many there are to be.
    fn numbers(&self) -> [u64; 3] {
        let before = self.before.load(Ordering::Relaxed);
        [before, self.bar.position(), self.bar.length().unwrap_or(0)]
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

/// How far work is: what it is, how much of it, since when, how fast, and how long it may take.
fn line(label: &str, [before, done, all]: [u64; 3], only_share: bool, since: Duration) -> String {
    let rate = done.saturating_sub(before) as f64 / since.as_secs_f64().max(1e-9);
    let share = 100.0 * done as f64 / all.max(1) as f64;
    let left = Duration::try_from_secs_f64(all.saturating_sub(done) as f64 / rate);
    let left = left.map_or(String::new(), |left| {
        format!(", about {} left", HumanDuration(left))
    });
    let (digits, since) = (if rate < 10.0 { 2 } else { 0 }, HumanDuration(since));
    if only_share {
        return format!("{label}: {share:.1}% after {since}{left}");
    }
    format!("{label}: {done} of {all} ({share:.1}%) after {since}, {rate:.digits$}/s{left}")
}

/// What to tell of the proofs of a large network ([`loclin_regions::Linearizer::watched`]): a bar for each input and norm, with the
/// gradients begun and those that can come at most.
pub fn proofs() -> impl Fn(Progress) + Send + Sync + 'static {
    let shown: Mutex<Option<(usize, Bar)>> = Mutex::new(None);
    move |progress| {
        let label = format!(
            "proving a radius: {} of at most {} gradients begun",
            progress.begun, progress.candidates
        );
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let done = (progress.share * THOUSAND as f64) as u64;
        let same = |(input, bar): &(usize, Bar)| *input == progress.input && bar.position() <= done;
        if !shown.as_ref().is_some_and(same) {
            *shown = Some((progress.input, Bar::share(label.clone())));
        }
        if let Some((_, bar)) = shown.as_ref() {
            bar.label(label);
            bar.advance(done - bar.position());
        }
        if done == THOUSAND {
            *shown = None;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let text = line(
            "certifying",
            [1000, 4000, 10_000],
            false,
            Duration::from_secs(60),
        );
        assert_eq!(
            text,
            "certifying: 4000 of 10000 (40.0%) after 60 seconds, 50/s, about 2 minutes left"
        );
        let text = line("bounding", [0, 0, 10], false, Duration::from_secs(60));
        assert_eq!(text, "bounding: 0 of 10 (0.0%) after 60 seconds, 0.00/s");
        let text = line("proving", [0, 250, 1000], true, Duration::from_secs(60));
        assert_eq!(
            text,
            "proving: 25.0% after 60 seconds, about 3 minutes left"
        );
    }
}
