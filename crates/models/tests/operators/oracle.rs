//! Every operator again, as plain loops over one input that share no code with the library.

use loclin_models::operators::{Conv2dConfig, OperatorSpec, Window2d};
use std::collections::BTreeMap;

/// Numbers and their shape, in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

impl Array {
    fn from_fn(shape: &[usize], f: impl Fn(&[usize]) -> f64) -> Self {
        let size: usize = shape.iter().product();
        let values = (0..size).map(|flat| f(&unravel(flat, shape))).collect();
        Self {
            shape: shape.to_vec(),
            values,
        }
    }

    fn at(&self, index: &[usize]) -> f64 {
        let flat = index.iter().zip(&self.shape).fold(0, |flat, (i, n)| {
            assert!(i < n);
            flat * n + i
        });
        self.values[flat]
    }

    /// The entry at signed coordinates, `None` outside.
    fn get(&self, channel: usize, row: isize, column: isize) -> Option<f64> {
        let inside = row >= 0
            && column >= 0
            && row < self.shape[1] as isize
            && column < self.shape[2] as isize;
        inside.then(|| self.at(&[channel, row as usize, column as usize]))
    }
}

fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, n) in index.iter_mut().zip(shape).rev() {
        (*i, flat) = (flat % n, flat / n);
    }
    index
}

/// Signed coordinates of window entry `(k, l)` at position `(row, column)`.
fn entry(window: &Window2d, row: usize, column: usize, k: usize, l: usize) -> (isize, isize) {
    let along = |axis: usize, position: usize, k: usize| {
        (position * window.stride[axis] + k * window.dilation[axis]) as isize
            - window.padding[axis][0] as isize
    };
    (along(0, row, k), along(1, column, l))
}

fn output(window: &Window2d, x: &Array, channels: usize) -> [usize; 3] {
    let count = |axis: usize| {
        let padded = x.shape[axis + 1] + window.padding[axis][0] + window.padding[axis][1];
        (0..)
            .take_while(|i| {
                i * window.stride[axis] + window.dilation[axis] * (window.kernel[axis] - 1) < padded
            })
            .count()
    };
    [channels, count(0), count(1)]
}

fn over(window: &Window2d) -> impl Iterator<Item = (usize, usize)> + use<> {
    let [height, width] = window.kernel;
    (0..height).flat_map(move |k| (0..width).map(move |l| (k, l)))
}

/// The value of an operator at one input.
pub(crate) fn value(
    spec: &OperatorSpec,
    parameters: &BTreeMap<String, Array>,
    operands: &[Array],
) -> Array {
    let x = &operands[0];
    let parameter = |name: &str| &parameters[name];
    match spec {
        OperatorSpec::Activation {
            breakpoints,
            slopes,
            anchor,
        } => elementwise(x, |_, z| {
            // From the anchor, walk along the pieces to z.
            if z < breakpoints[0] {
                return anchor + slopes[0] * (z - breakpoints[0]);
            }
            let ends = breakpoints[1..].iter().chain([&f64::INFINITY]);
            breakpoints
                .iter()
                .zip(ends)
                .zip(&slopes[1..])
                .fold(*anchor, |y, ((start, end), slope)| {
                    y + slope * (z.min(*end) - start).max(0.0)
                })
        }),
        OperatorSpec::Add => elementwise(x, |index, _| operands.iter().map(|x| x.at(index)).sum()),
        OperatorSpec::BatchNorm { eps, .. } => elementwise(x, |i, v| {
            let of = |name| parameter(name).values[i[0]];
            (v - of("running_mean")) / (of("running_var") + eps).sqrt() * of("weight") + of("bias")
        }),
        OperatorSpec::Prelu { channels } => elementwise(x, |i, z| {
            let slope = parameter("weight").values[if *channels == 1 { 0 } else { i[0] }];
            if z >= 0.0 { z } else { slope * z }
        }),
        OperatorSpec::Divide { .. } => {
            elementwise(x, |i, v| v / broadcast(parameter("divisor"), i))
        }
        OperatorSpec::Scale { .. } => elementwise(x, |i, v| v * broadcast(parameter("scale"), i)),
        OperatorSpec::Standardize { mean, std } => elementwise(x, |i, v| {
            let channel = if mean.len() == 1 { 0 } else { i[0] };
            (v - mean[channel]) / std[channel]
        }),
        OperatorSpec::Translate { .. } => {
            elementwise(x, |i, v| v + broadcast(parameter("shift"), i))
        }
        OperatorSpec::AvgPool2d { .. }
        | OperatorSpec::GlobalAvgPool
        | OperatorSpec::MaxPool2d { .. }
        | OperatorSpec::Maxout { .. }
        | OperatorSpec::Conv2d(_)
        | OperatorSpec::Linear { .. } => reduced(spec, parameters, x),
        other => moved(other, operands),
    }
}

/// Operators that put several entries together.
fn reduced(spec: &OperatorSpec, parameters: &BTreeMap<String, Array>, x: &Array) -> Array {
    let parameter = |name: &str| &parameters[name];
    match spec {
        OperatorSpec::AvgPool2d {
            window,
            count_padding,
        } => Array::from_fn(&output(window, x, x.shape[0]), |i| {
            let entries = over(window).map(|(k, l)| entry(window, i[1], i[2], k, l));
            let values: Vec<Option<f64>> = entries
                .map(|(row, column)| x.get(i[0], row, column))
                .collect();
            let count = values
                .iter()
                .filter(|v| *count_padding || v.is_some())
                .count();
            values.iter().flatten().sum::<f64>() / count as f64
        }),
        OperatorSpec::Conv2d(config) => convolution(config, parameters, x),
        OperatorSpec::GlobalAvgPool => {
            let mut shape = vec![1; x.shape.len()];
            shape[0] = x.shape[0];
            let inner = x.values.len() / x.shape[0];
            Array::from_fn(&shape, |i| {
                x.values[i[0] * inner..][..inner].iter().sum::<f64>() / inner as f64
            })
        }
        OperatorSpec::Linear {
            inputs, outputs, ..
        } => Array::from_fn(&[*outputs], |i| {
            let bias = parameters.get("bias").map_or(0.0, |bias| bias.values[i[0]]);
            bias + (0..*inputs)
                .map(|j| parameter("weight").at(&[i[0], j]) * x.values[j])
                .sum::<f64>()
        }),
        OperatorSpec::MaxPool2d { window } => Array::from_fn(&output(window, x, x.shape[0]), |i| {
            let entries = over(window).map(|(k, l)| entry(window, i[1], i[2], k, l));
            entries
                .filter_map(|(row, column)| x.get(i[0], row, column))
                .fold(f64::NEG_INFINITY, f64::max)
        }),
        OperatorSpec::Maxout { pieces } => {
            let shape = [&[x.shape[0] / pieces], &x.shape[1..]].concat();
            Array::from_fn(&shape, |i| {
                let piece = |p: usize| x.at(&[&[i[0] * pieces + p], &i[1..]].concat());
                (0..*pieces).map(piece).fold(f64::NEG_INFINITY, f64::max)
            })
        }
        other => panic!("no oracle for {other:?}"),
    }
}

/// Operators that move entries.
fn moved(spec: &OperatorSpec, operands: &[Array]) -> Array {
    let x = &operands[0];
    match spec {
        OperatorSpec::Concat { axis } => {
            let mut shape = x.shape.clone();
            shape[*axis] = operands.iter().map(|x| x.shape[*axis]).sum();
            Array::from_fn(&shape, |i| {
                let mut i = i.to_vec();
                for operand in operands {
                    if i[*axis] < operand.shape[*axis] {
                        return operand.at(&i);
                    }
                    i[*axis] -= operand.shape[*axis];
                }
                unreachable!()
            })
        }
        OperatorSpec::Flatten => Array {
            shape: vec![x.values.len()],
            values: x.values.clone(),
        },
        OperatorSpec::Pad {
            before,
            after,
            value,
        } => {
            let shape: Vec<usize> = (0..x.shape.len())
                .map(|d| before[d] + x.shape[d] + after[d])
                .collect();
            Array::from_fn(&shape, |i| {
                let inner: Option<Vec<usize>> = (0..i.len())
                    .map(|d| i[d].checked_sub(before[d]).filter(|j| *j < x.shape[d]))
                    .collect();
                inner.map_or(*value, |inner| x.at(&inner))
            })
        }
        OperatorSpec::Resample { axis, rows } => {
            let mut shape = x.shape.clone();
            shape[*axis] = rows.starts.len() - 1;
            Array::from_fn(&shape, |i| {
                let terms = rows.starts[i[*axis]] as usize..rows.starts[i[*axis] + 1] as usize;
                terms
                    .map(|term| {
                        let mut source = i.to_vec();
                        source[*axis] = rows.sources[term] as usize;
                        rows.weights.get(term).unwrap_or(&1.0) * x.at(&source)
                    })
                    .sum()
            })
        }
        OperatorSpec::Reshape { shape } => Array {
            shape: shape.clone(),
            values: x.values.clone(),
        },
        OperatorSpec::Select { axis, index } => {
            let mut shape = x.shape.clone();
            shape.remove(*axis);
            Array::from_fn(&shape, |i| {
                let mut i = i.to_vec();
                i.insert(*axis, *index);
                x.at(&i)
            })
        }
        OperatorSpec::Slice {
            axis,
            start,
            length,
        } => {
            let mut shape = x.shape.clone();
            shape[*axis] = *length;
            Array::from_fn(&shape, |i| {
                let mut i = i.to_vec();
                i[*axis] += start;
                x.at(&i)
            })
        }
        OperatorSpec::Transpose { permutation } => {
            let shape: Vec<usize> = permutation.iter().map(|p| x.shape[*p]).collect();
            Array::from_fn(&shape, |i| {
                let mut source = vec![0; i.len()];
                permutation.iter().zip(i).for_each(|(p, i)| source[*p] = *i);
                x.at(&source)
            })
        }
        other => panic!("no oracle for {other:?}"),
    }
}

fn elementwise(x: &Array, f: impl Fn(&[usize], f64) -> f64) -> Array {
    Array::from_fn(&x.shape, |index| f(index, x.at(index)))
}

/// The entry of a constant that NumPy would broadcast to position `index`.
fn broadcast(constant: &Array, index: &[usize]) -> f64 {
    let own = &index[index.len() - constant.shape.len()..];
    let own: Vec<usize> = own
        .iter()
        .zip(&constant.shape)
        .map(|(i, n)| if *n == 1 { 0 } else { *i })
        .collect();
    constant.at(&own)
}

fn convolution(config: &Conv2dConfig, parameters: &BTreeMap<String, Array>, x: &Array) -> Array {
    let Conv2dConfig {
        inputs,
        outputs,
        window,
        groups,
        ..
    } = config;
    let (fan, share) = (inputs / groups, outputs / groups);
    Array::from_fn(&output(window, x, *outputs), |i| {
        let group = i[0] / share;
        let term = |channel: usize, k: usize, l: usize| {
            let (row, column) = entry(window, i[1], i[2], k, l);
            let value = x.get(group * fan + channel, row, column).unwrap_or(0.0);
            parameters["weight"].at(&[i[0], channel, k, l]) * value
        };
        let sum: f64 = (0..fan)
            .flat_map(|c| over(window).map(move |(k, l)| (c, k, l)))
            .map(|(c, k, l)| term(c, k, l))
            .sum();
        sum + parameters.get("bias").map_or(0.0, |bias| bias.values[i[0]])
    })
}
