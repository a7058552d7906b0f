//! The solver behind parts in which every unit's selection is decided: all is linear there. What it says is accepted only after
//! a check: points by evaluation, factors by [`ReducedNetwork::relaxed`].

use super::{
    network::{ReducedNetwork, add_scaled},
    part::{Condition, Part},
    state::Selection,
};
use crate::Norm;
use clarabel::{
    algebra::CscMatrix,
    solver::{
        DefaultSettingsBuilder, DefaultSolver, IPSolver,
        SupportedConeT::{NonnegativeConeT, SecondOrderConeT},
    },
};

/// A point of a part and factors of its conditions, as the solver says.
#[derive(Debug)]
pub(crate) struct Solved {
    pub(crate) point: Vec<f64>,
    pub(crate) factors: Vec<f64>,
}

/// A linear function of the deviation.
#[derive(Debug, Clone)]
struct Row {
    constant: f64,
    linear: Vec<f64>,
}

/// Entries of a matrix by columns.
struct Columns {
    columns: Vec<Vec<(usize, f64)>>,
    right: Vec<f64>,
}

impl ReducedNetwork {
    /// The point of a part at which an objective is largest or, without one, that is furthest from all boundaries; and the factors
    /// of the conditions that prove it. `None` where the solver has no answer, or there is none for the norm.
    pub(crate) fn solve(
        &self,
        part: &Part,
        conditions: &[Condition],
        objective: Option<&[f64]>,
    ) -> Option<Solved> {
        let size = self.members.first()?.gradient.len();
        let rows: Vec<Row> = conditions
            .iter()
            .map(|own| self.row(own, part, size))
            .collect();
        let scale = |row: &Row| row.linear.iter().map(|v| v.abs()).sum::<f64>();
        let scales: Vec<f64> = rows.iter().map(scale).collect();
        let depth = usize::from(objective.is_none());
        let norm = self.ball.norm();
        let lengths = if norm == Norm::L1 { size } else { 0 };
        let variables = size + depth + lengths;
        let mut matrix = Columns {
            columns: vec![Vec::new(); variables],
            right: Vec::new(),
        };
        for (row, scale) in rows.iter().zip(&scales) {
            let linear = row.linear.iter().enumerate();
            let linear = linear.filter(|(_, v)| **v != 0.0).map(|(at, v)| (at, -v));
            let depth = (depth == 1).then_some((size, *scale));
            matrix.add(linear.chain(depth), row.constant);
        }
        for at in 0..size {
            for sign in [1.0, -1.0] {
                let end = self.ball.end(at, sign);
                if end.is_finite() {
                    matrix.add([(at, sign)], end);
                }
            }
        }
        if norm == Norm::L1 {
            let first = size + depth;
            for at in 0..size {
                matrix.add([(at, 1.0), (first + at, -1.0)], 0.0);
                matrix.add([(at, -1.0), (first + at, -1.0)], 0.0);
            }
            matrix.add((0..size).map(|at| (first + at, 1.0)), self.ball.radius());
        }
        let mut cones = vec![NonnegativeConeT(matrix.right.len())];
        match norm {
            Norm::L1 | Norm::LINF => {}
            Norm::L2 => {
                matrix.add([], self.ball.radius());
                (0..size).for_each(|at| matrix.add([(at, -1.0)], 0.0));
                cones.push(SecondOrderConeT(size + 1));
            }
            _ => return None,
        }
        let mut costs = vec![0.0; variables];
        match objective {
            Some(objective) => costs.iter_mut().zip(objective).for_each(|(c, w)| *c = -w),
            None => costs[size] = -1.0,
        }
        let settings = DefaultSettingsBuilder::default()
            .verbose(false)
            .max_iter(60)
            .build()
            .ok()?;
        let none = CscMatrix::zeros((variables, variables));
        let (a, right) = matrix.finish();
        let mut solver = DefaultSolver::new(&none, &costs, &a, &right, &cones, settings).ok()?;
        solver.solve();
        let factor = |z: &f64| if z.is_finite() { z.max(0.0) } else { 0.0 };
        let solution = &solver.solution;
        let point = solution.x.get(..size)?.to_vec();
        let factors = solution.z.get(..conditions.len())?.iter().map(factor);
        let is_number = point.iter().all(|v| v.is_finite());
        is_number.then(|| Solved {
            point,
            factors: factors.collect(),
        })
    }

    /// A condition as a function of the deviation, where every unit before it is decided.
    fn row(&self, condition: &Condition, part: &Part, size: usize) -> Row {
        let mut row = Row {
            constant: 0.0,
            linear: vec![0.0; size],
        };
        let mut weights = vec![0.0; self.units.len()];
        let both = [(condition.positive, 1.0), (condition.negative, -1.0)];
        for (member, factor) in both {
            if let Some(member) = member {
                self.add_member(member, factor, &mut row, &mut weights);
            }
        }
        for unit in (0..weights.len()).rev() {
            let members = self.units[unit].members.clone();
            let weight = weights[unit];
            if let (true, Some(Selection::Member(member))) =
                (weight != 0.0, part.state.selection(unit, members))
            {
                self.add_member(member, weight, &mut row, &mut weights);
            }
        }
        row
    }

    fn add_member(&self, member: usize, factor: f64, row: &mut Row, weights: &mut [f64]) {
        let own = &self.members[member];
        row.constant += factor * own.value;
        add_scaled(&mut row.linear, factor, &own.gradient);
        add_scaled(&mut weights[..own.influence.len()], factor, &own.influence);
    }
}

impl Columns {
    /// Adds `row . variables <= right`.
    fn add(&mut self, row: impl IntoIterator<Item = (usize, f64)>, right: f64) {
        let number = self.right.len();
        for (column, value) in row {
            self.columns[column].push((number, value));
        }
        self.right.push(right);
    }

    fn finish(self) -> (CscMatrix<f64>, Vec<f64>) {
        let (mut starts, mut places, mut values) = (vec![0], Vec::new(), Vec::new());
        for column in &self.columns {
            for (row, value) in column {
                places.push(*row);
                values.push(*value);
            }
            starts.push(places.len());
        }
        let matrix = CscMatrix::new(self.right.len(), self.columns.len(), starts, places, values);
        (matrix, self.right)
    }
}
