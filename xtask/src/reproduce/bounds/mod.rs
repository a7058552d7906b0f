//! Balls beyond the region: what is found and what is proved in them, beside published numbers and other programs'.

mod digits;
mod general;
mod lipbab;
mod lirpa;
mod options;
mod radii;

pub use options::{Args, Section};

use super::provenance::Provenance;
use super::results::{PAGE, Results};

pub(super) fn run(args: &Args) -> anyhow::Result<Results> {
    let wanted = |section| args.only.is_none_or(|only| only == section);
    let mut parts = Vec::new();
    if wanted(Section::Lipbab) {
        parts.push(lipbab::part(args)?);
    }
    if wanted(Section::Lirpa) {
        parts.push(lirpa::part(args)?);
    }
    if let (true, Some(demo), Some(digits)) = (wanted(Section::Demo), &args.demo, &args.digits) {
        parts.push(digits::part(args, demo, digits)?);
    }
    if let (true, false, Some(digits)) =
        (wanted(Section::Radii), args.runs.is_empty(), &args.digits)
    {
        parts.push(radii::part(args, digits)?);
    }
    if wanted(Section::General) {
        parts.push(general::part(args)?);
    }
    let command = "cargo xtask reproduce bounds --demo DIR --run DIR... --digits FILE.npy";
    let provenance = Provenance::of(command);
    let texts: Vec<&str> = parts.iter().map(|part| &part.text[..]).collect();
    let text = texts.join("\n");
    let page = format!(
        "# Balls beyond the region\n\nEach row asks for the largest value in a ball around an input: *found* is the \
         value at an input of the ball, by the network itself; *proved* is a bound that no input of the ball passes. \
         Where both are one number, it is exact.\n\n{text}\n{provenance} Seconds for each question: {}.\n",
        args.time
    );
    let mut files: Vec<(String, Vec<u8>)> = parts
        .into_iter()
        .map(|part| (format!("{}.csv", part.name), part.csv.into_bytes()))
        .collect();
    files.push((PAGE.into(), page.into_bytes()));
    Ok(Results { files, text })
}
