//! A figure of its own: one SVG for documents and papers, and the same drawing as PNG.
//!
//! Figures are black, grey and pale, so that they survive a black-and-white printer; curves differ by dashes and
//! marks, clouds of points by marks and colours.

mod axis;
mod canvas;
mod chart;
mod pictures;
mod plot;
mod scatter;
mod toy;

pub use axis::Scale;
pub use canvas::Canvas;
pub use chart::{Chart, Curve, charts};
pub use pictures::pictures;
pub use plot::Axes;
pub use scatter::{Cloud, Scatter, scatters};
pub use toy::toy_figure;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number an axis may meet, and none at all: always a picture, never a NaN in the drawing.
    #[test]
    fn charts_of_any_points_are_drawn() {
        let chart = |x_scale, y_scale, points: &[[f64; 2]]| Chart {
            axes: Axes {
                title: "any < all & more".into(),
                x_label: "x (no unit)".into(),
                x_scale,
                y_label: "y (no unit)".into(),
                y_scale,
                y_holds: vec![f64::NAN],
            },
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
                let scatter = Scatter {
                    axes: Axes {
                        title: "any < all & more".into(),
                        x_label: "x (no unit)".into(),
                        x_scale: scales[0],
                        y_label: "y (no unit)".into(),
                        y_scale: scales[1],
                        y_holds: vec![f64::NAN],
                    },
                    clouds: vec![Cloud {
                        name: "cloud".into(),
                        points: points.to_vec(),
                    }],
                };
                let canvas = scatters(&[scatter], 2);
                assert!(!canvas.svg().contains("NaN"), "{points:?} {scales:?}");
                assert!(!canvas.svg().contains("inf"), "{points:?} {scales:?}");
                assert!(canvas.png().unwrap().starts_with(b"\x89PNG"));
            }
        }
    }

    /// A point at 0, which a logarithmic axis cannot hold, lies on the lower edge.
    #[test]
    fn zeros_lie_on_the_lower_edge() {
        let drawn = |points: &[[f64; 2]]| {
            let scatter = Scatter {
                axes: Axes {
                    title: String::new(),
                    x_label: String::new(),
                    x_scale: Scale::Log,
                    y_label: String::new(),
                    y_scale: Scale::Log,
                    y_holds: Vec::new(),
                },
                clouds: vec![Cloud {
                    name: "cloud".into(),
                    points: points.to_vec(),
                }],
            };
            scatters(&[scatter], 1).svg().matches("h0.01").count()
        };
        let some = [[1.0, 0.1], [2.0, 0.2], [1.5, 0.0]];
        // One more stands in the legend.
        assert_eq!(drawn(&some), 4);
        assert_eq!(drawn(&[some[0], some[1], [0.0, 0.1]]), 3);
    }
}
