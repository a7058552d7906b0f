//! Neurons that compare a number with itself, and so are 0 on a whole region.

use super::Trace;
use crate::{
    error::Result,
    network::{Network, Node},
    operator::{Affine, Alternatives, Made, Operator},
    spec::OperatorSpec,
    window::Window2d,
};
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;

/// Stands for one function of the input: entries with the same are equal on the whole region of an input.
type Label = u64;

/// What an entry of a result is, whatever the operand.
#[derive(Clone, Copy)]
enum Entry {
    /// This entry of the operands, one after the other.
    Copy(usize),
    /// A number.
    Constant(f64),
    /// A function of the entry of the operand at the same place; equal keys are equal functions.
    Of([u64; 2]),
    /// The same: the product with the first number, plus the second.
    Line([f64; 2]),
    /// Something else.
    New,
}

/// What tells functions apart.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Constant(u64),
    /// A function of a label, by the node and what the node says of it.
    Of(usize, [u64; 2], Label),
    /// Several labels in their order.
    List(Vec<Label>),
}

/// Stands for what is not there: padding.
const ABSENT: Label = 0;

/// An operator that does the same to what it sees at every position of an image.
struct Sliding {
    window: Window2d,
    groups: usize,
    outputs: usize,
    /// Whether 0 is made of zeros.
    keeps_zero: bool,
}

impl Sliding {
    fn of(operator: &dyn Affine, channels: usize) -> Option<Self> {
        match operator.spec()? {
            OperatorSpec::Conv2d(config) => Some(Self {
                window: config.window,
                groups: config.groups,
                outputs: config.outputs,
                keeps_zero: !config.bias,
            }),
            OperatorSpec::AvgPool2d { window, .. } => Some(Self {
                window,
                groups: channels,
                outputs: channels,
                keeps_zero: true,
            }),
            _ => None,
        }
    }

    /// The labels of the result `output` of a node, given those of its operand: equal where equal numbers are seen.
    fn labels(
        &self,
        node: usize,
        (below, operand): (&[Label], &[usize]),
        output: &[usize],
        labels: &mut Labels,
    ) -> Vec<Label> {
        let (&[channels, height, width], &[_, rows, columns]) = (operand, output) else {
            return (0..output.iter().product())
                .map(|_| labels.fresh())
                .collect();
        };
        let own = channels / self.groups;
        let zero = labels.constant(0.0);
        let mut found = Vec::with_capacity(output.iter().product());
        for group in 0..self.groups {
            // One label for the numbers of a position.
            let at = |position: usize| {
                (0..own).map(move |c| (group * own + c) * height * width + position)
            };
            let mut position = |place: usize| match own {
                1 => below[at(place).next().unwrap_or_default()],
                _ => labels.of(Key::List(at(place).map(|entry| below[entry]).collect())),
            };
            let seen: Vec<Label> = (0..height * width).map(&mut position).collect();
            let zeros = match own {
                1 => zero,
                _ => labels.of(Key::List(vec![zero; own])),
            };
            let mut windows = Vec::with_capacity(rows * columns);
            for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |c| (row, c))) {
                let taps = self.taps(0, row, height);
                let taps = taps.flat_map(|r| self.taps(1, column, width).map(move |c| (r, c)));
                let label = |tap| match tap {
                    (Some(row), Some(column)) => seen[row * width + column],
                    _ => ABSENT,
                };
                let taps: Vec<Label> = taps.map(label).collect();
                let is_zero = |tap: &Label| [ABSENT, zero, zeros].contains(tap);
                windows.push(match self.keeps_zero && taps.iter().all(is_zero) {
                    true => None,
                    false => Some(labels.of(Key::List(taps))),
                });
            }
            let each = self.outputs / self.groups;
            for channel in group * each..(group + 1) * each {
                let of = |window: &Option<Label>| match window {
                    Some(window) => labels.of(Key::Of(node, [channel as u64, 0], *window)),
                    None => zero,
                };
                found.extend(windows.iter().map(of));
            }
        }
        found
    }

    /// The entries along an axis that a position sees, `None` for padding.
    fn taps(
        &self,
        axis: usize,
        position: usize,
        n: usize,
    ) -> impl Iterator<Item = Option<usize>> + Clone {
        let Window2d {
            stride,
            padding,
            dilation,
            kernel,
        } = &self.window;
        let (first, step) = (position * stride[axis], dilation[axis]);
        let before = padding[axis][0];
        (0..kernel[axis]).map(move |tap| {
            let entry = (first + tap * step).checked_sub(before)?;
            (entry < n).then_some(entry)
        })
    }
}

/// The labels that were given.
#[derive(Default)]
struct Labels {
    known: HashMap<Key, Label>,
    /// Each label that was negated and its negative, both ways.
    negative: HashMap<Label, Label>,
    next: Label,
}

impl Labels {
    fn fresh(&mut self) -> Label {
        self.next += 1;
        self.next
    }

    /// That of a number; 0 and -0 are one.
    fn constant(&mut self, number: f64) -> Label {
        self.of(constant(number))
    }

    /// Whether a label is that of a number.
    fn is_constant(&self, label: Label, number: f64) -> bool {
        self.known.get(&constant(number)) == Some(&label)
    }

    /// That of the negative, which is a number's own again after two.
    fn negated(&mut self, label: Label) -> Label {
        if let Some(known) = self.negative.get(&label) {
            return *known;
        }
        let negative = self.fresh();
        self.negative.insert(label, negative);
        self.negative.insert(negative, label);
        negative
    }

    fn of(&mut self, key: Key) -> Label {
        let next = &mut self.next;
        *self.known.entry(key).or_insert_with(|| {
            *next += 1;
            *next
        })
    }
}

fn constant(number: f64) -> Key {
    Key::Constant((number + 0.0).to_bits())
}

impl Trace {
    /// Of each of some inputs, of about so many of its first neurons, those, by their positions among all, that are 0 on the whole region because they compare a number with
    /// itself: a largest of several among which one occurs twice, as where max pools overlap that overlap, above repeated entries
    /// or paddings, or of `x` and `relu(x)`; and a constant at a breakpoint, as a ReLU of what a ReLU has made 0. Found by following entries that
    /// are selected, moved, repeated, scaled and shifted, and convolutions and means of what is equal in a whole window; what other
    /// layers give is always taken to be different. Where the recorded pattern is the input's, this is exact.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn equal_neurons(&self, asked: &[(usize, usize)]) -> Result<Vec<Vec<usize>>> {
        let ranges = self.neuron_ranges()?;
        // The nodes before the first with none but later neurons.
        let before = |neurons: usize| {
            let later = ranges.iter().find(|range| range.start >= neurons);
            later.map_or(self.records.len(), |range| range.node)
        };
        let most = asked.iter().map(|(_, neurons)| before(*neurons)).max();
        let entries = self.entries(most.unwrap_or(0))?;
        let found = asked.iter();
        let found =
            found.map(|(input, neurons)| self.equal_at(*input, &entries[..before(*neurons)]));
        found.collect()
    }

    /// What the result of each of the first affine nodes is made of; `None` where that is always something else.
    fn entries(&self, first: usize) -> Result<Vec<Option<Vec<Entry>>>> {
        let nodes = self.network.nodes();
        let of = |node: &Node| match &node.operator {
            Operator::Affine(operator) => {
                let operands = node.operands.iter().map(|at| &nodes[*at].shape[..]);
                let operands: Vec<_> = operands.collect();
                entries(&self.network, &**operator, &operands, &node.shape)
            }
            _ => Ok(None),
        };
        nodes[..first].iter().map(of).collect()
    }

    fn equal_at(&self, input: usize, entries: &[Option<Vec<Entry>>]) -> Result<Vec<usize>> {
        let nodes = self.network.nodes();
        let mut labels = Labels::default();
        let mut of_nodes: Vec<Vec<Label>> = Vec::with_capacity(nodes.len());
        let (mut equal, mut start) = (Vec::new(), 0);
        for (index, node) in nodes.iter().enumerate().take(entries.len()) {
            let size = node.shape.iter().product();
            let own = match (&node.operator, &self.records[index], &entries[index]) {
                (Operator::PiecewiseLinear(operator), Some(record), _) => {
                    let operand = node.operands[0];
                    let below = &of_nodes[operand];
                    let pieces = record.pieces()?.get(input)?.to_dtype(DType::U32)?;
                    let pieces = pieces.flatten_all()?.to_vec1::<u32>()?;
                    let first = start;
                    start += record.pre_activations().dim(1)?;
                    match operator.alternatives(&nodes[operand].shape)? {
                        Some(Alternatives::Largest(groups)) => {
                            let mut at = first;
                            let mut chosen = Vec::with_capacity(groups.len());
                            for (group, rank) in groups.iter().zip(pieces) {
                                let selected = below[group[rank as usize] as usize];
                                for (place, member) in group.iter().enumerate() {
                                    if place != rank as usize {
                                        let same = below[*member as usize] == selected;
                                        equal.extend(same.then_some(at));
                                        at += 1;
                                    }
                                }
                                chosen.push(selected);
                            }
                            chosen
                        }
                        Some(lines) => {
                            // A constant at a breakpoint stays there.
                            for (boundary, breakpoint) in breakpoints(&lines).iter().enumerate() {
                                let stays =
                                    |at: &usize| labels.is_constant(below[*at], *breakpoint);
                                let neurons = (0..size).filter(stays);
                                equal.extend(neurons.map(|at| first + boundary * size + at));
                            }
                            let line = |(at, piece): (usize, u32)| {
                                let entry = line(&lines, at, piece as usize);
                                labelled(entry, index, at, below, &mut labels)
                            };
                            pieces.into_iter().enumerate().map(line).collect()
                        }
                        None => (0..size).map(|_| labels.fresh()).collect(),
                    }
                }
                (_, _, Some(entries)) => {
                    let below: Vec<Label> = (node.operands.iter())
                        .flat_map(|at| of_nodes[*at].iter().copied())
                        .collect();
                    let entry = |(at, entry): (usize, &Entry)| {
                        labelled(*entry, index, at, &below, &mut labels)
                    };
                    entries.iter().enumerate().map(entry).collect()
                }
                (Operator::Affine(operator), ..) => {
                    let operand = node.operands[0];
                    let (below, shape) = (&of_nodes[operand], &nodes[operand].shape);
                    // Labels that rise are all different.
                    let sliding = Sliding::of(&**operator, shape[0]);
                    match sliding.filter(|_| !below.is_sorted_by(|a, b| a < b)) {
                        Some(sliding) => {
                            sliding.labels(index, (below, shape), &node.shape, &mut labels)
                        }
                        None => (0..size).map(|_| labels.fresh()).collect(),
                    }
                }
                _ => (0..size).map(|_| labels.fresh()).collect(),
            };
            of_nodes.push(own);
        }
        Ok(equal)
    }
}

/// The label of entry `at` of a node's result.
fn labelled(entry: Entry, node: usize, at: usize, below: &[Label], labels: &mut Labels) -> Label {
    match entry {
        Entry::Copy(source) => below[source],
        Entry::Constant(number) => labels.constant(number),
        Entry::Line([_, shift]) if labels.is_constant(below[at], 0.0) => labels.constant(shift),
        Entry::Line([-1.0, 0.0]) => labels.negated(below[at]),
        Entry::Line(line) => labels.of(Key::Of(node, line.map(f64::to_bits), below[at])),
        Entry::Of(function) => labels.of(Key::Of(node, function, below[at])),
        Entry::New => labels.fresh(),
    }
}

/// The breakpoints of functions of one number.
fn breakpoints(of: &Alternatives) -> &[f64] {
    match of {
        Alternatives::Lines { breakpoints, .. } => breakpoints,
        Alternatives::Largest(_) => &[],
    }
}

/// What a piece of a function of one number makes of the entry `at`.
fn line(lines: &Alternatives, at: usize, piece: usize) -> Entry {
    let Alternatives::Lines {
        breakpoints,
        slopes,
        anchor,
    } = lines
    else {
        return Entry::New;
    };
    let own = if slopes.len() == 1 {
        &slopes[0]
    } else {
        &slopes[at]
    };
    let slope = own[piece];
    // The pieces beside the first breakpoint go through its value.
    let is_beside = piece < 2;
    match slope {
        1.0 if is_beside && breakpoints[0] == *anchor => Entry::Copy(at),
        0.0 if is_beside => Entry::Constant(*anchor),
        // The function is said by all slopes up to the piece: those of one list, or of this entry.
        _ if slopes.len() == 1 => Entry::Of([piece as u64, 0]),
        _ if is_beside => Entry::Of([piece as u64, slope.to_bits()]),
        _ => Entry::New,
    }
}

/// What the entries of an affine operator's result are; `None` where all are something else.
fn entries(
    network: &Network,
    operator: &dyn Affine,
    operands: &[&[usize]],
    output: &[usize],
) -> Result<Option<Vec<Entry>>> {
    let size = output.iter().product::<usize>();
    let offsets = || -> Result<Vec<f64>> {
        Ok(match operator.offset(output)? {
            Some(offset) => {
                let whole = offset.broadcast_as([&[1], output].concat())?;
                whole.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?
            }
            None => vec![0.0; size],
        })
    };
    if operator.channel_scale()?.is_some() {
        // One factor for each channel.
        let each = (size / output.first().copied().unwrap_or(1).max(1)).max(1);
        let all = offsets()?.into_iter().enumerate();
        let of = |(at, offset): (usize, f64)| Entry::Of([(at / each) as u64, offset.to_bits()]);
        return Ok(Some(all.map(of).collect()));
    }
    match operator.made() {
        Made::Normalized | Made::Mixed => return Ok(None),
        Made::Scaled => {
            let (dtype, device) = (network.dtype(), network.device());
            let ones = Tensor::ones([&[1, 1], output].concat(), dtype, device)?;
            let pushed = operator.push(&[&ones])?.to_dtype(DType::F64)?;
            let pushed = pushed.flatten_all()?.to_vec1::<f64>()?;
            let both = pushed.into_iter().zip(offsets()?);
            let of = both.map(|(scale, shift)| Entry::Line([scale, shift]));
            return Ok(Some(of.collect()));
        }
        Made::Moved => {}
    }
    // Numbers that count up and down tell where each comes from.
    let total: usize = operands
        .iter()
        .map(|shape| shape.iter().product::<usize>())
        .sum();
    let mut before = 0;
    let numbered = |shape: &&[usize]| -> Result<Tensor> {
        let count = shape.iter().product::<usize>();
        let up = (1..=count).map(|at| (before + at) as f64);
        let down = (1..=count).map(|at| (total + 1 - before - at) as f64);
        let both: Vec<f64> = up.chain(down).collect();
        before += count;
        Ok(Tensor::from_vec(
            both,
            [&[1, 2], *shape].concat(),
            &Device::Cpu,
        )?)
    };
    let numbered = operands.iter().map(numbered).collect::<Result<Vec<_>>>()?;
    let pushed = operator.push(&numbered.iter().collect::<Vec<_>>())?;
    let pushed = pushed.flatten_all()?.to_vec1::<f64>()?;
    let (up, down) = pushed.split_at(size);
    let of = |((up, down), offset): ((&f64, &f64), f64)| match (*up, *down) {
        (0.0, 0.0) => Entry::Constant(offset),
        (up, down)
            if up + down == (total + 1) as f64
                && up.fract() == 0.0
                && up >= 1.0
                && offset == 0.0 =>
        {
            Entry::Copy(up as usize - 1)
        }
        _ => Entry::New,
    };
    Ok(Some(up.iter().zip(down).zip(offsets()?).map(of).collect()))
}
