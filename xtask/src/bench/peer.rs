//! The same work in PyTorch, by a program of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::machine;
use super::options::Args;
use crate::workspace;
use loclin::program::errors::Usage;

/// The program that measures PyTorch, from the repository's root.
const BESIDE: &str = "../shared/peer/roll_torch.py";

/// A Python with PyTorch, and the program that measures it.
#[derive(Debug)]
pub(super) struct Peer {
    python: PathBuf,
    script: PathBuf,
}

impl Peer {
    /// The peer, if one is asked for.
    pub(super) fn new(args: &Args) -> anyhow::Result<Option<Self>> {
        let Some(python) = args.peer.clone() else {
            return Ok(None);
        };
        let script = match &args.peer_script {
            Some(script) => script.clone(),
            None => workspace::root()?.join(BESIDE),
        };
        if !script.is_file() {
            let message = format!(
                "--peer-script {}: no such file; expected the program that measures PyTorch",
                script.display()
            );
            return Err(Usage::new(message).into());
        }
        Ok(Some(Self { python, script }))
    }

    /// Seconds by name: `step`, for each mini-batch step, or `margins`, for 640 inputs.
    pub(super) fn measure(&self, what: &str) -> anyhow::Result<BTreeMap<String, f64>> {
        let (python, script) = (self.python.display(), self.script.display());
        tracing::info!("measuring PyTorch: {python} {script} {what}");
        let output = Command::new(&self.python)
            .arg(&self.script)
            .args([what, "--threads", &machine::threads().to_string()])
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("--peer {python}: cannot be run"))?;
        if !output.status.success() {
            bail!("{python} {script} {what}: failed with {}", output.status);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.trim().lines().last().unwrap_or_default();
        serde_json::from_str(last)
            .with_context(|| format!("{python} {script} {what}: no JSON object of seconds: {last}"))
    }
}
