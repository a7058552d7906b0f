//! `loclin demo`: the main job, end to end, on data that is in the program.
//!
//! Trains a vanilla and a ROLL network on the embedded digits, certifies both on held-out digits, and writes a
//! report with pictures.

mod certified;
mod digits;
mod outcome;
mod page;

use std::path::PathBuf;

use anyhow::bail;

use self::certified::{Certified, train_and_certify};
use crate::program::config::Config;
use crate::program::files;
use crate::program::options::Global;
use crate::program::run_directory::CONFIG;

pub use self::outcome::{Outcome, Row};

/// The two experiments: name in the report, directory, and preset.
const RUNS: [(&str, &str, &str); 2] = [
    ("vanilla", "vanilla", "demo-vanilla"),
    ("ROLL", "roll", "demo"),
];

const EXAMPLE: &str = "\
Examples:
  loclin demo
  loclin demo --json --seed 7 --out runs/demo-7";

/// Options of `demo`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// Directory of the report and of both runs; runs that were begun there go on
    #[arg(long, value_name = "DIR", default_value = "runs/demo")]
    pub out: PathBuf,
}

/// Trains, certifies and reports.
///
/// # Errors
/// An output directory that cannot be written or that holds runs of another configuration.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Outcome> {
    let report_path = args.out.join("index.html");
    files::create_dir(&args.out)?;
    let is_own = RUNS
        .iter()
        .any(|(_, directory, _)| args.out.join(directory).join(CONFIG).exists());
    files::check_new(&report_path, is_own)?;
    let mut certified = Vec::new();
    for (name, directory, preset) in RUNS {
        let mut config = Config::preset(preset, &[])?;
        config.apply(global);
        certified.push(train_and_certify(
            name,
            config,
            &args.out.join(directory),
            global,
        )?);
    }
    let [vanilla, roll] = &certified[..] else {
        bail!("the demo compares two networks")
    };
    let report = page::page(&certified, global)?;
    files::write_atomic(&report_path, loclin_report::render(&report)?.as_bytes())?;
    let median = |c: &Certified| c.row.margins.get("eps_2").map_or(f64::NAN, |p| p.p50);
    Ok(Outcome {
        median_eps_2_ratio: median(roll) / median(vanilla),
        vanilla: vanilla.row.clone(),
        roll: roll.row.clone(),
        preprocessing: roll.preprocessing.clone(),
        report: report_path,
        table: loclin_report::text_table(&report.networks),
    })
}
