//! Brackets of the places where a segment crosses from one region to the next.

use loclin_tensor::rounding::{sum_up, up};

/// A bracket of boundaries on a segment, as shares of the segment: outside of all brackets no neuron that the segment moves
/// changes its side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Breakpoint {
    /// Up to here the segment is in the region before, but for the first bracket of one that begins at 0.
    pub low: f64,
    /// From here on it is in the region behind.
    pub high: f64,
    /// Whether it certainly is in these two regions alone in between, and crosses once. Else there may be others.
    pub single: bool,
}

impl Breakpoint {
    /// At least its share of the segment.
    pub fn width(&self) -> f64 {
        match self.high > self.low {
            true => up(self.high - self.low),
            false => 0.0,
        }
    }
}

/// At least the share of the segment in those of the brackets that are `single`, or in those that are not.
pub(crate) fn widths(breakpoints: &[Breakpoint], single: bool) -> f64 {
    let own = breakpoints.iter().filter(|at| at.single == single);
    sum_up(&own.map(Breakpoint::width).collect::<Vec<_>>())
}

/// A part of a segment that certainly is in one region.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proven {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The number of its pattern.
    pub(crate) pattern: u64,
    /// Backward and forward up to here, all neurons but one keep their sides as the region extends.
    pub(crate) others: [f64; 2],
}

/// The brackets between parts that do not overlap, and up to the ends of the segment.
///
/// Where all neurons but one of the region before keep their sides up to the bracket's end as that region extends, and all
/// but one of the region behind back to its beginning, there is a single boundary in it. Go through the neurons from
/// the input on: as long as none of those that one depends on has changed its side, its value is that of both extensions.
/// So the first to change its side is the one left out in both, it is a straight line in the bracket, and crosses
/// once. Before that the pattern is that of the region before; behind it, by the same argument, that of the region behind.
pub(crate) fn breakpoints(mut proven: Vec<Proven>) -> Vec<Breakpoint> {
    proven.sort_by(|a, b| a.low.total_cmp(&b.low));
    proven.dedup_by(|next, last| {
        let same = next.pattern == last.pattern;
        if same {
            // A region is convex.
            last.high = next.high;
            let [back, forward] = next.others;
            last.others = [last.others[0].min(back), last.others[1].max(forward)];
        }
        same
    });
    let (Some(first), Some(last)) = (proven.first(), proven.last()) else {
        return vec![open(0.0, 1.0)];
    };
    let before = (first.low > 0.0).then(|| open(0.0, first.low));
    let behind = (last.high < 1.0).then(|| open(last.high, 1.0));
    let between = proven.windows(2).map(|pair| Breakpoint {
        low: pair[0].high,
        high: pair[1].low,
        single: pair[0].others[1] >= pair[1].low && pair[1].others[0] <= pair[0].high,
    });
    before.into_iter().chain(between).chain(behind).collect()
}

/// A bracket of which nothing is known.
fn open(low: f64, high: f64) -> Breakpoint {
    Breakpoint {
        low,
        high,
        single: false,
    }
}
