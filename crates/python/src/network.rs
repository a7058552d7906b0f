//! A network of raw inputs, ready for questions.

use crate::arguments::Array;
use crate::errors::Said as Text;
use crate::worker::{How, run};
use anyhow::{Context, bail};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin::models::operators::{Activation, Linear};
use loclin::models::{
    Model, ModelFile, Network as Graph, NetworkBuilder, NeuronRange, Normalization, Operator, onnx,
};
use loclin::program::certify::BATCH;
use loclin::program::errors::Usage;
use loclin::program::model::ModelPath;
use loclin::regions::{Budget, Linearizer};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A network of raw inputs, its normalisation included, with parameters in float64.
#[pyclass(frozen, module = "loclin._native")]
pub(crate) struct Network {
    asked: Asked,
    /// How raw inputs are normalised in it: means and deviations.
    normalization: Option<(Vec<f64>, Vec<f64>)>,
    /// What was left out or is to be known.
    notes: Vec<String>,
}

/// A network to be asked, shared with the thread that asks.
#[derive(Clone)]
pub(crate) struct Asked {
    graph: Graph,
    linearizer: Arc<OnceLock<Linearizer>>,
}

impl Asked {
    fn new(graph: Graph) -> Self {
        let linearizer = Arc::default();
        Self { graph, linearizer }
    }

    /// The network.
    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The network prepared for linearisation, once.
    ///
    /// # Errors
    /// A network that cannot be read in float64.
    pub(crate) fn linearizer(&self) -> anyhow::Result<&Linearizer> {
        if let Some(known) = self.linearizer.get() {
            return Ok(known);
        }
        let prepared = Linearizer::new(&self.graph, Budget::default())?;
        Ok(self.linearizer.get_or_init(|| prepared))
    }

    /// How many inputs are linearised at a time: as many as the program does, so that results are the same.
    pub(crate) fn at_once(&self) -> usize {
        BATCH.min(Budget::default().inputs(&self.graph))
    }

    /// An error unless `x` is a batch of inputs.
    ///
    /// # Errors
    /// Both shapes.
    pub(crate) fn check(&self, x: &Tensor) -> anyhow::Result<()> {
        Ok(self.graph.check_input(x)?)
    }
}

/// What is said of a model beside its file.
#[derive(FromPyObject)]
pub(crate) struct Said {
    #[pyo3(item)]
    architecture: Option<PathBuf>,
    #[pyo3(item)]
    output: Option<String>,
    #[pyo3(item)]
    input_shape: Vec<usize>,
    #[pyo3(item)]
    mean: Vec<f64>,
    #[pyo3(item)]
    std: Vec<f64>,
}

#[pymethods]
impl Network {
    /// Reads a model file or a run directory.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf, said: Said, how: How) -> PyResult<Self> {
        run(py, how, move |_| loaded(path, said))
    }

    /// Reads the bytes of an ONNX file.
    #[staticmethod]
    fn from_onnx(py: Python<'_>, bytes: Vec<u8>, said: Said, how: How) -> PyResult<Self> {
        run(py, how, move |_| {
            let options = options(&said);
            let found = onnx::from_bytes_with(&bytes, &options, DType::F64, &Device::Cpu)?;
            let notes = left_out(&found.output, &found.left_out);
            finished(ModelFile::Network(found.model), &said, notes)
        })
    }

    /// A fully connected network of weights `[out, in]` and biases `[out]`, a ReLU between two of them.
    #[staticmethod]
    fn from_weights(layers: Vec<(Array<'_>, Array<'_>)>) -> PyResult<Self> {
        let tensors = layers.iter().map(|(w, b)| Ok((w.tensor()?, b.tensor()?)));
        let tensors = tensors.collect::<PyResult<Vec<_>>>()?;
        let made = fully_connected(tensors);
        let graph = made.map_err(|error| crate::errors::raise(&error))?;
        Ok(Self {
            asked: Asked::new(graph),
            normalization: None,
            notes: Vec::new(),
        })
    }

    /// The shape of one input.
    #[getter]
    fn input_shape(&self) -> Vec<usize> {
        self.asked.graph.input_shape().to_vec()
    }

    /// The number of outputs.
    #[getter]
    fn outputs(&self) -> usize {
        self.asked.graph.output_size()
    }

    /// What is to be known of the model as it was read.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// Means and deviations of the normalisation in front of it.
    #[getter]
    fn normalization(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        self.normalization.clone()
    }

    /// What was recognised in it, in words.
    #[getter]
    fn structure(&self) -> String {
        self.asked.graph.structure().to_string()
    }

    /// The number of parameters.
    #[getter]
    fn parameters(&self) -> usize {
        let all = self.asked.graph.parameters();
        all.iter().map(|(_, tensor)| tensor.elem_count()).sum()
    }

    /// The nodes: name, kind, shape of the output, operands, number of parameters, and whether it selects.
    fn nodes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for node in self.asked.graph.nodes() {
            let own = node.operator.parameters();
            let own: usize = own.iter().map(|(_, tensor)| tensor.elem_count()).sum();
            let row = PyDict::new(py);
            row.set_item("name", &node.name)?;
            row.set_item("kind", node.operator.kind())?;
            row.set_item("shape", &node.shape)?;
            row.set_item("operands", &node.operands)?;
            row.set_item("parameters", own)?;
            let selects = matches!(node.operator, Operator::PiecewiseLinear(_));
            row.set_item("selects", selects)?;
            list.append(row)?;
        }
        Ok(list)
    }

    /// The number of neurons of each node that selects, `(node, count)`.
    fn neurons(&self, py: Python<'_>, how: How) -> PyResult<Vec<(usize, usize)>> {
        let asked = self.asked();
        run(py, how, move |_| {
            let shape = [&[1], asked.graph.input_shape()].concat();
            let x = Tensor::zeros(shape, DType::F64, &Device::Cpu)?;
            let ranges = asked.graph.trace(&x)?.neuron_ranges()?;
            let count = |range: &NeuronRange| (range.node, range.count);
            Ok(ranges.iter().map(count).collect())
        })
    }

    /// The bytes of a model file of the library, without the normalisation apart.
    fn to_bytes(&self) -> PyResult<Vec<u8>> {
        let model = Model {
            network: self.asked.graph.clone(),
            normalization: None,
        };
        model
            .to_bytes()
            .map_err(|error| crate::errors::raise(&error.into()))
    }
}

impl Network {
    /// The network, for a thread that asks.
    pub(crate) fn asked(&self) -> Asked {
        self.asked.clone()
    }
}

fn fully_connected(layers: Vec<(Tensor, Tensor)>) -> anyhow::Result<Graph> {
    let first = layers.first().context("layers: none")?;
    let inputs = first.0.dims2().context("layer 0: weights are no matrix")?.1;
    let mut builder = NetworkBuilder::new(&[inputs])?;
    let (mut at, count) = (0, layers.len());
    for (index, (weight, bias)) in layers.into_iter().enumerate() {
        let named = || format!("layer {index}");
        let (outputs, inputs) = weight.dims2().with_context(named)?;
        let tensors = HashMap::from([("weight".to_owned(), weight), ("bias".to_owned(), bias)]);
        let vars = VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu);
        let linear = Linear::new(inputs, outputs, true, vars).with_context(named)?;
        at = builder.affine(&format!("layers.{index}"), linear, &[at])?;
        if index + 1 < count {
            let relu = Activation::relu();
            at = builder.piecewise_linear(&format!("relu.{index}"), relu, at)?;
        }
    }
    Ok(builder.finish(DType::F64, &Device::Cpu)?)
}

fn options(said: &Said) -> onnx::Options {
    onnx::Options {
        output: said.output.clone(),
        input_shape: (!said.input_shape.is_empty()).then(|| said.input_shape.clone()),
    }
}

fn left_out(output: &str, heads: &[String]) -> Vec<String> {
    if heads.is_empty() {
        return Vec::new();
    }
    let heads = heads.join(", ");
    vec![format!(
        "regions of the logits `{output}`, without {heads} behind it"
    )]
}

fn loaded(path: PathBuf, said: Said) -> anyhow::Result<Network> {
    let source = ModelPath {
        model: path,
        architecture: said.architecture.clone(),
        output: said.output.clone(),
        input_shape: said.input_shape.clone(),
    };
    let file = source.file();
    let name = file.to_string_lossy().to_ascii_lowercase();
    std::fs::metadata(&file)
        .with_context(|| format!("{}: cannot read the model", file.display()))?;
    let is_graph = name.ends_with(".onnx") || name.ends_with(".onnx.gz");
    if !is_graph || said.architecture.is_some() {
        let model = source.load(DType::F64, &Device::Cpu);
        // Its message alone says that it is none.
        let model = model.map_err(|error| match error.chain().count() {
            1 if error.downcast_ref::<loclin::models::Error>().is_none()
                && error.downcast_ref::<Usage>().is_none() =>
            {
                Text::NoModel(error.to_string()).into()
            }
            _ => error,
        })?;
        return finished(model, &said, Vec::new());
    }
    loclin::program::files::check_readable(&file)?;
    let options = options(&said);
    match onnx::load_with(&file, &options, DType::F64, &Device::Cpu) {
        Ok(found) => {
            let notes = left_out(&found.output, &found.left_out);
            finished(ModelFile::Network(found.model), &said, notes)
        }
        Err(error) => Err(typed(&file, &options, error.into())),
    }
}

/// The error of a file says no more whether an operator was the cause; its bytes do.
fn typed(file: &Path, options: &onnx::Options, error: anyhow::Error) -> anyhow::Error {
    let Ok(bytes) = loclin::program::files::read(file) else {
        return error;
    };
    match onnx::from_bytes_with(&bytes, options, DType::F64, &Device::Cpu) {
        Err(
            loclin::models::Error::UnsupportedOperator { .. }
            | loclin::models::Error::Translation { .. },
        ) => Text::Untranslated(error.to_string()).into(),
        _ => error,
    }
}

/// The model behind its own normalisation or the one that is said.
fn finished(model: ModelFile, said: &Said, notes: Vec<String>) -> anyhow::Result<Network> {
    let mut model = match model {
        ModelFile::Network(model) => model,
        ModelFile::Recurrent(rnn) => {
            if said.input_shape.is_empty() {
                bail!(
                    "a recurrent network takes sequences of any length; input_shape=(length, channels) says which one"
                );
            }
            Model {
                network: rnn.network_for(&said.input_shape)?,
                normalization: None,
            }
        }
    };
    if !said.mean.is_empty() || !said.std.is_empty() {
        if let Some(own) = &model.normalization {
            bail!(
                "mean, std: the model normalises its inputs itself, by mean {:?} and std {:?}; leave them out",
                own.mean,
                own.std
            );
        }
        model.normalization = Some(Normalization {
            mean: said.mean.clone(),
            std: said.std.clone(),
        });
    }
    let graph = model.raw().context("mean, std: do not fit the model")?;
    Ok(Network {
        asked: Asked::new(graph),
        normalization: model.normalization.map(|own| (own.mean, own.std)),
        notes,
    })
}
