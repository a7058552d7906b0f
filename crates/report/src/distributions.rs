//! Margin distributions: the share of inputs certified to at least a radius.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::axis::{LogAxis, Tick, drawable};
use crate::data::{NetworkSummary, NormRadii, Report};
use crate::format::{coordinate, ell, order, percent, power_of_ten, radius_e4, times};
use crate::table::median_ratio;

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 256.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 332.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 212.0;
/// Steps per curve: finer than a pixel of the drawn height.
const STEPS: usize = 256;

/// One chart per norm of the first network, all networks in each.
pub(crate) fn distributions(report: &Report) -> Markup {
    let Some(first) = report.networks.first() else {
        return html! {};
    };
    html! {
        figure {
            (legend(&report.networks))
            div.charts {
                @for radii in &first.radii {
                    div.chart {
                        h3 { (ell(&radii.norm)) " ball" }
                        (chart(report, &radii.norm))
                    }
                }
            }
            figcaption {
                strong { "How to read it. " }
                "Height is the share of " (report.inputs) " whose gradient is " (report.certified()) "constant at "
                "least as far as the radius below; further right is better. Dots mark the medians "
                "(half of the inputs), and the arrow the factor between them. Radii are in "
                (report.unit) ", on a logarithmic axis."
                @for network in &report.networks {
                    @if let Some(note) = undrawn(network) { " " (note) }
                }
            }
        }
    }
}

/// Line samples with the networks' names.
pub(crate) fn legend(networks: &[NetworkSummary]) -> Markup {
    html! {
        p.legend {
            @for (position, network) in networks.iter().enumerate() {
                span {
                    svg.sample viewBox="0 0 40 12" width="40" height="12" aria-hidden="true" {
                        path class={ "curve net-" (position.min(2)) } d="M1 6H39" {}
                        circle class={ "dot net-" (position.min(2)) } cx="20" cy="6" r="3.6" {}
                    }
                    (network.name)
                }
            }
        }
    }
}

fn chart(report: &Report, norm: &str) -> Markup {
    let curves: Vec<(usize, &NormRadii, Vec<f64>)> = report
        .networks
        .iter()
        .enumerate()
        .filter_map(|(position, network)| {
            let radii = network.radii.iter().find(|radii| radii.norm == norm)?;
            Some((position, radii, sorted(&radii.values)))
        })
        .collect();
    let all = || {
        curves
            .iter()
            .flat_map(|(_, radii, values)| extent(values, radii.p50))
    };
    let (low, high) = (
        all().fold(f64::INFINITY, f64::min),
        all().fold(0.0, f64::max),
    );
    let Some(axis) = LogAxis::new(low, high, LEFT, RIGHT) else {
        return html! { p.empty { "No radius of this norm is positive and finite." } };
    };
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img"
            aria-label=(description(report, norm)) {
            (frame(&axis, norm, report))
            @for (position, _, values) in &curves {
                @let outline = outline(&axis, values);
                path class={ "area net-" (position.min(&2)) }
                    d={ (outline) "V" (coordinate(BOTTOM)) "H" (coordinate(LEFT)) "Z" } {}
                path class={ "curve net-" (position.min(&2)) } d=(outline) {}
            }
            (medians(&axis, report, norm, &curves))
        }
    }
}

/// Axes, grid and labels.
fn frame(axis: &LogAxis, norm: &str, report: &Report) -> Markup {
    let decades = axis.decades(6);
    let labelled: Vec<Tick> = if decades.len() >= 2 {
        decades
    } else {
        axis.ticks()
            .into_iter()
            .filter(|tick| matches!(tick.digit, 1 | 2 | 5))
            .collect()
    };
    html! {
        text.label x="0" y="11" { "share " (report.certified().trim_end()) }
        @for share in [0_u8, 25, 50, 75, 100] {
            @let y = height_of(f64::from(share) / 100.0);
            path.grid d={ "M" (LEFT) " " (coordinate(y)) "H" (RIGHT) } {}
            text.tick x=(LEFT - 5.0) y=(coordinate(y + 3.5)) text-anchor="end" { (share) "%" }
        }
        @for tick in axis.ticks() {
            path.minor d={ "M" (coordinate(tick.at)) " " (BOTTOM) "v3" } {}
        }
        @for tick in labelled {
            path.major d={ "M" (coordinate(tick.at)) " " (BOTTOM) "v6" } {}
            text.tick x=(coordinate(tick.at)) y=(BOTTOM + 18.0) text-anchor="middle" {
                @if tick.digit > 1 { (tick.digit) "·" }
                (power_of_ten(tick.exponent))
            }
        }
        path.major d={ "M" (LEFT) " " (BOTTOM) "H" (RIGHT) } {}
        text.label x=((LEFT + RIGHT) / 2.0) y=(BOTTOM + 37.0) text-anchor="middle" {
            (report.certified()) "ℓ" tspan.sub dy="3" { (order(norm)) }
            tspan dy="-3" { " radius (" (report.unit) ")" }
        }
    }
}

/// Dots at the medians, and an arrow with the factor from the first to each other.
fn medians(
    axis: &LogAxis,
    report: &Report,
    norm: &str,
    curves: &[(usize, &NormRadii, Vec<f64>)],
) -> Markup {
    let y = height_of(0.5);
    let place = |p50: f64| drawable(p50).then(|| axis.position(p50));
    let start = curves.first().and_then(|(_, radii, _)| place(radii.p50));
    html! {
        @for (position, radii, _) in curves {
            @if let (Some(from), Some(to)) = (start, place(radii.p50)) {
                @if *position > 0 && (to - from).abs() > 14.0 {
                    @let head = if to > from { -5.0 } else { 5.0 };
                    path.arrow d={
                        "M" (coordinate(from)) " " (y) "H" (coordinate(to + head))
                        "m" (head) " -3.5l" (-head) " 3.5l" (head) " 3.5"
                    } {}
                    text.factor x=(coordinate((from + to) / 2.0)) y=(y - 7.0)
                        text-anchor="middle" {
                        (times(median_ratio(&report.networks, *position, norm)))
                    }
                }
            }
        }
        @for (position, radii, _) in curves {
            @if let Some(x) = place(radii.p50) {
                circle class={ "dot net-" (position.min(&2)) } cx=(coordinate(x)) cy=(y) r="4" {}
            }
        }
    }
}

/// The falling staircase from the left edge: at height `share` of the values
/// at least as large as the radius below.
fn outline(axis: &LogAxis, values: &[f64]) -> String {
    let mut path = format!("M{}", coordinate(LEFT));
    let total = values.len();
    let share_from = |rank: usize| 1.0 - rank as f64 / total.max(1) as f64;
    let visible = values.partition_point(|&value| value < axis.low());
    let finite = values.partition_point(|&value| value < f64::INFINITY);
    // Writing to a string cannot fail.
    let _ = write!(path, " {}", coordinate(height_of(share_from(visible))));
    let stride = (finite - visible.min(finite)).div_ceil(STEPS).max(1);
    let mut rank = visible;
    while rank < finite {
        let next = (rank + stride).min(finite);
        let x = axis.position(values[next - 1]);
        let _ = write!(
            path,
            "H{}V{}",
            coordinate(x),
            coordinate(height_of(share_from(next)))
        );
        rank = next;
    }
    // Infinite radii stay above every finite one.
    if finite < total {
        let _ = write!(path, "H{}", coordinate(RIGHT));
    }
    path
}

/// The values without NaN, in order.
fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| !value.is_nan())
        .collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The part of ordered values worth an axis: all but the smallest half percent,
/// which on a logarithmic axis would take most of the width; and the median.
fn extent(sorted: &[f64], median: f64) -> Vec<f64> {
    let positive: Vec<f64> = sorted
        .iter()
        .copied()
        .filter(|&value| drawable(value))
        .collect();
    let low = positive.get(positive.len() / 200).copied();
    let high = positive.last().copied();
    let median = drawable(median).then_some(median);
    [low, high, median].into_iter().flatten().collect()
}

fn height_of(share: f64) -> f64 {
    BOTTOM - share * (BOTTOM - TOP)
}

/// What a logarithmic axis cannot show of a network, in words.
fn undrawn(network: &NetworkSummary) -> Option<String> {
    let notes = network.radii.iter().filter_map(|radii| {
        let share = |test: fn(&f64) -> bool| {
            let count = radii.values.iter().filter(|value| test(value)).count();
            (count > 0).then(|| percent(count as f64 / radii.values.len().max(1) as f64))
        };
        let zero = share(|value| *value == 0.0).map(|s| format!("{s} zero"));
        let infinite = share(|value| value.is_infinite()).map(|s| format!("{s} infinite"));
        let missing = share(|value| value.is_nan()).map(|s| format!("{s} missing"));
        let parts: Vec<String> = [zero, infinite, missing].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("ℓ{} {}", order(&radii.norm), parts.join(", ")))
    });
    let notes: Vec<String> = notes.collect();
    (!notes.is_empty()).then(|| format!("Off the axis for {}: {}.", network.name, notes.join("; ")))
}

/// The chart's message for those who cannot see it.
fn description(report: &Report, norm: &str) -> String {
    let medians = report.networks.iter().filter_map(|network| {
        let radii = network.radii.iter().find(|radii| radii.norm == norm)?;
        Some(format!(
            "{} median {} times 1e-4",
            network.name,
            radius_e4(radii.p50)
        ))
    });
    let medians: Vec<String> = medians.collect();
    format!(
        "Share of {} against {}l-{} radius: {}.",
        report.inputs,
        report.certified(),
        order(norm),
        medians.join(", ")
    )
}
