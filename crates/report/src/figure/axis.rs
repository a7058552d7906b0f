//! The axes of a chart.

/// The scale of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal steps are equal differences.
    Linear,
    /// Equal steps are equal factors.
    Log,
}

/// Round places for values between two ends, as a chart draws them.
pub(super) struct Axis {
    /// Ends of the values, in the scale's measure, and where they are drawn.
    ends: [f64; 2],
    place: [f64; 2],
    scale: Scale,
}

impl Axis {
    pub(super) fn new(values: impl Iterator<Item = f64>, scale: Scale, place: [f64; 2]) -> Self {
        let mut axis = Self {
            ends: [f64::INFINITY, f64::NEG_INFINITY],
            place,
            scale,
        };
        for value in values {
            if axis.holds(value) {
                let measure = axis.measure(value);
                axis.ends = [axis.ends[0].min(measure), axis.ends[1].max(measure)];
            }
        }
        let [low, high] = axis.ends;
        axis.ends = match low < high {
            true => [low - 0.06 * (high - low), high + 0.06 * (high - low)],
            false if low == high => [low - 0.5, high + 0.5],
            false => [0.0, 1.0],
        };
        axis
    }

    pub(super) fn holds(&self, value: f64) -> bool {
        value.is_finite() && (self.scale == Scale::Linear || value > 0.0)
    }

    pub(super) fn measure(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            // What such an axis cannot hold is below its end.
            Scale::Log => value.max(0.0).log10(),
        }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        let share = (self.measure(value) - self.ends[0]) / (self.ends[1] - self.ends[0]);
        self.place[0] + share * (self.place[1] - self.place[0])
    }

    /// Round values on the axis, with their text.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => {
                let rough = (self.ends[1] - self.ends[0]) / 5.0;
                let power = 10_f64.powf(rough.log10().floor());
                let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
                let step = steps
                    .into_iter()
                    .find(|step| *step >= rough)
                    .unwrap_or(rough);
                let decimals = usize::try_from(-(step.log10() + 1e-9).floor() as i64).unwrap_or(0);
                let first = (self.ends[0] / step).ceil();
                (0..=5)
                    .map(|k| (first + f64::from(k)) * step)
                    .take_while(|value| *value <= self.ends[1])
                    .map(|value| (value, format!("{value:.decimals$}")))
                    .collect()
            }
            Scale::Log => {
                let decades = self.ends[0].floor() as i32..=self.ends[1].floor() as i32;
                let narrow = self.ends[1] - self.ends[0] < 2.5;
                // A handful of ticks, however many decades.
                let every = (self.ends[1] - self.ends[0]).max(8.0) as usize / 8;
                let digits: &[f64] = if narrow { &[1.0, 2.0, 5.0] } else { &[1.0] };
                decades
                    .step_by(every)
                    .flat_map(|decade| digits.iter().map(move |d| d * 10_f64.powi(decade)))
                    .filter(|value| (self.ends[0]..=self.ends[1]).contains(&value.log10()))
                    // Parsing a printed number takes off what `powi` rounds.
                    .map(|value| {
                        (
                            value,
                            format!("{:.0e}", value).parse::<f64>().unwrap_or(value),
                        )
                    })
                    .map(|(value, round)| (value, round.to_string()))
                    .collect()
            }
        }
    }
}
