//! Reading a file: the list of operators that are translated, and the walk along the nodes that applies it.

use super::{
    elementwise, graph,
    graph::{label, malformed},
    linear,
    message::{self, Node},
    shape,
    translator::{Place, Translator},
    window,
};
use crate::{
    error::{Error, Result},
    file::Model,
};
use candle_core::{DType, Device};
use std::{collections::HashMap, path::Path};

/// Translates one node.
type Rule = for<'a> fn(&mut Translator<'a>, &Node<'a>) -> Result<()>;

/// The operators and how each is translated; in alphabetical order.
const RULES: &[(&str, Rule)] = &[
    ("Abs", elementwise::abs),
    ("Add", elementwise::add),
    ("AveragePool", window::average_pool),
    ("BatchNormalization", window::batch_normalization),
    ("Clip", elementwise::clip),
    ("Concat", shape::concat),
    ("Constant", shape::constant),
    ("Conv", window::conv),
    ("Div", elementwise::div),
    ("Dropout", shape::dropout),
    ("Flatten", shape::flatten),
    ("Gemm", linear::gemm),
    ("GlobalAveragePool", window::global_average_pool),
    ("Identity", shape::identity),
    ("LeakyRelu", elementwise::leaky_relu),
    ("MatMul", linear::mat_mul),
    ("MaxPool", window::max_pool),
    ("Mul", elementwise::mul),
    ("Neg", elementwise::neg),
    ("PRelu", elementwise::p_relu),
    ("Pad", window::pad),
    ("Relu", elementwise::relu),
    ("Reshape", shape::reshape),
    ("Squeeze", shape::squeeze),
    ("Sub", elementwise::sub),
    ("Transpose", shape::transpose),
    ("Unsqueeze", shape::unsqueeze),
];

/// The network in the bytes of an ONNX file.
pub(super) fn read(
    bytes: &[u8],
    folder: Option<&Path>,
    dtype: DType,
    device: &Device,
) -> Result<Model> {
    let model = message::model(bytes).map_err(malformed)?;
    if model.opset < 7 {
        return Err(malformed(format!(
            "version {} of the standard operators; 7 and later are supported",
            model.opset
        )));
    }
    let source = &model.graph;
    let initializers: HashMap<_, _> = source.initializers.iter().map(|t| (t.name, t)).collect();
    if let Some(twice) = graph::first_twice(source.initializers.iter().map(|t| t.name)) {
        return Err(malformed(format!(
            "two initialisers have the name `{twice}`"
        )));
    }
    let (input, batched, shape) = graph::input(source, &initializers)?;
    let output = match &source.outputs[..] {
        [output] => output.name,
        outputs => {
            let names: Vec<_> = outputs.iter().map(|o| o.name).collect();
            return Err(malformed(format!(
                "{} outputs {names:?}; one is supported",
                names.len()
            )));
        }
    };
    let needed = graph::needed(source, input, output, &initializers)?;
    let mut readers: HashMap<&str, Vec<usize>> = HashMap::from([(output, vec![usize::MAX])]);
    for &index in &needed {
        for name in &source.nodes[index].inputs {
            readers.entry(name).or_default().push(index);
        }
    }
    let place = Place {
        size: bytes.len(),
        folder,
        dtype,
        device: device.clone(),
    };
    let mut translator = Translator::new(
        source,
        initializers,
        (input, batched, shape),
        readers,
        place,
    )?;
    for index in needed {
        translate(&mut translator, &source.nodes[index])?;
    }
    translator.finish(output)
}

fn translate<'a>(translator: &mut Translator<'a>, node: &'a Node<'a>) -> Result<()> {
    if translator.is_absorbed(node) {
        return Ok(());
    }
    let rule = RULES
        .binary_search_by_key(&node.op_type, |(op_type, _)| op_type)
        .ok()
        .filter(|_| message::is_standard(node.domain));
    match rule {
        Some(index) => RULES[index].1(translator, node),
        None => Err(Error::UnsupportedOperator {
            node: label(node).into(),
            op_type: match message::is_standard(node.domain) {
                true => node.op_type.into(),
                false => format!("{}.{}", node.domain, node.op_type),
            },
            supported: supported().collect(),
        }),
    }
}

/// The operators that have a rule, in alphabetical order.
pub(super) fn supported() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(op_type, _)| *op_type)
}
