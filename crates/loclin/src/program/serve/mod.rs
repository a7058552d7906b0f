//! `loclin serve`: a result as pages to explore, on this machine alone.

mod answer;
mod ask;
mod gradient;
mod http;
mod input;
mod list;
mod listen;
mod query;
mod rows;
mod search;
mod source;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::program::options::Global;
use crate::program::{outcome, process, stop};

pub use source::Moved;

const EXAMPLE: &str = "\
Examples:
  loclin serve margins.csv
  loclin serve bounds.csv --port 0
  loclin serve runs/demo-seed0
  loclin serve margins.csv --model moved/network.onnx --data moved/inputs.npy";

/// Options of `serve`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// A table of `certify` or `bound` with its journal beside it (.job), or a run directory
    #[arg(value_name = "RESULT")]
    pub result: PathBuf,
    /// The port of 127.0.0.1; 0 for one that is free. The address is printed
    #[arg(long, value_name = "N", default_value_t = 8017)]
    pub port: u16,
    /// What was moved since
    #[command(flatten)]
    pub moved: Moved,
}

/// Where the pages are.
#[derive(Debug, Serialize)]
struct Address {
    address: String,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.address)
    }
}

/// Prints the address and answers requests until an interrupt or SIGTERM comes.
///
/// # Errors
/// A result that cannot be read, a port that is taken, or the signal, by which the command ends.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<()> {
    let source = source::open(&args.result, &args.moved)?;
    let (listener, address) = listen::open(args.port)?;
    stop::watch();
    let address = Address {
        address: format!("http://{address}/"),
    };
    outcome::print(&address, global.json)?;
    tracing::info!("{} serve: an interrupt (Ctrl-C) ends it", process::name());
    let port = listener.local_addr()?.port();
    listen::answer(&listener, port, move |request| {
        answer::answer(&source, request)
    })
}
