//! Modules of torchvision, node by node. Sizes are those of the tensors; a tensor that is missing is noted, as is a size that
//! does not fit, and the rest of the graph is built all the same, so that all missing ones can be named.

use super::super::state_dict::{StateDict, says};
use crate::{
    architectures::GraphSpec,
    error::{Error, Result},
    sparse_rows::SparseRows,
    spec::{Conv2dConfig, INPUT, NetworkSpec, OperatorSpec},
    window::Window2d,
};
use std::collections::{BTreeSet, HashMap};

/// A node by name, and the shape of its value.
#[derive(Debug, Clone)]
pub(super) struct Value {
    name: String,
    shape: [usize; 3],
}

impl Value {
    pub(super) fn input(shape: [usize; 3]) -> Self {
        let name = INPUT.into();
        Self { name, shape }
    }

    pub(super) fn channels(&self) -> usize {
        self.shape[0]
    }
}

/// A graph in the making.
pub(super) struct Layers<'a> {
    graph: GraphSpec,
    shapes: HashMap<&'a str, &'a [usize]>,
    /// Names of the tensors that the modules have.
    pub(super) wanted: BTreeSet<String>,
    fault: Option<Error>,
}

/// How a convolution moves: stride and padding, and whether its channels may fall apart into groups.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moves {
    pub(super) stride: usize,
    pub(super) padding: usize,
    pub(super) bias: bool,
    pub(super) grouped: bool,
}

impl Moves {
    pub(super) const fn of(stride: usize, padding: usize) -> Self {
        Self {
            stride,
            padding,
            bias: false,
            grouped: false,
        }
    }

    pub(super) const fn biased(self) -> Self {
        Self { bias: true, ..self }
    }

    pub(super) const fn grouped(self) -> Self {
        Self {
            grouped: true,
            ..self
        }
    }
}

impl<'a> Layers<'a> {
    pub(super) fn new(tensors: &'a StateDict) -> Self {
        Self {
            graph: GraphSpec::new(&[]),
            shapes: tensors
                .iter()
                .map(|(name, tensor)| (name.as_str(), tensor.dims()))
                .collect(),
            wanted: BTreeSet::new(),
            fault: None,
        }
    }

    /// The graph, or the first thing that did not fit.
    pub(super) fn finish(self, input_shape: [usize; 3]) -> Result<NetworkSpec> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(NetworkSpec {
                input_shape: input_shape.to_vec(),
                ..self.graph.finish()
            }),
        }
    }

    /// Whether there is a tensor of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.shapes.contains_key(name)
    }

    pub(super) fn conv(&mut self, module: &str, x: &Value, moves: Moves) -> Value {
        let [outputs, inputs, height, width] = self.weight(module);
        let groups = match moves.grouped {
            true => x.channels().checked_div(inputs).unwrap_or(1).max(1),
            false => 1,
        };
        if inputs.checked_mul(groups) != Some(x.channels()) {
            let cause = format!("takes {inputs} channels of {}", x.channels());
            self.note(module, cause);
        }
        if moves.bias {
            self.wanted.insert(format!("{module}.bias"));
        }
        let window = Window2d {
            kernel: [height, width],
            ..Window2d::square(1, moves.stride, moves.padding)
        };
        let operator = OperatorSpec::Conv2d(Conv2dConfig {
            inputs: x.channels(),
            outputs,
            window: window.clone(),
            groups,
            bias: moves.bias,
        });
        let shape = self.slid(module, &window, x);
        self.node(module, operator, x, [outputs, shape[1], shape[2]])
    }

    pub(super) fn norm(&mut self, module: &str, x: &Value) -> Value {
        for part in ["weight", "bias", "running_mean", "running_var"] {
            self.wanted.insert(format!("{module}.{part}"));
        }
        let operator = OperatorSpec::BatchNorm {
            channels: x.channels(),
            eps: 1e-5,
        };
        self.node(module, operator, x, x.shape)
    }

    pub(super) fn relu(&mut self, module: &str, x: &Value) -> Value {
        self.node(module, OperatorSpec::relu(), x, x.shape)
    }

    /// The ReLU that ends at 6.
    pub(super) fn relu6(&mut self, module: &str, x: &Value) -> Value {
        self.node(module, OperatorSpec::clip(0.0, 6.0), x, x.shape)
    }

    pub(super) fn max_pool(&mut self, module: &str, x: &Value, window: Window2d) -> Value {
        let shape = self.slid(module, &window, x);
        self.node(module, OperatorSpec::MaxPool2d { window }, x, shape)
    }

    /// Max pooling over 3 x 3 pixels with stride 2, whose last windows may reach over the edge.
    pub(super) fn max_pool_up(&mut self, module: &str, x: &Value) -> Value {
        let mut window = Window2d::square(3, 2, 0);
        for axis in 0..2 {
            let free = x.shape[axis + 1].saturating_sub(3);
            window.padding[axis][1] = free % 2;
        }
        self.max_pool(module, x, window)
    }

    pub(super) fn average_pool(&mut self, module: &str, x: &Value, side: usize) -> Value {
        let window = Window2d::square(side, side, 0);
        let shape = self.slid(module, &window, x);
        let count_padding = true;
        self.node(
            module,
            OperatorSpec::AvgPool2d {
                window,
                count_padding,
            },
            x,
            shape,
        )
    }

    /// `nn.AdaptiveAvgPool2d(1)` and what flattens it.
    pub(super) fn mean(&mut self, module: &str, x: &Value) -> Value {
        let shape = [x.channels(), 1, 1];
        let mean = self.node(module, OperatorSpec::GlobalAvgPool, x, shape);
        self.flatten(&mean)
    }

    /// `nn.AdaptiveAvgPool2d(side)`: means over windows that cover the image, of other sizes where it does not divide evenly.
    pub(super) fn adaptive_mean(&mut self, module: &str, x: &Value, side: usize) -> Value {
        let mut x = x.clone();
        for axis in 1..3 {
            let entries = x.shape[axis];
            if entries == side {
                continue;
            }
            let windows = (0..side).map(|i| {
                let (start, end) = (i * entries / side, ((i + 1) * entries).div_ceil(side));
                let weight = 1.0 / (end - start) as f64;
                (start..end).map(|entry| (entry, weight)).collect()
            });
            let rows = SparseRows::weighted(entries, windows);
            let mut shape = x.shape;
            shape[axis] = side;
            let name = format!("{module}.{axis}");
            x = self.node(&name, OperatorSpec::Resample { axis, rows }, &x, shape);
        }
        x
    }

    pub(super) fn flatten(&mut self, x: &Value) -> Value {
        let [channels, height, width] = x.shape;
        let features = channels.saturating_mul(height).saturating_mul(width);
        self.node("flatten", OperatorSpec::Flatten, x, [features, 1, 1])
    }

    pub(super) fn linear(&mut self, module: &str, x: &Value) -> Value {
        let [outputs, inputs] = self.weight(module);
        self.wanted.insert(format!("{module}.bias"));
        if inputs != x.channels() {
            let cause = format!("takes {inputs} features of {}", x.channels());
            self.note(module, cause);
        }
        let operator = OperatorSpec::Linear {
            inputs,
            outputs,
            bias: true,
        };
        self.node(module, operator, x, [outputs, 1, 1])
    }

    pub(super) fn add(&mut self, module: &str, a: &Value, b: &Value) -> Value {
        self.join(module, OperatorSpec::Add, a, b, a.channels())
    }

    /// The channels of one after those of the other.
    pub(super) fn concat(&mut self, module: &str, a: &Value, b: &Value) -> Value {
        let channels = a.channels().saturating_add(b.channels());
        self.join(module, OperatorSpec::Concat { axis: 0 }, a, b, channels)
    }

    fn join(
        &mut self,
        module: &str,
        operator: OperatorSpec,
        a: &Value,
        b: &Value,
        channels: usize,
    ) -> Value {
        let name = self.graph.add(module, operator, &[&a.name, &b.name]);
        let shape = [channels, a.shape[1], a.shape[2]];
        Value { name, shape }
    }

    fn node(
        &mut self,
        module: &str,
        operator: OperatorSpec,
        x: &Value,
        shape: [usize; 3],
    ) -> Value {
        let name = self.graph.add(module, operator, &[&x.name]);
        Value { name, shape }
    }

    /// The shape of a module's weight, which must have `N` dimensions.
    fn weight<const N: usize>(&mut self, module: &str) -> [usize; N] {
        let name = format!("{module}.weight");
        let found = self.shapes.get(name.as_str()).copied();
        self.wanted.insert(name);
        let shape = found.and_then(|found| <[usize; N]>::try_from(found).ok());
        if let (Some(found), None) = (found, shape) {
            self.note(
                module,
                format!("has shape {found:?}, expected {N} dimensions"),
            );
        }
        shape.unwrap_or([1; N])
    }

    fn slid(&mut self, module: &str, window: &Window2d, x: &Value) -> [usize; 3] {
        match window.output(&x.shape) {
            Ok(shape) => [x.channels(), shape[1], shape[2]],
            Err(cause) => {
                self.note(module, format!("{cause}: the image is too small"));
                [x.channels(), 1, 1]
            }
        }
    }

    fn note(&mut self, module: &str, cause: String) {
        let fault = || says(format!("{module}.weight"), cause);
        self.fault.get_or_insert_with(fault);
    }
}
