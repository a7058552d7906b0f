//! What the system tells of itself and of the program's source.

use std::fs;
use std::process::Command;

/// A field of the first processor, such as "model name"; `None` where the system does not tell (Linux does).
pub fn processor(field: &str) -> Option<String> {
    let processors = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = processors.lines().find(|line| line.starts_with(field))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The commit of the source as `git describe` names it with these options; `None` outside a repository.
pub fn commit(options: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(["describe", "--always", "--exclude=*"])
        .args(options)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
