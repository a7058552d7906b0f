//! A figure of its own: one SVG for documents and papers, and the same drawing as PNG.
//!
//! Figures are black, grey and pale, so that they survive a black-and-white printer; curves differ by dashes and
//! marks.

use anyhow::{Context, Result};
use maud::{Markup, PreEscaped, html};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

mod chart;
mod pictures;

pub use super::toy::toy_figure;
pub use chart::{Chart, Curve, Scale, charts};
pub use pictures::pictures;

const STYLE: &str = include_str!("../figure.css");
/// PNG pixels per SVG unit.
const RESOLUTION: f32 = 2.0;

/// A drawing on white, its size in SVG units.
pub struct Canvas {
    width: f64,
    height: f64,
    drawing: Markup,
}

impl Canvas {
    /// `drawing` is SVG in the classes of `figure.css`.
    pub fn new(width: f64, height: f64, drawing: Markup) -> Self {
        Self {
            width,
            height,
            drawing,
        }
    }

    /// A whole SVG file.
    pub fn svg(&self) -> String {
        let (width, height) = (self.width.ceil(), self.height.ceil());
        let markup = html! {
            svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
                viewBox={ "0 0 " (width) " " (height) } {
                style { (PreEscaped(STYLE)) }
                rect.paper width=(width) height=(height) {}
                (self.drawing)
            }
        };
        markup.into_string()
    }

    /// The same as a PNG file, twice as many pixels as SVG units.
    ///
    /// # Errors
    /// When the drawing is no valid SVG, or too large for a picture.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut options = Options::default();
        let fonts = options.fontdb_mut();
        // The fonts of the machine play no part: the same picture everywhere.
        fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
        let family = fonts.faces().next().and_then(|face| face.families.first());
        let family = family
            .map(|(name, _)| name.clone())
            .context("the font has no name")?;
        fonts.set_sans_serif_family(family);
        let tree = Tree::from_str(&self.svg(), &options).context("the figure is no valid SVG")?;
        let size = tree
            .size()
            .scale_by(RESOLUTION)
            .context("the figure is empty")?;
        let size = size.to_int_size();
        let mut pixels =
            Pixmap::new(size.width(), size.height()).context("the figure is too large")?;
        let scale = Transform::from_scale(RESOLUTION, RESOLUTION);
        resvg::render(&tree, scale, &mut pixels.as_mut());
        pixels.encode_png().context("cannot encode the figure")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number an axis may meet, and none at all: always a picture, never a NaN in the drawing.
    #[test]
    fn charts_of_any_points_are_drawn() {
        let chart = |x_scale, y_scale, points: &[[f64; 2]]| Chart {
            title: "any < all & more".into(),
            x_label: "x (no unit)".into(),
            x_scale,
            y_label: "y (no unit)".into(),
            y_scale,
            y_holds: vec![f64::NAN],
            curves: vec![Curve {
                name: "curve".into(),
                points: points.to_vec(),
            }],
            band: points
                .iter()
                .map(|[x, y]| [*x, y - 1.0, f64::INFINITY])
                .collect(),
        };
        let usual = [[1.0, 2.0], [2.0, 1.0], [4.0, 8.0]];
        let wild = [
            [0.0, -1.0],
            [f64::NAN, 1.0],
            [1.0, f64::INFINITY],
            [1e-300, 1e300],
        ];
        for points in [&usual[..], &wild, &usual[..1], &[]] {
            for scales in [
                [Scale::Linear, Scale::Linear],
                [Scale::Log, Scale::Log],
                [Scale::Linear, Scale::Log],
            ] {
                let canvas = charts(&[chart(scales[0], scales[1], points)], 2);
                assert!(!canvas.svg().contains("NaN"), "{points:?} {scales:?}");
                assert!(!canvas.svg().contains("inf"), "{points:?} {scales:?}");
                assert!(canvas.png().unwrap().starts_with(b"\x89PNG"));
            }
        }
    }
}
