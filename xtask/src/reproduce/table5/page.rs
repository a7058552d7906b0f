//! The tables of the page: each rule's rows, the comparison seed by seed, and all configurations.

use std::fmt::Write as _;

use anyhow::Context;

use super::choice::{Candidate, chosen};
use super::network::{Column, Network, RADIUS, columns};
use super::plan::{Plan, Rule, VANILLA};
use crate::reproduce::markdown;

pub(super) fn tables(
    plan: &Plan,
    candidates: &[Candidate],
    networks: &[Network],
    vanilla: f64,
) -> anyhow::Result<String> {
    let asked = &plan.measured;
    let (inputs, percent) = (asked.inputs, 100.0 * asked.change);
    let margins = match plan.certified {
        None => "and the medians of the margins eps_2 and eps_inf of all test images".to_owned(),
        Some(first) => format!(
            "of all test images, and the medians of the margins eps_2 and eps_inf of the first {first}"
        ),
    };
    let mut text = format!(
        "Chosen and compared by the [rules](../table5/rules.md). Accuracy in percent {margins}. The rest are medians of the first {inputs} test images, for pixels in [{}, {}]: *radius*, the l_inf radius within which \
         the predicted class's gradient is proved to change by at most {percent}% in l1; in the l_inf ball of {}, the largest change that \
         was *found* and the one that is *proved*, in percent of the gradient, and how many neurons can change sides at most; the \
         percentage of these images whose class is right and proved to stay. Proofs are without branching. Radii in units of {:e}. \
         Means over {} seeds, and standard deviations. Seconds of an epoch are those of a machine that did other work, too.\n",
        asked.domain[0],
        asked.domain[1],
        asked.ball,
        plan.unit,
        plan.seeds.len(),
    );
    for rule in &plan.rules {
        let rows = rows(plan, rule, candidates, networks, vanilla);
        writeln!(
            text,
            "\n## {}\n\n{}",
            title(&rule.name),
            table(plan, &rows)?
        )?;
        if let Some(pair) = &plan.compare {
            text.push_str(&compared(plan, pair, &rows)?);
        }
    }
    writeln!(
        text,
        "\n## Every configuration\n\nOf the validation images, by the network of seed 0: accuracy in percent, and the median radius where a rule \
         allows the accuracy. Vanilla's accuracy is {:.2}%.\n\n{}",
        100.0 * vanilla,
        all(plan, candidates, vanilla)
    )?;
    Ok(text)
}

/// The rows of a table: objective, settings, networks.
type Rows<'a> = Vec<(&'a str, String, Vec<&'a Network>)>;

fn title(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

fn rows<'a>(
    plan: &'a Plan,
    rule: &Rule,
    candidates: &[Candidate],
    networks: &'a [Network],
    vanilla: f64,
) -> Rows<'a> {
    let own = networks.iter().filter(|n| n.objective == VANILLA);
    let mut rows: Rows<'a> = vec![(VANILLA, String::new(), own.collect())];
    for objective in &plan.objectives {
        let choice = chosen(rule, &objective.name, candidates, vanilla);
        let (settings, own) = match choice {
            Some(choice) => {
                let prefix = choice.name() + ",";
                let own = networks.iter().filter(|n| n.run.starts_with(&prefix));
                (choice.settings(), own.collect())
            }
            None => ("none is accurate enough".to_owned(), Vec::new()),
        };
        rows.push((&objective.name, settings, own));
    }
    rows
}

/// The mean and the standard deviation.
fn spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

fn numbers(column: &Column, networks: &[&Network]) -> anyhow::Result<Vec<f64>> {
    networks
        .iter()
        .map(|network| (column.of)(network))
        .collect()
}

fn table(plan: &Plan, rows: &Rows<'_>) -> anyhow::Result<String> {
    let columns = columns(plan);
    let mut lines = Vec::new();
    for (objective, settings, networks) in rows {
        let mut line = vec![(*objective).to_owned(), settings.clone()];
        for column in columns.iter().filter(|_| !networks.is_empty()) {
            let (mean, deviation) = spread(&numbers(column, networks)?);
            line.push(format!(
                "{} ± {}",
                (column.show)(mean),
                (column.show)(deviation)
            ));
        }
        lines.push(line);
    }
    let names = columns.iter().map(|column| &column.name[..]);
    let header: Vec<&str> = ["objective", "settings"].into_iter().chain(names).collect();
    Ok(markdown::table(&header, &lines))
}

/// The radii of two objectives, seed by seed.
fn compared(plan: &Plan, pair: &[String; 2], rows: &Rows<'_>) -> anyhow::Result<String> {
    let columns = columns(plan);
    let column = |name: &str| {
        let own = columns.iter().find(|column| column.name == name);
        own.context("no such column")
    };
    let own = |name: &String| rows.iter().find(|row| row.0 == name).map(|row| &row.2);
    let (Some(first), Some(second)) = (own(&pair[0]), own(&pair[1])) else {
        return Ok(String::new());
    };
    if first.is_empty() || second.is_empty() {
        return Ok(String::new());
    }
    let both = |name: &str| -> anyhow::Result<Vec<(f64, f64)>> {
        let column = column(name)?;
        let [first, second] = [numbers(column, first)?, numbers(column, second)?];
        Ok(first.into_iter().zip(second).collect())
    };
    let ratios: Vec<f64> = both(RADIUS)?.iter().map(|(a, b)| a / b).collect();
    let points = both("accuracy")?;
    let points: Vec<f64> = points.iter().map(|(a, b)| 100.0 * (a - b)).collect();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    let ((mean, deviation), (more, spread)) = (spread(&ratios), spread(&points));
    Ok(format!(
        "\nSeed by seed, the median radius of {} is {mean:.2} ± {deviation:.2} times that of {} (from {least:.2} to {most:.2}), its accuracy \
         {more:+.2} ± {spread:.2} points beside it.\n",
        pair[0], pair[1]
    ))
}

fn all(plan: &Plan, candidates: &[Candidate], vanilla: f64) -> String {
    let line = |candidate: &Candidate| {
        let mut rules = Vec::new();
        for rule in &plan.rules {
            let choice = chosen(rule, &candidate.objective, candidates, vanilla);
            if choice.is_some_and(|choice| choice.name() == candidate.name()) {
                rules.push(rule.name.clone());
            }
        }
        let accuracy = candidate
            .accuracy
            .map(|share| format!("{:.2}", 100.0 * share));
        let radius = candidate
            .radius
            .map(|radius| format!("{:.2}", radius / plan.unit));
        vec![
            candidate.objective.clone(),
            candidate.settings(),
            accuracy.unwrap_or_else(|| "diverged".to_owned()),
            radius.unwrap_or_else(|| "-".to_owned()),
            rules.join(", "),
        ]
    };
    let header = ["objective", "settings", "accuracy", "radius", "chosen for"];
    let lines: Vec<Vec<String>> = candidates.iter().map(line).collect();
    markdown::table(&header, &lines)
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn a_single_number_has_no_deviation() {
        assert_eq!(spread(&[3.0]), (3.0, 0.0));
        assert_eq!(spread(&[1.0, 3.0]), (2.0, 2f64.sqrt()));
    }
}
