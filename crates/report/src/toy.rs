//! Linear regions on the plane: the paper's Figure 1.

use anyhow::{Context, Result, ensure};
use maud::{Markup, PreEscaped, html};

use super::edges::{path, unique_edges};
use super::figure::Canvas;
use super::format::{coordinate, percent, significant};
use super::{HeatMap, ToyPanel, ToyPoint, png};

/// Length of the viewport's longer side in SVG units.
const SIDE: f64 = 400.0;
/// Lattice steps per SVG unit: edges are rounded to a tenth of a unit.
const LATTICE: f64 = 10.0;
/// Room for the axes' numbers, left of and below the picture.
const GUTTER: [f64; 2] = [36.0, 24.0];
/// Heat map colours of probability 0, 1/2 and 1. Their lightness differs, so
/// that both classes can be told apart in grey.
const SHADES: [[f64; 3]; 3] = [
    [165.0, 194.0, 224.0],
    [251.0, 250.0, 247.0],
    [249.0, 224.0, 176.0],
];

/// Enlarged windows are this many median radii of the first panel wide.
const WINDOW_RADII: f64 = 24.0;

/// The panels side by side, each with one window enlarged, and one arrow scale
/// for all.
///
/// # Errors
/// When a viewport is empty or not finite, or a heat map's length is not
/// `rows * cols`.
pub(super) fn toy(panels: &[ToyPanel]) -> Result<Markup> {
    let arrow_scale = arrow_scale(panels);
    let window = panels.first().and_then(enlarged_window);
    let drawn = panels
        .iter()
        .map(|panel| {
            column(panel, window, arrow_scale)
                .with_context(|| format!("drawing the panel {:?}", panel.title))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(html! {
        figure {
            (legend())
            div.charts { @for column in &drawn { (column) } }
            figcaption {
                strong { "How to read it. " }
                "Each cell bounded by thin lines is one linear region: inside it the classifier is a "
                "single affine function. The circle around a training point is its certified "
                span.symbol { "ℓ" sub { "2" } } " ball, drawn to scale; a circle that cannot be seen is "
                "smaller than its point. Arrows are input gradients, their length proportional to the "
                span.symbol { "ℓ" sub { "2" } } " norm on one scale for all pictures. "
                @if window.is_some() { "The lower row enlarges the small square marked above. " }
                "Axes are the two inputs, which have no unit."
            }
        }
    })
}

/// The panels side by side as a figure of its own, with a legend.
///
/// # Errors
/// As [`toy`].
pub fn toy_figure(panels: &[ToyPanel]) -> Result<Canvas> {
    const GAP: f64 = 26.0;
    let arrow_scale = arrow_scale(panels);
    let step = SIDE + GUTTER[0] + GAP;
    let picture = |panel: &ToyPanel| {
        picture(panel, panel.viewport, None, arrow_scale)
            .with_context(|| format!("drawing the panel {:?}", panel.title))
    };
    let pictures = panels.iter().map(picture).collect::<Result<Vec<_>>>()?;
    let (top, bottom) = (44.0, 44.0 + SIDE + GUTTER[1]);
    let width = step * panels.len() as f64 + 8.0;
    let samples: [(f64, Markup, &str); 5] = [
        (0.0, marker([9.0, 6.0], true), "class 1"),
        (90.0, marker([9.0, 6.0], false), "class 0"),
        (
            180.0,
            html! { circle.ball cx="9" cy="6" r="5" {} },
            "certified radius (l2, in units of the inputs)",
        ),
        (
            470.0,
            html! { path.gradient d="M1 6H17m-4 -3l4 3l-4 3" {} },
            "gradient, length by l2 norm",
        ),
        (
            680.0,
            html! { path.edges d="M1 6H17" style="stroke-width:1" {} },
            "boundary of a linear region",
        ),
    ];
    let drawing = html! {
        @for (index, (panel, picture)) in panels.iter().zip(&pictures).enumerate() {
            @let x = step * index as f64 + 22.0;
            g transform={ "translate(" (coordinate(x)) " 0)" } {
                text.title x=(coordinate(GUTTER[0])) y="14" { (panel.title) }
                text.label x=(coordinate(GUTTER[0])) y="32" {
                    (panel.cells.len()) " regions in view, median radius "
                    (significant(panel.median_radius)) ", accuracy " (percent(panel.accuracy))
                }
                // The marks' numbers reach a little beyond.
                svg overflow="visible" y=(coordinate(top)) width=(coordinate(SIDE + GUTTER[0] + 2.0))
                    height=(coordinate(SIDE + GUTTER[1])) { (picture) }
                text.label x=(coordinate(GUTTER[0] + SIDE / 2.0)) y=(coordinate(bottom + 12.0))
                    text-anchor="middle" { "input 1 (no unit)" }
                text.label text-anchor="middle" transform={
                    "translate(0 " (coordinate(top + SIDE / 2.0)) ") rotate(-90)"
                } { "input 2 (no unit)" }
            }
        }
        @for (x, sample, words) in samples {
            g.toy transform={ "translate(" (coordinate(58.0 + x)) " " (coordinate(bottom + 30.0)) ")" } {
                (sample)
                text.label x="24" y="10" { (words) }
            }
        }
        g transform={ "translate(940 " (coordinate(bottom + 30.0)) ")" } {
            @for (index, shade) in [0.0, 0.25, 0.5, 0.75, 1.0].map(shade).iter().enumerate() {
                rect x=(12 * index) y="0" width="12" height="12" fill={
                    "rgb(" (shade[0]) "," (shade[1]) "," (shade[2]) ")"
                } {}
            }
            text.label x="66" y="10" { "predicted probability 0 to 1" }
        }
    };
    Ok(Canvas::new(width.max(1180.0), bottom + 52.0, drawing))
}

fn column(panel: &ToyPanel, window: Option<[f64; 4]>, arrow_scale: f64) -> Result<Markup> {
    Ok(html! {
        div.chart {
            h3 { (panel.title) }
            (picture(panel, panel.viewport, window, arrow_scale)?)
            dl.stats {
                div { dt { "regions in view" } dd { (panel.cells.len()) } }
                div { dt { "median radius" } dd { (significant(panel.median_radius)) } }
                div { dt { "accuracy" } dd { (percent(panel.accuracy)) } }
            }
            @if let Some(window) = window {
                div.enlarged { (picture(panel, window, None, arrow_scale)?) }
            }
            @if !panel.caption.is_empty() { p.note { (panel.caption) } }
        }
    })
}

fn legend() -> Markup {
    html! {
        p.legend {
            span { (sample(html! { (marker([9.0, 6.0], true)) })) "class 1" }
            span { (sample(html! { (marker([9.0, 6.0], false)) })) "class 0" }
            span {
                (sample(html! { circle.ball cx="9" cy="6" r="5" {} }))
                "certified radius"
            }
            span {
                (sample(html! { path.gradient d="M1 6H17m-4 -3l4 3l-4 3" {} }))
                "gradient"
            }
            span { span.heatbar aria-hidden="true" {} "predicted probability 0 to 1" }
        }
    }
}

fn sample(drawing: Markup) -> Markup {
    html! { svg.toy.sample viewBox="0 0 18 12" width="18" height="12" aria-hidden="true" { (drawing) } }
}

/// What `view` shows of a panel; `mark` is outlined.
fn picture(
    panel: &ToyPanel,
    view: [f64; 4],
    mark: Option<[f64; 4]>,
    arrow_scale: f64,
) -> Result<Markup> {
    let plane = Plane::new(view)?;
    let [width, height] = plane.size;
    let visible: Vec<(&ToyPoint, [f64; 2])> = panel
        .points
        .iter()
        .filter(|point| point.x.iter().all(|x| x.is_finite()))
        .map(|point| (point, plane.place(point.x)))
        .collect();
    Ok(html! {
        svg.toy role="img" viewBox={
            (-GUTTER[0]) " -1 " (coordinate(width + GUTTER[0] + 1.0)) " "
            (coordinate(height + GUTTER[1]))
        } aria-label=(description(panel, mark.is_none())) {
            // A nested svg clips what leaves the view.
            svg x="0" y="0" width=(coordinate(width)) height=(coordinate(height)) {
                @if !panel.heat.values.is_empty() {
                    @let [x, y, w, h] = plane.rectangle(panel.viewport);
                    image href=(heat(&panel.heat)?) x=(x) y=(y) width=(w) height=(h)
                        preserveAspectRatio="none" {}
                }
                path.edges transform={ "scale(" (1.0 / LATTICE) ")" } d=(boundaries(panel, &plane)) {}
                path.gradient d=(arrows(&visible, arrow_scale)) {}
                @for (point, at) in &visible { (marker(*at, point.label)) }
                @for (point, [cx, cy]) in &visible {
                    @if point.radius.is_finite() && point.radius * plane.unit >= 0.05 {
                        circle.ball cx=(coordinate(*cx)) cy=(coordinate(*cy))
                            r=(coordinate(point.radius * plane.unit)) {}
                    }
                }
                @if let Some(mark) = mark {
                    @let [x, y, w, h] = plane.rectangle(mark);
                    rect.mark x=(x) y=(y) width=(w) height=(h) {}
                }
            }
            rect.frame width=(coordinate(width)) height=(coordinate(height)) {}
            @for (value, text) in round_values(view[0], view[1]) {
                @let x = coordinate(plane.place([value, 0.0])[0]);
                path.major d={ "M" (x) " " (coordinate(height)) "v4" } {}
                text.tick x=(x) y=(coordinate(height + 16.0)) text-anchor="middle" { (text) }
            }
            @for (value, text) in round_values(view[2], view[3]) {
                @let y = plane.place([0.0, value])[1];
                path.major d={ "M0 " (coordinate(y)) "h-4" } {}
                text.tick x="-7" y=(coordinate(y + 3.5)) text-anchor="end" { (text) }
            }
        }
    })
}

/// A rectangle of the plane and its place in the picture, axes equally scaled.
struct Plane {
    view: [f64; 4],
    /// SVG units per unit of the plane.
    unit: f64,
    /// Width and height in SVG units.
    size: [f64; 2],
}

impl Plane {
    fn new(view: [f64; 4]) -> Result<Self> {
        let spans = [view[1] - view[0], view[3] - view[2]];
        ensure!(
            spans.iter().all(|span| span.is_finite() && *span > 0.0),
            "the viewport {view:?} must be [x0, x1, y0, y1] with x0 < x1 and y0 < y1, all finite"
        );
        let unit = SIDE / spans[0].max(spans[1]);
        Ok(Self {
            view,
            unit,
            size: spans.map(|span| span * unit),
        })
    }

    /// SVG's y axis points down.
    fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [
            (x - self.view[0]) * self.unit,
            (self.view[3] - y) * self.unit,
        ]
    }

    /// `x`, `y`, `width` and `height` of an SVG rectangle.
    fn rectangle(&self, [x0, x1, y0, y1]: [f64; 4]) -> [String; 4] {
        let ([left, top], [right, bottom]) = (self.place([x0, y1]), self.place([x1, y0]));
        [left, top, right - left, bottom - top].map(coordinate)
    }
}

/// A square around the point of median radius, small enough to see its ball.
fn enlarged_window(panel: &ToyPanel) -> Option<[f64; 4]> {
    let mut points: Vec<&ToyPoint> = panel
        .points
        .iter()
        .filter(|p| p.x.iter().all(|x| x.is_finite()))
        .collect();
    points.sort_by(|a, b| a.radius.total_cmp(&b.radius));
    let point = points.get(points.len() / 2)?;
    let [x0, x1, y0, y1] = panel.viewport;
    let span = (x1 - x0).min(y1 - y0);
    if !(point.radius > 0.0 && point.radius.is_finite() && span.is_finite() && span > 0.0) {
        return None;
    }
    let side = (WINDOW_RADII * point.radius).clamp(span / 40.0, span / 5.0);
    let start = |x: f64, low: f64, high: f64| (x - side / 2.0).clamp(low, high - side);
    let [x, y] = [start(point.x[0], x0, x1), start(point.x[1], y0, y1)];
    Some([x, x + side, y, y + side])
}

/// The visible regions' boundaries as path data in lattice steps.
fn boundaries(panel: &ToyPanel, plane: &Plane) -> String {
    let size = plane.size.map(|extent| (extent * LATTICE).round() as i32);
    // A corner far outside is only the end of a line that is cut off anyway.
    let to_site = |corner: &[f64; 2]| {
        plane
            .place(*corner)
            .map(|v| (v * LATTICE).round().clamp(-1e6, 1e6) as i32)
    };
    let seen = |cell: &Vec<[i32; 2]>| {
        (0..2).all(|axis| {
            cell.iter().any(|site| site[axis] >= 0)
                && cell.iter().any(|site| site[axis] <= size[axis])
        })
    };
    let cells: Vec<Vec<[i32; 2]>> = panel
        .cells
        .iter()
        .filter(|cell| cell.as_flattened().iter().all(|v| v.is_finite()))
        .map(|cell| cell.iter().map(to_site).collect())
        .filter(seen)
        .collect();
    path(&unique_edges(&cells, size))
}

/// The heat map as a picture: its lowest row comes last.
fn heat(map: &HeatMap) -> Result<String> {
    ensure!(
        map.rows.checked_mul(map.cols) == Some(map.values.len()),
        "the heat map holds {} values, expected {} rows x {} columns",
        map.values.len(),
        map.rows,
        map.cols
    );
    let rows = map.values.chunks(map.cols.max(1)).rev();
    let pixels: Vec<[u8; 3]> = rows.flatten().map(|&p| shade(f64::from(p))).collect();
    png::colour(map.cols, map.rows, &pixels).context("the heat map")
}

fn shade(probability: f64) -> [u8; 3] {
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

fn marker([x, y]: [f64; 2], label: bool) -> Markup {
    if label {
        html! { circle.one cx=(coordinate(x)) cy=(coordinate(y)) r="2.6" {} }
    } else {
        html! { path.zero d={ "M" (coordinate(x)) " " (coordinate(y - 3.4)) "l3.2 5.6h-6.4z" } {} }
    }
}

/// SVG units per unit of gradient norm: the longest arrow takes an eighth of a
/// panel's side.
fn arrow_scale(panels: &[ToyPanel]) -> f64 {
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
fn arrows(points: &[(&ToyPoint, [f64; 2])], scale: f64) -> PreEscaped<String> {
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

/// A handful of round numbers between `low` and `high`, with their text.
fn round_values(low: f64, high: f64) -> Vec<(f64, String)> {
    let rough = (high - low) / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    let decimals = usize::try_from(-(step.log10() + 1e-9).floor() as i64).unwrap_or(0);
    let first = (low / step).ceil();
    (0..=5)
        .map(|k| (first + f64::from(k)) * step)
        .take_while(|value| *value <= high)
        .map(|value| (value, format!("{value:.decimals$}").replace('-', "−")))
        .collect()
}

fn description(panel: &ToyPanel, enlarged: bool) -> String {
    if enlarged {
        return format!(
            "{}: the marked square of the picture above, enlarged.",
            panel.title
        );
    }
    format!(
        "{}: {} linear regions and {} training points with certified balls of median radius {} and \
         gradient arrows, over a heat map of the predicted probability; accuracy {}.",
        panel.title,
        panel.cells.len(),
        panel.points.len(),
        significant(panel.median_radius),
        percent(panel.accuracy)
    )
}
