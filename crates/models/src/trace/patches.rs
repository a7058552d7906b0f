//! Cotangents that are pulled only where they are: gradients of neurons that begin at one position of an image.

use super::{Trace, pull::Reached};
use crate::{
    error::{Error, Result},
    operator::Operator,
    patch::Patch,
};
use candle_core::Tensor;
use std::sync::Arc;

/// A pull of some neurons of one node through the fixed-pattern network of one input, a node at a time.
///
/// As long as the operators know what a patch of positions reaches ([`crate::Affine::pull_patch`]), only that is pulled; behind
/// one that does not, whole images are. Rows can be dropped between steps, and a pull be split in two.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Parameters, architectures::ResNetConfig};
///
/// let config = ResNetConfig { width: 2, inputs: [3, 12, 12], ..ResNetConfig::resnet20(4) };
/// let network = config.build(Parameters::seeded(1).builder(DType::F64, &Device::Cpu))?;
/// let trace = network.trace(&Tensor::ones((1, 3, 12, 12), DType::F64, &Device::Cpu)?)?;
/// let node = trace.neuron_ranges()?[2].node;
/// let mut pull = trace.patch_pull(node, &[5 * 12 + 6])?;
/// while pull.step()? {}
/// let gradient = pull.gradients()?.flatten_all()?.to_vec1::<f64>()?;
///
/// let mut unit = vec![0f64; 2 * 12 * 12];
/// unit[5 * 12 + 6] = 1.0;
/// let whole = trace.pull_neurons(node, &Tensor::from_vec(unit, (1, 1, 2 * 12 * 12), &Device::Cpu)?)?;
/// let whole = whole.flatten_all()?.to_vec1::<f64>()?;
/// assert!(gradient.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-12));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct PatchPull<'a> {
    trace: &'a Trace,
    rows: usize,
    /// Of each node up to the last that has one, the cotangents of its output.
    parts: Vec<Option<Part>>,
    /// Of which nodes numbers may be left out; of none where it is empty.
    partial: Arc<[bool]>,
}

/// Cotangents of a node.
#[derive(Debug, Clone)]
struct Part {
    /// `[1, K, channels, h, w]` of a patch, `[1, K, shape...]` of the whole.
    cotangents: Tensor,
    patch: Option<Patch>,
}

impl Trace {
    /// A pull of the neurons number `neurons` of a piecewise-linear node; the trace must be of one input. Neurons at one position
    /// of an image are pulled together best.
    ///
    /// # Errors
    /// A node without neurons, none of them, or one that it does not have.
    pub fn patch_pull(&self, node: usize, neurons: &[usize]) -> Result<PatchPull<'_>> {
        let (operand, part) = match self.few_entries(node, neurons)? {
            Some(found) => found,
            None => {
                let width = self.neuron_count(node)?;
                let units = self.one_hot(neurons, width)?;
                let (operand, cotangents) = self.at_neurons(node, &units)?;
                let patch = None;
                (operand, Part { cotangents, patch })
            }
        };
        let mut parts = vec![None; operand];
        parts.push(Some(part));
        Ok(PatchPull {
            trace: self,
            rows: neurons.len(),
            parts,
            partial: Arc::default(),
        })
    }

    /// The beginning of neurons that are sums of a few entries of an image.
    fn few_entries(&self, node: usize, neurons: &[usize]) -> Result<Option<(usize, Part)>> {
        let nodes = self.network.nodes();
        let Some(Operator::PiecewiseLinear(operator)) = nodes.get(node).map(|node| &node.operator)
        else {
            return Ok(None);
        };
        let operand = nodes[node].operands[0];
        let &[channels, height, width] = &nodes[operand].shape[..] else {
            return Ok(None);
        };
        let Some(record) = &self.records[node] else {
            return Ok(None);
        };
        let terms = |neuron: &usize| operator.terms(*neuron, record, &nodes[operand].shape);
        let terms = neurons.iter().map(terms);
        let terms = terms.collect::<candle_core::Result<Option<Vec<_>>>>()?;
        let Some(terms) = terms else {
            return Ok(None);
        };
        let at = |entry: usize| [entry / width % height, entry % width];
        let patches = terms.iter().flatten().map(|(entry, _)| Patch {
            first: at(*entry),
            size: [1, 1],
        });
        let Some(patch) = patches.reduce(|a, b| a.union(&b)) else {
            return Ok(None);
        };
        let [rows, columns] = patch.size;
        let size = channels * rows * columns;
        let mut values = vec![0f64; neurons.len() * size];
        for (own, terms) in values.chunks_exact_mut(size).zip(&terms) {
            for (entry, factor) in terms {
                let [row, column] = at(*entry);
                let (row, column) = (row - patch.first[0], column - patch.first[1]);
                own[(entry / (height * width) * rows + row) * columns + column] += factor;
            }
        }
        let shape = (1, neurons.len(), channels, rows, columns);
        let cotangents = Tensor::from_vec(values, shape, self.network.device())?;
        let cotangents = cotangents.to_dtype(self.network.dtype())?;
        let patch = Some(patch);
        Ok(Some((operand, Part { cotangents, patch })))
    }

    /// The position in its image, row by row, that a neuron of a piecewise-linear node is about: [`Trace::patch_pull`] pulls neurons
    /// of one position together best. `None` where it is none of an image, or more entries of one than a few.
    ///
    /// # Errors
    /// A record of another operator.
    pub fn place(&self, node: usize, neuron: usize) -> Result<Option<usize>> {
        let nodes = self.network.nodes();
        let (Some(Operator::PiecewiseLinear(operator)), Some(Some(record))) = (
            nodes.get(node).map(|node| &node.operator),
            self.records.get(node),
        ) else {
            return Ok(None);
        };
        let shape = &nodes[nodes[node].operands[0]].shape;
        let &[_, height, width] = &shape[..] else {
            return Ok(None);
        };
        let terms = operator.terms(neuron, record, shape)?;
        let first = terms.and_then(|terms| terms.first().map(|(entry, _)| *entry));
        Ok(first.map(|entry| entry % (height * width)))
    }

    fn neuron_count(&self, node: usize) -> Result<usize> {
        match self.records.get(node) {
            Some(Some(record)) => Ok(record.pre_activations().dim(1)?),
            _ => Err(Error::Graph(format!("node {node} has no neurons"))),
        }
    }

    /// Unit vectors `[1, K, width]`.
    fn one_hot(&self, places: &[usize], width: usize) -> Result<Tensor> {
        let mut values = vec![0f32; places.len() * width];
        for (row, place) in places.iter().enumerate() {
            if *place >= width {
                return Err(Error::Graph(format!("neuron {place} of {width}")));
            }
            values[row * width + place] = 1.0;
        }
        let (network, shape) = (&self.network, (1, places.len(), width));
        let units = Tensor::from_vec(values, shape, network.device())?;
        Ok(units.to_dtype(network.dtype())?)
    }
}

impl PatchPull<'_> {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The same pull, but that of the nodes for which `partial` is true, one entry for each node, those cotangents may be 0 instead that an
    /// activation multiplies with 0 next. That takes less time, and gradients are the same.
    #[must_use]
    pub fn leaving_out(self, partial: Arc<[bool]>) -> Self {
        Self { partial, ..self }
    }

    /// The cotangents that the pull has come to, of patches or whole. Their lengths are those of the whole.
    pub fn reached(&self) -> impl Iterator<Item = Reached<'_>> {
        self.parts.iter().enumerate().filter_map(|(node, part)| {
            let cotangents = &part.as_ref()?.cotangents;
            Some(Reached { node, cotangents })
        })
    }

    /// The node that is pulled through next, and what share of its output's numbers the cotangents are of.
    pub fn next(&self) -> Option<(usize, f64)> {
        let last = self.parts.iter().rposition(Option::is_some)?;
        let part = self.parts[last].as_ref()?;
        let size = self.trace.network.nodes()[last]
            .shape
            .iter()
            .product::<usize>()
            * self.rows;
        let share = part.cotangents.elem_count() as f64 / size.max(1) as f64;
        (last > 0).then_some((last, share))
    }

    /// Numbers that it holds.
    pub fn numbers(&self) -> usize {
        let parts = self.parts.iter().flatten();
        parts.map(|part| part.cotangents.elem_count()).sum()
    }

    /// Pulls through the last node that has been reached; whether there was one other than the input.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn step(&mut self) -> Result<bool> {
        while self.parts.len() > 1 && self.parts.last().is_some_and(Option::is_none) {
            self.parts.pop();
        }
        if self.parts.len() <= 1 {
            return Ok(false);
        }
        let Some(Some(part)) = self.parts.pop() else {
            return Ok(false);
        };
        let nodes = self.trace.network.nodes();
        let index = self.parts.len();
        let pulled = self.pulled(index, part)?;
        for (&operand, part) in nodes[index].operands.iter().zip(pulled) {
            self.parts[operand] = Some(match self.parts[operand].take() {
                None => part,
                Some(sum) => added(sum, part, &nodes[operand].shape)?,
            });
        }
        Ok(true)
    }

    /// The cotangents of a node's operands.
    fn pulled(&self, index: usize, part: Part) -> Result<Vec<Part>> {
        let nodes = self.trace.network.nodes();
        let node = &nodes[index];
        let shapes: Vec<&[usize]> = node.operands.iter().map(|&i| &nodes[i].shape[..]).collect();
        let record = self.trace.records[index].as_ref();
        if let Some(patch) = &part.patch {
            let pulled = match (&node.operator, record) {
                (Operator::Affine(operator), _) => {
                    let wanted = node.operands.iter().map(|&i| self.slopes(i));
                    let wanted = wanted.collect::<Result<Vec<_>>>()?;
                    operator.pull_patch(&part.cotangents, patch, &shapes, &wanted)?
                }
                (Operator::PiecewiseLinear(operator), Some(record)) => operator
                    .pull_patch(&part.cotangents, patch, record, shapes[0])?
                    .map(|pulled| vec![pulled]),
                _ => None,
            };
            if let Some(pulled) = pulled {
                let own = |(cotangents, patch)| Part {
                    cotangents,
                    patch: Some(patch),
                };
                return Ok(pulled.into_iter().map(own).collect());
            }
        }
        let whole = whole(&part, &node.shape)?;
        let pulled = match (&node.operator, record) {
            (Operator::Affine(operator), _) => operator.pull(&whole, &shapes)?,
            (Operator::PiecewiseLinear(operator), Some(record)) => {
                vec![operator.pull(&whole, record, shapes[0])?]
            }
            _ => Vec::new(),
        };
        let own = |cotangents| Part {
            cotangents,
            patch: None,
        };
        Ok(pulled.into_iter().map(own).collect())
    }

    /// What the cotangents of a node's output are multiplied with next, if it is an activation of which numbers may be left out.
    fn slopes(&self, index: usize) -> Result<Option<Tensor>> {
        let is_partial = self.partial.get(index) == Some(&true);
        let Some(record) = self.trace.records[index].as_ref().filter(|_| is_partial) else {
            return Ok(None);
        };
        let slopes = record.slopes()?.map(|slopes| slopes.squeeze(0));
        Ok(slopes.transpose()?)
    }

    /// Keeps some of the rows, by their numbers.
    ///
    /// # Errors
    /// A row that there is not.
    pub fn select(&self, rows: &[u32]) -> Result<Self> {
        let index = Tensor::new(rows, self.trace.network.device())?;
        let select = |part: &Option<Part>| match part {
            None => Ok(None),
            Some(part) => {
                let cotangents = part.cotangents.contiguous()?.index_select(&index, 1)?;
                let patch = part.patch;
                Ok(Some(Part { cotangents, patch }))
            }
        };
        let parts = self.parts.iter().map(select);
        Ok(Self {
            trace: self.trace,
            rows: rows.len(),
            parts: parts.collect::<Result<_>>()?,
            partial: Arc::clone(&self.partial),
        })
    }

    /// At the end the gradients, `[1, K, in...]`.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn gradients(&self) -> Result<Tensor> {
        let network = &self.trace.network;
        match self.parts.first() {
            Some(Some(part)) if self.parts.len() == 1 => whole(part, network.input_shape()),
            _ => self.trace.no_cotangent(self.rows),
        }
    }
}

/// Cotangents of all positions.
fn whole(part: &Part, shape: &[usize]) -> Result<Tensor> {
    match (&part.patch, shape) {
        (Some(patch), &[_, height, width]) => Ok(patch.within(&part.cotangents, [height, width])?),
        _ => Ok(part.cotangents.clone()),
    }
}

/// The sum of cotangents of a node of this shape.
fn added(a: Part, b: Part, shape: &[usize]) -> Result<Part> {
    Ok(match (&a.patch, &b.patch) {
        (Some(of_a), Some(of_b)) => {
            let patch = of_a.union(of_b);
            let a = patch.widened(&a.cotangents, of_a)?;
            Part {
                cotangents: (a + patch.widened(&b.cotangents, of_b)?)?,
                patch: Some(patch),
            }
        }
        _ => Part {
            cotangents: (whole(&a, shape)? + whole(&b, shape)?)?,
            patch: None,
        },
    })
}
