//! Element-wise functions whose gradients survive zero, masks and checks.

use candle_core::{DType, Device, Tensor};

use crate::{Error, Result};

/// The square root with a gradient that is exactly 0 where `x <= 0`, and the
/// value 0 there. Elsewhere both are the ordinary ones; NaN stays NaN.
///
/// The ordinary gradient `1 / (2 sqrt(x))` is infinite at 0, and NaN after the
/// product with an inner gradient of 0, so that the norm of one dead neuron's
/// gradient would poison the gradient of a whole loss.
///
/// # Errors
/// Candle's, for instance for an integer element type.
///
/// ```
/// use candle_core::{Device, Var};
/// let x = Var::new(&[0.0, 4.0], &Device::Cpu)?;
/// let root = loclin_tensor::safe_sqrt(&x)?;
/// assert_eq!(root.to_vec1::<f64>()?, [0.0, 2.0]);
/// let gradient = root.sum_all()?.backward()?.remove(&x).unwrap();
/// assert_eq!(gradient.to_vec1::<f64>()?, [0.0, 0.25]);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
pub fn safe_sqrt(x: &Tensor) -> Result<Tensor> {
    // `x <= 0`, not the negation of `x > 0`: a NaN must not be hidden as 0.
    let flat = x.detach().le(0.0)?;
    // Substituting before the root keeps the infinite slope out of the graph.
    let root = flat.where_cond(&x.ones_like()?.detach(), x)?.sqrt()?;
    Ok(flat.where_cond(&x.zeros_like()?.detach(), &root)?)
}

/// The quotient `numerator / denominator`, and `otherwise` (which may be
/// infinite) with a gradient that is exactly 0 where the denominator is 0.
///
/// Both tensors have one shape.
///
/// # Errors
/// Candle's, if the shapes or the element types differ.
///
/// ```
/// use candle_core::{Device, Tensor};
/// let distance = Tensor::new(&[1.0, 2.0], &Device::Cpu)?;
/// let slope = Tensor::new(&[0.0, 4.0], &Device::Cpu)?;
/// let margin = loclin_tensor::safe_divide(&distance, &slope, f64::INFINITY)?;
/// assert_eq!(margin.to_vec1::<f64>()?, [f64::INFINITY, 0.5]);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
pub fn safe_divide(numerator: &Tensor, denominator: &Tensor, otherwise: f64) -> Result<Tensor> {
    let zero = denominator.detach().eq(0.0)?;
    let divisor = zero.where_cond(&denominator.ones_like()?.detach(), denominator)?;
    let quotient = numerator.div(&divisor)?;
    let constant = Tensor::full(otherwise, quotient.shape(), quotient.device())?;
    Ok(zero.where_cond(&constant.to_dtype(quotient.dtype())?, &quotient)?)
}

/// The mask of the `k` largest scores of every row: exactly `k` ones, the rest
/// zeros, of the scores' shape `[batch, n]`, element type and device.
///
/// Equal scores are taken from the lowest column up, so the mask is a function
/// of the scores alone. It is a constant in differentiation. The selection
/// takes time linear in `n`, on the host.
///
/// # Errors
/// [`Error::TooFewScores`] for `k > n`, [`Error::NanScore`] for a NaN, and
/// Candle's if the scores are no matrix.
///
/// ```
/// use candle_core::{Device, Tensor};
/// let scores = Tensor::new(&[[1.0f32, 3.0, 2.0, 3.0]], &Device::Cpu)?;
/// let mask = loclin_tensor::top_k_mask(&scores, 1)?;
/// assert_eq!(mask.to_vec2::<f32>()?, [[0.0, 1.0, 0.0, 0.0]]);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
pub fn top_k_mask(scores: &Tensor, k: usize) -> Result<Tensor> {
    let (batch, n) = scores.dims2()?;
    if k > n {
        return Err(Error::TooFewScores { k, available: n });
    }
    // Double precision holds every narrower float exactly: order is kept.
    let values = scores
        .detach()
        .to_device(&Device::Cpu)?
        .to_dtype(DType::F64)?
        .flatten_all()?
        .to_vec1::<f64>()?;
    if let Some(index) = values.iter().position(|score| score.is_nan()) {
        return Err(Error::NanScore {
            row: index / n,
            column: index % n,
        });
    }
    if k == n {
        return Ok(scores.ones_like()?.detach());
    }
    let mut mask = vec![0u8; values.len()];
    if k > 0 {
        let mut scratch = Vec::with_capacity(n);
        for (row, mask) in values.chunks(n).zip(mask.chunks_mut(n)) {
            select(row, k, &mut scratch, mask);
        }
    }
    let mask = Tensor::from_vec(mask, (batch, n), &Device::Cpu)?;
    Ok(mask.to_dtype(scores.dtype())?.to_device(scores.device())?)
}

/// Whether a type is one of those whose numbers are computed with here: floating-point, of 16 bits or more. Of narrower ones Candle stores
/// tensors, and does not compute with all of them.
///
/// ```
/// use candle_core::DType;
/// assert!(loclin_tensor::is_float(DType::BF16));
/// assert!(!loclin_tensor::is_float(DType::F8E4M3));
/// ```
pub fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16 | DType::F32 | DType::F64)
}

/// Whether no element is infinite or NaN.
///
/// # Errors
/// Candle's, if the tensor cannot be read.
///
/// ```
/// use candle_core::{Device, Tensor};
/// assert!(loclin_tensor::all_finite(&Tensor::new(&[1.0, -2.0], &Device::Cpu)?)?);
/// assert!(!loclin_tensor::all_finite(&Tensor::new(&[1.0, f64::NAN], &Device::Cpu)?)?);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
pub fn all_finite(tensor: &Tensor) -> Result<bool> {
    if !tensor.dtype().is_float() {
        return Ok(true);
    }
    // 0 x is 0 for every finite x, and NaN otherwise: one reduction on any
    // device, which cannot overflow.
    let witness = (tensor.detach() * 0.0)?.sum_all()?;
    Ok(witness.to_dtype(DType::F64)?.to_scalar::<f64>()? == 0.0)
}

/// Marks the `k` largest of `row`, `1 <= k < row.len()`, lowest index first.
fn select(row: &[f64], k: usize, scratch: &mut Vec<f64>, mask: &mut [u8]) {
    scratch.clear();
    scratch.extend_from_slice(row);
    let (larger, &mut threshold, _) = scratch.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    // Counted by value, in which 0 and -0 tie although `total_cmp` orders them.
    let mut ties = k - larger.iter().filter(|&&score| score > threshold).count();
    for (chosen, &score) in mask.iter_mut().zip(row) {
        if score > threshold {
            *chosen = 1;
        } else if score == threshold && ties > 0 {
            *chosen = 1;
            ties -= 1;
        }
    }
}
