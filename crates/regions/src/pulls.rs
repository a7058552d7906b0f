//! Gradients of a group of neurons, pulled back until bounds exclude them or they are measured.

use crate::{
    Linearization, Result, Rows,
    measure::Aim,
    nearest::distance,
};
use candle_core::{DType, Tensor};
use loclin_models::{PatchPull, Trace};
use loclin_tensor::{
    product::slice,
    rounding::{UNIT, length_up, up_by},
};

/// Neurons of one node that are pulled together.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    node: usize,
    positions: Vec<usize>,
    least: f64,
}

impl Group {
    pub(crate) fn new(node: usize) -> Self {
        Self {
            node,
            positions: Vec::new(),
            least: f64::INFINITY,
        }
    }

    /// Adds the neuron at a position, whose distance is at least `least`.
    pub(crate) fn add(&mut self, position: usize, least: f64) {
        self.positions.push(position);
        self.least = self.least.min(least);
    }

    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }

    pub(crate) fn node(&self) -> usize {
        self.node
    }

    /// No neuron of the group is nearer.
    pub(crate) fn least(&self) -> f64 {
        self.least
    }
}

/// What excludes a neuron while its gradient is being pulled: its distance is more than `nearest` by the nodes' Lipschitz bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits<'a> {
    pub(crate) lipschitz: &'a [f64],
    pub(crate) nearest: f64,
}

/// What pulling a group came to.
#[derive(Debug, Default)]
pub(crate) struct Pulled {
    /// Positions and distances of the neurons that were measured.
    pub(crate) measured: Vec<(usize, f64)>,
    /// How many gradients were begun.
    pub(crate) gradients: usize,
    /// Multiply-adds.
    pub(crate) spent: f64,
}

impl Linearization {
    /// Pulls the gradients of a group.
    pub(crate) fn pull_group(
        &self,
        trace: &Trace,
        aim: &Aim,
        group: &Group,
        mut limits: Limits<'_>,
    ) -> Result<Pulled> {
        let mut pulled = Pulled::default();
        if group.least > limits.nearest {
            return Ok(pulled);
        }
        pulled.gradients = group.len();
        let range = self.ranges.iter().find(|range| range.node == group.node);
        let start = range.map_or(0, |range| range.start);
        let neurons: Vec<usize> = group.positions.iter().map(|at| at - start).collect();
        let first = trace.patch_pull(group.node, &neurons)?;
        let mut stack = vec![(first, group.positions.clone())];
        while let Some((pull, positions)) = stack.pop() {
            let Some((pull, positions)) = self.excluded(aim, pull, positions, limits)? else {
                continue;
            };
            if pull.rows() > 1 && pull.numbers() > self.most_numbers() {
                stack.extend(halves(&pull, &positions)?);
                continue;
            }
            let mut pull = pull;
            if let Some((node, share)) = pull.next() {
                let each = self.prepared.cost.pull(node, node.saturating_sub(1));
                pulled.spent += pull.rows() as f64 * share * each;
            }
            if pull.step()? {
                stack.push((pull, positions));
                continue;
            }
            let gradients = Rows::of_tensor(&pull.gradients()?.flatten_from(2)?.squeeze(0)?)?;
            for (at, gradient) in positions.into_iter().zip(gradients.iter()) {
                let found = self.measured(aim, at, gradient)?;
                limits.nearest = limits.nearest.min(found);
                pulled.measured.push((at, found));
            }
        }
        Ok(pulled)
    }

    /// The rows of a pull that bounds do not exclude, if there are any.
    fn excluded<'a>(
        &self,
        aim: &Aim,
        pull: PatchPull<'a>,
        positions: Vec<usize>,
        limits: Limits<'_>,
    ) -> Result<Option<(PatchPull<'a>, Vec<usize>)>> {
        let values = &self.clear[aim.input];
        let errors = self.gradient_errors(aim.input)?;
        let longer = aim.norm.dual().longer_than_l2(self.network().input_size());
        let bounds = bounds(&pull, limits.lipschitz)?;
        let near = |row: &u32| {
            let at = positions[*row as usize];
            let bound = bounds[*row as usize] * longer;
            let least = distance(values[at].abs(), up_by(bound + errors[at], 3));
            least <= limits.nearest || least.is_nan()
        };
        let kept: Vec<u32> = (0..positions.len() as u32).filter(near).collect();
        Ok(match kept.len() {
            0 => None,
            all if all == positions.len() => Some((pull, positions)),
            _ => {
                let positions = kept.iter().map(|row| positions[*row as usize]);
                let positions = positions.collect();
                Some((pull.select(&kept)?, positions))
            }
        })
    }

    /// Numbers that a pull may hold: those of groups at work at the same time, and what a step makes of them, fit the budget.
    fn most_numbers(&self) -> usize {
        let bytes = self.budget.bytes / self.network().dtype().size_in_bytes();
        bytes / (4 * rayon::current_num_threads())
    }
}

/// The first and the second half of the rows.
fn halves<'a>(
    pull: &PatchPull<'a>,
    positions: &[usize],
) -> Result<[(PatchPull<'a>, Vec<usize>); 2]> {
    let middle = positions.len() / 2;
    let rows: Vec<u32> = (0..positions.len() as u32).collect();
    let (first, second) = rows.split_at(middle);
    Ok([
        (pull.select(second)?, positions[middle..].to_vec()),
        (pull.select(first)?, positions[..middle].to_vec()),
    ])
}

/// Upper bounds on the lengths of the gradients that are being pulled.
fn bounds(pull: &PatchPull<'_>, lipschitz: &[f64]) -> Result<Vec<f64>> {
    let mut bounds = vec![0.0; pull.rows()];
    for reached in pull.reached() {
        let lengths = lengths(reached.cotangents)?;
        let terms = lengths.iter().map(|length| match *length == 0.0 {
            true => 0.0,
            false => length * lipschitz[reached.node],
        });
        bounds.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
    }
    let terms = pull.reached().count() + 2;
    bounds.iter_mut().for_each(|bound| *bound = up_by(*bound, terms));
    Ok(bounds)
}

/// At least the length of each row of a tensor `[1, K, ...]`.
fn lengths(rows: &Tensor) -> Result<Vec<f64>> {
    let count = rows.dim(1)?;
    let rows = rows.to_device(&candle_core::Device::Cpu)?.to_dtype(DType::F64)?.contiguous()?;
    let (storage, layout) = rows.storage_and_layout();
    let numbers = slice::<f64>(&storage, layout)?;
    let width = (numbers.len() / count.max(1)).max(1);
    Ok(numbers.chunks_exact(width).map(length).collect())
}

/// At least the length of a vector: [`length_up`] in one pass where no square vanishes or overflows that matters.
fn length(vector: &[f64]) -> f64 {
    let mut sums = [0f64; 8];
    let chunks = vector.chunks_exact(8);
    let mut sum: f64 = chunks.remainder().iter().map(|v| v * v).sum();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, v)| *sum += v * v);
    }
    sum += sums.iter().sum::<f64>();
    match sum > 1e-200 && sum < 1e200 {
        true => up_by(sum.sqrt(), vector.len() + 8) * (1.0 + 4.0 * UNIT),
        false => length_up(vector),
    }
}
