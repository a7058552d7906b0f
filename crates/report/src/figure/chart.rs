//! Curves and bands over linear and logarithmic axes.

use maud::{Markup, html};

use super::Canvas;
use crate::format::coordinate;

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 210.0;
/// Room left of, above and below the plot.
const LEFT: f64 = 62.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 44.0;
/// Dashes that tell curves apart without colour; marks do it a second time.
const DASHES: [&str; 5] = ["none", "7 3", "2 2.5", "9 3 2 3", "1 4"];

/// One plot.
pub struct Chart {
    pub title: String,
    /// Quantity and unit.
    pub x_label: String,
    pub x_scale: Scale,
    /// Quantity and unit.
    pub y_label: String,
    pub y_scale: Scale,
    /// Values that the vertical axis holds even if no curve comes near, so that charts can share a scale.
    pub y_holds: Vec<f64>,
    pub curves: Vec<Curve>,
    /// An area behind the curves: horizontal place, lower and upper end. The curves of a chart with a band have no
    /// marks, which would hide it.
    pub band: Vec<[f64; 3]>,
}

/// The scale of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Log,
}

/// Points joined in their order; those that a logarithmic axis cannot hold, or that are not finite, are left out.
pub struct Curve {
    pub name: String,
    pub points: Vec<[f64; 2]>,
}

/// The charts in rows of `columns`, with one legend of the first chart's curves.
pub fn charts(charts: &[Chart], columns: usize) -> Canvas {
    let columns = columns.max(1);
    let (step_x, step_y) = (LEFT + WIDTH + 18.0, TOP + HEIGHT + BOTTOM + 12.0);
    let rows = charts.len().div_ceil(columns);
    let legend = step_y * rows as f64 + 14.0;
    // The chart with most curves names those of all.
    let named = charts.iter().max_by_key(|chart| chart.curves.len());
    let banded = charts.iter().any(|chart| !chart.band.is_empty());
    let drawing = html! {
        @for (index, chart) in charts.iter().enumerate() {
            @let x = step_x * (index % columns) as f64 + LEFT;
            @let y = step_y * (index / columns) as f64 + TOP;
            g transform={ "translate(" (coordinate(x)) " " (coordinate(y)) ")" } { (plot(chart)) }
        }
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
    Canvas::new(
        step_x * columns.min(charts.len().max(1)) as f64 + 8.0,
        legend + 22.0,
        drawing,
    )
}

fn plot(chart: &Chart) -> Markup {
    let points = || chart.curves.iter().flat_map(|curve| &curve.points);
    let x = Axis::new(points().map(|p| p[0]), chart.x_scale, [0.0, WIDTH]);
    let heights = points().map(|p| p[1]).chain(chart.y_holds.iter().copied());
    let y = Axis::new(heights, chart.y_scale, [HEIGHT, 0.0]);
    let ticks = match chart.x_scale {
        Scale::Linear => x.ticks(),
        Scale::Log => doublings(points().map(|p| p[0])),
    };
    html! {
        text.title x="0" y="-10" { (chart.title) }
        @for (value, text) in y.ticks() {
            @let at = coordinate(y.place(value));
            path.grid d={ "M0 " (at) "H" (WIDTH) } {}
            text x="-6" y=(coordinate(y.place(value) + 4.0)) text-anchor="end" { (text) }
        }
        @for (value, text) in ticks {
            @let at = coordinate(x.place(value));
            path.major d={ "M" (at) " " (HEIGHT) "v5" } {}
            text x=(at) y=(coordinate(HEIGHT + 18.0)) text-anchor="middle" { (text) }
        }
        @if !chart.band.is_empty() {
            path.band d=(outline(&chart.band, &x, &y)) {}
        }
        rect.frame width=(WIDTH) height=(HEIGHT) {}
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
        text.label x=(WIDTH / 2.0) y=(coordinate(HEIGHT + 36.0)) text-anchor="middle" { (chart.x_label) }
        text.label text-anchor="middle" transform={ "translate(-46 " (HEIGHT / 2.0) ") rotate(-90)" } {
            (chart.y_label)
        }
    }
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

struct Axis {
    /// Ends of the values, in the scale's measure, and where they are drawn.
    ends: [f64; 2],
    place: [f64; 2],
    scale: Scale,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>, scale: Scale, place: [f64; 2]) -> Self {
        let mut axis = Self {
            ends: [f64::INFINITY, f64::NEG_INFINITY],
            place,
            scale,
        };
        for value in values {
            if axis.holds(value) {
                let measure = axis.measure(value);
                axis.ends = [axis.ends[0].min(measure), axis.ends[1].max(measure)];
            }
        }
        let [low, high] = axis.ends;
        axis.ends = match low < high {
            true => [low - 0.06 * (high - low), high + 0.06 * (high - low)],
            false if low == high => [low - 0.5, high + 0.5],
            false => [0.0, 1.0],
        };
        axis
    }

    fn holds(&self, value: f64) -> bool {
        value.is_finite() && (self.scale == Scale::Linear || value > 0.0)
    }

    fn measure(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            // What such an axis cannot hold is below its end.
            Scale::Log => value.max(0.0).log10(),
        }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (self.measure(value) - self.ends[0]) / (self.ends[1] - self.ends[0]);
        self.place[0] + share * (self.place[1] - self.place[0])
    }

    /// Round values on the axis, with their text.
    fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => {
                let rough = (self.ends[1] - self.ends[0]) / 5.0;
                let power = 10_f64.powf(rough.log10().floor());
                let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
                let step = steps
                    .into_iter()
                    .find(|step| *step >= rough)
                    .unwrap_or(rough);
                let decimals = usize::try_from(-(step.log10() + 1e-9).floor() as i64).unwrap_or(0);
                let first = (self.ends[0] / step).ceil();
                (0..=5)
                    .map(|k| (first + f64::from(k)) * step)
                    .take_while(|value| *value <= self.ends[1])
                    .map(|value| (value, format!("{value:.decimals$}")))
                    .collect()
            }
            Scale::Log => {
                let decades = self.ends[0].floor() as i32..=self.ends[1].floor() as i32;
                let narrow = self.ends[1] - self.ends[0] < 2.5;
                // A handful of ticks, however many decades.
                let every = (self.ends[1] - self.ends[0]).max(8.0) as usize / 8;
                let digits: &[f64] = if narrow { &[1.0, 2.0, 5.0] } else { &[1.0] };
                decades
                    .step_by(every)
                    .flat_map(|decade| digits.iter().map(move |d| d * 10_f64.powi(decade)))
                    .filter(|value| (self.ends[0]..=self.ends[1]).contains(&value.log10()))
                    // Parsing a printed number takes off what `powi` rounds.
                    .map(|value| {
                        (
                            value,
                            format!("{:.0e}", value).parse::<f64>().unwrap_or(value),
                        )
                    })
                    .map(|(value, round)| (value, round.to_string()))
                    .collect()
            }
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
