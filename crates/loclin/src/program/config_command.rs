//! `loclin config`: the experiments that are in the program, shown or written as files.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::program::config::Config;
use crate::program::errors::Usage;
use crate::program::files;
use crate::program::options::Global;
use crate::program::shipped::{self, Kind, Shipped};

const EXAMPLE: &str = "\
Examples:
  loclin config list
  loclin config show mnist-roll-same --set epochs=5
  loclin config init demo --out mine.toml";

/// Options of `config`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE, subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done with what is in the program.
#[derive(Clone, Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Command {
    /// List the presets, architectures and sweeps that are in the program
    List,
    /// Print one of them: of a preset the complete configuration, with comments
    Show(Named),
    /// Write one of them to a file of your own
    Init(Init),
}

/// Which one.
#[derive(Clone, Debug, clap::Args)]
pub struct Named {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Change one key of a preset; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Which one, and where to.
#[derive(Clone, Debug, clap::Args)]
pub struct Init {
    /// Which one.
    #[command(flatten)]
    pub named: Named,
    /// The file, which must not exist yet [default: NAME.toml]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What the command shows.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// All there is.
    List {
        /// In the order of kinds.
        files: Vec<Listed>,
    },
    /// One file.
    Show {
        /// What it is for.
        kind: Kind,
        /// Its name.
        name: &'static str,
        /// Its content.
        text: String,
    },
    /// A file that was written.
    Init {
        /// Where.
        #[serde(serialize_with = "crate::program::outcome::path")]
        out: PathBuf,
        /// How to use it.
        next: String,
    },
}

/// A line of the list.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// What it is for.
    pub kind: Kind,
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub about: String,
}

/// Lists, shows or writes.
///
/// # Errors
/// A name that there is not, a key or value that no configuration has, or a file that exists or cannot be written.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    match &args.command {
        Command::List => {
            let listed = |shipped: &Shipped| Listed {
                kind: shipped.kind,
                name: shipped.name,
                about: shipped.about(),
            };
            Ok(Outcome::List {
                files: shipped::all().map(listed).collect(),
            })
        }
        Command::Show(named) => {
            let (shipped, text) = content(named, global)?;
            let Shipped { kind, name, .. } = *shipped;
            Ok(Outcome::Show { kind, name, text })
        }
        Command::Init(init) => {
            let (shipped, text) = content(&init.named, global)?;
            let default = || PathBuf::from(format!("{}.toml", shipped.name));
            let out = init.out.clone().unwrap_or_else(default);
            files::write_new(&out, text.as_bytes())?;
            let file = out.display();
            let next = match shipped.kind {
                Kind::Preset => format!("loclin train --config {file}"),
                Kind::Architecture => {
                    format!(
                        "loclin init --architecture {file} --out {}.safetensors",
                        shipped.name
                    )
                }
                Kind::Sweep => format!("loclin sweep --config {file}"),
            };
            Ok(Outcome::Init { out, next })
        }
    }
}

/// The file as a user edits it. Only of a preset there are keys to change, by `--set` or by the options of every command.
fn content(named: &Named, global: &Global) -> anyhow::Result<(&'static Shipped, String)> {
    let Named { name, set } = named;
    let unknown = |error| Usage::caused_by(format!("config: {name}"), error);
    let shipped = shipped::any(name).map_err(unknown)?;
    if shipped.kind == Kind::Preset {
        let mut config = Config::preset(name, set)?;
        config.apply(global);
        return Ok((shipped, config.to_toml_under(&shipped.about())?));
    }
    let set = set.first().map(|pair| format!("--set {pair}"));
    let seed = global.seed.map(|seed| format!("--seed {seed}"));
    let dtype = global.dtype.map(|_| "--dtype".to_owned());
    match set.or(seed).or(dtype) {
        Some(option) => {
            let kind = shipped.kind;
            let message = format!("{option}: `{name}` is not a preset: {kind}");
            Err(Usage::new(message).into())
        }
        None => Ok((shipped, shipped.text.to_owned())),
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List { files } => {
                let width = files.iter().map(|file| file.name.len()).max().unwrap_or(0);
                for kind in Kind::ALL {
                    writeln!(f, "{kind}s:")?;
                    for Listed { name, about, .. } in files.iter().filter(|file| file.kind == kind)
                    {
                        writeln!(f, "  {name:width$}  {about}")?;
                    }
                }
                Ok(())
            }
            Self::Show { text, .. } => f.write_str(text),
            Self::Init { out, .. } => write!(f, "{}", out.display()),
        }
    }
}
