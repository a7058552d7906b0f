//! The network of a plan.

use super::draw::{Draw, power};
use super::graph::Graph;
use super::number::nearest;
use super::plan::{Block, Plan};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_models::operators::{Conv2dConfig, OperatorSpec, Window2d};
use loclin_models::{INPUT, Network, NetworkSpec, NodeSpec};
use std::collections::{BTreeMap, HashMap};

/// Most numbers between two nodes: exact arithmetic on all of them stays quick.
const WIDEST: usize = 24;

/// A network and an input, as numbers.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// The graph.
    pub spec: NetworkSpec,
    /// Parameters by full name: shape and numbers.
    pub parameters: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    /// The input, row by row.
    pub x: Vec<f64>,
    /// Whether all numbers fit single precision.
    pub single: bool,
}

impl Plan {
    /// The network and the input.
    ///
    /// # Errors
    /// Those of [`Drawn::network`].
    pub fn draw(&self) -> loclin_models::Result<Drawn> {
        let mut builder = Builder::new(self);
        if self.standardized {
            let spec = OperatorSpec::Standardize {
                mean: vec![0.1307],
                std: vec![0.3081],
            };
            builder.push(spec);
        }
        for block in &self.blocks {
            builder.block(*block);
        }
        builder.linear(2);
        let count = self.input.iter().product();
        let x = builder.draw.numbers(count, 1.0);
        let mut drawn = Drawn {
            spec: NetworkSpec {
                input_shape: self.input.clone(),
                nodes: builder.nodes,
            },
            parameters: builder.parameters,
            x,
            single: self.single,
        };
        for _ in 0..self.ties {
            drawn.tie(&mut builder.draw)?;
        }
        Ok(drawn)
    }
}

impl Drawn {
    /// The library's network.
    ///
    /// # Errors
    /// Numbers that the library refuses.
    pub fn network(&self) -> loclin_models::Result<Network> {
        let dtype = if self.single { DType::F32 } else { DType::F64 };
        let tensor = |(name, (shape, values)): (&String, &(Vec<usize>, Vec<f64>))| {
            let tensor = Tensor::from_vec(values.clone(), &shape[..], &Device::Cpu)?;
            Ok((name.clone(), tensor.to_dtype(dtype)?))
        };
        let tensors = self.parameters.iter().map(tensor);
        let tensors: HashMap<_, _> = tensors.collect::<candle_core::Result<_>>()?;
        self.spec
            .build(VarBuilder::from_tensors(tensors, dtype, &Device::Cpu))
    }

    /// The input as a batch of one.
    ///
    /// # Errors
    /// None that is known.
    pub fn batch(&self) -> candle_core::Result<Tensor> {
        let shape = [&[1], &self.spec.input_shape[..]].concat();
        Tensor::from_vec(self.x.clone(), shape, &Device::Cpu)
    }

    /// Moves a neuron behind a linear layer next to 0, on the side that rounding chooses.
    fn tie(&mut self, draw: &mut Draw) -> loclin_models::Result<()> {
        let Ok(point) = Graph::of(&self.network()?).and_then(|graph| graph.at(&self.x)) else {
            return Ok(());
        };
        // Nodes are numbered after the input.
        let own = |node: usize| &self.spec.nodes[node - 1];
        let bias = |node: usize| {
            let below = &own(node).operands[0];
            let name = format!("{below}.bias");
            let linear = (self.parameters.get(&name)).filter(|(shape, _)| {
                matches!(own(node).operator, OperatorSpec::Activation { .. }) && shape.len() == 1
            })?;
            let is_linear = self.spec.nodes.iter().any(|node| {
                node.name == *below && matches!(node.operator, OperatorSpec::Linear { .. })
            });
            is_linear.then_some((name, linear.1.len()))
        };
        let mut choices = Vec::new();
        let mut first = 0;
        for (position, neuron) in point.neurons.iter().enumerate() {
            if position > 0 && point.neurons[position - 1].node != neuron.node {
                first = position;
            }
            if let Some((name, width)) = bias(neuron.node) {
                choices.push((name, (position - first) % width, position));
            }
        }
        if choices.is_empty() {
            return Ok(());
        }
        let (name, unit, position) = choices.swap_remove(draw.between(0, choices.len() - 1));
        let z = nearest(&point.neurons[position].value);
        if let Some((_, bias)) = self.parameters.get_mut(&name) {
            bias[unit] = draw.rounded(bias[unit] - z);
        }
        Ok(())
    }
}

/// The network so far.
struct Builder {
    draw: Draw,
    nodes: Vec<NodeSpec>,
    parameters: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    last: String,
    shape: Vec<usize>,
}

impl Builder {
    fn new(plan: &Plan) -> Self {
        Self {
            draw: Draw::new(plan),
            nodes: Vec::new(),
            parameters: BTreeMap::new(),
            last: INPUT.into(),
            shape: plan.input.clone(),
        }
    }

    /// Adds a node that reads some others, without changing the shape.
    fn node(&mut self, operator: OperatorSpec, operands: Vec<String>) -> String {
        let name = format!("n{}", self.nodes.len());
        let node = NodeSpec {
            name: name.clone(),
            operator,
            operands,
        };
        self.nodes.push(node);
        self.last = name.clone();
        name
    }

    /// Adds a node that reads the last one.
    fn push(&mut self, operator: OperatorSpec) -> String {
        self.node(operator, vec![self.last.clone()])
    }

    fn store(&mut self, node: &str, parameter: &str, shape: &[usize], values: Vec<f64>) {
        let name = format!("{node}.{parameter}");
        self.parameters.insert(name, (shape.to_vec(), values));
    }

    fn size(&self) -> usize {
        self.shape.iter().product()
    }

    fn block(&mut self, block: Block) {
        let (rank, size, channels) = (self.shape.len(), self.size(), self.shape[0]);
        let image = rank == 3 && self.shape[1] > 1 && self.shape[2] > 1;
        match block {
            Block::Linear => {
                let outputs = self.draw.between(1, 5);
                self.linear(outputs);
            }
            Block::Conv2d if rank == 3 => self.conv2d(),
            Block::Residual => self.residual(),
            Block::Concat if 2 * size <= WIDEST => self.concat(),
            Block::Scale => self.constant("scale"),
            Block::Translate => self.constant("shift"),
            Block::BatchNorm => self.batch_norm(),
            Block::AvgPool2d if image => {
                let count_padding = self.draw.coin();
                let window = self.window(2);
                self.shape = window.output(&self.shape).unwrap_or_default();
                self.push(OperatorSpec::AvgPool2d {
                    window,
                    count_padding,
                });
            }
            Block::GlobalAvgPool if rank > 1 => {
                self.shape[1..].fill(1);
                self.push(OperatorSpec::GlobalAvgPool);
            }
            Block::Flatten => self.flatten(),
            Block::Reshape => {
                self.shape.reverse();
                let shape = self.shape.clone();
                self.push(OperatorSpec::Reshape { shape });
            }
            Block::Transpose => {
                self.shape.rotate_left(1);
                let permutation = (1..rank).chain([0]).collect();
                self.push(OperatorSpec::Transpose { permutation });
            }
            Block::Slice | Block::Select | Block::Pad => self.cut(block),
            Block::Resample => {
                let axis = self.draw.between(0, rank - 1);
                let rows = self.draw.rows(self.shape[axis]);
                self.shape[axis] = rows.len();
                self.push(OperatorSpec::Resample { axis, rows });
            }
            Block::MaxPool2d if image => {
                let window = self.window(2);
                self.shape = window.output(&self.shape).unwrap_or_default();
                self.push(OperatorSpec::MaxPool2d { window });
            }
            Block::Maxout if channels.is_multiple_of(2) => {
                self.shape[0] /= 2;
                self.push(OperatorSpec::Maxout { pieces: 2 });
            }
            Block::Prelu => {
                let one = self.draw.coin();
                let channels = if one { 1 } else { channels };
                let slopes = self.draw.numbers(channels, 0.5);
                let name = self.push(OperatorSpec::Prelu { channels });
                self.store(&name, "weight", &[channels], slopes);
            }
            Block::Relu => drop(self.push(OperatorSpec::relu())),
            Block::LeakyRelu => drop(self.push(OperatorSpec::leaky_relu(0.1))),
            Block::Abs => drop(self.push(OperatorSpec::abs())),
            Block::Clip => drop(self.push(OperatorSpec::clip(-1.0, 1.0))),
            Block::Steps => drop(self.push(OperatorSpec::Activation {
                breakpoints: vec![-0.7, 0.0, 1.1],
                slopes: vec![0.3, -1.0, 0.5, 2.0],
                anchor: 0.25,
            })),
            _ => {}
        }
    }

    fn flatten(&mut self) {
        if self.shape.len() > 1 {
            self.shape = vec![self.size()];
            self.push(OperatorSpec::Flatten);
        }
    }

    fn linear(&mut self, outputs: usize) {
        self.flatten();
        let inputs = self.shape[0];
        let (weight, bias) = self.draw.layer(outputs, inputs);
        let name = self.push(OperatorSpec::Linear {
            inputs,
            outputs,
            bias: true,
        });
        self.store(&name, "weight", &[outputs, inputs], weight);
        self.store(&name, "bias", &[outputs], bias);
        self.shape = vec![outputs];
    }

    fn window(&mut self, kernel: usize) -> Window2d {
        let (stride, padding) = (self.draw.between(1, 2), self.draw.between(0, 1));
        // Two entries of padding and a stride of 1 would make the image larger.
        Window2d::square(kernel, stride, if stride == 1 { 0 } else { padding })
    }

    fn conv2d(&mut self) {
        let window = match self.shape[1].min(self.shape[2]) {
            1 => Window2d::square(1, 1, 0),
            _ => self.window(2),
        };
        let outputs = self.draw.between(1, 2);
        self.convolve(outputs, window);
    }

    fn convolve(&mut self, outputs: usize, window: Window2d) {
        let inputs = self.shape[0];
        let [height, width] = window.kernel;
        let shape = [outputs, inputs, height, width];
        let (weight, bias) = self.draw.layer(outputs, inputs * height * width);
        self.shape = window.output(&self.shape).unwrap_or_default();
        self.shape[0] = outputs;
        let name = self.push(OperatorSpec::Conv2d(Conv2dConfig {
            inputs,
            outputs,
            window,
            groups: 1,
            bias: true,
        }));
        self.store(&name, "weight", &shape, weight);
        self.store(&name, "bias", &[outputs], bias);
    }

    fn residual(&mut self) {
        if self.shape.len() != 3 {
            self.flatten();
        }
        let start = self.last.clone();
        match self.shape.len() {
            3 => self.convolve(self.shape[0], Window2d::square(3, 1, 1)),
            _ => self.linear(self.shape[0]),
        }
        self.node(OperatorSpec::Add, vec![self.last.clone(), start]);
    }

    fn concat(&mut self) {
        self.flatten();
        let (start, shape) = (self.last.clone(), self.shape.clone());
        let mut operands = Vec::new();
        let mut width = 0;
        for _ in 0..2 {
            (self.last, self.shape) = (start.clone(), shape.clone());
            let outputs = self.draw.between(1, 3);
            self.linear(outputs);
            operands.push(self.last.clone());
            width += outputs;
        }
        self.node(OperatorSpec::Concat { axis: 0 }, operands);
        self.shape = vec![width];
    }

    fn constant(&mut self, parameter: &str) {
        let mut shape = self.shape.clone();
        if self.draw.coin() {
            shape[1..].fill(1);
        }
        let values = self.draw.numbers(shape.iter().product(), 1.0);
        let spec = match parameter {
            "scale" => OperatorSpec::Scale {
                shape: shape.clone(),
            },
            _ => OperatorSpec::Translate {
                shape: shape.clone(),
            },
        };
        let name = self.push(spec);
        self.store(&name, parameter, &shape, values);
    }

    fn batch_norm(&mut self) {
        let channels = self.shape[0];
        let roots: Vec<f64> = (0..channels)
            .map(|_| self.draw.between(1, 7) as f64 * power(self.draw.between(0, 3) as i32 - 3))
            .collect();
        let name = self.push(OperatorSpec::BatchNorm { channels, eps: 0.0 });
        for parameter in ["weight", "bias", "running_mean"] {
            let values = self.draw.numbers(channels, 1.0);
            self.store(&name, parameter, &[channels], values);
        }
        let variance = roots.iter().map(|r| r * r).collect();
        self.store(&name, "running_var", &[channels], variance);
    }

    fn cut(&mut self, block: Block) {
        let axis = self.draw.between(0, self.shape.len() - 1);
        let n = self.shape[axis];
        match block {
            Block::Slice if n > 1 => {
                let start = self.draw.between(0, n - 2);
                let length = self.draw.between(1, n - start);
                self.shape[axis] = length;
                self.push(OperatorSpec::Slice {
                    axis,
                    start,
                    length,
                });
            }
            Block::Select if self.shape.len() > 1 => {
                let index = self.draw.between(0, n - 1);
                self.shape.remove(axis);
                self.push(OperatorSpec::Select { axis, index });
            }
            Block::Pad if self.size() / n * (n + 2) <= WIDEST => {
                let (mut before, mut after) =
                    (vec![0; self.shape.len()], vec![0; self.shape.len()]);
                (before[axis], after[axis]) = (self.draw.between(0, 1), self.draw.between(0, 1));
                self.shape[axis] += before[axis] + after[axis];
                let value = self.draw.number(1.0);
                self.push(OperatorSpec::Pad {
                    before,
                    after,
                    value,
                });
            }
            _ => {}
        }
    }
}
