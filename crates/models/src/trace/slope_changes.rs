//! What happens across the faces of a region: by how much a gradient changes where a neuron changes sides.
//!
//! A network is continuous, so the affine maps on both sides of a neuron's boundary differ by a multiple of the
//! neuron itself, and their gradients by a multiple of the neuron's gradient: a matrix of rank one. The multiple comes
//! out of the pull that finds the gradient.

use super::{Trace, pull::add};
use crate::error::Result;
use candle_core::Tensor;

impl Trace {
    /// [`Trace::pull`] that also tells how much a gradient changes at each neuron's boundary: `visit(node, slope_changes)` sees, in the reverse order of
    /// [`Trace::neuron_ranges`], the slope changes `[B or 1, K, m]` of each piecewise-linear node that the output depends on. Where neuron
    /// `j` alone changes sides, the pulled cotangent changes by `-sign_j * slope_changes_j * (grad z_j)`.
    ///
    /// # Errors
    /// Those of [`Trace::pull`], and what `visit` returns.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Mlp, Parameters};
    ///
    /// let config = Mlp { inputs: vec![1], hidden: vec![1], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(5).builder(DType::F64, &Device::Cpu))?;
    /// let x = Tensor::new(&[[0.0]], &Device::Cpu)?;
    /// let mut slope_changes = Vec::new();
    /// network.trace(&x)?.pull_slope_changes(&Tensor::ones((1, 1, 1), DType::F64, &Device::Cpu)?, |_, at| {
    ///     slope_changes.push(at.flatten_all()?.to_vec1::<f64>()?[0]);
    ///     Ok(())
    /// })?;
    /// // A unit of a ReLU that becomes active adds its outgoing weight.
    /// let weight = network.parameters()[2].1.flatten_all()?.to_vec1::<f64>()?;
    /// assert_eq!(slope_changes, weight);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pull_slope_changes(
        &self,
        cotangents: &Tensor,
        mut visit: impl FnMut(usize, Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let pulled = self.back(self.at_output(cotangents)?, Some(&mut visit), None)?;
        pulled.map_or_else(|| self.no_cotangent(cotangents.dim(1)?), Ok)
    }

    /// [`Trace::pull_neurons`] of several nodes in one walk: cotangents `[B or 1, K, m]` of each node's neurons,
    /// with one `K`, to their sum at the input, `[B or 1, K, in...]`.
    ///
    /// # Errors
    /// Those of [`Trace::pull_neurons`].
    pub fn pull_all_neurons(
        &self,
        cotangents: impl IntoIterator<Item = (usize, Tensor)>,
    ) -> Result<Tensor> {
        let mut begin = vec![None; self.network.nodes().len()];
        let mut count = 1;
        for (node, cotangents) in cotangents {
            count = cotangents.dim(1)?;
            let (operand, part) = self.at_neurons(node, &cotangents)?;
            add(&mut begin[operand], part)?;
        }
        let pulled = self.back(begin, None, None)?;
        pulled.map_or_else(|| self.no_cotangent(count), Ok)
    }
}
