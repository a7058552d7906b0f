//! Curves and bands over linear and logarithmic axes.

use maud::{Markup, html};

use super::axis::{Axis, Scale};
use super::canvas::Canvas;
use super::plot::{Axes, HEIGHT, LEFT, Plot, WIDTH, in_rows, legend, size};
use crate::format::coordinate;

/// Dashes that tell curves apart without colour; marks do it a second time.
const DASHES: [&str; 5] = ["none", "7 3", "2 2.5", "9 3 2 3", "1 4"];

/// One plot.
pub struct Chart {
    /// Its title and its axes.
    pub axes: Axes,
    /// The curves.
    pub curves: Vec<Curve>,
    /// An area behind the curves: horizontal place, lower and upper end. The curves of a chart with a band have no
    /// marks, which would hide it.
    pub band: Vec<[f64; 3]>,
}

/// Points joined in their order; those that a logarithmic axis cannot hold, or that are not finite, are left out.
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Horizontal and vertical places.
    pub points: Vec<[f64; 2]>,
}

/// The charts in rows of `columns`, with one legend of the first chart's curves.
pub fn charts(charts: &[Chart], columns: usize) -> Canvas {
    let columns = columns.max(1);
    let legend = legend(charts.len(), columns);
    // The chart with most curves names those of all.
    let named = charts.iter().max_by_key(|chart| chart.curves.len());
    let banded = charts.iter().any(|chart| !chart.band.is_empty());
    let drawing = html! {
        (in_rows(&charts.iter().map(plot).collect::<Vec<_>>(), columns))
        @if let Some(named) = named {
            @for (index, curve) in named.curves.iter().enumerate() {
                g transform={ "translate(" (coordinate(LEFT + 130.0 * index as f64)) " " (coordinate(legend)) ")" } {
                    path.curve d="M0 0H36" stroke-dasharray=(DASHES[index % DASHES.len()]) {}
                    // A curve that is drawn without marks has no points in this chart.
                    @if !curve.points.is_empty() { (mark([18.0, 0.0], index)) }
                    text.label x="44" y="4" { (curve.name) }
                }
            }
        }
        @if let (Some(named), true) = (named, banded) {
            @let at = LEFT + 130.0 * named.curves.len() as f64;
            g transform={ "translate(" (coordinate(at)) " " (coordinate(legend)) ")" } {
                rect.band y="-6" width="36" height="12" {}
                text.label x="44" y="4" { "stability band" }
            }
        }
    };
    let [width, height] = size(charts.len(), columns);
    Canvas::new(width, height, drawing)
}

fn plot(chart: &Chart) -> Markup {
    let points = || chart.curves.iter().flat_map(|curve| &curve.points);
    let x = Axis::new(points().map(|p| p[0]), chart.axes.x_scale, [0.0, WIDTH]);
    let heights = points()
        .map(|p| p[1])
        .chain(chart.axes.y_holds.iter().copied());
    let y = Axis::new(heights, chart.axes.y_scale, [HEIGHT, 0.0]);
    let ticks = match chart.axes.x_scale {
        Scale::Linear => x.ticks(),
        Scale::Log => doublings(points().map(|p| p[0])),
    };
    let behind = html! {
        @if !chart.band.is_empty() {
            path.band d=(outline(&chart.band, &x, &y)) {}
        }
    };
    let front = html! {
        @for (index, curve) in chart.curves.iter().enumerate() {
            @let placed = curve.points.iter().filter(|p| x.holds(p[0]) && y.holds(p[1]));
            @let placed: Vec<[f64; 2]> = placed.map(|p| [x.place(p[0]), y.place(p[1])]).collect();
            @let path = placed.iter().map(|p| format!("{} {}", coordinate(p[0]), coordinate(p[1])));
            @if placed.len() > 1 {
                path.curve d={ "M" (path.collect::<Vec<_>>().join("L")) }
                    stroke-dasharray=(DASHES[index % DASHES.len()]) {}
            }
            @if chart.band.is_empty() {
                @for at in placed { (mark(at, index)) }
            }
        }
    };
    let empty = Plot {
        axes: &chart.axes,
        x: &x,
        y: &y,
        x_ticks: &ticks,
    };
    empty.with(&behind, &front)
}

/// A mark of the `index`-th curve.
fn mark([x, y]: [f64; 2], index: usize) -> Markup {
    let shape = |steps: &str| format!("M{} {}{steps}", coordinate(x), coordinate(y));
    html! {
        @match index % DASHES.len() {
            0 => circle.mark.full cx=(coordinate(x)) cy=(coordinate(y)) r="3.4" {},
            1 => path.mark d=(shape("m-3.4 -3.4h6.8v6.8h-6.8z")) {},
            2 => path.mark.full d=(shape("m0 -4.4l4 7h-8z")) {},
            3 => path.mark d=(shape("m0 -4.6l4.6 4.6l-4.6 4.6l-4.6 -4.6z")) {},
            _ => circle.mark cx=(coordinate(x)) cy=(coordinate(y)) r="3.4" {},
        }
    }
}

/// The outline of a band, there along its upper end and back along the lower one; what is beyond the axis stops at its
/// end, and rows without a place are left out.
fn outline(band: &[[f64; 3]], x: &Axis, y: &Axis) -> String {
    let placed = |[at, low, high]: &&[f64; 3]| x.holds(*at) && !low.is_nan() && !high.is_nan();
    let band: Vec<&[f64; 3]> = band.iter().filter(placed).collect();
    let inside = |value: f64| y.place(value).clamp(0.0, HEIGHT);
    let upper = band
        .iter()
        .map(|[at, _, high]| [x.place(*at), inside(*high)]);
    let lower = band.iter().rev();
    let lower = lower.map(|[at, low, _]| [x.place(*at), inside(*low)]);
    let corners = upper.chain(lower);
    let corners = corners.map(|[x, y]| format!("{} {}", coordinate(x), coordinate(y)));
    format!("M{}Z", corners.collect::<Vec<_>>().join("L"))
}

/// The different values of the points, which are few, in order, with their text.
fn doublings(values: impl Iterator<Item = f64>) -> Vec<(f64, String)> {
    let mut values: Vec<f64> = values.filter(|value| *value > 0.0).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let text = |value: f64| (value, value.to_string());
    values.into_iter().map(text).collect()
}
