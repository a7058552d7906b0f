//! Gradients of a group of neurons, pulled back until bounds exclude them or they are measured.

use crate::{
    Linearization, Result, Rows,
    by_lengths::{ByLengths, PullErrors},
    host::for_each_row,
    measure::{Aim, Known},
    nearest::distance,
};
use candle_core::Tensor;
use loclin_models::{Network, PatchPull, Trace};
use loclin_tensor::rounding::{UNIT, length_up, product_up, up_by};
use std::sync::Arc;

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
    /// What rounding has done, where absolute values do not say.
    pub(crate) rounding: Option<&'a ByLengths>,
    pub(crate) nearest: f64,
}

impl<'a> Limits<'a> {
    /// Before any distance is known.
    pub(crate) fn new(lipschitz: &'a [f64], rounding: Option<&'a ByLengths>) -> Self {
        Self {
            lipschitz,
            rounding,
            nearest: f64::INFINITY,
        }
    }
}

impl Limits<'_> {
    /// Of which nodes cotangents count for nothing where an activation is off: where rounding has done nothing there. What it has done
    /// reaches a neuron by its whole gradient with respect to that node.
    fn partial(&self, network: &Network) -> Arc<[bool]> {
        let is_exact = |node| self.rounding.is_none_or(|own| own.is_exact_at(node));
        (0..network.nodes().len()).map(is_exact).collect()
    }
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

/// A pull on its way.
struct Way<'a> {
    pull: PatchPull<'a>,
    rows: Vec<Row>,
}

/// One of its gradients.
#[derive(Debug, Clone)]
struct Row {
    position: usize,
    errors: PullErrors,
    /// The length of the cotangent at the node that is pulled through next.
    length: f64,
}

impl<'a> Way<'a> {
    /// Some of the rows, by their numbers.
    fn select(&self, rows: &[u32]) -> Result<Self> {
        Ok(Self {
            pull: self.pull.select(rows)?,
            rows: rows
                .iter()
                .map(|row| self.rows[*row as usize].clone())
                .collect(),
        })
    }

    /// The first and the second half of the rows.
    fn halves(&self) -> Result<[Self; 2]> {
        let rows: Vec<u32> = (0..self.rows.len() as u32).collect();
        let (first, second) = rows.split_at(rows.len() / 2);
        Ok([self.select(second)?, self.select(first)?])
    }
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
        let row = |position: &usize| Row {
            position: *position,
            errors: PullErrors::default(),
            length: 0.0,
        };
        let pull = trace.patch_pull(group.node, &neurons)?;
        let mut stack = vec![Way {
            pull: pull.leaving_out(limits.partial(self.network())),
            rows: group.positions.iter().map(row).collect(),
        }];
        while let Some(way) = stack.pop() {
            let Some(mut way) = self.near(aim, way, limits)? else {
                continue;
            };
            if way.rows.len() > 1 && way.pull.numbers() > self.most_numbers() {
                stack.extend(way.halves()?);
                continue;
            }
            if let Some((node, share)) = way.pull.next() {
                let each = self.prepared.cost.pull(node, node.saturating_sub(1));
                pulled.spent += way.rows.len() as f64 * share * each;
                if let Some(rounding) = limits.rounding {
                    for row in &mut way.rows {
                        rounding.pass(self.network(), (node, row.length), &mut row.errors);
                    }
                }
            }
            if way.pull.step()? {
                stack.push(way);
                continue;
            }
            for (at, found) in self.measured_rows(aim, &way, limits)? {
                limits.nearest = limits.nearest.min(found);
                pulled.measured.push((at, found));
            }
        }
        Ok(pulled)
    }

    /// The positions and distances of gradients that have come to the input.
    fn measured_rows(
        &self,
        aim: &Aim,
        way: &Way<'_>,
        limits: Limits<'_>,
    ) -> Result<Vec<(usize, f64)>> {
        let gradients = Rows::of_tensor(&way.pull.gradients()?.flatten_from(2)?.squeeze(0)?)?;
        let size = self.network().input_size();
        let distances = way
            .rows
            .iter()
            .zip(gradients.iter())
            .map(|(row, gradient)| {
                let known = match limits.rounding {
                    None => self.known(aim.input, row.position)?,
                    Some(rounding) => {
                        let computed = rounding.neurons[row.position];
                        let (_, value) = rounding.bounds(computed, std::iter::empty(), &row.errors);
                        let error = row.errors.of_gradient();
                        let longer = |q: crate::Norm| product_up(&[error, q.longer_than_l2(size)]);
                        Known {
                            value: value.max(0.0).copysign(computed),
                            errors: [longer(aim.norm.dual()), longer(crate::Norm::L1)],
                            constant: false,
                        }
                    }
                };
                Ok((row.position, self.measured(aim, known, gradient)?))
            });
        distances.collect()
    }

    /// What bounds do not exclude of a pull, if there is anything.
    fn near<'a>(&self, aim: &Aim, mut way: Way<'a>, limits: Limits<'_>) -> Result<Option<Way<'a>>> {
        let mut reached = Vec::new();
        for part in way.pull.reached() {
            reached.push((part.node, lengths(part.cotangents)?));
        }
        let errors = match (&self.rounding, limits.rounding) {
            (Some(rounding), None) => Some(&rounding.gradients()?[aim.input]),
            _ => None,
        };
        let longer = aim.norm.dual().longer_than_l2(self.network().input_size());
        let mut kept = Vec::new();
        for (number, row) in way.rows.iter_mut().enumerate() {
            let own = reached
                .iter()
                .map(|(node, lengths)| (*node, lengths[number]));
            row.length = own.clone().next_back().map_or(0.0, |(_, length)| length);
            let at = row.position;
            let (bound, value) = match limits.rounding {
                Some(rounding) => {
                    let computed = rounding.neurons[at];
                    rounding.bounds(computed, own, &row.errors)
                }
                None => {
                    let terms = own.map(|(node, length)| match length == 0.0 {
                        true => 0.0,
                        false => length * limits.lipschitz[node],
                    });
                    let bound = up_by(terms.sum(), 2 * reached.len() + 2);
                    (bound, self.clear[aim.input][at].abs())
                }
            };
            let error = errors.map_or(0.0, |errors| errors[at]);
            let least = distance(value, up_by(bound * longer + error, 3));
            if least <= limits.nearest || least.is_nan() {
                kept.push(number as u32);
            }
        }
        Ok(match kept.len() {
            0 => None,
            all if all == way.rows.len() => Some(way),
            _ => Some(way.select(&kept)?),
        })
    }

    /// Numbers that a pull may hold: those of groups at work at the same time, and what a step makes of them, fit the budget.
    fn most_numbers(&self) -> usize {
        let bytes = self.budget.bytes / self.network().dtype().size_in_bytes();
        bytes / (4 * rayon::current_num_threads())
    }
}

/// At least the length of each row of a tensor `[1, K, ...]`.
fn lengths(rows: &Tensor) -> Result<Vec<f64>> {
    let mut found = [Vec::new()];
    for_each_row(&rows.flatten_from(2)?, &mut found, |all, _, row| {
        all.push(length(row));
    })?;
    let [found] = found;
    Ok(found)
}

/// At least the length of a vector: [`length_up`] in one pass where no square vanishes or overflows that matters.
fn length(vector: &[f64]) -> f64 {
    let mut sums = [0f64; 8];
    let chunks = vector.chunks_exact(8);
    let mut sum: f64 = chunks.remainder().iter().map(|v| v * v).sum();
    for chunk in chunks {
        sums.iter_mut()
            .zip(chunk)
            .for_each(|(sum, v)| *sum += v * v);
    }
    sum += sums.iter().sum::<f64>();
    match sum > 1e-200 && sum < 1e200 {
        true => up_by(sum.sqrt(), vector.len() + 8) * (1.0 + 4.0 * UNIT),
        false => length_up(vector),
    }
}
