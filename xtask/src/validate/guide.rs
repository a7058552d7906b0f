//! The auditor's page of the guide, whose commands are run as they stand there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use loclin::program::files;

use super::served::Server;

/// The page.
const PAGE: &str = "docs/guide/auditor.md";
/// The files that it begins with.
const FILES: &str = "tests/evidence/auditor";
/// Where its commands are run, below the build folder.
const PLACE: &str = "target/guide";

/// Commands of a page, and what they promise to say.
#[derive(Debug, Default, PartialEq)]
struct Block {
    commands: String,
    promised: Vec<String>,
}

/// Runs the commands of the page one after the other, with the program; the folder that they leave.
///
/// # Errors
/// A command that fails, or does not say what the page promises.
pub(super) fn run(root: &Path, program: &Path) -> anyhow::Result<PathBuf> {
    let folder = root.join(PLACE).join("auditor");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    copy(&root.join(FILES), &folder)?;
    let bin = root.join(PLACE).join("bin");
    stand_in(&bin, program)?;
    let text = files::read_text(&root.join(PAGE))?;
    let blocks = blocks(&text);
    ensure!(!blocks.is_empty(), "{PAGE}: no commands");
    for block in blocks {
        let shown = block.commands.trim();
        let said = match shown.strip_prefix("loclin serve ") {
            Some(arguments) => serve(program, &folder, arguments),
            None => shell(&bin, &folder, &block.commands),
        };
        let said = said.with_context(|| format!("{PAGE}: {shown}"))?;
        for line in &block.promised {
            let is_said = said.lines().any(|own| matches(line, own));
            ensure!(
                is_said,
                "{PAGE}: {shown}\nsays no line `{line}`, but\n{said}"
            );
        }
    }
    Ok(folder)
}

/// The commands of a page, each with the text that follows it.
fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open: Option<&str> = None;
    let mut is_told = true;
    for line in page.lines() {
        match (open, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                open = Some(kind);
                if kind == "sh" {
                    found.push(Block::default());
                    is_told = false;
                }
            }
            (Some(kind), Some(_)) => {
                is_told = is_told || kind == "text";
                open = None;
            }
            (Some(kind), None) => match (kind, found.last_mut()) {
                ("sh", Some(block)) => block.commands += &format!("{line}\n"),
                ("text", Some(block)) if !is_told && !line.trim().is_empty() => {
                    block.promised.push(line.trim().to_owned());
                }
                _ => {}
            },
            (None, None) => {}
        }
    }
    found
}

/// Whether a line says what is promised; `...` stands for anything.
fn matches(promised: &str, line: &str) -> bool {
    let mut parts = promised.split("...");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.trim().strip_prefix(first) else {
        return false;
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    promised.ends_with("...") || rest.is_empty()
}

/// A folder with the program under the name that the page has.
fn stand_in(bin: &Path, program: &Path) -> anyhow::Result<()> {
    let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", program.display());
    files::create_dir(bin)?;
    let file = bin.join("loclin");
    files::write_atomic(&file, script.as_bytes())?;
    let status = Command::new("chmod").arg("+x").arg(&file).status();
    ensure!(
        status.is_ok_and(|status| status.success()),
        "chmod +x {}",
        file.display()
    );
    Ok(())
}

/// What the commands say, both streams together.
fn shell(bin: &Path, folder: &Path, commands: &str) -> anyhow::Result<String> {
    let before = std::env::var_os("PATH").unwrap_or_default();
    let places = [bin.to_owned()]
        .into_iter()
        .chain(std::env::split_paths(&before));
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c"])
        .arg(format!("exec 2>&1\n{commands}"))
        .env("PATH", std::env::join_paths(places)?)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .context("cannot run bash")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(said)
}

/// Serves, asks for the list, and stops; what was printed.
fn serve(program: &Path, folder: &Path, arguments: &str) -> anyhow::Result<String> {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let server = Server::start(program, folder, &arguments)?;
    let address = server.address().to_owned();
    server.ask("/")?;
    server.stop()?;
    Ok(address)
}

/// A folder with all that is in it.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    files::create_dir(to)?;
    let named = || from.display().to_string();
    for entry in fs::read_dir(from).with_context(named)? {
        let path = entry.with_context(named)?.path();
        let Some(name) = path.file_name() else {
            continue;
        };
        match path.is_dir() {
            true => copy(&path, &to.join(name))?,
            false => files::write_atomic(&to.join(name), &files::read(&path)?)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_what_they_promise_are_found() {
        let page = "# A\n```sh\na\nb\n```\nwords\n```text\n one \n\ntwo\n```\n```text\nno\n```\n```sh\nc\n```\n";
        let expected =
            [("a\nb\n", vec!["one", "two"]), ("c\n", vec![])].map(|(commands, promised)| Block {
                commands: commands.into(),
                promised: promised.into_iter().map(str::to_owned).collect(),
            });
        assert_eq!(blocks(page), expected);
    }

    #[test]
    fn three_dots_are_anything() {
        for (promised, line, is) in [
            ("a ... c", " a b c ", true),
            ("a ... c", "a b d", false),
            ("a", "ab", false),
            ("a...", "ab", true),
            ("...b", "ab", true),
            ("12 inputs", "12 inputs", true),
        ] {
            assert_eq!(matches(promised, line), is, "{promised}");
        }
    }
}
