//! Norms of all gradients by tensor operations, where the tangents are: for devices other than the processor, from
//! which fetching every tangent would take longer than finding it.

use crate::{Linearization, Norm, Result, Rows};
use candle_core::{DType, Device, Tensor};

/// The lq norms of all neurons' gradients, `[B, |I|]` for each of `norms`; `None` if one of `norms` is not l1, l2 or l_inf. A gradient
/// that is not finite has a norm that is not.
pub(crate) fn gradient_norms(here: &Linearization, norms: &[Norm]) -> Result<Option<Vec<Rows>>> {
    let reductions: Option<Vec<Reduction>> = norms.iter().map(|n| Reduction::of(*n)).collect();
    let Some(reductions) = reductions else {
        return Ok(None);
    };
    let size = here.network().input_size();
    let mut found: Vec<Vec<Tensor>> = norms.iter().map(|_| Vec::new()).collect();
    // For each norm and node what was reduced so far, `[1 or b, units]`.
    let mut totals: Vec<Vec<Tensor>> = Vec::new();
    for chunk in here.budget.chunks(here.network(), here.batch(), size) {
        let trace = here.trace.narrow(chunk.inputs.start, chunk.inputs.len())?;
        let mut parts: Vec<Vec<Tensor>> = norms.iter().map(|_| Vec::new()).collect();
        trace.push(&here.axes(chunk.tangents.clone())?, |_, rows| {
            for (reduction, parts) in reductions.iter().zip(&mut parts) {
                parts.push(reduction.reduce(&rows)?);
            }
            Ok(())
        })?;
        if chunk.tangents.start == 0 {
            totals = parts;
        } else {
            for ((reduction, totals), parts) in reductions.iter().zip(&mut totals).zip(parts) {
                for (total, part) in totals.iter_mut().zip(parts) {
                    *total = reduction.join(total, &part)?;
                }
            }
        }
        if chunk.tangents.end == size {
            for ((reduction, totals), found) in reductions.iter().zip(&totals).zip(&mut found) {
                found.push(reduction.finish(totals, chunk.inputs.len())?);
            }
        }
    }
    let rows = found.iter().map(|parts| match parts.is_empty() {
        true => Ok(Rows::default()),
        false => Rows::of_tensor(&Tensor::cat(parts, 0)?),
    });
    Ok(Some(rows.collect::<Result<_>>()?))
}

/// How entries `[b, K, units]` become a norm.
#[derive(Clone, Copy, PartialEq)]
enum Reduction {
    Sum,
    SumOfSquares,
    Largest,
}

impl Reduction {
    fn of(norm: Norm) -> Option<Self> {
        match norm {
            Norm::L1 => Some(Self::Sum),
            Norm::L2 => Some(Self::SumOfSquares),
            Norm::LINF => Some(Self::Largest),
            _ => None,
        }
    }

    fn reduce(self, rows: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Sum => rows.abs()?.sum(1),
            Self::SumOfSquares => rows.sqr()?.sum(1),
            // A maximum may pass over a NaN: the second term is 0, or NaN where an entry is not finite.
            Self::Largest => rows.abs()?.max(1)? + (rows * 0.0)?.sum(1)?,
        }
    }

    fn join(self, total: &Tensor, part: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Sum | Self::SumOfSquares => total + part,
            Self::Largest => {
                let joined = total.maximum(part)?;
                joined + ((total * 0.0)? + (part * 0.0)?)?
            }
        }
    }

    /// The norms of all neurons of a chunk of inputs.
    fn finish(self, totals: &[Tensor], inputs: usize) -> Result<Tensor> {
        let spread = |total: &Tensor| total.broadcast_as((inputs, total.dim(1)?));
        let totals = totals.iter().map(spread);
        let totals = totals.collect::<candle_core::Result<Vec<_>>>()?;
        if totals.is_empty() {
            return Ok(Tensor::zeros((inputs, 0), DType::F64, &Device::Cpu)?);
        }
        let joined = Tensor::cat(&totals, 1)?.to_device(&Device::Cpu)?;
        let joined = joined.to_dtype(DType::F64)?;
        Ok(match self {
            Self::SumOfSquares => joined.sqrt()?,
            _ => joined,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{Budget, Linearization, Norm};
    use candle_core::{DType, Device};
    use loclin_models::{Mlp, Parameters};
    use loclin_tensor::random::{normal, stream};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The same norms as on the processor, however the tangents are split; sums in another order.
        #[test]
        fn one_norm_two_places(
            hidden in prop::collection::vec(1usize..=8, 1..=3),
            (inputs, batch) in (1usize..=12, 1usize..=4),
            bytes in 1usize..20_000,
            seed in any::<u64>(),
        ) {
            let config = Mlp { inputs: vec![inputs], hidden, outputs: 1, negative_slope: 0.1 };
            let network =
                config.build(Parameters::seeded(seed).builder(DType::F64, &Device::Cpu)).unwrap();
            let shape = (batch, inputs);
            let x = normal(&mut stream(seed, &[1]), shape, DType::F64, &Device::Cpu).unwrap();
            let here = Linearization::new(&network, &x, Budget { bytes }).unwrap();
            let norms = [Norm::LINF, Norm::L1, Norm::L2];
            let own = super::gradient_norms(&here, &norms).unwrap().unwrap();
            let other = here.gradient_norms(&norms).unwrap();
            let numbers = |all: &[crate::Rows]| -> Vec<f64> {
                all.iter().flat_map(|rows| rows.as_slice().to_vec()).collect()
            };
            for (own, other) in numbers(&own).iter().zip(&numbers(&other)) {
                prop_assert!((own - other).abs() <= 1e-12 * other);
            }
            prop_assert!(super::gradient_norms(&here, &[Norm::new(3.0).unwrap()]).unwrap().is_none());
        }
    }
}
