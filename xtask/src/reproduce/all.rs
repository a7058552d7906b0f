//! All experiments; or their pages from the numbers beside them, written or compared.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use loclin::program::errors::Usage;
use loclin::program::files;
use loclin::program::options::Global;

use super::experiment::{self, Experiment};
use super::results::{Outcome, PAGE, Results};
use super::{figure1, stored, table, table4, table5};
use crate::workspace;

/// Options of `reproduce all`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Train nothing: compute again what takes a minute or two, and compare with the pages that there are
    #[arg(long)]
    pub check: bool,
    /// Train nothing: write the pages of tables anew from the numbers beside them; with --check, compare these alone
    #[arg(long)]
    pub pages: bool,
    /// With --check or --pages, the directory of all results [default: docs/results]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// An experiment by its command.
#[derive(Debug, Parser)]
struct Command {
    #[command(subcommand)]
    experiment: Experiment,
}

/// The commands, those that the others build on first.
const COMMANDS: [&str; 8] = [
    "figure1",
    "table1",
    "stability",
    "figure2",
    "table3",
    "table4",
    "figure4",
    "table5",
];
/// Further files of some of them.
const OTHERS: [[&str; 2]; 9] = [
    ["table1", "table1-shifted"],
    ["table4", "table4-population"],
    ["table4", "table4-resnet20"],
    ["table5", "table5-gradients"],
    ["table5", "table5-linearity"],
    ["table5", "table5-grad-cert"],
    ["table5", "table5-mmr-2"],
    ["table5", "table5-mmr-inf"],
    ["table5", "table5-residual"],
];

/// Makes the results of an experiment again from the file of the experiment and the directory of the results.
type Again = fn(&Path, &Path) -> anyhow::Result<Results>;

/// What makes a command's results again, where its pages follow from their numbers.
fn again(command: &str) -> Option<Again> {
    match command {
        "table1" | "table3" => Some(table::again),
        "table4" => Some(table4::again),
        "table5" => Some(table5::again),
        _ => None,
    }
}

pub(super) fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    if args.check || args.pages {
        return pages(args, global);
    }
    if args.out.is_some() {
        let message =
            "--out: all experiments have directories of their own; with --check or --pages only";
        return Err(Usage::new(message).into());
    }
    let mut all = Outcome::default();
    // From wherever in the repository the command is run.
    let root = workspace::root()?;
    let others = OTHERS.map(|[command, name]| {
        let file = root.join(format!("xtask/reproduce/{name}.toml"));
        (command, file.display().to_string())
    });
    let mut commands: Vec<Vec<&str>> = COMMANDS.iter().map(|name| vec![*name]).collect();
    commands.extend(
        others
            .iter()
            .map(|(command, file)| vec![*command, "--config", file]),
    );
    for words in commands {
        let command = Command::try_parse_from([&["reproduce"], &words[..]].concat())?;
        tracing::info!("{}", words.join(" "));
        all.add(experiment::run(&command.experiment, global)?);
    }
    Ok(all)
}

/// Compares pages with their numbers, or writes them.
fn pages(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    let root = workspace::root()?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| root.join("docs/results"));
    let (mut said, mut written) = (Vec::new(), Vec::new());
    let own_file = COMMANDS.map(|command| [command, command]);
    for [command, name] in own_file.into_iter().chain(OTHERS) {
        let Some(again) = again(command) else {
            continue;
        };
        let own = out.join(name);
        if !own.join(PAGE).exists() {
            said.push(format!("{name}: not there"));
            continue;
        }
        let config = root.join(format!("xtask/reproduce/{name}.toml"));
        for (file, bytes) in again(&config, &own)?.files {
            // The numbers themselves may have been written when configurations had fewer keys.
            if file == stored::FILE {
                continue;
            }
            let place = own.join(&file);
            match args.check {
                true => same(&place, &bytes)?,
                false => {
                    files::write_atomic(&place, &bytes)?;
                    written.push(place);
                }
            }
        }
        said.push(format!(
            "{name}: its page and its rows are what its numbers say"
        ));
    }
    if !args.check {
        return Ok(Outcome::new(written, said.join("\n")));
    }
    if !args.pages {
        figure(&out.join("figure1"), global)?;
        said.push("figure1: the same when made again".to_owned());
    }
    Ok(Outcome::new(written, said.join("\n")))
}

/// Whether a file holds these lines.
fn same(file: &Path, expected: &[u8]) -> anyhow::Result<()> {
    let found = files::read_text(file)?;
    let expected = String::from_utf8_lossy(expected);
    let mut lines = found.lines().zip(expected.lines()).enumerate();
    if let Some((index, (found, expected))) = lines.find(|(_, (a, b))| a != b) {
        bail!(
            "{}, line {}: found\n{found}\nwhere the numbers say\n{expected}",
            file.display(),
            index + 1
        );
    }
    ensure!(
        found.lines().count() == expected.lines().count(),
        "{}: {} lines, where the numbers say {}",
        file.display(),
        found.lines().count(),
        expected.lines().count()
    );
    Ok(())
}

/// Figure 1, made again, but for the line that says where.
fn figure(out: &Path, global: &Global) -> anyhow::Result<()> {
    let args = figure1::Args {
        epochs: 5000,
        out: None,
    };
    let made = figure1::run(&args, global)?;
    let page = made.files.into_iter().find(|(name, _)| name == PAGE);
    let (_, page) = page.context("a figure without a page")?;
    let place = out.join(PAGE);
    let here = files::read_text(&place)?;
    let line = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("Made by"))
            .map(str::to_owned)
    };
    let page = String::from_utf8_lossy(&page).into_owned();
    let (Some(own), Some(there)) = (line(&page), line(&here)) else {
        bail!("{}: it does not say what it was made by", place.display())
    };
    same(&place, page.replace(&own, &there).as_bytes())
}
