//! A picture: pixels of an image or of a gradient.

use crate::error::{Error, Result};
use crate::png;

/// Pixels, row by row from the top.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// An image of shape `[channels, height, width]`, channel by channel, in [0, 1]; one channel is grey.
    ///
    /// # Errors
    /// When the number of values is not the shape's, or there are neither one nor three channels.
    pub fn image(shape: [usize; 3], values: &[f64]) -> Result<Self> {
        let [channels, height, width] = shape;
        let area = height * width;
        if values.len() != channels * area || !matches!(channels, 1 | 3) {
            return Err(Error::Shape {
                what: "image",
                values: values.len(),
                shape,
            });
        }
        // A saturating cast: what is outside is clipped.
        let byte = |value: f64| (value * 255.0).round() as u8;
        let pixel = |at: usize| [0, 1, 2].map(|c| byte(values[c.min(channels - 1) * area + at]));
        Ok(Self {
            width,
            height,
            pixels: (0..area).map(pixel).collect(),
        })
    }

    /// A gradient of shape `[channels, height, width]` as the paper renders it (Figures 4 to 6): summed over the
    /// channels, the absolute value over its 99th percentile, clipped at 1.
    ///
    /// # Errors
    /// When the number of values is not the shape's.
    pub fn gradient(shape: [usize; 3], values: &[f64]) -> Result<Self> {
        let [channels, height, width] = shape;
        let area = height * width;
        if values.len() != channels * area {
            return Err(Error::Shape {
                what: "gradient",
                values: values.len(),
                shape,
            });
        }
        let sum = |at: usize| values.iter().skip(at).step_by(area.max(1)).sum::<f64>() as f32;
        let sums: Vec<f32> = (0..area).map(sum).collect();
        let shades: Vec<f64> = png::gradient_shades(&sums)
            .into_iter()
            .map(f64::from)
            .collect();
        Self::image([1, height, width], &shades)
    }

    /// Signs of shape `[channels, height, width]`: blue where all channels of a pixel are above 0, orange where all are below,
    /// white where all are 0, and grey where they differ or one is not known (NaN).
    ///
    /// # Errors
    /// When the number of values is not the shape's.
    pub fn signs(shape: [usize; 3], values: &[f64]) -> Result<Self> {
        let [channels, height, width] = shape;
        let area = height * width;
        if values.len() != channels * area {
            let (what, values) = ("signs", values.len());
            return Err(Error::Shape {
                what,
                values,
                shape,
            });
        }
        let pixel = |at: usize| {
            let all =
                |is: fn(f64) -> bool| values.iter().skip(at).step_by(area.max(1)).all(|v| is(*v));
            match () {
                () if all(|v| v > 0.0) => [0x17, 0x47, 0x7e],
                () if all(|v| v < 0.0) => [0xd9, 0x7a, 0x1a],
                () if all(|v| v == 0.0) => [0xff; 3],
                () => [0xc3, 0xc8, 0xcd],
            }
        };
        Ok(Self {
            width,
            height,
            pixels: (0..area).map(pixel).collect(),
        })
    }

    /// As a data URI, each pixel a square so large that the picture is at least `side` wide or high: scaled without
    /// smoothing.
    pub(crate) fn data_uri(&self, side: usize) -> Result<String> {
        let factor = side.div_ceil(self.width.max(self.height).max(1)).max(1);
        let mut pixels = Vec::with_capacity(self.pixels.len() * factor * factor);
        for row in self.pixels.chunks_exact(self.width.max(1)) {
            let wide: Vec<[u8; 3]> = row
                .iter()
                .flat_map(|pixel| std::iter::repeat_n(*pixel, factor))
                .collect();
            (0..factor).for_each(|_| pixels.extend_from_slice(&wide));
        }
        png::colour(self.width * factor, self.height * factor, &pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::Picture;

    #[test]
    fn signs_have_colours_where_channels_agree() {
        let unknown = f64::NAN;
        // Two channels of five pixels.
        let first = [2.0, -1.0, 0.0, 1.0, unknown];
        let second = [0.5, -3.0, 0.0, -1.0, 1.0];
        let picture = Picture::signs([2, 1, 5], &[first, second].concat()).unwrap();
        let grey = [0xc3, 0xc8, 0xcd];
        let expected = [
            [0x17, 0x47, 0x7e],
            [0xd9, 0x7a, 0x1a],
            [0xff; 3],
            grey,
            grey,
        ];
        assert_eq!(picture.pixels, expected);
        assert!(Picture::signs([1, 1, 5], &[0.0; 4]).is_err());
    }
}
