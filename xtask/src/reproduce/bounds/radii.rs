//! How far one may go: radii for a change of the gradient and for stable top pixels, beside the margin.

use std::fmt::Write as _;
use std::path::Path;

use loclin_regions::Norm;
use loclin_regions::reduced::{Limits, Question, Threshold, one_output};
use rayon::prelude::*;

use super::options::{Args, Part, network, rows};
use crate::reproduce::asked::{At, change_in_l1, median};
use crate::reproduce::markdown;

/// A share of the gradient's norm that it may change by.
const SHARE: f64 = 0.25;
/// Pixels that are to stay the largest.
const TOP: usize = 10;

/// The radii of one image.
struct Radii {
    margin: f64,
    change: f64,
    refuted: f64,
    top: f64,
}

pub(super) fn part(args: &Args, digits: &Path) -> anyhow::Result<Part> {
    let images = rows(digits)?;
    let mut csv = "network,index,margin,change,change_refuted,top\n".to_owned();
    let mut table = Vec::new();
    for run in &args.runs {
        let name = run
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let network = network(run.clone())?;
        let radii = |image: &Vec<f64>| {
            let at = At::new(&network, image, Some([0.0, 1.0]))?;
            let around = at.around(Norm::LINF)?;
            let outputs = network.output_size();
            let change = change_in_l1(outputs, at.class);
            let change = around.largest(&change, Threshold::Relative(SHARE), 1.0, Limits::ROOT)?;
            let weights = one_output(outputs, at.class);
            let top = Question::TopK { weights, k: TOP };
            let top = around.largest(&top, Threshold::Absolute(0.0), 1.0, Limits::ROOT)?;
            anyhow::Ok(Radii {
                margin: at.margin(Norm::LINF)?,
                change: change.proved,
                refuted: change.refuted,
                top: top.proved,
            })
        };
        let some = &images[..args.limit.min(images.len())];
        let all = some
            .par_iter()
            .map(radii)
            .collect::<anyhow::Result<Vec<Radii>>>()?;
        for (index, own) in all.iter().enumerate() {
            writeln!(
                csv,
                "{name},{index},{},{},{},{}",
                own.margin, own.change, own.refuted, own.top
            )?;
        }
        let middle = |of: &dyn Fn(&Radii) -> f64| median(all.iter().map(of).collect());
        table.push(vec![
            name,
            format!("{:.2}", 1e4 * middle(&|own| own.margin)),
            format!("{:.2}", 1e4 * middle(&|own| own.change)),
            format!("{:.1}", middle(&|own| own.change / own.margin)),
            format!("{:.2}", 1e4 * middle(&|own| own.refuted)),
            format!("{:.2}", 1e4 * middle(&|own| own.top)),
            format!("{:.1}", middle(&|own| own.top / own.margin)),
        ]);
    }
    let header = [
        "network",
        "margin",
        "change of 25%",
        "times the margin",
        "refuted at",
        "top 10",
        "times the margin",
    ];
    let text = format!(
        "## How far one may go\n\nMedians over {} digits, l_inf, within [0, 1], in units of 1e-4: the margin; the radius \
         within which the predicted class's gradient is proved to change by at most {:.0}% in l1, by the bound without \
         branching; where a larger change was found; and the radius within which the {TOP} largest pixels of the \
         gradient are proved to stay the largest.\n\n{}",
        args.limit.min(images.len()),
        100.0 * SHARE,
        markdown::table(&header, &table)
    );
    Ok(Part {
        text,
        name: "radii",
        csv,
    })
}
