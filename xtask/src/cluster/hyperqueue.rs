//! HyperQueue: a server and a worker in one Python process.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use super::engine::Queue;

/// The virtual environment with the package, made once in the build folder.
const TOOLS: &str = "target/tools/hyperqueue";

/// Runs all parts; how many batches of the one that was killed were done then.
pub(super) fn run(queue: &Queue<'_>) -> anyhow::Result<usize> {
    let python = python(queue)?;
    let parts = queue.directory.join("parts");
    let mut command = Command::new(python);
    command.arg(queue.root.join("docs/cluster/hq_local.py"));
    command
        .args(["--shards", &queue.parts.to_string(), "--out"])
        .arg(parts);
    command.arg("--").arg(queue.script()?).args(queue.arguments);
    let child = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .spawn();
    let mut child = child.context("cannot run Python")?;
    let killed = queue.kill(|| match child.try_wait()? {
        Some(status) => bail!("HyperQueue ended before a part was killed: {status}"),
        None => Ok(()),
    });
    let status = child.wait().context("HyperQueue")?;
    let killed = killed?;
    ensure!(status.success(), "HyperQueue: {status}");
    Ok(killed)
}

/// A Python that has HyperQueue.
fn python(queue: &Queue<'_>) -> anyhow::Result<PathBuf> {
    let folder = queue.root.join(TOOLS);
    let python = folder.join("bin/python");
    let has_it = || {
        let mut command = Command::new(&python);
        let output = command.args(["-c", "import hyperqueue"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !has_it() {
        let steps: [(PathBuf, Vec<String>); 2] = [
            (
                "python3".into(),
                vec!["-m".into(), "venv".into(), folder.display().to_string()],
            ),
            (
                folder.join("bin/pip"),
                ["install", "--quiet", "hyperqueue"]
                    .map(str::to_owned)
                    .to_vec(),
            ),
        ];
        for (program, arguments) in steps {
            let shown = format!("{} {}", program.display(), arguments.join(" "));
            let status = Command::new(program)
                .args(arguments)
                .stdout(std::io::stderr())
                .status();
            let status = status.with_context(|| shown.clone())?;
            ensure!(
                status.success(),
                "{shown}: {status}; HyperQueue needs Python 3 and the network once"
            );
        }
    }
    Ok(python)
}
