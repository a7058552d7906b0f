//! A bar of the colours that signed numbers are drawn in.

use maud::{Markup, html};

use crate::format::{coordinate, significant};
use crate::picture::mixed;

/// Its height, with the numbers.
pub(crate) const BAR_HEIGHT: f64 = 20.0;
/// That of the colours, and their steps.
const BAND: f64 = 6.0;
const STEPS: usize = 30;

/// The colours from `-scale` to `scale`, `side` wide from the given place on, with their ends below.
pub(crate) fn colour_bar(scale: f64, [x, y]: [f64; 2], side: f64) -> Markup {
    let step = side / STEPS as f64;
    let colour = |at: usize| {
        let share = (2.0 * at as f32 + 1.0) / STEPS as f32 - 1.0;
        let [r, g, b] = mixed([0xff; 3], share);
        format!("#{r:02x}{g:02x}{b:02x}")
    };
    let middle = x + 0.5 * side;
    let ends = [
        (x, "start", -scale),
        (middle, "middle", 0.0),
        (x + side, "end", scale),
    ];
    html! {
        @for at in 0..STEPS {
            rect x=(coordinate(x + at as f64 * step)) y=(coordinate(y)) width=(coordinate(step)) height=(coordinate(BAND))
                fill=(colour(at)) {}
        }
        @for (x, anchor, value) in ends {
            text x=(coordinate(x)) y=(coordinate(y + BAR_HEIGHT - 3.0)) text-anchor=(anchor) font-size="10" { (significant(value)) }
        }
    }
}
