//! Jacobians: of every neuron, by the chain and by the published perturbation; of the outputs.

use crate::{Linearization, Result, host};
use candle_core::{D, Tensor};

impl Linearization {
    /// Gradients of all neurons, `[B][|I|][D]`, by the chain of Jacobians (App. D): `J^1 = W^1`,
    /// `J^i = W^i diag(da/dz) J^{i-1}`, that is, by pushing the input axes.
    pub fn neuron_jacobians(&self) -> Result<Vec<Vec<Vec<f64>>>> {
        let size = self.network().input_size();
        let mut jacobians = vec![vec![vec![0.0; size]; self.neurons()]; self.batch()];
        let axes = |_, range| self.axes(range);
        self.push_rows(
            size,
            &mut jacobians,
            axes,
            |jacobian: &mut Vec<Vec<f64>>, start, k, row| {
                jacobian[start..]
                    .iter_mut()
                    .zip(row)
                    .for_each(|(gradient, value)| gradient[k] = *value);
            },
        )?;
        Ok(jacobians)
    }

    /// The same by the published perturbation (Sec. 4.1, App. C): `dz/dx_k = z_g(e_k) - z_g(0)`, values of the
    /// fixed-pattern affine network `g` at `D + 1` points. No derivative is taken anywhere; the price is the
    /// rounding of a difference.
    pub fn neuron_jacobians_by_perturbation(&self) -> Result<Vec<Vec<Vec<f64>>>> {
        let size = self.network().input_size();
        let mut jacobians = vec![vec![vec![0.0; size]; self.neurons()]; self.batch()];
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
                    |jacobian, k, row| {
                        jacobian[range.start..]
                            .iter_mut()
                            .zip(row)
                            .for_each(|(g, value)| g[first + k] = *value);
                    },
                )?;
            }
        }
        Ok(jacobians)
    }

    /// The Jacobian of the outputs, `[B, L, D]`, by pulling each output back: constant on the region.
    pub fn output_jacobians(&self) -> Result<Tensor> {
        let outputs = self.network().output_size();
        let units =
            Tensor::eye(outputs, self.network().dtype(), self.network().device())?.unsqueeze(0)?;
        self.pull_outputs(&units)
    }

    /// The gradient of one output of each input, `[B, D]`; `outputs` holds `B` indices, below `L` each.
    pub fn output_gradients(&self, outputs: &[u32]) -> Result<Tensor> {
        let (batch, width) = (self.batch(), self.network().output_size());
        if outputs.len() != batch || outputs.iter().any(|o| *o as usize >= width) {
            let cause = format!("needs {batch} indices below {width}, found {outputs:?}");
            return Err(crate::Error::Argument {
                what: "outputs",
                cause,
            });
        }
        let mut units = vec![0f32; batch * width];
        outputs
            .iter()
            .enumerate()
            .for_each(|(input, output)| units[input * width + *output as usize] = 1.0);
        let units = Tensor::from_vec(units, (batch, 1, width), self.network().device())?;
        Ok(self
            .pull_outputs(&units.to_dtype(self.network().dtype())?)?
            .squeeze(1)?)
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
