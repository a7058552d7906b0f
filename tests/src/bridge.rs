//! The oracle's numbers, handed to the library.

use crate::{Fc, Layer};
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use loclin_models::{Mlp, Network, Parameters, Result};
use std::collections::{BTreeMap, HashMap};

/// The library's network with the oracle's parameters.
pub fn network(fc: &Fc, dtype: DType) -> Result<Network> {
    let parameters: HashMap<String, Tensor> = tensors(fc, dtype)?.into_iter().collect();
    config(fc).build(VarBuilder::from_tensors(parameters, dtype, &Device::Cpu))
}

/// The same with parameters that can be trained, in double precision, and these in the order of
/// [`Fc::parameters`].
pub fn trainable(fc: &Fc) -> Result<(Network, Vec<Var>)> {
    let parameters = Parameters::seeded(0);
    let network = config(fc).build(parameters.builder(DType::F64, &Device::Cpu))?;
    let mut variables: BTreeMap<String, Var> = parameters.named().into_iter().collect();
    for (name, tensor) in tensors(fc, DType::F64)? {
        if let Some(variable) = variables.get(&name) {
            variable.set(&tensor)?;
        }
    }
    let names = (0..fc.layers.len())
        .flat_map(|i| [format!("layers.{i}.weight"), format!("layers.{i}.bias")]);
    let ordered = names.filter_map(|name| variables.remove(&name)).collect();
    Ok((network, ordered))
}

/// A batch of inputs, or any matrix, `[rows, columns]`.
pub fn batch(rows: &[Vec<f64>], dtype: DType) -> candle_core::Result<Tensor> {
    let columns = rows.first().map_or(0, Vec::len);
    Tensor::from_vec(rows.concat(), (rows.len(), columns), &Device::Cpu)?.to_dtype(dtype)
}

/// The library's description of the architecture.
pub fn config(fc: &Fc) -> Mlp {
    Mlp {
        inputs: vec![fc.inputs()],
        hidden: fc.hidden(),
        outputs: fc.outputs(),
        negative_slope: fc.negative_slope,
    }
}

fn tensors(fc: &Fc, dtype: DType) -> Result<BTreeMap<String, Tensor>> {
    let mut tensors = BTreeMap::new();
    for (i, Layer { weight, bias }) in fc.layers.iter().enumerate() {
        tensors.insert(format!("layers.{i}.weight"), batch(weight, dtype)?);
        tensors.insert(
            format!("layers.{i}.bias"),
            batch(std::slice::from_ref(bias), dtype)?.squeeze(0)?,
        );
    }
    Ok(tensors)
}
