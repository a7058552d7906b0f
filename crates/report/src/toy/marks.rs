//! What is drawn on the plane: points, gradients, probabilities.

use maud::{Markup, PreEscaped, html};

use super::plane::SIDE;
use crate::data::{HeatMap, ToyPanel, ToyPoint};
use crate::error::{Context, Error, Result};
use crate::format::coordinate;
use crate::png;

/// Heat map colours of probability 0, 1/2 and 1. Their lightness differs, so
/// that both classes can be told apart in grey.
const SHADES: [[f64; 3]; 3] = [
    [165.0, 194.0, 224.0],
    [251.0, 250.0, 247.0],
    [249.0, 224.0, 176.0],
];

/// The heat map as a picture: its lowest row comes last.
pub(crate) fn heat(map: &HeatMap) -> Result<String> {
    if map.rows.checked_mul(map.cols) != Some(map.values.len()) {
        return Err(Error::HeatMap {
            values: map.values.len(),
            rows: map.rows,
            cols: map.cols,
        });
    }
    let rows = map.values.chunks(map.cols.max(1)).rev();
    let pixels: Vec<[u8; 3]> = rows.flatten().map(|&p| shade(f64::from(p))).collect();
    png::colour(map.cols, map.rows, &pixels).at(|| "the heat map".into())
}

pub(crate) fn shade(probability: f64) -> [u8; 3] {
    let p = if probability.is_nan() {
        0.5
    } else {
        probability.clamp(0.0, 1.0)
    };
    let (from, to, share) = if p < 0.5 {
        (SHADES[0], SHADES[1], 2.0 * p)
    } else {
        (SHADES[1], SHADES[2], 2.0 * p - 1.0)
    };
    std::array::from_fn(|i| (from[i] + share * (to[i] - from[i])).round() as u8)
}

pub(crate) fn marker([x, y]: [f64; 2], label: bool) -> Markup {
    if label {
        html! { circle.one cx=(coordinate(x)) cy=(coordinate(y)) r="2.6" {} }
    } else {
        html! { path.zero d={ "M" (coordinate(x)) " " (coordinate(y - 3.4)) "l3.2 5.6h-6.4z" } {} }
    }
}

/// SVG units per unit of gradient norm: the longest arrow takes an eighth of a
/// panel's side.
pub(crate) fn arrow_scale(panels: &[ToyPanel]) -> f64 {
    let norms = panels
        .iter()
        .flat_map(|panel| &panel.points)
        .map(|point| norm(point.gradient));
    let longest = norms.filter(|norm| norm.is_finite()).fold(0.0, f64::max);
    if longest > 0.0 {
        SIDE / 8.0 / longest
    } else {
        0.0
    }
}

/// All gradient arrows of a panel as path data.
pub(crate) fn arrows(points: &[(&ToyPoint, [f64; 2])], scale: f64) -> PreEscaped<String> {
    let strokes = points.iter().filter_map(|(point, [x, y])| {
        let length = norm(point.gradient) * scale;
        // Shorter ones are hidden by the point they start from.
        if !length.is_finite() || length < 3.0 {
            return None;
        }
        let [dx, dy] = [point.gradient[0] * scale, -point.gradient[1] * scale];
        let head = (0.35 * length).min(5.0) / length;
        let barb = |side: f64| [-head * (dx - side * dy), -head * (dy + side * dx)];
        let ([lx, ly], [rx, ry]) = (barb(0.55), barb(-0.55));
        let numbers = [*x, *y, dx, dy, lx, ly, -lx, -ly, rx, ry].map(coordinate);
        let [x, y, dx, dy, lx, ly, bx, by, rx, ry] = numbers;
        Some(format!("M{x} {y}l{dx} {dy}l{lx} {ly}m{bx} {by}l{rx} {ry}"))
    });
    PreEscaped(strokes.collect())
}

fn norm([x, y]: [f64; 2]) -> f64 {
    x.hypot(y)
}
