//! Layers in sequence, whose sizes are those of their tensors.

use super::{
    architecture::Layer,
    names,
    state_dict::{StateDict, says},
};
use crate::{
    error::Result,
    spec::{Conv2dConfig, INPUT, NetworkSpec, NodeSpec, OperatorSpec},
    window::Window2d,
};
use std::collections::{BTreeSet, HashMap};

/// The graph of the layers.
pub(super) fn graph(
    input_shape: &[usize],
    layers: &[Layer],
    tensors: &StateDict,
) -> Result<NetworkSpec> {
    names::check(&wanted(layers), tensors)?;
    let tensors = Tensors(
        tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor.dims()))
            .collect(),
    );
    let mut nodes: Vec<NodeSpec> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let operator = operator(layer, &tensors)?;
        let operand = nodes.last().map_or(INPUT, |node| &node.name).to_string();
        nodes.push(NodeSpec {
            name: module(layer)
                .map_or_else(|| format!("{}_{index}", operator.kind()), String::clone),
            operator,
            operands: vec![operand],
        });
    }
    Ok(NetworkSpec {
        input_shape: input_shape.to_vec(),
        nodes,
    })
}

/// Shapes of the tensors by name.
struct Tensors<'a>(HashMap<&'a str, &'a [usize]>);

impl Tensors<'_> {
    /// The shape of a module's weight, which must have `N` dimensions.
    fn weight<const N: usize>(&self, module: &str, expected: &str) -> Result<[usize; N]> {
        let name = format!("{module}.weight");
        let Some(found) = self.0.get(name.as_str()) else {
            return Err(says(&name, "is missing"));
        };
        let misshaped = |_| says(&name, format!("has shape {found:?}, expected {expected}"));
        <[usize; N]>::try_from(*found).map_err(misshaped)
    }
}

/// The names of the layers' tensors.
fn wanted(layers: &[Layer]) -> BTreeSet<String> {
    let parts = |layer: &Layer| -> &[&str] {
        match layer {
            Layer::Linear { bias: true, .. } | Layer::Conv2d { bias: true, .. } => {
                &["weight", "bias"]
            }
            Layer::BatchNorm { .. } => &["weight", "bias", "running_mean", "running_var"],
            _ => &["weight"],
        }
    };
    let modules = layers
        .iter()
        .filter_map(|layer| Some((layer, module(layer)?)));
    modules
        .flat_map(|(layer, name)| {
            parts(layer)
                .iter()
                .map(move |part| format!("{name}.{part}"))
        })
        .collect()
}

/// The name of the layer's module, if it has tensors.
fn module(layer: &Layer) -> Option<&String> {
    match layer {
        Layer::Linear { name, .. } | Layer::Conv2d { name, .. } | Layer::BatchNorm { name, .. } => {
            Some(name)
        }
        _ => None,
    }
}

fn operator(layer: &Layer, tensors: &Tensors<'_>) -> Result<OperatorSpec> {
    Ok(match layer {
        Layer::Linear { name, bias } => {
            let [outputs, inputs] = tensors.weight(name, "[outputs, inputs]")?;
            let bias = *bias;
            OperatorSpec::Linear {
                inputs,
                outputs,
                bias,
            }
        }
        Layer::Conv2d {
            name,
            stride,
            padding,
            dilation,
            groups,
            bias,
        } => {
            let expected = "[outputs, inputs / groups, height, width]";
            let [outputs, inputs, height, width] = tensors.weight(name, expected)?;
            let window = Window2d {
                kernel: [height, width],
                stride: [*stride; 2],
                padding: [[*padding; 2]; 2],
                dilation: [*dilation; 2],
            };
            OperatorSpec::Conv2d(Conv2dConfig {
                inputs: inputs.saturating_mul(*groups),
                outputs,
                window,
                groups: *groups,
                bias: *bias,
            })
        }
        Layer::BatchNorm { name, eps } => {
            let [channels] = tensors.weight(name, "[channels]")?;
            let eps = *eps;
            OperatorSpec::BatchNorm { channels, eps }
        }
        Layer::Relu => OperatorSpec::relu(),
        Layer::LeakyRelu { negative_slope } => OperatorSpec::leaky_relu(*negative_slope),
        Layer::MaxPool2d {
            kernel,
            stride,
            padding,
        } => OperatorSpec::MaxPool2d {
            window: Window2d::square(*kernel, *stride, *padding),
        },
        Layer::AvgPool2d {
            kernel,
            stride,
            padding,
        } => OperatorSpec::AvgPool2d {
            window: Window2d::square(*kernel, *stride, *padding),
            count_padding: true,
        },
        Layer::GlobalAvgPool => OperatorSpec::GlobalAvgPool,
        Layer::Flatten => OperatorSpec::Flatten,
    })
}
