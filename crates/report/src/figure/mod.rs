//! A figure of its own: one SVG for documents and papers, and the same drawing as PNG.
//!
//! Figures are black, grey and pale, so that they survive a black-and-white printer; curves differ by dashes and
//! marks.

mod axis;
mod canvas;
mod chart;
mod pictures;
mod toy;

pub use axis::Scale;
pub use canvas::Canvas;
pub use chart::{Chart, Curve, charts};
pub use pictures::pictures;
pub use toy::toy_figure;

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
