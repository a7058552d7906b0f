//! What a convolution is, but for its operands.

/// A convolution's stride, padding, dilation and groups; the rest is in the shapes of its operands.
///
/// A cross-correlation with zero padding, as PyTorch's `conv2d`. Images are parallel; the result does not depend on the
/// number of threads. Contiguous operands are not copied, but for one image at a time with its padding.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use loclin_tensor::Convolution;
/// let image = Tensor::new(&[[[[1.0, 2.0, 3.0, 4.0]]]], &Device::Cpu)?;
/// let kernel = Tensor::new(&[[[[1.0, 10.0]]]], &Device::Cpu)?;
/// let every_other = Convolution { stride: [1, 2], ..Convolution::default() };
/// let z = every_other.apply(&image, &kernel)?;
/// assert_eq!(z.flatten_all()?.to_vec1::<f64>()?, [21.0, 43.0]);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convolution {
    /// Steps between positions, for rows and columns; at least 1.
    pub stride: [usize; 2],
    /// Zeros before and after, for rows and columns.
    pub padding: [[usize; 2]; 2],
    /// Steps between the kernel's entries; at least 1.
    pub dilation: [usize; 2],
    /// In how many groups of channels it falls apart; at least 1.
    pub groups: usize,
}

impl Default for Convolution {
    /// Stride and dilation 1, no padding, one group.
    fn default() -> Self {
        Self {
            stride: [1, 1],
            padding: [[0, 0]; 2],
            dilation: [1, 1],
            groups: 1,
        }
    }
}
