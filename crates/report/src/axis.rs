//! A logarithmic axis for radii that may be zero, infinite or missing.

/// A logarithmic scale from `low` to `high` drawn between two coordinates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogAxis {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

/// A labelled or unlabelled mark on a [`LogAxis`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tick {
    /// Where to draw it.
    pub(crate) at: f64,
    /// Leading digit, 1 to 9.
    pub(crate) digit: u8,
    /// Power of ten: the tick stands for `digit * 10^exponent`.
    pub(crate) exponent: i32,
}

impl LogAxis {
    /// An axis that holds every radius from `low` to `high`, with some air.
    ///
    /// `None` unless both are positive and finite. More than twelve decades
    /// are cut at the low end: what is below is rounding noise.
    pub(crate) fn new(low: f64, high: f64, start: f64, end: f64) -> Option<Self> {
        if !(drawable(low) && drawable(high) && low <= high) {
            return None;
        }
        let low = low.max(high * 1e-12);
        // A single value gets a third of a decade on both sides.
        let air = if high / low < 1.5 { 2.0 } else { 1.12 };
        Some(Self {
            // Still a number above 0, and a finite one.
            low: (low / air).max(f64::from_bits(1)),
            high: (high * air).min(f64::MAX),
            start,
            end,
        })
    }

    /// The coordinate of `value`, kept on the axis.
    pub(crate) fn position(&self, value: f64) -> f64 {
        let share =
            (value.clamp(self.low, self.high) / self.low).log10() / (self.high / self.low).log10();
        self.start + share * (self.end - self.start)
    }

    /// The smallest value on the axis.
    pub(crate) fn low(&self) -> f64 {
        self.low
    }

    /// Every `digit * 10^exponent` on the axis, in order.
    pub(crate) fn ticks(&self) -> Vec<Tick> {
        let (first, last) = (
            self.low.log10().floor() as i32,
            self.high.log10().floor() as i32,
        );
        let mut ticks = Vec::new();
        for exponent in first..=last {
            for digit in 1..=9_u8 {
                let value = f64::from(digit) * 10_f64.powi(exponent);
                if (self.low..=self.high).contains(&value) {
                    ticks.push(Tick {
                        at: self.position(value),
                        digit,
                        exponent,
                    });
                }
            }
        }
        ticks
    }

    /// Whole powers of ten on the axis, thinned to at most `most` of them.
    pub(crate) fn decades(&self, most: usize) -> Vec<Tick> {
        let mut decades: Vec<Tick> = self
            .ticks()
            .into_iter()
            .filter(|tick| tick.digit == 1)
            .collect();
        let step = decades.len().div_ceil(most.max(1)).max(1);
        let mut position = 0;
        decades.retain(|_| {
            position += 1;
            (position - 1) % step == 0
        });
        decades
    }
}

/// Whether `value` has a place on a logarithmic axis.
pub(crate) fn drawable(value: f64) -> bool {
    value.is_finite() && value > 0.0
}
