//! An input as a picture.

/// How an input is seen as a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Pictured {
    /// Its channels (one or three), height and width.
    pub shape: [usize; 3],
    /// For each value of the picture, channel by channel, where it stands in an input.
    places: Vec<usize>,
    /// The number that is white; black is 0.
    white: f64,
}

impl Pictured {
    pub(crate) fn new(shape: [usize; 3], places: Vec<usize>, white: f64) -> Self {
        Self {
            shape,
            places,
            white,
        }
    }

    /// The numbers of an input as pixels of the picture, black at 0 and white at 1: those of images by what their pixels were multiplied
    /// by, others as they are.
    pub fn pixels(&self, values: &[f64]) -> Vec<f64> {
        let shown = self.shown(values).into_iter();
        shown.map(|value| value / self.white).collect()
    }

    /// Numbers in the order of an input, such as its values or its gradient, in that of the picture.
    pub fn shown(&self, values: &[f64]) -> Vec<f64> {
        let at = |place: &usize| values.get(*place).copied().unwrap_or(0.0);
        self.places.iter().map(at).collect()
    }

    /// Whether numbers of an input are pixels from black to white.
    pub fn is_image(&self, values: &[f64]) -> bool {
        let pixels = self.pixels(values);
        pixels.iter().all(|pixel| (0.0..=1.0).contains(pixel))
    }

    /// Whether it is a single line of pixels, which nobody would call a picture.
    pub fn is_line(&self) -> bool {
        self.shape[1].min(self.shape[2]) <= 1
    }
}
