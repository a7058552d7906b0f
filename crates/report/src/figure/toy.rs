//! Linear regions on the plane: the paper's Figure 1, as a figure of its own.

use maud::{Markup, html};

use super::canvas::Canvas;
use crate::data::ToyPanel;
use crate::error::{Context, Result};
use crate::format::{coordinate, percent, significant};
use crate::toy::marks::{arrow_scale, marker, shade};
use crate::toy::picture::picture;
use crate::toy::plane::{GUTTER, SIDE};

/// The panels side by side as a figure of its own, with a legend.
///
/// # Errors
/// When a viewport is empty or not finite, or a heat map's length is not `rows * cols`.
pub fn toy_figure(panels: &[ToyPanel]) -> Result<Canvas> {
    const GAP: f64 = 26.0;
    let arrow_scale = arrow_scale(panels);
    let step = SIDE + GUTTER[0] + GAP;
    let picture = |panel: &ToyPanel| {
        picture(panel, panel.viewport, None, arrow_scale)
            .at(|| format!("drawing the panel {:?}", panel.title))
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
