//! A sparse matrix as a model file stores it.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A sparse matrix row by row: the weights of a [`Resample`](crate::operators::Resample).
///
/// ```
/// use loclin_models::operators::SparseRows;
/// // Every second of five entries.
/// let rows = SparseRows::copies(5, [Some(0), Some(2), Some(4)]);
/// assert_eq!((rows.len(), rows.inputs), (3, 5));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SparseRows {
    /// The number of columns.
    pub inputs: usize,
    /// Where the terms of each row begin, and where those of the last end.
    pub starts: Vec<u32>,
    /// The column of each term.
    pub sources: Vec<u32>,
    /// The weight of each term; none if all are 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    /// How many numbers a plain evaluation adds up, or takes the mean of, where these rows are the last part of one over several dimensions;
    /// 0 where a row's own terms are all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub terms: u32,
    /// How many binary digits the coordinates have that a plain evaluation computes weights from, more than any type where they are no such
    /// numbers; 0 where it computes none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub digits: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl SparseRows {
    /// Rows that each copy one of `inputs` entries, or are 0.
    pub fn copies(inputs: usize, sources: impl IntoIterator<Item = Option<usize>>) -> Self {
        let mut rows = Self {
            inputs,
            starts: vec![0],
            sources: Vec::new(),
            weights: Vec::new(),
            terms: 0,
            digits: 0,
        };
        for source in sources {
            rows.sources.extend(source.map(|source| source as u32));
            rows.starts.push(rows.sources.len() as u32);
        }
        rows
    }

    /// Rows of pairs of an entry and its weight.
    pub fn weighted(inputs: usize, terms: impl IntoIterator<Item = Vec<(usize, f64)>>) -> Self {
        let mut rows = Self::copies(inputs, []);
        for row in terms {
            for (source, weight) in row {
                rows.sources.push(source as u32);
                rows.weights.push(weight);
            }
            rows.starts.push(rows.sources.len() as u32);
        }
        if rows.weights.iter().all(|weight| *weight == 1.0) {
            rows.weights.clear();
        }
        rows
    }

    /// The last part of a sum, or a mean, of so many numbers.
    pub(crate) fn of_terms(self, terms: usize) -> Self {
        let terms = u32::try_from(terms).unwrap_or(u32::MAX);
        Self { terms, ..self }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The terms of a row.
    pub(crate) fn span(&self, row: usize) -> Range<usize> {
        self.starts[row] as usize..self.starts[row + 1] as usize
    }

    /// The weight of a term.
    pub(crate) fn weight(&self, term: usize) -> f64 {
        self.weights.get(term).copied().unwrap_or(1.0)
    }

    /// The most terms of a row.
    pub(crate) fn longest(&self) -> usize {
        let lengths = self.starts.windows(2).map(|w| w[1] - w[0]);
        lengths.max().unwrap_or(0) as usize
    }

    /// The largest sum of absolute weights of a row.
    pub(crate) fn largest_sum(&self) -> f64 {
        let sum = |row| self.span(row).map(|term| self.weight(term).abs()).sum();
        (0..self.len()).map(sum).fold(0.0, f64::max)
    }

    /// With the absolute values of all weights.
    pub(crate) fn absolute(&self) -> Self {
        Self {
            weights: self.weights.iter().map(|weight| weight.abs()).collect(),
            ..self.clone()
        }
    }

    /// Whether every row is the entry of its own number.
    pub(crate) fn is_identity(&self) -> bool {
        self.len() == self.inputs
            && self.weights.is_empty()
            && self.sources.len() == self.inputs
            && self
                .sources
                .iter()
                .enumerate()
                .all(|(i, s)| i == *s as usize)
            && self.longest() == 1
    }

    /// The first entry and the number of entries, if the rows are neighbours in order.
    pub(crate) fn as_slice(&self) -> Option<(usize, usize)> {
        let first = *self.sources.first()?;
        let neighbours = (first..).zip(&self.sources).all(|(i, s)| i == *s);
        (neighbours && self.are_copies()).then_some((first as usize, self.len()))
    }

    /// Whether every row is one entry.
    pub(crate) fn are_copies(&self) -> bool {
        self.weights.is_empty() && self.starts.windows(2).all(|w| w[1] - w[0] == 1)
    }

    /// The transposed matrix.
    pub(crate) fn transposed(&self) -> Self {
        let mut starts = vec![0u32; self.inputs + 1];
        for source in &self.sources {
            starts[*source as usize + 1] += 1;
        }
        for column in 0..self.inputs {
            starts[column + 1] += starts[column];
        }
        let mut free = starts.clone();
        let mut sources = vec![0; self.sources.len()];
        let mut weights = vec![1.0; self.weights.len()];
        for row in 0..self.len() {
            for term in self.span(row) {
                let place = &mut free[self.sources[term] as usize];
                sources[*place as usize] = row as u32;
                if let Some(weight) = weights.get_mut(*place as usize) {
                    *weight = self.weights[term];
                }
                *place += 1;
            }
        }
        Self {
            inputs: self.len(),
            starts,
            sources,
            weights,
            terms: self.terms,
            digits: self.digits,
        }
    }

    /// Why it is no matrix with at least one row and one column, if it is none.
    pub(crate) fn check(&self) -> Result<(), String> {
        let terms = self.sources.len();
        let ordered = self.starts.is_sorted()
            && self.starts.first() == Some(&0)
            && self.starts.last().map(|end| *end as usize) == Some(terms);
        if !ordered || self.is_empty() || self.inputs == 0 || u32::try_from(self.inputs).is_err() {
            return Err(format!(
                "{} starts of rows of {terms} terms over {} entries",
                self.starts.len(),
                self.inputs
            ));
        }
        if let Some(source) = self.sources.iter().find(|s| **s as usize >= self.inputs) {
            return Err(format!("entry {source} of {}", self.inputs));
        }
        if !self.weights.is_empty() && self.weights.len() != terms {
            return Err(format!("{} weights for {terms} terms", self.weights.len()));
        }
        match self.weights.iter().find(|weight| !weight.is_finite()) {
            Some(weight) => Err(format!("a weight of {weight}")),
            None => Ok(()),
        }
    }
}
