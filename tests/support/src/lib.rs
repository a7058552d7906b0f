//! What tests of several crates share: where they find large files that are not part of the repository, and what they say
//! where there are none; how much memory they took.
//!
//! The files lie in a folder `shared` beside the workspace. A test that lacks one passes, but it says that it tested
//! nothing: on stderr, and as a line of the file that the variable `LOCLIN_SKIPPED` names, so that a run can count
//! them at its end.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A path under the shared folder, or `None`, with a message, where it is absent.
#[must_use]
pub fn shared(path: &str) -> Option<PathBuf> {
    let path = folder().join(path);
    if path.exists() {
        return Some(path);
    }
    skipped(&format!("no {}", path.display()));
    None
}

/// Says that the running test tests nothing, and why.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    eprintln!("skipped: {test}: {why}");
    let Some(file) = std::env::var_os("LOCLIN_SKIPPED") else {
        return;
    };
    let file = OpenOptions::new().create(true).append(true).open(file);
    // One write a line: tests run side by side.
    let written = file.and_then(|mut file| file.write_all(format!("{test}: {why}\n").as_bytes()));
    if let Err(error) = written {
        eprintln!("LOCLIN_SKIPPED: {error}");
    }
}

/// The most memory that this program has had so far, in bytes: `VmPeak` is the address space, used or not, and `VmHWM` what
/// was in use at once. `None` where the system does not tell.
#[must_use]
pub fn peak_memory(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines().map(str::split_whitespace);
    let mut words = lines.find_map(|mut words| {
        let name = words.next()?.strip_suffix(':')?;
        (name == field).then_some(words)
    })?;
    let kilobytes: u64 = words.next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared")
}
