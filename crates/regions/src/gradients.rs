//! The lengths of all neurons' gradients.

use crate::{Error, Linearization, Norm, Result, Rows, device};
use loclin_tensor::own_loops;

impl Linearization {
    /// The lq norms of all neurons' gradients, for each norm `q` in `norms`: `[B, |I|]`.
    ///
    /// Pushes the `D` input axes through the fixed-pattern network in chunks: about
    /// `D * (multiply-adds of one forward pass)` for each input, shared layers once for all.
    ///
    /// # Errors
    /// A norm that is not finite.
    pub fn gradient_norms(&self, norms: &[Norm]) -> Result<Vec<Rows>> {
        let lengths = match own_loops::serve(self.network().device()) {
            true => None,
            false => device::gradient_norms(self, norms)?,
        };
        let lengths = match lengths {
            Some(lengths) => lengths,
            None => self.norms_on_host(norms)?,
        };
        for (index, lengths) in lengths.iter().flat_map(|all| all.iter().enumerate()) {
            if let Some(&value) = lengths.iter().find(|length| !length.is_finite()) {
                return Err(Error::NotFinite {
                    index,
                    what: "the length of a neuron's gradient".into(),
                    value,
                });
            }
        }
        Ok(lengths)
    }

    /// The norms of all gradients, tangents read on the host.
    fn norms_on_host(&self, norms: &[Norm]) -> Result<Vec<Rows>> {
        let neurons = self.neurons();
        let fresh: Vec<Vec<f64>> = norms
            .iter()
            .map(|norm| vec![0.0; norm.slots() * neurons])
            .collect();
        let mut totals = vec![fresh; self.batch()];
        self.push_rows(
            self.network().input_size(),
            &mut totals,
            |_, axes| self.axes(axes),
            |totals: &mut Vec<Vec<f64>>, start, _, row| {
                for (norm, totals) in norms.iter().zip(totals) {
                    let slots = norm.slots();
                    norm.accumulate(&mut totals[slots * start..][..slots * row.len()], row);
                }
            },
        )?;
        let finish = |(i, norm): (usize, &Norm)| {
            let one = |totals: &Vec<Vec<f64>>| {
                let parts = totals[i].chunks_exact(norm.slots());
                parts.map(|total| norm.root(total)).collect::<Vec<f64>>()
            };
            let lengths = totals.iter().flat_map(one).collect();
            Rows::new(lengths, self.batch(), neurons)
        };
        Ok(norms.iter().enumerate().map(finish).collect())
    }
}
