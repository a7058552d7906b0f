//! Random changes of training images that keep their class.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Error;

/// The usual augmentation of small images (He et al. 2016, CIFAR-10): a random crop of the image padded with zeros
/// (black), and a horizontal flip of every other image.
///
/// What is drawn for an image is a function of seed, epoch and row alone, so a resumed run sees the same images.
///
/// ```
/// use loclin_data::Augmentation;
/// let image: Vec<f32> = (0..12).map(|value| value as f32).collect();
/// let mut epochs = (0..8).map(|epoch| {
///     let mut values = image.clone();
///     Augmentation::default().apply(&mut values, &[3, 2, 2], &[7], 0, epoch)?;
///     Ok::<_, loclin_data::Error>(values)
/// });
/// assert!(epochs.any(|values| values.is_ok_and(|values| values != image)));
/// # Ok::<(), loclin_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Augmentation {
    /// Zeros on each side of the image that is cropped back to its size; 0 for no crop.
    pub padding: usize,
    /// Whether every image is flipped with probability one half.
    pub flip: bool,
}

impl Default for Augmentation {
    /// Padding 4, with flips.
    fn default() -> Self {
        Self {
            padding: 4,
            flip: true,
        }
    }
}

/// Where the pixels of an augmented image come from.
#[derive(Debug, Clone, Copy)]
struct Draw {
    /// First row and column of the crop in the padded image.
    corner: [usize; 2],
    flipped: bool,
}

impl Augmentation {
    /// Changes images of shape `[channels, height, width]`, one after another in `values`, which are the given rows of
    /// a dataset with pixels in raw units.
    ///
    /// # Errors
    /// A shape that is no image's, or another number of values than the rows have.
    pub fn apply<T: Copy + Default>(
        &self,
        values: &mut [T],
        shape: &[usize],
        rows: &[usize],
        seed: u64,
        epoch: u64,
    ) -> Result<(), Error> {
        let &[channels, height, width] = shape else {
            return Err(Error::Parameter {
                name: "augmentation",
                found: format!("inputs of shape {shape:?}"),
                expected: "images of shape [channels, height, width]",
            });
        };
        let size = channels * height * width;
        if values.len() != rows.len() * size {
            return Err(Error::Parameter {
                name: "augmentation",
                found: format!("{} values for {} rows", values.len(), rows.len()),
                expected: "channels x height x width for each row",
            });
        }
        let mut plane = vec![T::default(); height * width];
        for (image, &row) in values.chunks_exact_mut(size.max(1)).zip(rows) {
            let draw = self.draw(seed, epoch, row);
            for channel in image.chunks_exact_mut(height * width) {
                plane.copy_from_slice(channel);
                self.fill(channel, &plane, [height, width], draw);
            }
        }
        Ok(())
    }

    fn draw(&self, seed: u64, epoch: u64, row: usize) -> Draw {
        let mut key = [0; 32];
        let words = [DOMAIN, seed, epoch, row as u64];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let mut rng = ChaCha8Rng::from_seed(key);
        let mut offset = || rng.random_range(0..=2 * self.padding as u64) as usize;
        Draw {
            corner: [offset(), offset()],
            flipped: self.flip && rng.random(),
        }
    }

    fn fill<T: Copy + Default>(
        &self,
        out: &mut [T],
        plane: &[T],
        [height, width]: [usize; 2],
        draw: Draw,
    ) {
        // Positions in the image; those in its padding wrap around and are not below its size.
        let source = |position: usize, axis: usize| {
            (position + draw.corner[axis]).wrapping_sub(self.padding)
        };
        for row in 0..height {
            let y = source(row, 0);
            for column in 0..width {
                let from = if draw.flipped {
                    width - 1 - column
                } else {
                    column
                };
                let x = source(from, 1);
                out[row * width + column] = match y < height && x < width {
                    true => plane[y * width + x],
                    false => T::default(),
                };
            }
        }
    }
}

/// Separates these draws from every other use of the same seed.
const DOMAIN: u64 = u64::from_le_bytes(*b"augment!");
