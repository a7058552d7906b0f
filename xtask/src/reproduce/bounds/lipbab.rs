//! The largest operator norm of the Jacobian over a box, beside published exact values.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::Context;
use loclin_regions::Norm;
use loclin_regions::reduced::Question;

use super::options::{Args, Part, network};
use crate::reproduce::asked::{At, ask, limits};
use crate::reproduce::markdown;

pub(super) fn part(args: &Args) -> anyhow::Result<Part> {
    let reference = args.shared.join("reference/lipbab.csv");
    let place = || reference.display().to_string();
    let reference = std::fs::read_to_string(&reference).with_context(place)?;
    let mut csv = "network,p,published,found,proved,exact,units,parts,seconds\n".to_owned();
    let mut table = Vec::new();
    for line in reference.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [name, low, high, p, published] = cells[..] else {
            anyhow::bail!("lipbab.csv: {line:?}");
        };
        let (low, high): (f64, f64) = (low.parse()?, high.parse()?);
        let network = network(args.shared.join(format!("nets/lipbab/{name}.onnx")))?;
        let start = Instant::now();
        let middle = vec![0.5 * (low + high); network.input_size()];
        let around = At::new(&network, &middle, Some([low, high]))?.around(Norm::LINF)?;
        let question = Question::Operator { norm: p.parse()? };
        let answer = ask(&around, 0.5 * (high - low), &question, limits(args.time))?;
        let (bound, seconds) = (&answer.bound, start.elapsed().as_secs_f64());
        let published: f64 = published.parse()?;
        writeln!(
            csv,
            "{name},{p},{published},{},{},{},{},{},{seconds}",
            bound.found,
            bound.proved,
            bound.is_exact(),
            bound.units,
            bound.parts
        )?;
        table.push(vec![
            name.to_owned(),
            p.to_owned(),
            format!("{published:.9}"),
            format!("{:.9}", bound.found),
            format!("{:.9}", bound.proved),
            bound.units.to_string(),
            bound.parts.to_string(),
            format!("{seconds:.3}"),
        ]);
    }
    let header = [
        "network",
        "p",
        "published",
        "found",
        "proved",
        "units",
        "parts",
        "s",
    ];
    let text = format!(
        "## Exact local Lipschitz constants\n\nThe largest operator norm of the Jacobian, p to p, over the box; \
         published by LipBaB and ExLipBaB.\n\n{}",
        markdown::table(&header, &table)
    );
    Ok(Part {
        text,
        name: "lipbab",
        csv,
    })
}
