//! The tables of the page.

use super::measured::{Measured, Numbers};
use super::plan::Plan;
use crate::reproduce::markdown;
use loclin_report::stats::Percentiles;

pub(super) fn tables(plan: &Plan, networks: &[Measured]) -> String {
    let first = &networks[0];
    let (config, numbers) = (&first.config, &first.numbers);
    let costs = numbers.costs;
    format!(
        "Residual networks of width {:?}, blocks {:?}, {} neurons, trained {} epochs on `{}`. Accuracy on all {} test \
         images; margins and distortions on the first {}. Distortions within {} of each pixel: the expected one is the \
         mean over {} uniform points, the maximum the larger of two searches, {} gradients by the paper's genetic \
         search and {} by ascent of the smoothed distortion. Margins are exact but for a probability of 1e-9 for each \
         image, in float64 and pixel units.\n\n\
         ## Distortion\n\n{}\n\
         ## The same relative to the first row\n\nMedians.\n\n{}\n\
         ## The two searches\n\nLargest distortion found at equal gradient evaluations. \"More\" is the share of the \
         images for which ascent found more than the genetic search.\n\n{}\n\
         ## Exact l2 margins\n\nIn units of 1e-6. The paper could not compute them.\n\n{}",
        config.hidden,
        config.blocks,
        numbers.neurons,
        config.epochs,
        config.dataset,
        numbers.test_images,
        first.records.len(),
        plan.eps,
        costs.samples,
        costs.genetic,
        costs.ascent,
        distortions(plan, networks),
        ratios(networks),
        searches(networks),
        margins(networks),
    )
}

fn distortions(plan: &Plan, networks: &[Measured]) -> String {
    let mut lines = Vec::new();
    for (row, network) in plan.rows.iter().zip(networks) {
        let numbers = &network.numbers;
        let accuracy = format!("{:.2}", 100.0 * numbers.accuracy);
        let here = vec![network.name.clone(), "here".to_owned(), accuracy];
        let found = [numbers.expected.all(), numbers.maximum.all()];
        lines.push([here, found.concat().into_iter().map(short).collect()].concat());
        let published = vec![
            String::new(),
            "published".to_owned(),
            row.published.accuracy.to_string(),
        ];
        let paper = [row.published.expected, row.published.maximum].concat();
        lines.push([published, paper.iter().map(ToString::to_string).collect()].concat());
    }
    let header = [
        "row",
        "",
        "accuracy %",
        "expected P25",
        "P50",
        "P75",
        "P100",
        "maximum P25",
        "P50",
        "P75",
        "P100",
    ];
    markdown::table(&header, &lines)
}

fn ratios(networks: &[Measured]) -> String {
    let base = &networks[0].numbers;
    let line = |network: &Measured| {
        let numbers = &network.numbers;
        let change = |of: Percentiles, base: Percentiles| {
            format!("{:+.1}%", 100.0 * (of.p50 / base.p50 - 1.0))
        };
        // What is left of the effect that a smaller gradient is distorted less.
        let relative = |numbers: &Numbers| numbers.maximum.p50 / numbers.gradient.p50;
        vec![
            network.name.clone(),
            format!("{:+.2}", 100.0 * (numbers.accuracy - base.accuracy)),
            change(numbers.expected, base.expected),
            change(numbers.maximum, base.maximum),
            change(numbers.gradient, base.gradient),
            format!("{:.2}", relative(numbers)),
            format!("{:.2}", numbers.eps_2.p50 / base.eps_2.p50),
        ]
    };
    let lines: Vec<Vec<String>> = networks.iter().map(line).collect();
    let header = [
        "row",
        "accuracy, points",
        "expected",
        "maximum",
        "gradient",
        "maximum / gradient",
        "x eps_2",
    ];
    markdown::table(&header, &lines)
}

fn searches(networks: &[Measured]) -> String {
    let mut lines = Vec::new();
    for network in networks {
        let numbers = &network.numbers;
        for (name, found) in [("genetic", numbers.genetic), ("ascent", numbers.ascent)] {
            let more = match name {
                "ascent" => format!("{:.1}%", 100.0 * numbers.ascent_finds_more),
                _ => String::new(),
            };
            let own = vec![network.name.clone(), name.to_owned()];
            lines.push([own, found.all().map(short).to_vec(), vec![more]].concat());
        }
    }
    let header = ["row", "search", "P25", "P50", "P75", "P100", "more"];
    markdown::table(&header, &lines)
}

fn margins(networks: &[Measured]) -> String {
    let line = |network: &Measured| {
        let margins = network.numbers.eps_2.all().map(|eps| short(eps * 1e6));
        [vec![network.name.clone()], margins.to_vec()].concat()
    };
    let lines: Vec<Vec<String>> = networks.iter().map(line).collect();
    markdown::table(&["row", "P25", "P50", "P75", "P100"], &lines)
}

/// Four significant digits or all before the point.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
