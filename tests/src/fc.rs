//! A fully connected network in plain loops.

/// `z = W a + b`.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// `W`, one row for each output.
    pub weight: Vec<Vec<f64>>,
    /// `b`, one number for each output.
    pub bias: Vec<f64>,
}

/// A fully connected network; every layer but the last is followed by the activation.
#[derive(Debug, Clone, PartialEq)]
pub struct Fc {
    /// The layers, at least one.
    pub layers: Vec<Layer>,
    /// Slope of the activation for negative pre-activations.
    pub negative_slope: f64,
}

/// What a forward pass sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    /// Pre-activations of all hidden units, layer by layer: the neurons.
    pub neurons: Vec<f64>,
    /// The output.
    pub output: Vec<f64>,
}

impl Layer {
    fn apply(&self, a: &[f64]) -> Vec<f64> {
        let unit =
            |(row, b): (&Vec<f64>, &f64)| row.iter().zip(a).map(|(w, a)| w * a).sum::<f64>() + b;
        self.weight.iter().zip(&self.bias).map(unit).collect()
    }
}

impl Fc {
    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.layers[0].weight[0].len()
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].bias.len()
    }

    /// Widths of the hidden layers.
    pub fn hidden(&self) -> Vec<usize> {
        let count = self.layers.len() - 1;
        self.layers[..count]
            .iter()
            .map(|layer| layer.bias.len())
            .collect()
    }

    /// Number of hidden units.
    pub fn neurons(&self) -> usize {
        self.hidden().iter().sum()
    }

    /// The value at `x`, with all pre-activations.
    pub fn forward(&self, x: &[f64]) -> Forward {
        let mut a = x.to_vec();
        let mut neurons = Vec::new();
        for layer in &self.layers[..self.layers.len() - 1] {
            let z = layer.apply(&a);
            a = z
                .iter()
                .map(|z| {
                    if *z >= 0.0 {
                        *z
                    } else {
                        self.negative_slope * z
                    }
                })
                .collect();
            neurons.extend(z);
        }
        Forward {
            neurons,
            output: self.layers[self.layers.len() - 1].apply(&a),
        }
    }

    /// The activation pattern at `x`: `z >= 0` for each neuron.
    pub fn pattern(&self, x: &[f64]) -> Vec<bool> {
        self.forward(x).neurons.iter().map(|z| *z >= 0.0).collect()
    }

    /// The gradient of unit `unit` of layer `layer` (the last is the output) under an activation pattern, by
    /// reverse mode: one unit, back to the input.
    pub fn gradient(&self, pattern: &[bool], layer: usize, unit: usize) -> Vec<f64> {
        let mut cotangent = self.layers[layer].weight[unit].clone();
        let mut end: usize = self.hidden()[..layer].iter().sum();
        for below in self.layers[..layer].iter().rev() {
            let start = end - below.bias.len();
            let mut next = vec![0.0; below.weight[0].len()];
            for ((c, on), row) in cotangent
                .iter()
                .zip(&pattern[start..end])
                .zip(&below.weight)
            {
                let c = if *on { *c } else { self.negative_slope * c };
                next.iter_mut().zip(row).for_each(|(n, w)| *n += c * w);
            }
            (cotangent, end) = (next, start);
        }
        cotangent
    }

    /// Gradients of all neurons, layer by layer.
    pub fn neuron_gradients(&self, pattern: &[bool]) -> Vec<Vec<f64>> {
        let hidden = self.hidden().into_iter().enumerate();
        hidden
            .flat_map(|(layer, width)| {
                (0..width).map(move |unit| self.gradient(pattern, layer, unit))
            })
            .collect()
    }

    /// Gradients of all outputs.
    pub fn output_gradients(&self, pattern: &[bool]) -> Vec<Vec<f64>> {
        (0..self.outputs())
            .map(|unit| self.gradient(pattern, self.layers.len() - 1, unit))
            .collect()
    }

    /// Absolute values of all parameters. At `|x|` every unit of it is at least as large as every partial sum of
    /// this network's at `x` (for `|negative_slope| <= 1`), and so are its gradients: what rounding errors scale with.
    pub fn absolute(&self) -> Self {
        let abs = |row: &Vec<f64>| row.iter().map(|w| w.abs()).collect::<Vec<_>>();
        let layer = |l: &Layer| Layer {
            weight: l.weight.iter().map(abs).collect(),
            bias: abs(&l.bias),
        };
        Self {
            layers: self.layers.iter().map(layer).collect(),
            negative_slope: 1.0,
        }
    }

    /// All parameters, layer by layer, weights before biases.
    pub fn parameters(&self) -> Vec<f64> {
        self.layers
            .iter()
            .flat_map(|l| l.weight.iter().flatten().chain(&l.bias))
            .copied()
            .collect()
    }

    /// Parameter number `index` of [`Fc::parameters`], to be changed.
    pub fn parameter_mut(&mut self, index: usize) -> Option<&mut f64> {
        self.layers
            .iter_mut()
            .flat_map(|l| l.weight.iter_mut().flatten().chain(&mut l.bias))
            .nth(index)
    }
}
