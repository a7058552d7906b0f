//! Networks from NNet files, the text format of the ACAS Xu networks (Julian and Kochenderfer, Stanford).
//!
//! After lines of comments (`//`) come, separated by commas: the number of layers, of inputs, of outputs and of units in the
//! widest layer; the size of each layer, the input's first; a flag that is not used; the least and the largest value of each
//! input; the mean of each input and of the output; the range of each input and of the output; and for each layer its weights
//! row by row and its biases. Layers but the last are followed by a ReLU.
//!
//! Inputs are normalised by means and ranges, and outputs scaled back by theirs. Where inputs lie is not part of the network:
//! the least and largest values are read and not used.

use crate::{
    error::{Error, Result},
    file::{Model, Normalization},
    foreign,
    spec::{INPUT, NetworkSpec, NodeSpec, OperatorSpec},
};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use std::{collections::HashMap, path::Path};

/// Reads a file, its parameters converted to `dtype`.
///
/// # Errors
/// [`Error::File`] names the file and holds what [`from_text`] would say.
pub fn load(path: &Path, dtype: DType, device: &Device) -> Result<Model> {
    let error = |cause: String| Error::File {
        path: path.into(),
        cause,
    };
    let bytes = loclin_tensor::file::read(path).map_err(|e| error(e.to_string()))?;
    if let Some(found) = foreign::named(&bytes) {
        return Err(error(format!("{found}, expected an NNet file")));
    }
    let text = String::from_utf8(bytes).map_err(|_| error("text that is not UTF-8".into()))?;
    from_text(&text, dtype, device).map_err(|e| error(e.to_string()))
}

/// Reads the text of a file.
///
/// # Errors
/// [`Error::Malformed`] with what is wrong; numbers that are not finite, and ranges that are not positive.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Module, nnet};
///
/// // |x| of one input with mean 1 and range 2, doubled.
/// let text = "// absolute value
/// 2,1,1,2,
/// 1,2,1,
/// 0,
/// -5.0,
/// 5.0,
/// 1.0,0.0,
/// 2.0,2.0,
/// 1.0,
/// -1.0,
/// 0.0,
/// 0.0,
/// 1.0,1.0,
/// 0.0,";
/// let network = nnet::from_text(text, DType::F64, &Device::Cpu)?.raw()?;
/// let x = Tensor::new(&[[-3.0], [2.0]], &Device::Cpu)?;
/// assert_eq!(network.forward(&x)?.to_vec2::<f64>()?, [[4.0], [1.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_text(text: &str, dtype: DType, device: &Device) -> Result<Model> {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let words = lines.flat_map(|line| line.split([',', ' ', '\t']));
    let words: Vec<&str> = words
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect();
    let mut numbers = Numbers { rest: &words };
    let [layers, inputs, outputs, _widest] = numbers.sizes::<4>()?;
    let sizes = numbers.list(layers.checked_add(1))?;
    let sizes: Vec<usize> = sizes.iter().map(|n| size(*n)).collect::<Result<_>>()?;
    if sizes.first() != Some(&inputs) || sizes.last() != Some(&outputs) || layers == 0 {
        return Err(malformed(format!(
            "layers of sizes {sizes:?} between {inputs} inputs and {outputs} outputs"
        )));
    }
    numbers.list(Some(1))?;
    numbers.list(inputs.checked_mul(2))?;
    let mut mean = numbers.list(inputs.checked_add(1))?;
    let mut std = numbers.list(inputs.checked_add(1))?;
    let (shift, scale) = (mean.pop().unwrap_or(0.0), std.pop().unwrap_or(1.0));
    let normalization = Normalization { mean, std };
    let mut graph = Graph {
        nodes: Vec::new(),
        tensors: HashMap::new(),
        dtype,
        device,
    };
    for (layer, pair) in sizes.windows(2).enumerate() {
        let (inputs, outputs) = (pair[0], pair[1]);
        let weight = numbers.list(inputs.checked_mul(outputs))?;
        let bias = numbers.list(Some(outputs))?;
        let name = format!("layers.{layer}");
        let spec = OperatorSpec::Linear {
            inputs,
            outputs,
            bias: true,
        };
        let parameters = [
            ("weight", vec![outputs, inputs], weight),
            ("bias", vec![outputs], bias),
        ];
        graph.push(&name, spec, &parameters)?;
        if layer + 1 < layers {
            graph.push(&format!("activation_{layer}"), OperatorSpec::relu(), &[])?;
        }
    }
    if let [first, ..] = numbers.rest {
        return Err(malformed(format!(
            "goes on after the last layer: {} more from `{first}` on, where layers of sizes {sizes:?} were announced",
            numbers.rest.len()
        )));
    }
    if scale != 1.0 {
        let spec = OperatorSpec::Scale { shape: vec![1] };
        graph.push("output.range", spec, &[("scale", vec![1], vec![scale])])?;
    }
    if shift != 0.0 {
        let spec = OperatorSpec::Translate { shape: vec![1] };
        graph.push("output.mean", spec, &[("shift", vec![1], vec![shift])])?;
    }
    let spec = NetworkSpec {
        input_shape: vec![inputs],
        nodes: graph.nodes,
    };
    let model = Model {
        network: spec.build(VarBuilder::from_tensors(graph.tensors, dtype, device))?,
        normalization: Some(normalization),
    };
    model.raw()?;
    Ok(model)
}

fn malformed(cause: impl Into<String>) -> Error {
    Error::Malformed {
        format: "NNet",
        cause: cause.into(),
    }
}

/// The numbers still to be read.
struct Numbers<'a> {
    rest: &'a [&'a str],
}

impl Numbers<'_> {
    fn list(&mut self, count: Option<usize>) -> Result<Vec<f64>> {
        let found = count.and_then(|count| self.rest.split_at_checked(count));
        let (words, rest) =
            found.ok_or_else(|| malformed("ends early, or its sizes are too large"))?;
        self.rest = rest;
        let number = |word: &&str| {
            let number = word.parse::<f64>().ok().filter(|number| number.is_finite());
            number.ok_or_else(|| malformed(format!("`{word}` is no finite number")))
        };
        words.iter().map(number).collect()
    }

    fn sizes<const N: usize>(&mut self) -> Result<[usize; N]> {
        let mut sizes = [0; N];
        for (size_of, number) in sizes.iter_mut().zip(self.list(Some(N))?) {
            *size_of = size(number)?;
        }
        Ok(sizes)
    }
}

fn size(number: f64) -> Result<usize> {
    match number {
        n if n >= 1.0 && n.fract() == 0.0 && n < 1e9 => Ok(n as usize),
        n => Err(malformed(format!("a size of {n}"))),
    }
}

/// A chain of nodes in the making.
struct Graph<'a> {
    nodes: Vec<NodeSpec>,
    tensors: HashMap<String, Tensor>,
    dtype: DType,
    device: &'a Device,
}

impl Graph<'_> {
    fn push(
        &mut self,
        name: &str,
        operator: OperatorSpec,
        parameters: &[(&str, Vec<usize>, Vec<f64>)],
    ) -> Result<()> {
        for (local, shape, values) in parameters {
            let tensor = Tensor::from_slice(values, &shape[..], self.device)?;
            self.tensors
                .insert(format!("{name}.{local}"), tensor.to_dtype(self.dtype)?);
        }
        let below = self.nodes.last().map_or(INPUT, |node| &node.name);
        self.nodes.push(NodeSpec {
            name: name.into(),
            operator,
            operands: vec![below.into()],
        });
        Ok(())
    }
}
