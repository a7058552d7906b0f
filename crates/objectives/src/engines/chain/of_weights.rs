//! Functions of all of a chain's weights whose derivative is written out, as operations of the tensor library.

use crate::Result;
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Storage, Tensor};
use loclin_models::FcChain;
use loclin_tensor::product::{self, Real, slice_of};

/// A function of the weights `W^1, W^2, ...`, each row-major `[N_i, N_{i-1}]`.
pub(super) trait OfWeights<T> {
    /// Its name among the operations.
    const NAME: &'static str;

    /// `D, N_1, ..., N_M`.
    fn sizes(&self) -> &[usize];

    /// The shape of what it is.
    fn shape(&self) -> Shape;

    fn values(&self, weights: &[&[T]]) -> Result<Vec<T>>;

    /// The derivative of the values times `cotangent` in all weights, one after the other.
    fn gradient(&self, weights: &[&[T]], cotangent: &[T]) -> Result<Vec<T>>;
}

/// The function at the chain's weights.
pub(super) fn apply<T: Real>(
    chain: &FcChain,
    function: impl OfWeights<T> + Send + Sync + 'static,
) -> Result<Tensor> {
    let weights = chain.weights.iter().map(Tensor::flatten_all);
    let weights = weights.collect::<candle_core::Result<Vec<_>>>()?;
    let operation = Operation {
        function,
        element: std::marker::PhantomData,
    };
    Ok(Tensor::cat(&weights, 0)?.apply_op1(operation)?)
}

struct Operation<T, F> {
    function: F,
    element: std::marker::PhantomData<T>,
}

impl<T: Real, F: OfWeights<T> + Send + Sync> CustomOp1 for Operation<T, F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let sizes = self.function.sizes();
        let values = slice_of(storage, layout)
            .map_err(crate::Error::from)
            .and_then(|weights| self.function.values(&split(weights, sizes)))
            .map_err(candle_core::Error::wrap)?;
        Ok((T::to_cpu_storage_owned(values), self.function.shape()))
    }

    fn bwd(
        &self,
        weights: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let cotangent = cotangent.flatten_all()?.to_vec1::<T>()?;
        let sizes = self.function.sizes();
        let (storage, layout) = weights.storage_and_layout();
        let storage: &Storage = &storage;
        let gradient = product::slice(storage, layout)
            .map_err(crate::Error::from)
            .and_then(|weights| self.function.gradient(&split(weights, sizes), &cotangent))
            .map_err(candle_core::Error::wrap)?;
        let len = gradient.len();
        Ok(Some(Tensor::from_vec(gradient, len, weights.device())?))
    }
}

/// All weights, flattened one after the other, layer by layer.
fn split<'a, T>(weights: &'a [T], sizes: &[usize]) -> Vec<&'a [T]> {
    let mut rest = weights;
    let layer = |size: &[usize]| {
        let (own, others) = rest.split_at((size[0] * size[1]).min(rest.len()));
        rest = others;
        own
    };
    sizes.windows(2).map(layer).collect()
}
