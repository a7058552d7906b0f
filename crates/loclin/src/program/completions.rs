//! `loclin completions`: what a shell needs to complete the program's command line.

use std::fmt;

use clap::Command;
use clap_complete::Shell;
use serde::Serialize;

const EXAMPLE: &str = "\
Examples:
  loclin completions bash > ~/.local/share/bash-completion/completions/loclin
  loclin completions fish > ~/.config/fish/completions/loclin.fish";

/// Options of `completions`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// The script.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The shell that it is for.
    pub shell: String,
    /// Its text.
    pub script: String,
}

/// The script for `command`, the program's command line.
///
/// # Errors
/// None that a correct command line has; a script that is not text.
pub fn run(args: &Args, mut command: Command) -> anyhow::Result<Outcome> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    Ok(Outcome {
        shell: args.shell.to_string(),
        script: String::from_utf8(script)?,
    })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.script)
    }
}
