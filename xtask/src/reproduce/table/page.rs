//! The tables of the page: ours beside the published, the spread over the seeds, each network, the settings.

use super::network::{Network, by_row};
use super::plan::{Plan, Row};
use crate::reproduce::markdown;
use crate::reproduce::spread::Spread;
use loclin::program::config::{Architecture, Config, Loss};
use loclin_report::stats;

pub(super) fn tables(plan: &Plan, networks: &[Network]) -> anyhow::Result<String> {
    let rows = by_row(plan, networks);
    let inputs = networks.first().map_or(0, |n| n.certificate.inputs);
    Ok(format!(
        "Radii on the {inputs} test inputs, certified in float64, in units of {:e} of {}. {}\n\n\
         ## Ours beside the published\n\nMeans over the seeds. \"x {}\" is the median eps_2 over that of the first \
         row.\n\n{}\n\
         ## Spread over the seeds\n\nThe mean, and the least and the largest in brackets.\n\n{}\n\
{}\n\
         ## Each network\n\n#CLR by both bounds. Spearman's rank correlation is that of eps_1 and eps_2. \"Mixed\" \
         counts the regions whose test inputs have different labels, of all regions that several test inputs share. \
         Training counts all epochs, validation included.\n\n{}\n\
         ## Settings\n\n{}",
        plan.unit,
        plan.scale,
        plan.chosen,
        plan.rows.first().map_or("", |row| &row.name),
        beside(plan, &rows)?,
        spread(plan, &rows)?,
        paired(&rows),
        each(networks),
        settings(&rows),
    ))
}

type Rows<'a> = [(&'a Row, Vec<&'a Network>)];

/// Our means, and below them the paper's numbers.
fn beside(plan: &Plan, rows: &Rows<'_>) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    let baseline = Baseline::of(plan, rows)?;
    for (row, networks) in rows {
        let mean = |value: &dyn Fn(&Network) -> f64| Spread::of(networks, |n| value(n)).mean;
        let percentiles = |norm: &str| -> anyhow::Result<Vec<String>> {
            let all = values(networks, norm)?;
            let mean = |k: usize| all.iter().map(|p| p[k]).sum::<f64>() / all.len() as f64;
            Ok((0..4).map(|k| short(mean(k) / plan.unit)).collect())
        };
        let medians = medians(networks)?;
        let clr = [0, 1].map(|side| mean(&|n| n.certificate.clr[side] as f64));
        let ours = [
            vec![
                row.name.clone(),
                "here".to_owned(),
                format!("{:.2}", 100.0 * mean(&|n| n.certificate.accuracy)),
                bounds(clr.map(|bound| format!("{bound:.0}"))),
            ],
            percentiles("eps_1")?,
            percentiles("eps_2")?,
            vec![baseline.here.map_or_else(missing, |base| {
                format!(
                    "{:.1}",
                    medians.iter().sum::<f64>() / medians.len() as f64 / base
                )
            })],
        ];
        lines.push(ours.concat());
        let published = &row.published;
        let numbers = |values: [f64; 4]| values.map(|value| value.to_string()).to_vec();
        let paper = [
            vec![
                String::new(),
                "published".to_owned(),
                published.accuracy.to_string(),
                published.clr.map_or_else(missing, |clr| clr.to_string()),
            ],
            numbers(published.eps_1),
            numbers(published.eps_2),
            vec![format!("{:.1}", published.eps_2[1] / baseline.published)],
        ];
        lines.push(paper.concat());
    }
    let times = format!("x {}", plan.rows.first().map_or("", |row| &row.name));
    let header = [
        "row",
        "",
        "accuracy %",
        "#CLR",
        "eps_1 P25",
        "P50",
        "P75",
        "P100",
        "eps_2 P25",
        "P50",
        "P75",
        "P100",
        &times,
    ];
    Ok(markdown::table(&header, &lines))
}

/// Medians of the first row, ours and the paper's.
struct Baseline {
    here: Option<f64>,
    published: f64,
}

impl Baseline {
    fn of(plan: &Plan, rows: &Rows<'_>) -> anyhow::Result<Self> {
        let first = plan.rows.first();
        let mut here = None;
        for (row, networks) in rows {
            if Some(&row.name) == first.map(|first| &first.name) {
                let medians = medians(networks)?;
                here = Some(medians.iter().sum::<f64>() / medians.len() as f64);
            }
        }
        Ok(Self {
            here,
            published: first.map_or(f64::NAN, |row| row.published.eps_2[1]),
        })
    }
}

fn spread(plan: &Plan, rows: &Rows<'_>) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    for (row, networks) in rows {
        let mut line = vec![
            row.name.clone(),
            networks.len().to_string(),
            Spread::of(networks, |n| 100.0 * n.certificate.accuracy).text(|v| format!("{v:.2}")),
        ];
        for (norm, positions) in [("eps_1", 1..2), ("eps_2", 0..4)] {
            let all = values(networks, norm)?;
            for k in positions {
                let spread = Spread::of(&all, |p| p[k] / plan.unit);
                line.push(spread.text(short));
            }
        }
        line.push(Spread::of(networks, |n| n.training_seconds).text(|v| format!("{v:.0}")));
        lines.push(line);
    }
    let header = [
        "row",
        "seeds",
        "accuracy %",
        "eps_1 P50",
        "eps_2 P25",
        "P50",
        "P75",
        "P100",
        "training s",
    ];
    Ok(markdown::table(&header, &lines))
}

/// Accuracy beside that of the first row, seed by seed.
fn paired(rows: &Rows<'_>) -> String {
    let Some(((first, base), others)) = rows.split_first() else {
        return String::new();
    };
    let line = |(row, networks): &(&Row, Vec<&Network>)| {
        let pair = |network: &&&Network| base.iter().find(|own| own.seed == network.seed);
        let pairs = networks.iter().filter_map(|n| Some((n, pair(&n)?)));
        let points = |(n, own): (&&Network, &&Network)| {
            100.0 * (n.certificate.accuracy - own.certificate.accuracy)
        };
        let points: Vec<f64> = pairs.map(points).collect();
        let p = stats::paired(&points);
        let spread = Spread::of(&points, |point| *point);
        vec![
            row.name.clone(),
            points.len().to_string(),
            match points.is_empty() {
                true => missing(),
                false => spread.text(|v| format!("{v:+.2}")),
            },
            p.map_or_else(missing, |p| format!("{p:.3}")),
        ]
    };
    let lines: Vec<Vec<String>> = others.iter().map(line).collect();
    let header = ["row", "pairs", "points", "p"];
    format!(
        "Accuracy less that of {} with the same seed, and the two-sided p-value of the exact permutation test of pairs, \
         2/2^pairs at the least.\n\n{}",
        first.name,
        markdown::table(&header, &lines)
    )
}

fn each(networks: &[Network]) -> String {
    let line = |network: &Network| {
        let certificate = &network.certificate;
        vec![
            network.row.clone(),
            network.seed.to_string(),
            format!("{:.2}", 100.0 * network.valid_accuracy),
            format!("{:.2}", 100.0 * certificate.accuracy),
            bounds(certificate.clr.map(|bound| bound.to_string())),
            certificate.on_boundary.to_string(),
            certificate
                .spearman
                .map_or_else(missing, |rho| format!("{rho:.4}")),
            format!(
                "{} of {}",
                certificate.mixed_regions, certificate.shared_regions
            ),
            network.epoch.to_string(),
            format!("{:.0}", network.training_seconds),
            match network.training_threads {
                0 => missing(),
                threads => threads.to_string(),
            },
            format!("{:.1}", certificate.seconds),
        ]
    };
    // What is trained on everything is measured on what it was trained on.
    let is_all = |network: &Network| network.config.folds == 1;
    let measured = match networks.iter().all(is_all) {
        true => "training %",
        false => "validation %",
    };
    let header = [
        "row",
        "seed",
        measured,
        "test %",
        "#CLR",
        "on a boundary",
        "Spearman",
        "mixed",
        "epoch",
        "training s",
        "threads",
        "certifying s",
    ];
    let lines: Vec<Vec<String>> = networks.iter().map(line).collect();
    markdown::table(&header, &lines)
}

/// The settings in which rows may differ; the configurations have all of them.
fn settings(rows: &Rows<'_>) -> String {
    let line = |(row, networks): &(&Row, Vec<&Network>)| {
        let config = networks.first().map(|network| words(&network.config));
        let file = row.config.file_name().unwrap_or_default();
        let file = file.to_string_lossy();
        format!(
            "* {} (`crates/loclin/presets/{}.toml`): {}\n",
            row.name,
            file.strip_suffix(".toml").unwrap_or(&file),
            config.unwrap_or_default()
        )
    };
    rows.iter().map(line).collect()
}

fn words(config: &Config) -> String {
    let mut words = Vec::new();
    if config.loss != Loss::Vanilla {
        let Config {
            lambda, c, gamma, ..
        } = config;
        words.push(format!("lambda {lambda}, C {c}, gamma {gamma}"));
        if config.estimated_epochs > 0 {
            words.push(format!("estimated for {} epochs", config.estimated_epochs));
        }
        if config.lambda_warmup > 0.0 {
            words.push(format!("warm-up {} epochs", config.lambda_warmup));
        }
    }
    let optimizer = format!("{:?}", config.optimizer).to_lowercase();
    let schedule = format!("{:?}", config.schedule).to_lowercase();
    words.push(format!(
        "{optimizer}, rate {} {schedule}",
        config.learning_rate
    ));
    if config.momentum > 0.0 {
        words.push(format!("momentum {}", config.momentum));
    }
    if config.weight_decay > 0.0 {
        words.push(format!("weight decay {}", config.weight_decay));
    }
    if config.average != loclin::program::config::Average::None {
        words.push(format!("average {:?}", config.average).to_lowercase());
    }
    if config.architecture == Architecture::ScoRnn {
        words.push(format!("negative_slope {}", config.negative_slope));
    }
    words.push(format!("hidden {:?}", config.hidden));
    words.push(format!(
        "batch {}, {} epochs",
        config.batch_size, config.epochs
    ));
    words.join("; ")
}

/// The percentiles of a norm's margins for each network.
fn values(networks: &[&Network], norm: &str) -> anyhow::Result<Vec<[f64; 4]>> {
    let one = |network: &&Network| network.certificate.margin(norm).map(|p| p.all());
    networks.iter().map(one).collect()
}

fn medians(networks: &[&Network]) -> anyhow::Result<Vec<f64>> {
    Ok(values(networks, "eps_2")?
        .into_iter()
        .map(|p| p[1])
        .collect())
}

fn missing() -> String {
    "-".to_owned()
}

/// Both bounds, or the one number where they coincide.
fn bounds([lower, upper]: [String; 2]) -> String {
    match lower == upper {
        true => lower,
        false => format!("{lower} to {upper}"),
    }
}

/// Three digits at least.
fn short(value: f64) -> String {
    let decimals = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}
