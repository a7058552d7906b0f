//! Slurm: its daemons on this machine, for this job alone.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, ensure};

use super::engine::Queue;

/// A cluster of one machine: no accounting, no control groups, ports of its own. A task that is queued again begins when the
/// credential of its last try has expired, which would be after two minutes.
const CONFIGURATION: &str = "\
ClusterName=one
SlurmctldHost=HOST(127.0.0.1)
SlurmctldPort=PORT0
SlurmdPort=PORT1
AuthType=auth/munge
AuthInfo=cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SlurmUser=root
StateSaveLocation=WHERE/state
SlurmdSpoolDir=WHERE/spool
SlurmctldPidFile=WHERE/ctld.pid
SlurmdPidFile=WHERE/d.pid
SlurmctldLogFile=WHERE/ctld.log
SlurmdLogFile=WHERE/d.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
NodeName=HOST NodeAddr=127.0.0.1 CPUs=CORES State=UNKNOWN
PartitionName=all Nodes=HOST Default=YES MaxTime=INFINITE State=UP
";

/// The daemons, which end when this is dropped.
struct Daemons {
    directory: PathBuf,
    configuration: PathBuf,
}

/// Runs all parts; how many batches of the one that was killed were done then.
pub(super) fn run(queue: &Queue<'_>) -> anyhow::Result<usize> {
    let daemons = Daemons::start(queue.directory)?;
    queue.wait("sinfo: an idle node", || {
        let output = daemons.slurm("sinfo", &["--noheader", "--format=%T"])?;
        Ok(text(&output).trim() == "idle")
    })?;
    let script = queue.root.join("docs/cluster/slurm.sbatch");
    let mut command = daemons.command("sbatch");
    command
        .env("LOCLIN", queue.script()?)
        .current_dir(queue.directory);
    let array = format!("--array=1-{}", queue.parts);
    let output = command
        .args(["--parsable", &array])
        .arg(script)
        .args(queue.arguments)
        .output();
    let output = output.context("sbatch")?;
    ensure!(
        output.status.success(),
        "sbatch: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let job = text(&output).trim().to_owned();
    let task = format!("{job}_{}", queue.killed);
    let state = |task: &str| {
        let output = daemons.slurm(
            "squeue",
            &["--noheader", "--states=all", "--format=%T", "--jobs", task],
        )?;
        anyhow::Ok(text(&output))
    };
    let killed = queue.kill(|| {
        let state = state(&task)?;
        ensure!(
            !["COMPLETED", "FAILED"].contains(&state.trim()),
            "{task}: {} before it was killed",
            state.trim()
        );
        Ok(())
    })?;
    queue.wait("squeue: the part that was killed failed", || {
        Ok(state(&task)?.contains("FAILED"))
    })?;
    let output = daemons.slurm("scontrol", &["requeue", &task])?;
    ensure!(
        output.status.success(),
        "scontrol requeue {task}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    queue.wait("squeue: all parts done", || {
        let states = state(&job)?;
        let waiting = [
            "PENDING",
            "CONFIGURING",
            "RUNNING",
            "COMPLETING",
            "REQUEUED",
        ];
        Ok(!waiting.iter().any(|waiting| states.contains(waiting)))
    })?;
    Ok(killed)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Two ports that nobody uses, so that the daemons are no others than those of this job.
fn ports() -> anyhow::Result<[u16; 2]> {
    let free = || TcpListener::bind("127.0.0.1:0").context("no free port");
    let [first, second] = [free()?, free()?];
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}

fn succeed(command: &mut Command, remedy: &str) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status();
    let status = status.with_context(|| format!("{shown}: {remedy}"))?;
    ensure!(status.success(), "{shown}: {status}; {remedy}");
    Ok(())
}

impl Daemons {
    fn start(directory: &Path) -> anyhow::Result<Self> {
        let own = directory.join("slurm");
        for folder in ["state", "spool"] {
            fs::create_dir_all(own.join(folder)).context("the folders of Slurm")?;
        }
        let host = Command::new("hostname")
            .arg("-s")
            .output()
            .context("hostname")?;
        let [controller, node] = ports()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let configuration = CONFIGURATION
            .replace("HOST", text(&host).trim())
            .replace("WHERE", &own.display().to_string())
            .replace("PORT0", &controller.to_string())
            .replace("PORT1", &node.to_string())
            .replace("CORES", &cores.to_string());
        let file = own.join("slurm.conf");
        fs::write(&file, configuration).with_context(|| file.display().to_string())?;
        let daemons = Self {
            directory: own,
            configuration: file,
        };
        let remedy = "Debian's slurm-wlm and munge, and root, are needed";
        // munge keeps one key and one daemon for a machine; one that runs already does.
        let unmunge = Command::new("sh")
            .args(["-c", "munge -n | unmunge"])
            .output();
        if !unmunge.is_ok_and(|output| output.status.success()) {
            let key =
                "mungekey 2>/dev/null; install -d -o munge /run/munge; runuser -u munge munged";
            succeed(Command::new("sh").args(["-c", key]), remedy)?;
        }
        for daemon in ["slurmctld", "slurmd"] {
            succeed(
                daemons
                    .command(daemon)
                    .arg("-f")
                    .arg(&daemons.configuration),
                remedy,
            )?;
        }
        Ok(daemons)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", &self.configuration);
        command
    }

    fn slurm(&self, program: &str, arguments: &[&str]) -> anyhow::Result<Output> {
        let output = self.command(program).args(arguments).output();
        output.with_context(|| program.to_owned())
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        for pid in ["d.pid", "ctld.pid"] {
            // What was started here, by its own number; what has ended needs no end.
            if let Ok(pid) = fs::read_to_string(self.directory.join(pid)) {
                let _ = Command::new("kill").arg(pid.trim()).status();
            }
        }
    }
}
