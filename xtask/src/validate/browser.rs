//! Every kind of page, opened in a headless browser.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use loclin::program::files;
use serde_json::{Value, json};

use super::guide;
use super::program::succeed;
use super::served::Server;

/// What is run in the browser.
const SCRIPTS: &str = "tests/browser";
/// Where it is installed, once.
const TOOLS: &str = "target/tools/browser";
/// Where pages, the plan and pictures of the pages are.
const PLACE: &str = "target/browser";

/// Opens the pages of the guide, of the demonstration and of `serve`, where there are Node.js and a browser, or where they can be
/// installed.
pub(super) fn check(root: &Path, program: &Path) -> anyhow::Result<()> {
    let Some(chromium) = chromium() else {
        tracing::warn!("skipped: no chromium on the path, and apt-get cannot install one here");
        return Ok(());
    };
    if !["node", "npm"].iter().all(|program| runs(program)) {
        tracing::warn!("skipped: no Node.js (node and npm) on the path");
        return Ok(());
    }
    let tools = root.join(TOOLS);
    if let Err(cause) = install(&root.join(SCRIPTS), &tools) {
        tracing::warn!("skipped: what drives the browser cannot be installed ({cause:#})");
        return Ok(());
    }
    let place = root.join(PLACE);
    files::create_dir(&place)?;
    let folder = guide::run(root, program)?;
    let demo = demo(root, program)?;
    let start = |arguments: &[&str]| Server::start(program, &folder, arguments);
    let margins = start(&["margins.csv"])?;
    let bounds = start(&["bounds.csv"])?;
    // A model that is not the one of the table.
    let moved = start(&["margins.csv", "--model", "margins.csv"])?;
    let plan = json!({
        "chromium": chromium,
        "shots": place.join("shots"),
        "pages": pages(&folder, &demo, [margins.address(), bounds.address(), moved.address()]),
    });
    let file = place.join("plan.json");
    files::write_atomic(&file, plan.to_string().as_bytes())?;
    let script = tools.join("visit.mjs").display().to_string();
    execute(&tools, "node", &[&script, &file.display().to_string()])?;
    [margins, bounds, moved]
        .into_iter()
        .try_for_each(Server::stop)
}

/// What is opened, and what is to be seen there.
fn pages(folder: &Path, demo: &Path, [margins, bounds, moved]: [&str; 3]) -> Vec<Value> {
    let of_file = |name: &str, path: PathBuf| {
        let url = format!("file://{}", path.display());
        json!({ "name": name, "url": url, "shot": true })
    };
    let served = |name: &str, address: &str, path: &str, status: u16| {
        let url = format!("{address}{path}");
        json!({ "name": name, "url": url, "status": status, "shot": true })
    };
    let mut list = served("list", margins, "", 200);
    list["keyboard"] = true.into();
    vec![
        of_file("report", folder.join("margins.html")),
        of_file("bounds", folder.join("bounds.html")),
        of_file("explained", folder.join("explained.html")),
        of_file("demo", demo.to_owned()),
        list,
        served(
            "sorted",
            margins,
            "?sort=eps_2&descending=1&mistakes=1",
            200,
        ),
        served("none", margins, "?text=nothing+of+this+name", 200),
        served("input", margins, "input/0", 200),
        served("nearby", margins, "input/0?eps=4/256&seconds=2#nearby", 200),
        served("refused", margins, "input/0?eps=x&seconds=2", 200),
        served("missing", margins, "input/99", 404),
        served("changed", moved, "input/0", 409),
        served("bounds-list", bounds, "", 200),
        served("bounds-input", bounds, "input/0", 200),
    ]
}

/// The page of the demonstration, whose networks are those of the step `demo` where it has run.
fn demo(root: &Path, program: &Path) -> anyhow::Result<PathBuf> {
    let out = root.join(super::demo::PLACE);
    let shown = out.display().to_string();
    execute(
        root,
        &program.display().to_string(),
        &["demo", "--quiet", "--out", &shown],
    )?;
    Ok(out.join("index.html"))
}

/// A browser of the path, or Debian's, installed where this may be done.
fn chromium() -> Option<String> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = || names.iter().find_map(|name| which(name));
    found().or_else(|| {
        let is_root = Command::new("id").arg("-u").output();
        if !is_root.is_ok_and(|output| output.stdout == b"0\n") || !runs("apt-get") {
            return None;
        }
        let packages = ["chromium", "fonts-liberation"];
        let install = ["install", "-y", "-qq", "--no-install-recommends"];
        for arguments in [&["update", "-qq"][..], &[&install[..], &packages].concat()] {
            if let Err(cause) = execute(Path::new("/"), "apt-get", arguments) {
                tracing::warn!("{cause:#}");
            }
        }
        found()
    })
}

/// Where a program of the path is.
fn which(name: &str) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(name));
    let file = files.find(|file| file.is_file())?;
    Some(file.display().to_string())
}

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    let output = command.arg("--version").stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

/// The scripts and what they need, by the versions of their lock file.
fn install(from: &Path, to: &Path) -> anyhow::Result<()> {
    files::create_dir(to)?;
    let lock = "package-lock.json";
    for name in ["package.json", lock, "visit.mjs"] {
        files::write_atomic(&to.join(name), &files::read(&from.join(name))?)?;
    }
    // Written when all is there, so that a torn installation is made again.
    let (mark, versions) = (to.join("installed"), files::read(&from.join(lock))?);
    if files::read(&mark).is_ok_and(|installed| installed == versions) {
        return Ok(());
    }
    execute(to, "npm", &["ci", "--no-fund", "--no-audit", "--silent"])?;
    Ok(files::write_atomic(&mark, &versions)?)
}

/// Runs a program, whose output goes to stderr.
fn execute(folder: &Path, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let shown = format!("{program} {}", arguments.join(" "));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        // The browser of the machine is used, none is fetched.
        .env("PUPPETEER_SKIP_DOWNLOAD", "1")
        .env("DEBIAN_FRONTEND", "noninteractive");
    succeed(&mut command, &shown)
}
