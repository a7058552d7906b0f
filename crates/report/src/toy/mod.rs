//! Linear regions on the plane: the paper's Figure 1, as a section of the page.

pub(crate) mod marks;
pub(crate) mod picture;
pub(crate) mod plane;

use maud::{Markup, html};

use self::marks::{arrow_scale, marker};
use self::picture::picture;
use crate::data::{ToyPanel, ToyPoint};
use crate::error::{Context, Result};
use crate::format::{percent, significant};

/// Enlarged windows are this many median radii of the first panel wide.
const WINDOW_RADII: f64 = 24.0;

/// The panels side by side, each with one window enlarged, and one arrow scale
/// for all.
///
/// # Errors
/// When a viewport is empty or not finite, or a heat map's length is not
/// `rows * cols`.
pub(crate) fn toy(panels: &[ToyPanel]) -> Result<Markup> {
    let arrow_scale = arrow_scale(panels);
    let window = panels.first().and_then(enlarged_window);
    let drawn = panels
        .iter()
        .map(|panel| {
            column(panel, window, arrow_scale).at(|| format!("drawing the panel {:?}", panel.title))
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
