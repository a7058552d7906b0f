//! Where a point of the plane is drawn.

use crate::error::{Error, Result};
use crate::format::coordinate;

/// Length of the viewport's longer side in SVG units.
pub(crate) const SIDE: f64 = 400.0;
/// Room for the axes' numbers, left of and below the picture.
pub(crate) const GUTTER: [f64; 2] = [36.0, 24.0];

/// A rectangle of the plane and its place in the picture, axes equally scaled.
pub(crate) struct Plane {
    view: [f64; 4],
    /// SVG units per unit of the plane.
    pub(crate) unit: f64,
    /// Width and height in SVG units.
    pub(crate) size: [f64; 2],
}

impl Plane {
    pub(crate) fn new(view: [f64; 4]) -> Result<Self> {
        let spans = [view[1] - view[0], view[3] - view[2]];
        if !spans.iter().all(|span| span.is_finite() && *span > 0.0) {
            return Err(Error::Viewport(view));
        }
        let unit = SIDE / spans[0].max(spans[1]);
        Ok(Self {
            view,
            unit,
            size: spans.map(|span| span * unit),
        })
    }

    /// SVG's y axis points down.
    pub(crate) fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [
            (x - self.view[0]) * self.unit,
            (self.view[3] - y) * self.unit,
        ]
    }

    /// `x`, `y`, `width` and `height` of an SVG rectangle.
    pub(crate) fn rectangle(&self, [x0, x1, y0, y1]: [f64; 4]) -> [String; 4] {
        let ([left, top], [right, bottom]) = (self.place([x0, y1]), self.place([x1, y0]));
        [left, top, right - left, bottom - top].map(coordinate)
    }
}

/// A handful of round numbers between `low` and `high`, with their text.
pub(crate) fn round_values(low: f64, high: f64) -> Vec<(f64, String)> {
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
