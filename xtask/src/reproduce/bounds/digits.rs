//! The demo's two networks, some times the margin.

use std::fmt::Write as _;
use std::path::Path;

use loclin_regions::Norm;
use loclin_regions::reduced::{Limits, Question, one_output};

use super::options::{Args, Part, network, rows};
use crate::reproduce::asked::{At, ask, limits, median};
use crate::reproduce::markdown;

const DIGITS: usize = 20;
const TIMES: [f64; 2] = [10.0, 30.0];

pub(super) fn part(args: &Args, demo: &Path, digits: &Path) -> anyhow::Result<Part> {
    let images = rows(digits)?;
    let mut csv =
        "network,times,index,margin,units,root,found,proved,exact,parts,seconds\n".to_owned();
    let mut table = Vec::new();
    for name in ["vanilla", "roll"] {
        let network = network(demo.join(name))?;
        for times in TIMES {
            let mut closed = 0;
            let (mut units, mut share, mut gap, mut all) = (vec![], vec![], vec![], 0);
            for (index, image) in images.iter().take(DIGITS).enumerate() {
                let at = At::new(&network, image, Some([0.0, 1.0]))?;
                let margin = at.margin(Norm::LINF)?;
                let weights = one_output(network.output_size(), at.class);
                let question = Question::Change {
                    weights,
                    norm: Norm::L1,
                };
                let around = at.around(Norm::LINF)?;
                let root = ask(&around, times * margin, &question, Limits::ROOT)?;
                let answer = ask(&around, times * margin, &question, limits(args.time))?;
                let bound = &answer.bound;
                closed += usize::from(bound.is_exact());
                all += 1;
                units.push(bound.units as f64);
                share.push(bound.proved / root.bound.proved);
                gap.push(bound.found / bound.proved);
                writeln!(
                    csv,
                    "{name},{times},{index},{margin},{},{},{},{},{},{},{}",
                    bound.units,
                    root.bound.proved,
                    bound.found,
                    bound.proved,
                    bound.is_exact(),
                    bound.parts,
                    answer.seconds
                )?;
            }
            table.push(vec![
                name.to_owned(),
                times.to_string(),
                format!("{closed} of {all}"),
                format!("{:.0}", median(units)),
                format!("{:.3}", median(share)),
                format!("{:.3}", median(gap)),
            ]);
        }
    }
    let header = [
        "network",
        "times the margin",
        "exact",
        "units",
        "proved / root",
        "found / proved",
    ];
    let text = format!(
        "## The demo's networks\n\nl1 change of the predicted class's gradient, l_inf balls within [0, 1], {DIGITS} \
         digits; medians.\n\n{}",
        markdown::table(&header, &table)
    );
    Ok(Part {
        text,
        name: "demo",
        csv,
    })
}
