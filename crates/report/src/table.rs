//! The table of the paper's Table 1, as HTML and as text.

use maud::{Markup, html};

use crate::data::NetworkSummary;
use crate::format::{MISSING, bracket, ell, epsilon, percent, radius_e4, ratio, seconds, times};

/// The comparison as aligned plain text, one line per network and norm.
///
/// Radii are in units of 1e-4; the last column is the median over the first
/// network's median in the same norm.
pub fn text_table(networks: &[NetworkSummary]) -> String {
    let header = [
        "network",
        "accuracy",
        "#CLR",
        "x 1e-4",
        "P25",
        "P50",
        "P75",
        "P100",
        "P50 ratio",
    ];
    let mut lines = vec![header.map(str::to_owned)];
    for (position, network) in networks.iter().enumerate() {
        for (row, radii) in network.radii.iter().enumerate() {
            let once = |text: String| if row == 0 { text } else { String::new() };
            let gain = if position == 0 {
                String::new()
            } else {
                times(median_ratio(networks, position, &radii.norm))
            };
            lines.push([
                once(network.name.clone()),
                once(percent(network.accuracy)),
                once(bracket(network.clr_lower, network.clr_upper)),
                format!("eps_{}", radii.norm),
                radius_e4(radii.p25),
                radius_e4(radii.p50),
                radius_e4(radii.p75),
                radius_e4(radii.p100),
                gain,
            ]);
        }
    }
    align(&lines)
}

/// The comparison as an HTML table, one row per network and one of ratios.
pub(crate) fn table(networks: &[NetworkSummary]) -> Markup {
    let Some(first) = networks.first() else {
        return html! {};
    };
    html! {
        div.scroll tabindex="0" role="group" aria-label="Table of results" {
            table.results {
                thead {
                    tr {
                        th rowspan="2" scope="col" { "network" }
                        th.num rowspan="2" scope="col" { "accuracy" }
                        th.num rowspan="2" scope="col" { "#CLR" }
                        th.num rowspan="2" scope="col" { "training" }
                        @for radii in &first.radii {
                            th.group colspan="4" scope="colgroup" {
                                (epsilon(&radii.norm)) span.unit { " × 10" sup { "−4" } }
                            }
                        }
                    }
                    tr {
                        @for _ in &first.radii {
                            th.group.num scope="col" { "P25" }
                            th.num scope="col" { "P50" }
                            th.num scope="col" { "P75" }
                            th.num scope="col" { "P100" }
                        }
                    }
                }
                tbody {
                    @for (position, network) in networks.iter().enumerate() {
                        (network_row(position, network, first))
                    }
                }
                @if networks.len() > 1 {
                    tfoot {
                        @for position in 1..networks.len() {
                            (ratio_row(networks, position))
                        }
                    }
                }
            }
        }
    }
}

/// Median of network `position` over the median of the first, in `norm`.
pub(crate) fn median_ratio(
    networks: &[NetworkSummary],
    position: usize,
    norm: &str,
) -> Option<f64> {
    let median = |network: &NetworkSummary| {
        let radii = network.radii.iter().find(|radii| radii.norm == norm)?;
        Some(radii.p50)
    };
    let of = median(networks.get(position)?)?;
    ratio(of, median(networks.first()?)?)
}

fn network_row(position: usize, network: &NetworkSummary, first: &NetworkSummary) -> Markup {
    html! {
        tr {
            th scope="row" {
                span class={ "key net-" (position.min(2)) } {}
                (network.name)
                @if !network.settings.is_empty() { span.settings { (network.settings) } }
            }
            td.num { (percent(network.accuracy)) }
            td.num { (bracket(network.clr_lower, network.clr_upper)) }
            td.num { (seconds(network.training_seconds)) }
            @for wanted in &first.radii {
                @match network.radii.iter().find(|radii| radii.norm == wanted.norm) {
                    Some(radii) => {
                        td.num.group { (radius_e4(radii.p25)) }
                        td.num.median { (radius_e4(radii.p50)) }
                        td.num { (radius_e4(radii.p75)) }
                        td.num { (radius_e4(radii.p100)) }
                    }
                    None => { td.group colspan="4" { (MISSING) } }
                }
            }
        }
    }
}

fn ratio_row(networks: &[NetworkSummary], position: usize) -> Markup {
    let (of, over) = (&networks[position].name, &networks[0].name);
    html! {
        tr {
            th scope="row" colspan="4" { "median of " (of) " over median of " (over) }
            @for radii in &networks[0].radii {
                td.group.ratio colspan="4" {
                    span.hidden { "in " (ell(&radii.norm)) ": " }
                    (times(median_ratio(networks, position, &radii.norm)))
                }
            }
        }
    }
}

/// Pads every column to its widest cell: words to the left, numbers to the right.
fn align<const N: usize>(lines: &[[String; N]]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for line in lines {
        let cells = line
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if column == 0 || column == 3 {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
