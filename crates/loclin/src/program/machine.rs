//! What the system tells of itself, and what the program knows of its own source.

use std::fs;

/// The version with its commit and features, as `--version` and reports say it.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("LOCLIN_COMMIT"),
    "; features: ",
    env!("LOCLIN_FEATURES"),
    ")"
);

/// The commit of the source, with a plus sign if files differed from it when the program was built; "unknown" if it was
/// built outside a repository.
pub const COMMIT: &str = env!("LOCLIN_COMMIT");

/// Bytes of memory that a program can have now without swapping, in its control group where there is one; `None` where
/// the system does not tell (Linux does).
pub fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    // What a group uses counts cached files that it can give back, so its limit alone is asked.
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = group.and_then(|text| text.trim().parse::<u64>().ok());
    Some(
        kibibytes
            .saturating_mul(1024)
            .min(limit.unwrap_or(u64::MAX)),
    )
}

/// A field of the first processor, such as "model name"; `None` where the system does not tell (Linux does).
pub fn processor(field: &str) -> Option<String> {
    let processors = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = processors.lines().find(|line| line.starts_with(field))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
