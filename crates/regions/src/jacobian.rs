//! Jacobians: of every neuron, by the chain and by the published perturbation; of the outputs.

use crate::{Linearization, Result, Rows, host, units::units};
use candle_core::{D, Tensor};

impl Linearization {
    /// Gradients of all neurons, `[|I|, D]` for each input, by the chain of Jacobians (App. D): `J^1 = W^1`,
    /// `J^i = W^i diag(da/dz) J^{i-1}`, that is, by pushing the input axes.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn neuron_jacobians(&self) -> Result<Vec<Rows>> {
        let size = self.network().input_size();
        let mut jacobians = vec![Rows::zeros(self.neurons(), size); self.batch()];
        let axes = |_, range| self.axes(range);
        self.push_rows(size, &mut jacobians, axes, Rows::set_column)?;
        Ok(jacobians)
    }

    /// The same by the published perturbation (Sec. 4.1, App. C): `dz/dx_k = z_g(e_k) - z_g(0)`, values of the
    /// fixed-pattern affine network `g` at `D + 1` points. No derivative is taken anywhere; the price is the
    /// rounding of a difference.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn neuron_jacobians_by_perturbation(&self) -> Result<Vec<Rows>> {
        let size = self.network().input_size();
        let mut jacobians = vec![Rows::zeros(self.neurons(), size); self.batch()];
        for chunk in self.budget.chunks(self.network(), self.batch(), size) {
            let trace = self.trace.narrow(chunk.inputs.start, chunk.inputs.len())?;
            let points = self.axes(chunk.tangents.clone())?;
            let origin = points.narrow(1, 0, 1)?.zeros_like()?;
            let mut values = Vec::new();
            trace.fixed_pattern(&Tensor::cat(&[&origin, &points], 1)?, |_, z| {
                values.push(z);
                Ok(())
            })?;
            for (range, z) in self.ranges.iter().zip(values) {
                let differences = z
                    .narrow(1, 1, chunk.tangents.len())?
                    .broadcast_sub(&z.narrow(1, 0, 1)?)?;
                let first = chunk.tangents.start;
                host::for_each_row(
                    &differences,
                    &mut jacobians[chunk.inputs.clone()],
                    |jacobian, k, row| jacobian.set_column(range.start, first + k, row),
                )?;
            }
        }
        Ok(jacobians)
    }

    /// The Jacobian of the outputs, `[B, L, D]`, by pulling each output back: constant on the region.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn output_jacobians(&self) -> Result<Tensor> {
        let outputs = self.network().output_size();
        let all: Vec<usize> = (0..outputs).collect();
        self.pull_outputs(&units(self.network(), &all, outputs)?)
    }

    /// The gradient of one output of each input, `[B, D]`; `outputs` holds `B` indices, below `L` each.
    ///
    /// # Errors
    /// More or fewer indices, or one that is not below `L`.
    pub fn output_gradients(&self, outputs: &[u32]) -> Result<Tensor> {
        let (batch, width) = (self.batch(), self.network().output_size());
        if outputs.len() != batch || outputs.iter().any(|o| *o as usize >= width) {
            let cause = format!("needs {batch} indices below {width}, found {outputs:?}");
            return Err(crate::Error::Argument {
                what: "outputs",
                cause,
            });
        }
        let outputs: Vec<usize> = outputs.iter().map(|output| *output as usize).collect();
        let units = units(self.network(), &outputs, width)?.transpose(0, 1)?;
        Ok(self.pull_outputs(&units)?.squeeze(1)?)
    }

    /// Pulls cotangents `[1 or B, K, L]` to `[B, K, D]`, in chunks of inputs.
    fn pull_outputs(&self, cotangents: &Tensor) -> Result<Tensor> {
        let count = cotangents.dim(1)?;
        let mut parts = Vec::new();
        // The pull holds what a push does, for as many (co)tangents.
        let chunks = self.budget.chunks(self.network(), self.batch(), count);
        let mut inputs: Vec<_> = chunks.into_iter().map(|chunk| chunk.inputs).collect();
        inputs.dedup();
        for range in inputs {
            let own = match cotangents.dim(0)? {
                1 => cotangents.clone(),
                _ => cotangents.narrow(0, range.start, range.len())?,
            };
            let pulled = self
                .trace
                .narrow(range.start, range.len())?
                .pull(&own)?
                .flatten_from(2)?;
            parts.push(
                pulled
                    .broadcast_as((range.len(), count, pulled.dim(D::Minus1)?))?
                    .contiguous()?,
            );
        }
        Ok(Tensor::cat(&parts, 0)?)
    }
}
