//! Changes of the gradient beside auto_LiRPA's bounds.

use std::fmt::Write as _;

use anyhow::Context;
use loclin_regions::Norm;
use loclin_regions::reduced::{Limits, Question, one_output};

use super::options::{Args, Part, network, rows};
use crate::reproduce::asked::{Answer, At, ask, limits, median};
use crate::reproduce::markdown;

/// One query: the other program's bounds and its seconds, and ours.
struct Query {
    eps: f64,
    change: f64,
    lipschitz: f64,
    seconds: f64,
    root: Answer,
    root_lipschitz: Answer,
    branched: Answer,
    inside: Answer,
    branched_inside: Answer,
}

pub(super) fn part(args: &Args) -> anyhow::Result<Part> {
    let network = network(args.shared.join("nets/mnistfc/mnist-net_256x2.onnx"))?;
    let images = rows(&args.shared.join("reference/mnist20.npy"))?;
    let reference = args.shared.join("reference/auto_lirpa_mnist256x2.csv");
    let mut queries = Vec::new();
    let place = || reference.display().to_string();
    let reference = std::fs::read_to_string(&reference).with_context(place)?;
    for line in reference.lines().skip(1) {
        let cells: Vec<f64> = line
            .split(',')
            .map(|cell| cell.parse().unwrap_or(f64::NAN))
            .collect();
        let (index, class, eps) = (cells[0] as usize, cells[1] as usize, cells[2]);
        let weights = one_output(network.output_size(), class);
        let norm = Norm::L1;
        let change = Question::Change {
            weights: weights.clone(),
            norm,
        };
        let length = Question::Length { weights, norm };
        let whole = At::new(&network, &images[index], None)?.around(Norm::LINF)?;
        let inside = At::new(&network, &images[index], Some([0.0, 1.0]))?.around(Norm::LINF)?;
        queries.push(Query {
            eps,
            change: cells[3],
            lipschitz: cells[4],
            seconds: cells[5],
            root: ask(&whole, eps, &change, Limits::ROOT)?,
            root_lipschitz: ask(&whole, eps, &length, Limits::ROOT)?,
            branched: ask(&whole, eps, &change, limits(args.time))?,
            inside: ask(&inside, eps, &change, Limits::ROOT)?,
            branched_inside: ask(&inside, eps, &change, limits(args.time))?,
        });
    }
    let mut csv = "eps,lirpa_change,lirpa_lipschitz,lirpa_seconds,units,change,seconds,lipschitz,found,branched,exact,\
                   units_inside,change_inside,found_inside,branched_inside,exact_inside\n"
        .to_owned();
    for q in &queries {
        writeln!(
            csv,
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            q.eps,
            q.change,
            q.lipschitz,
            q.seconds,
            q.root.bound.units,
            q.root.bound.proved,
            q.root.seconds,
            q.root_lipschitz.bound.proved,
            q.branched.bound.found,
            q.branched.bound.proved,
            q.branched.bound.is_exact(),
            q.inside.bound.units,
            q.inside.bound.proved,
            q.branched_inside.bound.found,
            q.branched_inside.bound.proved,
            q.branched_inside.bound.is_exact()
        )?;
    }
    let mut radii: Vec<f64> = queries.iter().map(|q| q.eps).collect();
    radii.sort_by(f64::total_cmp);
    radii.dedup();
    let row = |eps: &f64| {
        let own: Vec<&Query> = queries.iter().filter(|q| q.eps == *eps).collect();
        let middle = |of: &dyn Fn(&Query) -> f64| median(own.iter().map(|q| of(q)).collect());
        let exact = |of: &dyn Fn(&Query) -> bool| own.iter().filter(|q| of(q)).count().to_string();
        vec![
            format!("{}/255", 255.0 * eps),
            format!("{:.4}", middle(&|q| q.change)),
            format!("{:.4}", middle(&|q| q.root.bound.proved)),
            format!("{:.0}", middle(&|q| q.root.bound.units as f64)),
            format!("{:.1}", 1e3 * middle(&|q| q.root.seconds)),
            format!("{:.0}", 1e3 * middle(&|q| q.seconds)),
            format!("{:.4}", middle(&|q| q.branched.bound.proved)),
            format!("{:.4}", middle(&|q| q.branched.bound.found)),
            exact(&|q| q.branched.bound.is_exact()),
            format!("{:.4}", middle(&|q| q.inside.bound.proved)),
            format!("{:.4}", middle(&|q| q.branched_inside.bound.proved)),
            exact(&|q| q.branched_inside.bound.is_exact()),
        ]
    };
    let table: Vec<Vec<String>> = radii.iter().map(row).collect();
    let header = [
        "eps",
        "auto_LiRPA",
        "proved",
        "units",
        "ms",
        "its ms",
        "branched",
        "found",
        "exact",
        "in [0, 1]",
        "branched",
        "exact",
    ];
    let ratio = |of: &dyn Fn(&Query) -> f64| queries.iter().map(of).fold(0.0f64, f64::max);
    let largest = ratio(&|q| {
        if q.change > 0.0 {
            q.root.bound.proved / q.change
        } else {
            0.0
        }
    });
    let lipschitz = ratio(&|q| q.root_lipschitz.bound.proved / q.lipschitz);
    let slowest = median(queries.iter().map(|q| q.root.seconds / q.seconds).collect());
    let between = queries
        .iter()
        .filter(|q| (5..=60).contains(&q.root.bound.units));
    let halved = median(
        between
            .map(|q| q.branched.bound.proved / q.change)
            .collect(),
    );
    let text = format!(
        "## Changes of the gradient beside auto_LiRPA\n\n`mnist-net_256x2`, ten images, l_inf balls, predicted class, \
         l1 change of the gradient; medians over the images, and how many of ten are exact. auto_LiRPA's numbers have \
         six digits.\n\n{}\nOver all {} queries the bound without branching is at most {largest:.6} times \
         auto_LiRPA's, that of the Lipschitz constant {lipschitz:.6} times, in {:.4} of its time (median). With \
         branching it is {halved:.3} times auto_LiRPA's in the median over the queries with 5 to 60 units.\n",
        markdown::table(&header, &table),
        queries.len(),
        slowest,
    );
    Ok(Part {
        text,
        name: "lirpa",
        csv,
    })
}
