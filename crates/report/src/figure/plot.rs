//! What every plot of a figure has: a frame with its title, ticks and labels, at a place among others.

use maud::{Markup, html};

use super::axis::{Axis, Scale};
use crate::format::coordinate;

pub(super) const WIDTH: f64 = 300.0;
pub(super) const HEIGHT: f64 = 210.0;
/// Room left of, above and below the plot.
pub(super) const LEFT: f64 = 62.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 44.0;
const STEP: [f64; 2] = [LEFT + WIDTH + 18.0, TOP + HEIGHT + BOTTOM + 12.0];

/// What a plot shows, and along which axes.
#[derive(Clone, Debug)]
pub struct Axes {
    /// What it shows.
    pub title: String,
    /// Quantity and unit.
    pub x_label: String,
    /// The horizontal scale.
    pub x_scale: Scale,
    /// Quantity and unit.
    pub y_label: String,
    /// The vertical scale.
    pub y_scale: Scale,
    /// Values that the vertical axis holds even if nothing drawn comes near, so that plots can share a scale.
    pub y_holds: Vec<f64>,
}

/// An empty plot.
pub(super) struct Plot<'a> {
    pub(super) axes: &'a Axes,
    pub(super) x: &'a Axis,
    pub(super) y: &'a Axis,
    /// Places along the horizontal axis, with their text.
    pub(super) x_ticks: &'a [(f64, String)],
}

impl Plot<'_> {
    /// With what is drawn behind its frame and in front of it.
    pub(super) fn with(&self, behind: &Markup, front: &Markup) -> Markup {
        let Self { axes, x, y, .. } = self;
        html! {
            text.title x="0" y="-10" { (axes.title) }
            @for (value, text) in y.ticks() {
                @let at = coordinate(y.place(value));
                path.grid d={ "M0 " (at) "H" (WIDTH) } {}
                text x="-6" y=(coordinate(y.place(value) + 4.0)) text-anchor="end" { (text) }
            }
            @for (value, text) in self.x_ticks {
                @let at = coordinate(x.place(*value));
                path.major d={ "M" (at) " " (HEIGHT) "v5" } {}
                text x=(at) y=(coordinate(HEIGHT + 18.0)) text-anchor="middle" { (text) }
            }
            (behind)
            rect.frame width=(WIDTH) height=(HEIGHT) {}
            (front)
            text.label x=(WIDTH / 2.0) y=(coordinate(HEIGHT + 36.0)) text-anchor="middle" { (axes.x_label) }
            text.label text-anchor="middle" transform={ "translate(-46 " (HEIGHT / 2.0) ") rotate(-90)" } {
                (axes.y_label)
            }
        }
    }
}

/// Plots in rows of `columns`.
pub(super) fn in_rows(plots: &[Markup], columns: usize) -> Markup {
    html! {
        @for (index, plot) in plots.iter().enumerate() {
            @let x = STEP[0] * (index % columns) as f64 + LEFT;
            @let y = STEP[1] * (index / columns) as f64 + TOP;
            g transform={ "translate(" (coordinate(x)) " " (coordinate(y)) ")" } { (plot) }
        }
    }
}

/// The height at which the legend of so many plots in rows of `columns` stands.
pub(super) fn legend(plots: usize, columns: usize) -> f64 {
    STEP[1] * plots.div_ceil(columns) as f64 + 14.0
}

/// Width and height of the whole figure, its legend included.
pub(super) fn size(plots: usize, columns: usize) -> [f64; 2] {
    let width = STEP[0] * columns.min(plots.max(1)) as f64 + 8.0;
    [width, legend(plots, columns) + 22.0]
}
