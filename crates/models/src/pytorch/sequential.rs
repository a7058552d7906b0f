//! Layers in sequence, whose sizes are those of their tensors.

use super::{architecture::Layer, state_dict::says};
use crate::{
    error::Result,
    spec::{Conv2dConfig, INPUT, NetworkSpec, NodeSpec, OperatorSpec},
    window::Window2d,
};
use candle_core::Tensor;
use std::collections::HashMap;

/// The graph of the layers.
pub(super) fn graph(
    input_shape: &[usize],
    layers: &[Layer],
    tensors: &[(String, Tensor)],
) -> Result<NetworkSpec> {
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

    fn has_bias(&self, module: &str) -> bool {
        self.0.contains_key(format!("{module}.bias").as_str())
    }
}

/// The name of the layer's module, if it has tensors.
fn module(layer: &Layer) -> Option<&String> {
    match layer {
        Layer::Linear { name } | Layer::Conv2d { name, .. } | Layer::BatchNorm { name, .. } => {
            Some(name)
        }
        _ => None,
    }
}

fn operator(layer: &Layer, tensors: &Tensors<'_>) -> Result<OperatorSpec> {
    Ok(match layer {
        Layer::Linear { name } => {
            let [outputs, inputs] = tensors.weight(name, "[outputs, inputs]")?;
            let bias = tensors.has_bias(name);
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
                bias: tensors.has_bias(name),
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
