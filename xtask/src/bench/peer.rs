//! The same work in PyTorch, by a program of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use super::machine;
use super::options::{Args, Work};
use crate::workspace;
use loclin::program::errors::Usage;

/// The program that measures PyTorch, from the repository's root.
const BESIDE: &str = "../shared/peer/roll_torch.py";
/// The one that takes steps of a residual network when it is asked to.
const RESIDUAL: &str = "xtask/peer/residual_steps.py";
/// The one that computes convolutions.
const CONVOLUTIONS: &str = "xtask/peer/convolutions.py";

/// How long to wait before the other side measures: threads that wait for work spin for a while.
pub(super) const PAUSE: Duration = Duration::from_millis(300);

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
            None if args.residual() => workspace::root()?.join(RESIDUAL),
            None if args.work == Some(Work::Convolution) => workspace::root()?.join(CONVOLUTIONS),
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

/// A peer that measures what it is asked to, question by question: the two sides take turns.
pub(super) struct Conversation {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What messages call it.
    name: String,
}

impl Peer {
    /// Starts the program, which answers each line with one.
    pub(super) fn converse(&self) -> anyhow::Result<Conversation> {
        let name = format!("{} {}", self.python.display(), self.script.display());
        let threads = machine::threads().to_string();
        let mut child = Command::new(&self.python)
            .arg(&self.script)
            .args(["--threads", &threads])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .with_context(|| format!("--peer {}: cannot be run", self.python.display()))?;
        let questions = child.stdin.take().context("no standard input")?;
        let answers = child.stdout.take().context("no standard output")?;
        Ok(Conversation {
            child,
            questions,
            answers: BufReader::new(answers),
            name,
        })
    }
}

impl Conversation {
    /// The seconds that the program answers with, a JSON list.
    pub(super) fn ask(&mut self, question: &str) -> anyhow::Result<Vec<f64>> {
        let (name, mut answer) = (&self.name, String::new());
        writeln!(self.questions, "{question}").with_context(|| format!("{name} has ended"))?;
        self.answers.read_line(&mut answer)?;
        serde_json::from_str(&answer)
            .with_context(|| format!("{name}: no JSON list of seconds: {}", answer.trim()))
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
