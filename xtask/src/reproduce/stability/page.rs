//! The page: answers, correlations, what each network does, and the rules.

use loclin_report::stats::Percentiles;

use super::answers::{Measure, Pair, Radius, correlations, count, pairs};
use super::change::{Change, SAME};
use super::measured::{Measured, SHARE};
use super::plan::Plan;
use super::rules::rules;
use super::statistics::{Interval, Side};
use crate::reproduce::markdown;

/// A table of rank correlations: its heading, its words, a radius and a measure.
type Correlated = (&'static str, &'static str, Radius, Measure);

const LEADING: Correlated = (
    "Within a network",
    "Spearman's rank correlation, over images, of eps_2 and the relative change of the gradient: below 0, explanations change \
     less where the radius is larger.",
    |image| image.eps_2,
    |change| Some(change.relative),
);
const OTHERS: [Correlated; 3] = [
    (
        "Outside of the proved balls",
        "The same over the images whose perturbation leaves both balls, where nothing is proved.",
        |image| image.eps_2,
        |change| (!change.inside()).then_some(change.relative),
    ),
    (
        "By the l_inf radius",
        "Rank correlation of eps_inf and the relative change of the gradient.",
        |image| image.eps_inf,
        |change| Some(change.relative),
    ),
    (
        "By the order of pixels",
        "Rank correlation of eps_2 and the rank correlation of |g| and |g'| over pixels: above 0, the order of pixels is kept \
         better where the radius is larger.",
        |image| image.eps_2,
        |change| change.ranks,
    ),
];

/// The page's text behind its heading and figure, and its first section for the terminal.
pub(super) fn page(plan: &Plan, networks: &[Measured]) -> [String; 2] {
    let names: Vec<String> = plan.perturbations.iter().map(|p| p.name()).collect();
    let (heading, words, radius, measure) = LEADING;
    let found: Vec<Vec<Option<Interval>>> = (0..names.len())
        .map(|at| correlations(networks, at, radius, measure, plan.samples))
        .collect();
    let pairs = pairs(networks, plan.samples);
    let answers = answers(&found, &pairs, networks.len());
    let mut text = format!("## Answers\n\n{answers}\n## {heading}\n\n{words}\n\n");
    text += &correlated(&names, networks, &found);
    text += &across(&names, &pairs);
    for (heading, words, radius, measure) in OTHERS {
        let found: Vec<_> = (0..names.len())
            .map(|at| correlations(networks, at, radius, measure, plan.samples))
            .collect();
        text += &format!("\n## {heading}\n\n{words}\n\n");
        text += &correlated(&names, networks, &found);
    }
    text += &format!(
        "\n## How much explanations change\n\n{}",
        spread(&names, networks, plan)
    );
    text += &format!(
        "\n## How often, and how much then\n\n{}",
        changed(&names, networks)
    );
    text += &format!(
        "\n## What is proved, and whether it held\n\n{}",
        proved(&names, networks)
    );
    text += &format!("\n## Networks\n\n{}", network_table(networks));
    text += &format!(
        "\n## Rules\n\nWritten before the run (the history of this page has them alone).\n\n{}",
        rules(plan)
    );
    text += "\n## Tried and not shown\n\nNo other image, perturbation, radius or measure was tried. Relative changes in l1 and the numbers of each image are in \
             [`stability.csv`](stability.csv) alone.\n";
    [text, answers]
}

/// How often which answer was given.
fn answers(found: &[Vec<Option<Interval>>], pairs: &[Pair], networks: usize) -> String {
    let within: Vec<_> = found
        .iter()
        .flat_map(|row| row[..networks].to_vec())
        .collect();
    let pooled: Vec<_> = found.iter().filter_map(|row| row.last().copied()).collect();
    let across: Vec<_> = pairs.iter().flat_map(|pair| pair.shares.clone()).collect();
    let line = |question: &str, all: &[Option<Interval>], of: f64, yes: Side, no: Side| {
        let [yes, no] = [yes, no].map(|side| count(all, of, side));
        let rest = all.len() - yes - no;
        format!(
            "* {question}: yes in {yes} of {} cases, the reverse in {no}, not shown in {rest}.\n",
            all.len()
        )
    };
    [
        line(
            "Within a network, does a larger radius go with a smaller change? (each network and perturbation)",
            &within,
            0.0,
            Side::Below,
            Side::Above,
        ),
        line(
            "Over the images of all networks together? (each perturbation)",
            &pooled,
            0.0,
            Side::Below,
            Side::Above,
        ),
        line(
            "Across networks, does the same image's explanation change less in the network with larger radii? (each pair and perturbation)",
            &across,
            0.5,
            Side::Above,
            Side::Below,
        ),
    ]
    .concat()
}

fn interval(found: &Option<Interval>) -> String {
    let shown =
        |found: &Interval| format!("{:.2} [{:.2}, {:.2}]", found.value, found.low, found.high);
    found.as_ref().map_or_else(|| "-".to_owned(), shown)
}

/// A row for each perturbation, a column for each network and one for all.
fn correlated(names: &[String], networks: &[Measured], found: &[Vec<Option<Interval>>]) -> String {
    let networks = networks.iter().map(|network| network.name.as_str());
    let header: Vec<&str> = ["perturbation"]
        .into_iter()
        .chain(networks)
        .chain(["pooled"])
        .collect();
    let rows = names.iter().zip(found);
    let row = |(name, found): (&String, &Vec<Option<Interval>>)| {
        let cells = found.iter().map(interval);
        [name.clone()].into_iter().chain(cells).collect::<Vec<_>>()
    };
    markdown::table(&header, &rows.map(row).collect::<Vec<_>>())
}

fn across(names: &[String], pairs: &[Pair]) -> String {
    let heads: Vec<String> = pairs
        .iter()
        .map(|pair| {
            format!(
                "{} < {} ({} images)",
                pair.names[0], pair.names[1], pair.images
            )
        })
        .collect();
    let heads = heads.iter().map(String::as_str);
    let header: Vec<&str> = ["perturbation"].into_iter().chain(heads).collect();
    let row = |(at, name): (usize, &String)| {
        let cells = pairs.iter().map(|pair| interval(&pair.shares[at]));
        [name.clone()].into_iter().chain(cells).collect::<Vec<_>>()
    };
    let rows: Vec<_> = names.iter().enumerate().map(row).collect();
    format!(
        "\n## Across networks\n\nOf the images that both networks classify rightly, the share whose explanation changes less in the second \
         one, whose median eps_2 is larger.\n\n{}",
        markdown::table(&header, &rows)
    )
}

/// Median and quartiles of what a perturbation does, for each network.
fn spread(names: &[String], networks: &[Measured], plan: &Plan) -> String {
    let mut rows = Vec::new();
    for (at, name) in names.iter().enumerate() {
        for network in networks {
            let changes = &network.changes[at];
            let middle =
                |of: Measure| quartiles(&changes.iter().filter_map(of).collect::<Vec<_>>());
            let changed = changes.iter().filter(|change| change.class_changed).count();
            rows.push(vec![
                name.clone(),
                network.name.clone(),
                middle(|change| Some(change.relative)),
                median(changes, |change| Some(change.cosine)),
                median(changes, |change| change.ranks),
                median(changes, |change| Some(change.top)),
                median(changes, |change| Some(change.times_input)),
                median(changes, |change| change.integrated),
                changed.to_string(),
                median(changes, |change| Some(change.l2)),
                median(changes, |change| Some(change.linf)),
            ]);
        }
    }
    let top = format!("top {}", plan.top);
    let header = [
        "perturbation",
        "network",
        "relative change",
        "cosine",
        "ranks",
        &top,
        "g x input",
        "integrated",
        "class changed",
        "l2",
        "l_inf",
    ];
    format!(
        "Medians over images, quartiles in brackets. Relative changes of the gradient, of gradient times input, and of exact integrated \
         gradients (first {} images); cosine and rank correlation of the gradients; the share of the largest pixels that stay; images \
         whose class changes; distances of the perturbed image.\n\n{}",
        plan.integrated,
        markdown::table(&header, &rows)
    )
}

/// How often the gradient changes at all, and how much where it does.
fn changed(names: &[String], networks: &[Measured]) -> String {
    let mut rows = Vec::new();
    for (at, name) in names.iter().enumerate() {
        for network in networks {
            let all: Vec<f64> = network.changes[at].iter().map(|c| c.relative).collect();
            let some: Vec<f64> = all.iter().copied().filter(|c| *c > SAME).collect();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            rows.push(vec![
                name.clone(),
                network.name.clone(),
                format!("{:.1}", 100.0 * some.len() as f64 / all.len() as f64),
                quartiles(&some),
                short(mean),
            ]);
        }
    }
    let header = [
        "perturbation",
        "network",
        "images whose gradient changes %",
        "relative change there",
        "mean over all",
    ];
    format!(
        "Not among the rules: added after the first run had shown that most gradients of some networks stay the same. Median and \
         quartiles over the images whose gradient changes by more than rounding, and the mean over all images.\n\n{}",
        markdown::table(&header, &rows)
    )
}

/// How many perturbed images lie within proved radii, and the largest changes there.
fn proved(names: &[String], networks: &[Measured]) -> String {
    let mut rows = Vec::new();
    for (at, name) in names.iter().enumerate() {
        for network in networks {
            let changes = &network.changes[at];
            let inside =
                |of: fn(&Change) -> bool| changes.iter().filter(|change| of(change)).count();
            let most = |of: fn(&Change) -> Option<f64>| {
                let largest = changes.iter().filter_map(of).max_by(f64::total_cmp);
                largest.map_or_else(|| "-".to_owned(), |change| format!("{change:.1e}"))
            };
            let asked = changes
                .iter()
                .filter(|change| change.inside_bounded.is_some());
            rows.push(vec![
                name.clone(),
                network.name.clone(),
                changes.len().to_string(),
                inside(|change| change.inside_2).to_string(),
                inside(|change| change.inside_inf).to_string(),
                most(|change| change.inside().then_some(change.relative)),
                format!(
                    "{} of {}",
                    inside(|change| change.inside_bounded == Some(true)),
                    asked.count()
                ),
                most(|change| (change.inside_bounded == Some(true)).then_some(change.relative_l1)),
            ]);
        }
    }
    let allowed = format!("within that of {}%", 100.0 * SHARE);
    let header = [
        "perturbation",
        "network",
        "images",
        "within eps_2",
        "within eps_inf",
        "largest change there",
        &allowed,
        "largest change there",
    ];
    format!(
        "How many perturbed images lie within the proved radii, where the gradient must be the same but for rounding, and within the proved \
         radius for a change of {}% in l1.\n\n{}",
        100.0 * SHARE,
        markdown::table(&header, &rows)
    )
}

fn network_table(networks: &[Measured]) -> String {
    let row = |network: &Measured| {
        let radii = |of: Radius| quartiles(&network.images.iter().map(of).collect::<Vec<_>>());
        let bounded: Vec<f64> = network
            .images
            .iter()
            .filter_map(|image| image.bounded)
            .collect();
        vec![
            network.name.clone(),
            network.images.len().to_string(),
            network.wrong.to_string(),
            radii(|image| image.eps_2),
            radii(|image| image.eps_inf),
            quartiles(&bounded),
        ]
    };
    let header = [
        "network",
        "images",
        "wrong before the last",
        "eps_2",
        "eps_inf",
        "25% in l1",
    ];
    let rows: Vec<_> = networks.iter().map(row).collect();
    format!(
        "Median proved radii, quartiles in brackets, in pixels of [0, 1].\n\n{}",
        markdown::table(&header, &rows)
    )
}

fn short(value: f64) -> String {
    match value.abs() {
        v if v == 0.0 || v.is_infinite() => value.to_string(),
        v if (1e-2..1e3).contains(&v) => format!("{value:.3}"),
        _ => format!("{value:.2e}"),
    }
}

/// Median and quartiles.
fn quartiles(values: &[f64]) -> String {
    Percentiles::of(values).map_or_else(
        || "-".to_owned(),
        |p| format!("{} [{}, {}]", short(p.p50), short(p.p25), short(p.p75)),
    )
}

fn median(changes: &[Change], of: Measure) -> String {
    let values: Vec<f64> = changes.iter().filter_map(of).collect();
    Percentiles::of(&values).map_or_else(|| "-".to_owned(), |p| short(p.p50))
}
