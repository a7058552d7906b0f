//! The tables of the page.

use anyhow::Context;
use loclin_report::stats::Percentiles;

use super::network::{Network, Shorter};
use super::plan::{Plan, Row};
use crate::reproduce::markdown;
use crate::reproduce::spread::Spread;

pub(super) fn tables(plan: &Plan, networks: &[Network]) -> anyhow::Result<String> {
    let first = networks.first().context("no networks")?;
    let (config, costs) = (&first.config, first.costs);
    let rows: Vec<(&Row, Vec<&Network>)> = plan
        .rows
        .iter()
        .map(|row| (row, networks.iter().filter(|n| n.row == row.name).collect()))
        .collect();
    Ok(format!(
        "Residual networks of width {:?}, blocks {:?}, {} neurons, trained {} epochs on `{}`. Accuracy on all {} test \
         images; margins and distortions on the first {}. Distortions within {} of each pixel: the expected one is the \
         mean over {} uniform points, the maximum the larger of two searches, {} gradients by the paper's genetic \
         search and {} by ascent of the smoothed distortion. Margins are exact but for a probability of 1e-9 for each \
         image, in float64 and pixel units.{}\n\n\
         ## Distortion\n\nMeans over the seeds.\n\n{}\n\
         ## Spread over the seeds\n\nThe mean, and the least and the largest in brackets; of the images' numbers, the medians. \
         eps_2 in units of 1e-6.\n\n{}\n\
         ## The same relative to the first row\n\nMedians over those of the network with the same seed: the mean, and the least and the \
         largest in brackets.\n\n{}\n\
         ## The two searches\n\nLargest distortion found at equal gradient evaluations, means over the seeds. \"More\" is the share of the \
         images for which ascent found more than the genetic search.\n\n{}\n{}\
         ## Exact l2 margins\n\nMeans over the seeds, in units of 1e-6. The paper could not compute them.\n\n{}\n\
         ## Each network\n\n{}",
        config.hidden,
        config.blocks,
        first.neurons,
        config.epochs,
        config.dataset,
        first.test_images,
        first.measured_images,
        plan.eps,
        costs.samples,
        costs.genetic,
        costs.ascent,
        proved(networks),
        distortions(&rows),
        spread(&rows),
        ratios(&rows),
        searches(&rows),
        shorter(&rows),
        margins(&rows),
        each(networks),
    ))
}

type Rows<'a> = [(&'a Row, Vec<&'a Network>)];
type Of = fn(&Network) -> Percentiles;

/// The mean of each percentile over the seeds, times `factor`.
fn means(networks: &[&Network], of: Of, factor: f64) -> Vec<String> {
    let mean = |k: usize| Spread::of(networks, |n| factor * of(n).all()[k]).mean;
    (0..4).map(|k| short(mean(k))).collect()
}

fn distortions(rows: &Rows<'_>) -> String {
    let mut lines = Vec::new();
    for (row, networks) in rows {
        let accuracy = Spread::of(networks, |n| 100.0 * n.accuracy).mean;
        let here = [&row.name, "here", &format!("{accuracy:.2}")].map(str::to_owned);
        let found: [Of; 2] = [|n| n.expected, |n| n.maximum];
        let found = found.map(|of| means(networks, of, 1.0));
        lines.push([here.to_vec(), found.concat()].concat());
        let published = ["", "published", &row.published.accuracy.to_string()].map(str::to_owned);
        let paper = [row.published.expected, row.published.maximum].concat();
        let paper = paper.iter().map(ToString::to_string).collect();
        lines.push([published.to_vec(), paper].concat());
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

fn spread(rows: &Rows<'_>) -> String {
    let line = |(row, networks): &(&Row, Vec<&Network>)| {
        let text = |of: fn(&Network) -> f64| Spread::of(networks, |n| of(n)).text(short);
        vec![
            row.name.clone(),
            networks.len().to_string(),
            Spread::of(networks, |n| 100.0 * n.accuracy).text(|v| format!("{v:.2}")),
            text(|n| n.gradient.p50),
            text(|n| n.expected.p50),
            text(|n| n.maximum.p50),
            text(|n| 1e6 * n.eps_2.p50),
        ]
    };
    let lines: Vec<Vec<String>> = rows.iter().map(line).collect();
    let header = [
        "row",
        "seeds",
        "accuracy %",
        "gradient",
        "expected",
        "maximum",
        "eps_2",
    ];
    markdown::table(&header, &lines)
}

fn ratios(rows: &Rows<'_>) -> String {
    let base = rows.first().map_or(&[][..], |(_, networks)| networks);
    let line = |(row, networks): &(&Row, Vec<&Network>)| {
        let own = |n: &&Network| base.iter().copied().find(|base| base.seed == n.seed);
        let pairs: Vec<(&Network, &Network)> = networks
            .iter()
            .filter_map(|n| Some((*n, own(n)?)))
            .collect();
        let text = |of: &dyn Fn(&Network, &Network) -> f64, show: fn(f64) -> String| {
            Spread::of(&pairs, |(n, base)| of(n, base)).text(show)
        };
        let change = |of: Of| {
            let percent = |n: &Network, base: &Network| 100.0 * (of(n).p50 / of(base).p50 - 1.0);
            text(&percent, |v| format!("{v:+.1}%"))
        };
        vec![
            row.name.clone(),
            text(&|n, base| 100.0 * (n.accuracy - base.accuracy), |v| {
                format!("{v:+.2}")
            }),
            change(|n| n.expected),
            change(|n| n.maximum),
            change(|n| n.gradient),
            // What is left of the effect that a smaller gradient is distorted less.
            text(&|n, _| n.maximum.p50 / n.gradient.p50, |v| {
                format!("{v:.2}")
            }),
            text(&|n, base| n.eps_2.p50 / base.eps_2.p50, |v| {
                format!("{v:.2}")
            }),
        ]
    };
    let lines: Vec<Vec<String>> = rows.iter().map(line).collect();
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

fn searches(rows: &Rows<'_>) -> String {
    let mut lines = Vec::new();
    for (row, networks) in rows {
        let more = Spread::of(networks, |n| 100.0 * n.ascent_finds_more).mean;
        let own: [(&str, Of, String); 2] = [
            ("genetic", |n| n.genetic, String::new()),
            ("ascent", |n| n.ascent, format!("{more:.1}%")),
        ];
        for (name, of, more) in own {
            let names = vec![row.name.clone(), name.to_owned()];
            lines.push([names, means(networks, of, 1.0), vec![more]].concat());
        }
    }
    let header = ["row", "search", "P25", "P50", "P75", "P100", "more"];
    markdown::table(&header, &lines)
}

/// Of how many images a bound of the distortion is proved, where that was asked.
fn proved(networks: &[Network]) -> String {
    let count: usize = networks.iter().map(|n| n.proved).sum();
    let of: usize = networks.iter().map(|n| n.measured_images).sum();
    let reason = networks.iter().find_map(|n| n.not_proved.as_deref());
    match (count, reason) {
        (0, None) => String::new(),
        (_, None) => format!(" What no search can find more of is proved for all {of} images."),
        (_, Some(reason)) => format!(
            " What no search can find more of is proved for {count} of {of} images; else: {reason}."
        ),
    }
}

/// What shorter searches of the same images found, where there were any.
fn shorter(rows: &Rows<'_>) -> String {
    let mut lines = Vec::new();
    let mut costs = None;
    for (row, networks) in rows {
        let pairs = networks
            .iter()
            .filter_map(|n| Some((*n, n.shorter.as_ref()?)));
        let pairs: Vec<(&Network, &Shorter)> = pairs.collect();
        let Some((_, first)) = pairs.first() else {
            continue;
        };
        costs = Some(first.costs);
        let text = |of: fn(&Network, &Shorter) -> f64| {
            Spread::of(&pairs, |(network, own)| of(network, own)).text(short)
        };
        lines.push(vec![
            row.name.clone(),
            text(|_, own| own.genetic.p50),
            text(|network, _| network.genetic.p50),
            text(|_, own| own.ascent.p50),
            text(|network, _| network.ascent.p50),
            text(|_, own| 100.0 * own.share.p50),
        ]);
    }
    let Some(costs) = costs else {
        return String::new();
    };
    let header = [
        "row",
        "genetic, shorter",
        "genetic",
        "ascent, shorter",
        "ascent",
        "maximum, %",
    ];
    format!(
        "## Shorter searches\n\nThe same images by {} gradients of the genetic search and {} of ascent: medians, and those of the searches above. \
         \"Maximum\" is the median share that the larger of both shorter searches has of the larger above.\n\n{}\n",
        costs.genetic,
        costs.ascent,
        markdown::table(&header, &lines)
    )
}

fn margins(rows: &Rows<'_>) -> String {
    let line = |(row, networks): &(&Row, Vec<&Network>)| {
        let margins = means(networks, |n| n.eps_2, 1e6);
        [vec![row.name.clone()], margins].concat()
    };
    let lines: Vec<Vec<String>> = rows.iter().map(line).collect();
    markdown::table(&["row", "P25", "P50", "P75", "P100"], &lines)
}

fn each(networks: &[Network]) -> String {
    let line = |network: &Network| {
        vec![
            network.row.clone(),
            network.seed.to_string(),
            format!("{:.2}", 100.0 * network.accuracy),
            network.epoch.to_string(),
            format!("{:.0}", network.training_seconds),
            format!("{:.0}", network.measuring_seconds),
        ]
    };
    let lines: Vec<Vec<String>> = networks.iter().map(line).collect();
    let header = [
        "row",
        "seed",
        "test %",
        "epoch",
        "training s",
        "measuring s",
    ];
    markdown::table(&header, &lines)
}

/// Four significant digits or all before the point.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
