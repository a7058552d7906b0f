//! What can change in a ball: found and proved, radius by radius.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::axis::{LogAxis, Tick, drawable};
use crate::data::BoundCurve;
use crate::format::{at_least, at_most, coordinate, order, power_of_ten, significant};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 256.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 452.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 212.0;

/// The curve with its legend; nothing for one without a radius to draw.
pub(crate) fn curve(curve: &BoundCurve) -> Markup {
    let points: Vec<[f64; 3]> = curve.points.iter().copied().filter(is_drawn).collect();
    let radii = || points.iter().map(|[radius, ..]| *radius);
    let (low, high) = (
        radii().fold(f64::INFINITY, f64::min),
        radii().fold(0.0, f64::max),
    );
    let Some(axis) = LogAxis::new(low, high, LEFT, RIGHT) else {
        return html! {};
    };
    let values = points
        .iter()
        .flat_map(|[_, found, proved]| [*found, *proved]);
    let ends = values
        .filter(|value| value.is_finite())
        .fold([0.0, 0.0], |[low, high], value| {
            [f64::min(low, value), f64::max(high, value)]
        });
    let scale = Scale::new(ends);
    html! {
        div.bounds {
            (legend(&curve.claim))
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(description(curve)) {
                (frame(&axis, &scale, curve))
                path.area.net-1 d=(area(&axis, &scale, &points)) {}
                path.curve.net-0 d=(line(&axis, &scale, &points, 2)) {}
                path.curve.net-1 d=(line(&axis, &scale, &points, 1)) {}
                @for [radius, found, _] in &points {
                    circle.dot.net-1 cx=(coordinate(axis.position(*radius))) cy=(coordinate(scale.height(*found))) r="2.6" {}
                }
            }
        }
    }
}

/// A linear scale of heights.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn new([low, high]: [f64; 2]) -> Self {
        match high > low {
            true => Self { low, high },
            false => Self {
                low,
                high: low + 1.0,
            },
        }
    }

    /// Where a value is; one beyond the scale at its end.
    fn height(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        // Halves, whose difference does not overflow.
        let share = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        BOTTOM - share * (BOTTOM - TOP)
    }

    fn at(&self, share: f64) -> f64 {
        self.low * (1.0 - share) + self.high * share
    }
}

fn is_drawn([radius, found, proved]: &[f64; 3]) -> bool {
    drawable(*radius) && !found.is_nan() && !proved.is_nan()
}

fn legend(claim: &str) -> Markup {
    html! {
        p.legend {
            @for (net, name) in [(1, "found"), (0, claim)] {
                span {
                    svg.sample viewBox="0 0 40 12" width="40" height="12" aria-hidden="true" {
                        path class={ "curve net-" (net) } d="M1 6H39" {}
                    }
                    (name)
                }
            }
        }
    }
}

fn frame(axis: &LogAxis, scale: &Scale, curve: &BoundCurve) -> Markup {
    let decades = axis.decades(6);
    let labelled: Vec<Tick> = match decades.len() {
        0 | 1 => axis
            .ticks()
            .into_iter()
            .filter(|tick| matches!(tick.digit, 1 | 2 | 5))
            .collect(),
        _ => decades,
    };
    html! {
        text.label x="0" y="11" { (curve.what) }
        @for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
            @let value = scale.at(share);
            @let y = scale.height(value);
            path.grid d={ "M" (LEFT) " " (coordinate(y)) "H" (RIGHT) } {}
            text.tick x=(LEFT - 5.0) y=(coordinate(y + 3.5)) text-anchor="end" { (significant(value)) }
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
            "ℓ" tspan.sub dy="3" { (order(&curve.norm)) }
            tspan dy="-3" { " radius" }
        }
    }
}

/// A line through the radii and the numbers in a column of the points.
fn line(axis: &LogAxis, scale: &Scale, points: &[[f64; 3]], column: usize) -> String {
    let mut path = String::new();
    for (at, point) in points.iter().enumerate() {
        let start = if at == 0 { "M" } else { "L" };
        let (x, y) = (axis.position(point[0]), scale.height(point[column]));
        // Writing to a string cannot fail.
        let _ = write!(path, "{start}{} {}", coordinate(x), coordinate(y));
    }
    path
}

/// What lies between both lines.
fn area(axis: &LogAxis, scale: &Scale, points: &[[f64; 3]]) -> String {
    let mut path = line(axis, scale, points, 2);
    let back: Vec<[f64; 3]> = points.iter().rev().copied().collect();
    path.push_str(&line(axis, scale, &back, 1).replacen('M', "L", 1));
    path + "Z"
}

/// The chart's message for those who cannot see it.
fn description(curve: &BoundCurve) -> String {
    let of = |[radius, found, proved]: &[f64; 3]| {
        let (radius, found, proved) = (significant(*radius), at_most(*found), at_least(*proved));
        format!(
            "within {radius}, {found} found and {proved} {}",
            curve.claim
        )
    };
    let points: Vec<String> = curve
        .points
        .iter()
        .filter(|point| is_drawn(point))
        .map(of)
        .collect();
    format!("{}: {}.", curve.what, points.join("; "))
}
