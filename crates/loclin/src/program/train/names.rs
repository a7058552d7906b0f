//! The files of a run directory.

/// The complete effective configuration of a run.
pub const CONFIG: &str = "config.toml";
/// The best network of a run.
pub const MODEL: &str = "model.safetensors";
/// Everything that a resumed run needs.
pub(super) const LAST: &str = "last.safetensors";
/// An object for each validated epoch.
pub(super) const METRICS: &str = "metrics.jsonl";
