//! An input as a picture.

/// How an input is seen as a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pictured {
    /// Its channels (one or three), height and width.
    pub shape: [usize; 3],
    /// For each value of the picture, channel by channel, where it stands in an input.
    places: Vec<usize>,
}

impl Pictured {
    pub(crate) fn new(shape: [usize; 3], places: Vec<usize>) -> Self {
        Self { shape, places }
    }

    /// Numbers in the order of an input, such as its values or its gradient, in that of the picture.
    pub fn shown(&self, values: &[f64]) -> Vec<f64> {
        let at = |place: &usize| values.get(*place).copied().unwrap_or(0.0);
        self.places.iter().map(at).collect()
    }

    /// Whether it is a single line of pixels, which nobody would call a picture.
    pub fn is_line(&self) -> bool {
        self.shape[1].min(self.shape[2]) <= 1
    }
}
