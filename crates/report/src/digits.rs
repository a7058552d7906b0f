//! Single inputs: the picture, each network’s gradient, and the certified radii.

use maud::{Markup, html};

use crate::axis::{LogAxis, drawable};
use crate::data::{DigitReading, DigitRow, NetworkSummary, Report};
use crate::error::{Context, Error, Result};
use crate::format::{coordinate, epsilon, power_of_ten, radius_e4};
use crate::png;

/// Width of the radius strips in their own units.
const STRIP: f64 = 130.0;

/// A card per digit.
///
/// # Errors
/// When a picture's length is not its side squared, or a digit has not one
/// reading per network.
pub(crate) fn digits(report: &Report) -> Result<Markup> {
    let axis = shared_axis(&report.digits);
    let cards = report
        .digits
        .iter()
        .map(|digit| {
            card(digit, report, axis.as_ref()).at(|| format!("drawing digit {}", digit.index))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(html! {
        figure {
            div.cards { @for card in &cards { (card) } }
            figcaption {
                strong { "How to read it. " }
                "Left, the input (black 0, white 1). Beside it, each network’s gradient of "
                (report.gradient_of) ": absolute value over its 99th percentile, clipped at 1; white "
                "pixels matter most. Within the certified radius around the input, the gradient is the "
                "one shown. Radii are in 10" sup { "−4" } " "
                (report.unit) "; the strip shows the same numbers on one logarithmic axis for all cards"
                @if let Some(axis) = &axis { " (" (axis_words(axis)) ")" }
                ". The neuron named last is the first to change sides, in the "
                span.symbol { "ℓ" sub { "2" } } " norm."
            }
        }
    })
}

fn card(digit: &DigitRow, report: &Report, axis: Option<&LogAxis>) -> Result<Markup> {
    let side = digit.side;
    if digit.readings.len() != report.networks.len() {
        return Err(Error::Readings {
            readings: digit.readings.len(),
            networks: report.networks.len(),
        });
    }
    let input = png::grey(side, side, &digit.pixels).at(|| "the input".into())?;
    let gradients = digit
        .readings
        .iter()
        .zip(&report.networks)
        .map(|(reading, network)| {
            png::grey(side, side, &png::gradient_shades(&reading.gradient))
                .at(|| format!("the gradient of {}", network.name))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(html! {
        article.card {
            div.pictures {
                div.picture {
                    img src=(input) width=(side) height=(side)
                        alt={ "Input " (digit.index) ", a " (digit.label) };
                    span { "digit " strong { (digit.label) } }
                }
                @for ((reading, network), gradient) in
                    digit.readings.iter().zip(&report.networks).zip(&gradients) {
                    div.picture {
                        img src=(gradient) width=(side) height=(side)
                            alt={ "Gradient picture of " (network.name) " at input " (digit.index) };
                        (verdict(reading, network, digit.label))
                    }
                }
            }
            (radii(digit, &report.networks, axis))
        }
    })
}

fn verdict(reading: &DigitReading, network: &NetworkSummary, label: usize) -> Markup {
    html! {
        span {
            (network.name) ": " strong { (reading.prediction) }
            @if reading.prediction != label { span.wrong { " ✗" span.hidden { " wrong" } } }
        }
    }
}

fn radii(digit: &DigitRow, networks: &[NetworkSummary], axis: Option<&LogAxis>) -> Markup {
    let values_of = |radius: fn(&DigitReading) -> f64| -> Vec<f64> {
        digit.readings.iter().map(radius).collect()
    };
    let rows = [
        ("1", values_of(|reading| reading.eps_1)),
        ("2", values_of(|reading| reading.eps_2)),
        ("inf", values_of(|reading| reading.eps_inf)),
    ];
    html! {
        table.radii {
            thead {
                tr {
                    th scope="col" { span.hidden { "radius" } }
                    @for (position, network) in networks.iter().enumerate() {
                        th.num scope="col" {
                            span class={ "key net-" (position.min(2)) } {} (network.name)
                        }
                    }
                    th.strip { span.hidden { "on a logarithmic axis" } }
                }
            }
            tbody {
                @for (norm, values) in &rows {
                    tr {
                        th scope="row" { (epsilon(norm)) }
                        @for value in values { td.num { (radius_e4(*value)) } }
                        td.strip { @if let Some(axis) = axis { (strip(values, axis)) } }
                    }
                }
            }
        }
        p.limits {
            "Input " (digit.index) ", limited by "
            @for (position, (reading, network)) in digit.readings.iter().zip(networks).enumerate() {
                @if position > 0 { "; " }
                (reading.limiting_neuron) " (" (network.name) ")"
            }
            "."
        }
    }
}

/// The radii of one norm as dots on the shared axis, joined by a line.
fn strip(values: &[f64], axis: &LogAxis) -> Markup {
    let dots: Vec<(usize, f64)> = values
        .iter()
        .enumerate()
        .filter(|(_, value)| drawable(**value))
        .map(|(position, value)| (position, axis.position(*value)))
        .collect();
    html! {
        svg viewBox={ "0 0 " (STRIP) " 16" } aria-hidden="true" {
            path.grid d="M0 8H130" {}
            @for tick in axis.decades(12) {
                path.grid d={ "M" (coordinate(tick.at)) " 3v10" } {}
            }
            @if let (Some((_, from)), Some((_, to))) = (dots.first(), dots.last()) {
                path.join d={ "M" (coordinate(*from)) " 8H" (coordinate(*to)) } {}
            }
            @for (position, x) in &dots {
                circle class={ "dot net-" (position.min(&2)) } cx=(coordinate(*x)) cy="8" r="3.8" {}
            }
        }
    }
}

fn shared_axis(digits: &[DigitRow]) -> Option<LogAxis> {
    let drawn = || {
        digits
            .iter()
            .flat_map(|digit| &digit.readings)
            .flat_map(|reading| [reading.eps_1, reading.eps_2, reading.eps_inf])
            .filter(|value| drawable(*value))
    };
    let (low, high) = (
        drawn().fold(f64::INFINITY, f64::min),
        drawn().fold(0.0, f64::max),
    );
    LogAxis::new(low, high, 5.0, STRIP - 5.0)
}

/// What the strips' grid lines stand for.
fn axis_words(axis: &LogAxis) -> String {
    let decades = axis.decades(12);
    match (decades.first(), decades.last()) {
        (Some(first), Some(last)) if first.exponent < last.exponent => format!(
            "grid lines from {} to {}",
            power_of_ten(first.exponent),
            power_of_ten(last.exponent)
        ),
        (Some(only), _) => format!("grid line at {}", power_of_ten(only.exponent)),
        _ => "less than a decade".to_owned(),
    }
}
