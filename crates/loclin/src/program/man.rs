//! `loclin man`: the manual pages.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Command;
use clap_mangen::Man;
use serde::Serialize;

use crate::program::files;

const EXAMPLE: &str = "\
Examples:
  loclin man --out ~/.local/share/man/man1";

/// Options of `man`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// Directory of the pages; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// The pages that were written.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// One for the program and one for each command.
    #[serde(serialize_with = "crate::program::outcome::paths")]
    pub files: Vec<PathBuf>,
}

/// Writes the pages of `command`, the program's command line.
///
/// # Errors
/// A directory that cannot be written.
pub fn run(args: &Args, mut command: Command) -> anyhow::Result<Outcome> {
    files::create_dir(&args.out)?;
    command.build();
    let mut written = Vec::new();
    let name = command.get_name().to_owned();
    write(&command, &name, &args.out, &mut written)?;
    Ok(Outcome { files: written })
}

/// The page of `command`, whose page is called `name`, and those of the commands below it.
fn write(
    command: &Command,
    name: &str,
    out: &Path,
    written: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let path = out.join(format!("{name}.1"));
    let mut page = Vec::new();
    Man::new(command.clone())
        .title(name)
        .render(&mut page)
        .with_context(|| format!("the page of {name}"))?;
    files::write_atomic(&path, &page)?;
    written.push(path);
    for below in command.get_subcommands() {
        write(below, &format!("{name}-{}", below.get_name()), out, written)?;
    }
    Ok(())
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.files.iter().map(|path| path.display().to_string());
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}
