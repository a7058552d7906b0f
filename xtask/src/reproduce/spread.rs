//! A number over several seeds.

/// Mean, least and largest of a few numbers.
pub(super) struct Spread {
    pub(super) mean: f64,
    least: f64,
    most: f64,
}

impl Spread {
    pub(super) fn of<T>(items: &[T], value: impl Fn(&T) -> f64) -> Self {
        let values: Vec<f64> = items.iter().map(value).collect();
        Self {
            mean: values.iter().sum::<f64>() / values.len() as f64,
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// `MEAN [LEAST, LARGEST]`.
    pub(super) fn text(&self, show: impl Fn(f64) -> String) -> String {
        let [mean, least, most] = [self.mean, self.least, self.most].map(show);
        format!("{mean} [{least}, {most}]")
    }
}
