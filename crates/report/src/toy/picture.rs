//! One panel: regions, points with their certified balls, gradients and a heat map.

use maud::{Markup, html};

use super::marks::{arrows, heat, marker};
use super::plane::{GUTTER, Plane, round_values};
use crate::data::{ToyPanel, ToyPoint};
use crate::edges::{path, unique_edges};
use crate::error::Result;
use crate::format::{coordinate, percent, significant};

/// Lattice steps per SVG unit: edges are rounded to a tenth of a unit.
const LATTICE: f64 = 10.0;
/// What `view` shows of a panel; `mark` is outlined.
pub(crate) fn picture(
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

/// The visible regions' boundaries as path data in lattice steps.
fn boundaries(panel: &ToyPanel, plane: &Plane) -> String {
    let size = plane.size.map(|extent| (extent * LATTICE).round() as i32);
    // A corner far outside is only the end of a line that is cut off anyway.
    let to_lattice = |corner: &[f64; 2]| {
        plane
            .place(*corner)
            .map(|v| (v * LATTICE).round().clamp(-1e6, 1e6) as i32)
    };
    let seen = |cell: &Vec<[i32; 2]>| {
        (0..2).all(|axis| {
            cell.iter().any(|corner| corner[axis] >= 0)
                && cell.iter().any(|corner| corner[axis] <= size[axis])
        })
    };
    let cells: Vec<Vec<[i32; 2]>> = panel
        .cells
        .iter()
        .filter(|cell| cell.as_flattened().iter().all(|v| v.is_finite()))
        .map(|cell| cell.iter().map(to_lattice).collect())
        .filter(seen)
        .collect();
    path(&unique_edges(&cells, size))
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
