//! Architectures whose tensors get other names or values: fully connected layers of any name, and scoRNN, whose recurrent
//! weight is a function of a tensor.

use super::{
    names,
    ordering::{Layer, Orders, orders},
    state_dict::{StateDict, says},
};
use crate::{
    architectures::{Mlp, ScoRnn, ScoRnnConfig},
    error::{Error, Result},
    file::check_finite,
    spec::NetworkSpec,
};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_tensor::Parameters;
use std::collections::{BTreeSet, HashMap};

/// Linear layers in order, renamed as [`Mlp`] names them; zeros for biases if they have none. Where the file keeps no order,
/// names and widths must say which it is.
pub(super) fn fc(
    input_shape: Option<&[usize]>,
    negative_slope: f64,
    bias: bool,
    (tensors, ordered): (StateDict, bool),
) -> Result<(NetworkSpec, StateDict)> {
    let module = |name: &str| name.rsplit_once('.').map(|(module, _)| module.to_string());
    let modules = tensors.iter().filter_map(|(name, _)| module(name));
    let wanted = modules.flat_map(|module| {
        let bias = bias.then(|| format!("{module}.bias"));
        bias.into_iter().chain([format!("{module}.weight")])
    });
    let wanted: BTreeSet<String> = wanted.collect();
    let mut biases: HashMap<String, Tensor> = HashMap::new();
    let mut weights = Vec::new();
    let there = tensors.clone();
    for (name, tensor) in tensors {
        match (name.rsplit_once('.'), tensor.dims()) {
            (Some((module, "weight")), [_, _]) => weights.push((module.to_string(), tensor)),
            (Some((module, "bias")), [_]) => drop(biases.insert(module.to_string(), tensor)),
            (_, dims) => {
                let cause = format!(
                    "shape {dims:?}: neither the weight [outputs, inputs] nor the bias [outputs] of a linear layer"
                );
                return Err(says(name, cause));
            }
        }
    }
    names::check(&wanted, &there)?;
    if !ordered {
        weights = in_order(weights, input_shape)?;
    }
    let mut widths = Vec::new();
    let mut renamed = Vec::new();
    for (index, (module, weight)) in weights.into_iter().enumerate() {
        let (outputs, inputs) = weight.dims2()?;
        if let Some(&width) = widths.last().filter(|width| **width != inputs) {
            return Err(says(
                format!("{module}.weight"),
                format!("takes {inputs} inputs, and the layer before it has {width} outputs"),
            ));
        }
        if widths.is_empty() {
            widths.push(inputs);
        }
        widths.push(outputs);
        let bias = match biases.remove(&module) {
            Some(bias) if bias.dims() == [outputs] => bias,
            Some(bias) => {
                let cause = format!("has shape {:?}, expected [{outputs}]", bias.dims());
                return Err(says(format!("{module}.bias"), cause));
            }
            None => Tensor::zeros(outputs, weight.dtype(), weight.device())?,
        };
        renamed.push((format!("layers.{index}.weight"), weight));
        renamed.push((format!("layers.{index}.bias"), bias));
    }
    let [inputs, hidden @ .., outputs] = &widths[..] else {
        return Err(says("*.weight", "no linear layer in the file"));
    };
    let input_shape = input_shape.map_or(vec![*inputs], <[usize]>::to_vec);
    let config = Mlp {
        inputs: input_shape,
        hidden: hidden.to_vec(),
        outputs: *outputs,
        negative_slope,
    };
    Ok((config.spec()?, renamed))
}

/// Layers by name in the only order that their names and widths leave; in that of their names where no order fits.
fn in_order(
    weights: Vec<(String, Tensor)>,
    input_shape: Option<&[usize]>,
) -> Result<Vec<(String, Tensor)>> {
    let mut layers = Vec::new();
    for (module, weight) in &weights {
        let (outputs, inputs) = weight.dims2()?;
        layers.push(Layer {
            name: module,
            inputs,
            outputs,
        });
    }
    let first = input_shape.map(|shape| shape.iter().product());
    match orders(&layers, first) {
        Orders::None => Ok(weights),
        Orders::One(order) => Ok(order.into_iter().map(|i| weights[i].clone()).collect()),
        Orders::Several => {
            let names: Vec<&str> = layers.iter().map(|layer| layer.name).collect();
            Err(says(
                "*.weight",
                format!(
                    "the layers {names:?} fit one another in several orders, and a safetensors file keeps none; number them \
                     (layers.0, layers.1, ...), save with torch.save, which keeps their order, or list them in it with \
                     kind = \"sequential\""
                ),
            ))
        }
    }
}

/// The unrolled graph, whose recurrent weight is a function of `recurrent.skew`.
pub(super) fn scornn(
    length: usize,
    config: &ScoRnnConfig,
    tensors: StateDict,
) -> Result<(NetworkSpec, StateDict)> {
    const SKEW: &str = "recurrent.skew";
    let spec = config.recurrence().spec(length)?;
    let n = config.hidden;
    let (skew, mut others): (StateDict, StateDict) =
        tensors.into_iter().partition(|(name, _)| name == SKEW);
    let Some((_, skew)) = skew.into_iter().next() else {
        return Err(Error::TensorNames {
            missing: vec![SKEW.into()],
            left_over: Vec::new(),
            there: others.into_iter().map(|(name, _)| name).collect(),
        });
    };
    if skew.dims() != [n, n] {
        return Err(says(
            SKEW,
            format!("has shape {:?}, expected [{n}, {n}]", skew.dims()),
        ));
    }
    check_finite(SKEW, &skew)?;
    // In double precision: an orthogonal matrix made in single precision is one to six digits only.
    let drawn = Parameters::seeded(0);
    ScoRnn::new(config.clone(), drawn.builder(DType::F64, &Device::Cpu))?;
    let mut parameters: HashMap<String, Tensor> = drawn
        .named()
        .into_iter()
        .map(|(name, variable)| (name, variable.as_tensor().clone()))
        .collect();
    parameters.insert(SKEW.into(), skew.to_dtype(DType::F64)?);
    let vars = VarBuilder::from_tensors(parameters, DType::F64, &Device::Cpu);
    if length > 1 {
        let weight = ScoRnn::new(config.clone(), vars)?.recurrent_weight()?;
        others.push(("recurrent.weight".into(), weight));
    }
    Ok((spec, others))
}
