//! A linear layer as one operation, with the backward pass it deserves.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, DType, Layout, Shape, Tensor, bail};
use rayon::prelude::*;

use crate::product::{
    Real, View, ViewMut, Write, multiply, multiply_by_all, multiply_shared, slice, slice_of, tensor,
};
use crate::{Result, own_loops};

/// Multiply-adds below which a product is not worth a second thread.
const SMALL: usize = 1 << 20;
/// Rows from which on a product is divided by its rows.
const TALL: usize = 128;

/// `x W^T + b` for `x` `[rows, in]`, `W` `[out, in]` and `b` `[out]`: `[rows, out]`.
///
/// Candle's product by a transposed matrix gives the weight a column-major
/// gradient, which an optimiser has to copy, computes a gradient for an `x`
/// that nobody differentiates, and shares a small product among threads that
/// wait for one another longer than it takes; a bias is one more pass, and its
/// gradient a slow sum. On the CPU, in single and double precision, this does
/// none of that; elsewhere it is Candle's expression.
///
/// # Errors
/// Candle's, if shapes or types do not fit.
///
/// ```
/// use candle_core::{Device, Tensor};
/// let x = Tensor::new(&[[1.0, 2.0]], &Device::Cpu)?;
/// let weight = Tensor::new(&[[3.0, 4.0], [5.0, 6.0], [0.0, 1.0]], &Device::Cpu)?;
/// let bias = Tensor::new(&[0.5, 0.0, 0.0], &Device::Cpu)?;
/// let z = loclin_tensor::linear(&x, &weight, Some(&bias))?;
/// assert_eq!(z.to_vec2::<f64>()?, [[11.5, 17.0, 2.0]]);
/// # Ok::<(), loclin_tensor::Error>(())
/// ```
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> candle_core::Result<Tensor> {
    let suited = |tensor: &Tensor| {
        own_loops::serve(tensor.device()) && tensor.is_contiguous() && tensor.dtype() == x.dtype()
    };
    let known = matches!(x.dtype(), DType::F32 | DType::F64) && own_loops::serve(x.device());
    if !known || !suited(weight) || !bias.is_none_or(suited) {
        let product = x.matmul(&weight.t()?)?;
        return bias.map_or(Ok(product.clone()), |bias| product.broadcast_add(bias));
    }
    let (x, layer) = (x.contiguous()?, Layer);
    match bias {
        Some(bias) => x.apply_op3(weight, bias, layer),
        None => x.apply_op2(weight, layer),
    }
}

/// [`linear()`] of `x` `[rows, in]`, row-major: the work is shared among all
/// threads of the current pool.
///
/// # Errors
/// [`Error::Product`](crate::Error::Product) if the shapes do not fit.
pub fn values<T: Real>(x: View<T>, weight: View<T>, bias: Option<&[T]>) -> Result<Vec<T>> {
    let (rows, outputs) = (x.row_count(), weight.row_count());
    let mut result = vec![T::zero(); rows * outputs];
    let threads = rayon::current_num_threads();
    if rows >= TALL || threads == 1 || rows * x.column_count() * outputs < SMALL {
        let all = ViewMut::new(&mut result, rows, outputs)?;
        multiply_by_all(all, Write::Replace, 1.0, x, weight.t())?;
        if let Some(bias) = bias {
            for row in result.chunks_exact_mut(outputs.max(1)) {
                row.iter_mut().zip(bias).for_each(|(z, b)| *z += *b);
            }
        }
        return Ok(result);
    }
    // Few rows: outputs are divided, and each thread reads its part of the weight only.
    let width = outputs.div_ceil(threads);
    let parts = (0..outputs)
        .into_par_iter()
        .step_by(width)
        .map(|start| {
            let width = width.min(outputs - start);
            let mut part = vec![T::zero(); rows * width];
            let target = ViewMut::new(&mut part, rows, width)?;
            let weight = weight.rows(start, width)?.t();
            multiply(target, Write::Replace, 1.0, x, weight)?;
            Ok((start, width, part))
        })
        .collect::<Result<Vec<_>>>()?;
    for (start, width, part) in parts {
        let rows = result.chunks_exact_mut(outputs);
        for (row, part) in rows.zip(part.chunks_exact(width)) {
            let row = &mut row[start..start + width];
            match bias {
                Some(bias) => {
                    let terms = part.iter().zip(&bias[start..start + width]);
                    row.iter_mut()
                        .zip(terms)
                        .for_each(|(z, (p, b))| *z = *p + *b);
                }
                None => row.copy_from_slice(part),
            }
        }
    }
    Ok(result)
}

/// The gradients in `x` and in `weight`, row-major, of a function whose gradient
/// in the layer's values is `cotangents` `[rows, out]`; those that are
/// `wanted`.
///
/// # Errors
/// Those of [`values`].
pub fn gradients<T: Real>(
    x: View<T>,
    weight: View<T>,
    cotangents: View<T>,
    wanted: [bool; 2],
) -> Result<[Option<Vec<T>>; 2]> {
    let (rows, inputs, outputs) = (x.row_count(), x.column_count(), weight.row_count());
    let small = rows * inputs * outputs < SMALL;
    let product = |wanted: bool, lhs: View<T>, rhs: View<T>| -> Result<Option<Vec<T>>> {
        if !wanted {
            return Ok(None);
        }
        let mut result = vec![T::zero(); lhs.row_count() * inputs];
        if small {
            let all = ViewMut::new(&mut result, lhs.row_count(), inputs)?;
            multiply(all, Write::Replace, 1.0, lhs, rhs)?;
        } else {
            multiply_shared(&mut result, Write::Replace, 1.0, lhs, rhs)?;
        }
        Ok(Some(result))
    };
    let of_x = || product(wanted[0], cotangents, weight);
    let of_weight = || product(wanted[1], cotangents.t(), x);
    // Each is work for a thread, and when there are more of them, for several.
    let (of_x, of_weight) = match small {
        true => (of_x(), of_weight()),
        false => rayon::join(of_x, of_weight),
    };
    Ok([of_x?, of_weight?])
}

struct Layer;

impl Layer {
    fn forward(
        x: (&CpuStorage, &Layout),
        weight: (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        match x.0 {
            CpuStorage::F32(_) => Self::forward_as::<f32>(x, weight, bias),
            CpuStorage::F64(_) => Self::forward_as::<f64>(x, weight, bias),
            _ => bail!("a linear layer needs an input and a weight of one type, f32 or f64"),
        }
        .map_err(candle_core::Error::wrap)
    }

    fn forward_as<T: Real>(
        x: (&CpuStorage, &Layout),
        weight: (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = x.1.shape().dims2()?;
        let (outputs, features) = weight.1.shape().dims2()?;
        let x = View::new(slice_of::<T>(x.0, x.1)?, rows, inputs)?;
        let weight = View::new(slice_of::<T>(weight.0, weight.1)?, outputs, features)?;
        let bias = bias.map(|(storage, layout)| slice_of::<T>(storage, layout));
        let values = values(x, weight, bias.transpose()?)?;
        Ok((
            T::to_cpu_storage_owned(values),
            Shape::from((rows, outputs)),
        ))
    }

    /// Gradients of `x` and `weight`, where they are asked for.
    fn backward(
        x: &Tensor,
        weight: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<[Option<Tensor>; 2]> {
        match weight.dtype() {
            DType::F32 => Self::backward_as::<f32>(x, weight, cotangent),
            _ => Self::backward_as::<f64>(x, weight, cotangent),
        }
        .map_err(candle_core::Error::wrap)
    }

    fn backward_as<T: Real>(
        x: &Tensor,
        weight: &Tensor,
        cotangent: &Tensor,
    ) -> Result<[Option<Tensor>; 2]> {
        let ((rows, inputs), (outputs, _)) = (x.dims2()?, weight.dims2()?);
        let storages = [x, weight, cotangent].map(Tensor::storage_and_layout);
        let [x_values, weights, cotangents] = &storages;
        let [of_x, of_weight] = gradients(
            View::new(slice::<T>(&x_values.0, x_values.1)?, rows, inputs)?,
            View::new(slice::<T>(&weights.0, weights.1)?, outputs, inputs)?,
            View::new(slice::<T>(&cotangents.0, cotangents.1)?, rows, outputs)?,
            [x.track_op(), weight.track_op()],
        )?;
        let as_tensor = |values: Option<Vec<T>>, like: &Tensor| {
            values.map(|values| tensor(values, like.dims())).transpose()
        };
        Ok([as_tensor(of_x, x)?, as_tensor(of_weight, weight)?])
    }

    /// The sum of the cotangent's rows.
    fn of_bias(cotangent: &Tensor) -> candle_core::Result<Tensor> {
        fn sums<T: Real>(cotangent: &Tensor) -> Result<Tensor> {
            let (_, outputs) = cotangent.dims2()?;
            let (storage, layout) = cotangent.storage_and_layout();
            let mut sums = vec![T::zero(); outputs];
            for row in slice::<T>(&storage, layout)?.chunks_exact(outputs.max(1)) {
                sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += *x);
            }
            tensor(sums, &[outputs])
        }
        match cotangent.dtype() {
            DType::F32 => sums::<f32>(cotangent),
            _ => sums::<f64>(cotangent),
        }
        .map_err(candle_core::Error::wrap)
    }
}

impl CustomOp2 for Layer {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        Self::forward((x, x_layout), (weight, weight_layout), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let [of_x, of_weight] = Self::backward(x, weight, &cotangent.contiguous()?)?;
        Ok((of_x, of_weight))
    }
}

impl CustomOp3 for Layer {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let bias = Some((bias, bias_layout));
        Self::forward((x, x_layout), (weight, weight_layout), bias)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let cotangent = cotangent.contiguous()?;
        let [of_x, of_weight] = Self::backward(x, weight, &cotangent)?;
        let of_bias = bias.track_op().then(|| Self::of_bias(&cotangent));
        Ok((of_x, of_weight, of_bias.transpose()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use candle_core::{Device, Var};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Values and gradients are those of Candle's expression, for few rows and many, narrow layers and wide
        /// ones, with and without a bias.
        #[test]
        fn a_layer_equals_the_expression(
            rows in prop_oneof![1usize..20, 100usize..200],
            inputs in prop_oneof![1usize..20, 100usize..200],
            outputs in prop_oneof![1usize..20, 50usize..150],
            biased in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let draw = |shape: &[usize], path| {
                let rng = &mut random::stream(seed, &[path]);
                let values = random::uniform(rng, shape, DType::F64, &Device::Cpu)?;
                Result::Ok(Var::from_tensor(&values)?)
            };
            let (x, weight, bias) = (draw(&[rows, inputs], 0)?, draw(&[outputs, inputs], 1)?, draw(&[outputs], 2)?);
            let ours = linear(&x, &weight, biased.then_some(&bias))?;
            let plain = x.matmul(&weight.t()?)?;
            let plain = if biased { plain.broadcast_add(&bias)? } else { plain };
            let near = |a: &Tensor, b: &Tensor| -> Result<bool> {
                // Sums of at most 200 products of numbers up to 1, in another order.
                let difference = (a - b)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()?;
                Ok(difference < 1e-11)
            };
            prop_assert!(near(&ours, &plain)?);
            let of = |z: &Tensor| (z * z.detach().cos()?)?.sum_all()?.backward();
            let (ours, plain) = (of(&ours)?, of(&plain)?);
            for variable in [&x, &weight, &bias] {
                match (ours.get(variable), plain.get(variable)) {
                    (Some(a), Some(b)) => prop_assert!(near(a, b)?),
                    (a, b) => prop_assert!(a.is_none() && b.is_none()),
                }
            }
        }
    }
}
