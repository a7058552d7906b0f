//! Clouds of points over linear and logarithmic axes.

use maud::{Markup, html};

use super::axis::Axis;
use super::canvas::Canvas;
use super::plot::{Axes, HEIGHT, LEFT, Plot, WIDTH, in_rows, legend, size};
use crate::format::coordinate;

/// How many kinds of marks and colours there are.
const KINDS: usize = 3;

/// One plot.
pub struct Scatter {
    /// Its title and its axes.
    pub axes: Axes,
    /// The clouds.
    pub clouds: Vec<Cloud>,
}

/// Points that belong together. Of those that a logarithmic axis cannot hold, the ones with height 0 lie on the lower edge;
/// others, and those that are not finite, are left out. The median of both coordinates is a larger mark.
pub struct Cloud {
    /// Its name in the legend.
    pub name: String,
    /// Horizontal and vertical places.
    pub points: Vec<[f64; 2]>,
}

/// The plots in rows of `columns`, with one legend of the first plot's clouds.
pub fn scatters(scatters: &[Scatter], columns: usize) -> Canvas {
    let columns = columns.max(1);
    let plots: Vec<Markup> = scatters.iter().map(plot).collect();
    let legend = legend(scatters.len(), columns);
    let names = scatters.first().map_or(&[][..], |scatter| &scatter.clouds);
    let drawing = html! {
        (in_rows(&plots, columns))
        @for (index, cloud) in names.iter().enumerate() {
            @let at = LEFT + 170.0 * index as f64;
            g transform={ "translate(" (coordinate(at)) " " (coordinate(legend)) ")" } {
                (points(&[[6.0, 0.0]], index))
                (middle([22.0, 0.0], index))
                text.label x="36" y="4" { (cloud.name) ", median" }
            }
        }
    };
    let [width, height] = size(scatters.len(), columns);
    Canvas::new(width, height, drawing)
}

fn plot(scatter: &Scatter) -> Markup {
    let all = || scatter.clouds.iter().flat_map(|cloud| &cloud.points);
    let x = Axis::new(all().map(|p| p[0]), scatter.axes.x_scale, [0.0, WIDTH]);
    let heights = all()
        .map(|p| p[1])
        .chain(scatter.axes.y_holds.iter().copied());
    let y = Axis::new(heights, scatter.axes.y_scale, [HEIGHT, 0.0]);
    let placed = |[across, up]: &[f64; 2]| {
        let height = match y.holds(*up) {
            true => Some(y.place(*up)),
            false => (*up == 0.0).then_some(HEIGHT),
        };
        x.holds(*across).then_some(())?;
        Some([x.place(*across), height?])
    };
    let clouds: Vec<Vec<[f64; 2]>> = scatter
        .clouds
        .iter()
        .map(|cloud| cloud.points.iter().filter_map(placed).collect())
        .collect();
    let front = html! {
        @for (index, cloud) in clouds.iter().enumerate() { (points(cloud, index)) }
        @for (index, cloud) in clouds.iter().enumerate() {
            // Scales keep the order of values, so the middle is the same before and after them.
            @if let (Some(across), Some(up)) = (median(cloud, 0), median(cloud, 1)) {
                (middle([across, up], index))
            }
        }
    };
    let empty = Plot {
        axes: &scatter.axes,
        x: &x,
        y: &y,
        x_ticks: &x.ticks(),
    };
    empty.with(&html! {}, &front)
}

/// The marks of the `index`-th cloud as one path: dots, upright crosses, lying crosses.
fn points(cloud: &[[f64; 2]], index: usize) -> Markup {
    let shape = match index % KINDS {
        0 => "h0.01",
        1 => "m-2 0h4m-2 -2v4",
        _ => "m-1.6 -1.6l3.2 3.2m0 -3.2l-3.2 3.2",
    };
    let path: String = cloud
        .iter()
        .map(|[x, y]| format!("M{} {}{shape}", coordinate(*x), coordinate(*y)))
        .collect();
    html! { path class=(format!("cloud cloud{}", index % KINDS)) d=(path) {} }
}

/// The large mark of the `index`-th cloud, white around it: a disc, an upright cross, a lying cross.
fn middle([x, y]: [f64; 2], index: usize) -> Markup {
    let shape = match index % KINDS {
        0 => "h0.1",
        1 => "m-7 0h14m-7 -7v14",
        _ => "m-5 -5l10 10m0 -10l-10 10",
    };
    let path = format!("M{} {}{shape}", coordinate(x), coordinate(y));
    let kind = format!("middle middle{}", index % KINDS);
    html! {
        path.halo d=(path) stroke-width=(if index.is_multiple_of(KINDS) { 14 } else { 7 }) {}
        path class=(kind) d=(path) {}
    }
}

/// The middle of a coordinate.
fn median(cloud: &[[f64; 2]], coordinate: usize) -> Option<f64> {
    let mut values: Vec<f64> = cloud.iter().map(|point| point[coordinate]).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
