//! Functions of all of a chain's weights whose derivative is written out, as operations of the tensor library.

use crate::Result;
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Storage, Tensor, WithDType};
use loclin_models::FcChain;
use loclin_tensor::product::{self, Real, slice_of};

/// A function of the weights `W^1, W^2, ...`, each row-major `[N_i, N_{i-1}]`.
pub(super) trait OfWeights: Send + Sync + 'static {
    /// The type of the numbers.
    type Element: Real;

    /// Its name among the operations.
    const NAME: &'static str;

    /// `D, N_1, ..., N_M`.
    fn sizes(&self) -> &[usize];

    /// The shape of what it is.
    fn shape(&self) -> Shape;

    fn values(&self, weights: &[&[Self::Element]]) -> Result<Vec<Self::Element>>;

    /// The derivative of the values times `cotangent` in all weights, one after the other.
    fn gradient(
        &self,
        weights: &[&[Self::Element]],
        cotangent: &[Self::Element],
    ) -> Result<Vec<Self::Element>>;
}

/// The function at the chain's weights.
pub(super) fn apply(chain: &FcChain, function: impl OfWeights) -> Result<Tensor> {
    let weights = chain.weights.iter().map(Tensor::flatten_all);
    let weights = weights.collect::<candle_core::Result<Vec<_>>>()?;
    Ok(Tensor::cat(&weights, 0)?.apply_op1(Operation(function))?)
}

struct Operation<F>(F);

impl<F: OfWeights> CustomOp1 for Operation<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let sizes = self.0.sizes();
        let values = slice_of(storage, layout)
            .map_err(crate::Error::from)
            .and_then(|weights| self.0.values(&split(weights, sizes)))
            .map_err(candle_core::Error::wrap)?;
        Ok((F::Element::to_cpu_storage_owned(values), self.0.shape()))
    }

    fn bwd(
        &self,
        weights: &Tensor,
        _: &Tensor,
        cotangent: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let cotangent = cotangent.flatten_all()?.to_vec1::<F::Element>()?;
        let sizes = self.0.sizes();
        let (storage, layout) = weights.storage_and_layout();
        let storage: &Storage = &storage;
        let gradient = product::slice(storage, layout)
            .map_err(crate::Error::from)
            .and_then(|weights| self.0.gradient(&split(weights, sizes), &cotangent))
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
