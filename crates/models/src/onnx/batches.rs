//! Whether the first dimension of an input, where the file leaves its size open, is a batch: what is computed of one entry
//! along it must not depend on the others.

use super::{interface::Input, refusals};
use crate::{
    Network,
    error::{Error, Result},
};
use candle_core::{DType, Module, Tensor};
use loclin_tensor::random;

/// How many inputs are looked at together: a number that few other dimensions have.
const TOGETHER: usize = 7;
/// Inputs of more numbers than this are not computed with.
const MOST: usize = 1 << 22;
/// How far outputs that rounding alone tells apart may lie apart, of the largest.
const ROUNDING: f64 = 1e-3;

/// Refuses a graph that mixes several inputs. `network` is that of one input, and `read` reads the graph with another.
///
/// A graph that can only be read with one input at a time is taken as it is.
pub(super) fn kept_apart(
    network: &Network,
    input: &Input<'_>,
    read: impl Fn(&Input<'_>) -> Result<Network>,
) -> Result<()> {
    let several = input.of(TOGETHER);
    let Err(by_input) = read(&several) else {
        return Ok(());
    };
    let is_sure =
        matches!(&by_input, Error::Translation { cause, .. } if cause == refusals::MIXES_OPEN);
    let is_mixed = is_sure
        || match read(&several.as_one()) {
            Ok(all) => !agree(network, &all)?,
            Err(_) => false,
        };
    match (is_mixed, by_input) {
        (false, _) => Ok(()),
        (true, Error::Translation { node, op_type, .. }) => Err(Error::Translation {
            node,
            op_type,
            cause: refusals::MIXES_OPEN.into(),
        }),
        (true, _) => Err(Error::Unreadable(format!(
            "the graph {}",
            refusals::MIXES_OPEN
        ))),
    }
}

/// Whether the network of several inputs has the outputs that the network of one has of each.
fn agree(one: &Network, all: &Network) -> Result<bool> {
    let size: usize = one.input_shape().iter().product();
    if size.saturating_mul(TOGETHER) > MOST {
        return Ok(true);
    }
    let rng = &mut random::stream(0, &[]);
    for scale in [1.0, 10.0, 100.0] {
        let shape = [&[TOGETHER], one.input_shape()].concat();
        let x = random::normal(rng, shape, DType::F64, one.device());
        let x = (x.map_err(candle_core::Error::wrap)? * scale)?;
        let apart = sorted(outputs(one, &x)?);
        let x = x.reshape([&[1], all.input_shape()].concat())?;
        let together = sorted(outputs(all, &x)?);
        let largest = apart.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        let is_near = |(a, b): (&f64, &f64)| (a - b).abs() <= ROUNDING * largest;
        if apart.len() != together.len() || !apart.iter().zip(&together).all(is_near) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a network computes, in a row.
fn outputs(network: &Network, x: &Tensor) -> Result<Vec<f64>> {
    let found = network.forward(&x.to_dtype(network.dtype())?)?;
    Ok(found.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

/// In order: the graph may have the inputs at another place of its output.
fn sorted(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers
}
