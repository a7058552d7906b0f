//! A picture: pixels of an image or of a gradient.

use crate::error::{Error, Result};
use crate::png;

/// Of numbers above 0, and of those below.
const ABOVE: [u8; 3] = [0x17, 0x47, 0x7e];
const BELOW: [u8; 3] = [0xd9, 0x7a, 0x1a];

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
        let sums = sums("gradient", shape, values)?;
        let shades = png::gradient_shades(&sums).into_iter().map(f64::from);
        let [_, height, width] = shape;
        Self::image([1, height, width], &shades.collect::<Vec<_>>())
    }

    /// A gradient or attribution of shape `[channels, height, width]` with its signs, over a faint image where there is one:
    /// summed over the channels, blue where it is above 0, orange where it is below, and the stronger the larger it is; and the
    /// absolute value from which on the colour is full, the 99th percentile.
    ///
    /// # Errors
    /// When the number of values is not the shape's, or the image is of another size.
    pub fn signed(shape: [usize; 3], values: &[f64], over: Option<&Self>) -> Result<(Self, f64)> {
        let sums = sums("gradient", shape, values)?;
        let [_, height, width] = shape;
        if let Some(other) = over.filter(|own| (own.width, own.height) != (width, height)) {
            return Err(Error::Shape {
                what: "image under a gradient",
                values: other.pixels.len(),
                shape,
            });
        }
        let scale = png::gradient_scale(&sums);
        let pixel = |(at, sum): (usize, &f32)| {
            let below = over.map_or([0xff; 3], |own| faint(own.pixels[at]));
            let share = if scale > 0.0 { sum / scale } else { 0.0 };
            mixed(below, share)
        };
        let picture = Self {
            width,
            height,
            pixels: sums.iter().enumerate().map(pixel).collect(),
        };
        Ok((picture, f64::from(scale)))
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
                () if all(|v| v > 0.0) => ABOVE,
                () if all(|v| v < 0.0) => BELOW,
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

/// Numbers of shape `[channels, height, width]`, summed over the channels.
fn sums(what: &'static str, shape: [usize; 3], values: &[f64]) -> Result<Vec<f32>> {
    let [channels, height, width] = shape;
    let area = height * width;
    if values.len() != channels * area {
        let values = values.len();
        return Err(Error::Shape {
            what,
            values,
            shape,
        });
    }
    let sum = |at: usize| values.iter().skip(at).step_by(area.max(1)).sum::<f64>() as f32;
    Ok((0..area).map(sum).collect())
}

/// A pixel as a light grey.
fn faint([r, g, b]: [u8; 3]) -> [u8; 3] {
    let light = 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b);
    [(255.0 - 0.3 * (255.0 - light)) as u8; 3]
}

/// The colour of a number, -1 to 1, over another.
pub(crate) fn mixed(below: [u8; 3], share: f32) -> [u8; 3] {
    let colour = if share > 0.0 { ABOVE } else { BELOW };
    // A saturating cast; NaN, which has no colour, leaves what is below.
    let weight = if share.is_nan() {
        0.0
    } else {
        share.abs().min(1.0)
    };
    [0, 1, 2].map(|c| {
        let (from, to) = (f32::from(below[c]), f32::from(colour[c]));
        (from + weight * (to - from)).round() as u8
    })
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

    #[test]
    fn signed_gradients_are_blue_or_orange_over_a_faint_image() {
        let black = Picture::image([1, 1, 3], &[0.0; 3]).unwrap();
        let (picture, scale) =
            Picture::signed([2, 1, 3], &[1.0, -1.0, 3.0, 1.0, -1.0, -3.0], Some(&black)).unwrap();
        assert_eq!(scale, 2.0);
        let faint = [178; 3];
        assert_eq!(
            picture.pixels,
            [[0x17, 0x47, 0x7e], [0xd9, 0x7a, 0x1a], faint]
        );
        let (picture, scale) = Picture::signed([1, 1, 2], &[0.0; 2], None).unwrap();
        assert_eq!((picture.pixels, scale), (vec![[0xff; 3]; 2], 0.0));
        assert!(Picture::signed([1, 1, 2], &[0.0; 2], Some(&black)).is_err());
    }
}
