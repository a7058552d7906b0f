//! Maximum margin regularisation of linear regions, MMR (Croce, Andriushchenko and Hein, 2019).

use crate::{
    Error, Gamma, Result, engines,
    neuron_loss::{distances_to_zero, squared_gradient_norms},
    task::{check_positive, gradients, one_of_each},
};
use candle_core::{D, DType, Tensor};
use loclin_models::Trace;
use loclin_regions::{Norm, axes};
use loclin_tensor::{safe_divide, safe_sqrt, top_k_mask};

/// A distance that no boundary has: neurons without a gradient are no boundaries.
const NEVER: f64 = 1e30;

/// Hyper-parameters of [`mmr`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MmrConfig {
    /// The norm of distances.
    pub norm: Norm,
    /// How many neurons of an input count, those whose boundaries are nearest. Published are 20% that fall to 5% in the course of
    /// training.
    pub share: Gamma,
    /// `gamma_B`: the distance from which on a neuron's boundary costs nothing.
    pub boundary: f64,
    /// `gamma_D`: the same of a decision boundary.
    pub decision: f64,
}

/// The mean over the nearest neurons of `max(0, 1 - d_B / gamma_B)`, `d_B = |z| / ||grad z||_q`, and the mean over the other classes `s`
/// of `max(0, 1 - d_D / gamma_D)`, `d_D = (f_c - f_s) / ||grad(f_c - f_s)||_q` for the label `c`, both averaged over the batch: a scalar
/// to be added to the task loss times `lambda`. `q` is dual to the norm. A wrong class has a negative `d_D`.
///
/// Which neurons are nearest is a constant in the differentiation. In l2 all gradients are measured as for [`crate::roll`]. In other norms a
/// fully connected chain measures those that can be among the nearest by their distances in l2; of other networks all axes are pushed, whose
/// tangents stay in memory for the backward pass.
///
/// # Shapes
/// The trace of `B` inputs with labels `[B]` gives a scalar `[]`.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_objectives::{Gamma, MmrConfig, mmr};
/// use loclin_regions::Norm;
///
/// let config = Mlp { inputs: vec![2], hidden: vec![8], outputs: 3, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
/// let trace = network.trace(&Tensor::new(&[[0.5, -0.5]], &Device::Cpu)?)?;
/// let label = Tensor::new(&[2u32], &Device::Cpu)?;
/// let asked = MmrConfig { norm: Norm::LINF, share: Gamma::Percent(20.0), boundary: 1e-9, decision: 1e-9 };
/// // No boundary is as near as that, but those of wrong classes.
/// assert!(mmr(&trace, &label, asked)?.to_scalar::<f64>()? >= 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A hyper-parameter out of range, labels that are not those of the outputs, a network without neurons or with one output.
pub fn mmr(trace: &Trace, labels: &Tensor, config: MmrConfig) -> Result<Tensor> {
    check_positive("boundary", config.boundary)?;
    check_positive("decision", config.decision)?;
    let norm = config.norm;
    if ![Norm::L1, Norm::L2, Norm::LINF].contains(&norm) {
        return Err(Error::Config {
            field: "norm",
            expected: "l1, l2 or l_inf".into(),
            found: format!("p = {}", norm.p()),
        });
    }
    let z = distances_to_zero(trace)?;
    let count = config.share.of(z.dim(1)?)?;
    let nearest = match norm == Norm::L2 {
        true => None,
        false => nearest_by_search(trace, &z, norm, count)?,
    };
    let regions = match nearest {
        Some(distances) => hinges(&distances, config.boundary)?.mean_all()?,
        None => {
            let lengths = match norm == Norm::L2 {
                true => safe_sqrt(&squared_gradient_norms(trace)?)?,
                false => dual_norms_by_pushing(trace, norm)?,
            };
            let distances = safe_divide(&z, &lengths, NEVER)?;
            let nearest = top_k_mask(&distances.detach().neg()?, count)?;
            let costs = (hinges(&distances, config.boundary)? * nearest)?;
            (costs.sum_all()? / (trace.batch() * count) as f64)?
        }
    };
    let decisions = decision_distances(trace, labels, norm)?;
    Ok((regions + hinges(&decisions, config.decision)?.mean_all()?)?)
}

/// `max(0, 1 - d / gamma)`.
fn hinges(distances: &Tensor, gamma: f64) -> Result<Tensor> {
    Ok(distances.affine(-1.0 / gamma, 1.0)?.relu()?)
}

/// The distances of the `count` neurons of each input that are nearest, `[B, count]`, for `|z|` `[B, |I|]`; `None` where no engine
/// measures single neurons.
///
/// With `||grad z||_1 <= sqrt(D) ||grad z||_2` and `||grad z||_inf <= ||grad z||_2`, a distance in l2 bounds the others from below. Those
/// whose bounds are least are measured, and then all others whose bound is not above the distance that `count` of these have.
fn nearest_by_search(
    trace: &Trace,
    z: &Tensor,
    norm: Norm,
    count: usize,
) -> Result<Option<Tensor>> {
    let Some(squares) = engines::squared_norms(trace)? else {
        return Ok(None);
    };
    let shrunk = match norm == Norm::L1 {
        true => 1.0,
        false => (trace.network().input_size() as f64).sqrt(),
    };
    let lengths = (safe_sqrt(&squares.detach())? * shrunk)?;
    let bounds = safe_divide(&z.detach(), &lengths, NEVER)?;
    let bounds = bounds.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    if bounds.iter().flatten().any(|bound| bound.is_nan()) {
        return Ok(None);
    }
    let sizes = z.detach().to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let ascending = |bounds: &Vec<f64>| {
        let mut order: Vec<u32> = (0..bounds.len() as u32).collect();
        order.sort_by(|a, b| bounds[*a as usize].total_cmp(&bounds[*b as usize]));
        order
    };
    let orders: Vec<Vec<u32>> = bounds.iter().map(ascending).collect();
    let mut found: Vec<Vec<(f64, u32)>> = vec![Vec::new(); orders.len()];
    let mut ends = vec![count; orders.len()];
    for _ in 0..2 {
        let begun = orders.iter().zip(&found).zip(&ends);
        let asked = begun.map(|((order, found), end)| order[found.len()..*end].to_vec());
        let asked: Vec<Vec<u32>> = asked.collect();
        let Some(lengths) = engines::dual_norms(trace, asked.clone(), norm)? else {
            return Ok(None);
        };
        let mut lengths = lengths
            .detach()
            .to_dtype(DType::F64)?
            .to_vec1::<f64>()?
            .into_iter();
        for (input, asked) in asked.into_iter().enumerate() {
            for (neuron, length) in asked.into_iter().zip(&mut lengths) {
                let distance = match length == 0.0 {
                    true => NEVER,
                    false => sizes[input][neuron as usize] / length,
                };
                found[input].push((distance, neuron));
            }
            found[input].sort_by(|a, b| a.0.total_cmp(&b.0));
            let farthest = found[input][count - 1].0;
            let order = &orders[input];
            let near = order.partition_point(|own| bounds[input][*own as usize] <= farthest);
            ends[input] = near.max(count);
        }
    }
    let nearest = found.iter().map(|found| &found[..count]);
    let nearest = nearest.map(|found| found.iter().map(|(_, neuron)| *neuron).collect());
    let nearest: Vec<Vec<u32>> = nearest.collect();
    let Some(lengths) = engines::dual_norms(trace, nearest.clone(), norm)? else {
        return Ok(None);
    };
    let shape = (nearest.len(), count);
    let at = Tensor::from_vec(nearest.concat(), shape, z.device())?;
    let distances = safe_divide(&z.gather(&at, 1)?, &lengths.reshape(shape)?, NEVER)?;
    Ok(Some(distances))
}

/// `||grad z||_q` of all neurons, `[B, |I|]`.
fn dual_norms_by_pushing(trace: &Trace, norm: Norm) -> Result<Tensor> {
    let network = trace.network();
    let mut norms = Vec::new();
    trace.push(
        &axes(network, 0..network.input_size())?,
        |_, derivatives| {
            let found = dual_norm(&derivatives, 1, norm).map_err(candle_core::Error::wrap)?;
            norms.push(found.broadcast_as((trace.batch(), found.dim(1)?))?);
            Ok(())
        },
    )?;
    match norms.is_empty() {
        true => Err(Error::NoNeurons),
        false => Ok(Tensor::cat(&norms, 1)?),
    }
}

/// The dual norm over one dimension.
fn dual_norm(gradients: &Tensor, dim: usize, norm: Norm) -> Result<Tensor> {
    Ok(match norm {
        Norm::L1 => gradients.abs()?.max(dim)?,
        Norm::L2 => safe_sqrt(&gradients.sqr()?.sum(dim)?)?,
        // The l_inf norm.
        _ => gradients.abs()?.sum(dim)?,
    })
}

/// `(f_c - f_s) / ||grad(f_c - f_s)||_q` of all other classes, `[B, L - 1]`.
fn decision_distances(trace: &Trace, labels: &Tensor, norm: Norm) -> Result<Tensor> {
    let own = one_of_each(trace, labels)?;
    let (batch, _, outputs) = own.dims3()?;
    if outputs < 2 {
        return Err(Error::Config {
            field: "outputs",
            expected: "2 or more, of which one is the label's".into(),
            found: outputs.to_string(),
        });
    }
    let read = labels.to_dtype(DType::U32)?.to_vec1::<u32>()?;
    let others = read
        .iter()
        .flat_map(|label| (0..outputs as u32).filter(move |class| class != label));
    let others: Vec<u32> = others.collect();
    let others = Tensor::from_vec(others, batch * (outputs - 1), labels.device())?;
    let identity = Tensor::eye(outputs, own.dtype(), own.device())?;
    let others = identity
        .index_select(&others, 0)?
        .reshape((batch, outputs - 1, outputs))?;
    // [B, L - 1, L]: the label's row of the identity less that of the other class.
    let cotangents = own.broadcast_sub(&others)?;
    let values = cotangents
        .broadcast_mul(&trace.output().unsqueeze(1)?)?
        .sum(D::Minus1)?;
    let lengths = dual_norm(&gradients(trace, &cotangents)?, 2, norm)?;
    // Classes whose difference is constant have no boundary, and cost nothing.
    Ok(safe_divide(&values, &lengths, NEVER)?)
}
