//! The steps of the pruned search, those of several rows at once: one product with a matrix.

use super::{
    block::{Row, times},
    search::{InputSearch, NormSearch, Step},
    weights::{dot, norm_up},
};
use crate::{
    Norm, Result,
    boxed::{self, Boundary},
    nearest::distance,
    room::Room,
};
use loclin_tensor::{
    product::{Real, View},
    rounding::{SMALLEST, relative, relative_in, up_by},
};

/// A quadratic form in the Gram matrix is taken for a squared length only if rounding can have changed it by no more than
/// this part of it: otherwise the gradient is measured.
const CANCELLATION: f64 = 2e-8;

/// Nor by more than this where a gradient costs hardly more.
const NARROW_CANCELLATION: f64 = 1e-11;

/// Nor if it is smaller than this: some of its terms may have vanished.
const VANISHING: f64 = 1e-200;

impl<T: Real> NormSearch<'_, T> {
    /// The same step for several rows, given by input and place.
    pub(super) fn take(
        &self,
        step: Step,
        rows: &[(usize, usize)],
        searches: &mut [InputSearch<T>],
    ) -> Result<()> {
        let weights = self.block.weights;
        let level = if let Step::Pull(level) = step {
            level
        } else {
            0
        };
        let width = weights.layers[level].outputs;
        let mut cotangents = Vec::with_capacity(rows.len() * width);
        for (input, row) in rows {
            cotangents.extend_from_slice(&searches[*input].rows[*row].cotangent);
        }
        if let (Step::Gram, Some(gram)) = (step, &weights.gram) {
            let cotangents: Vec<f64> = cotangents.iter().map(|v| v.to_f64()).collect();
            let gram = View::new(gram, width, width)?;
            let products = times(&cotangents, rows.len(), gram, width)?;
            let both = cotangents
                .chunks_exact(width)
                .zip(products.chunks_exact(width));
            for ((input, row), (v, gv)) in rows.iter().zip(both) {
                let row = &mut searches[*input].rows[*row];
                let lengths = v.iter().zip(&weights.first_lengths);
                let terms: f64 = lengths.map(|(v, length)| v.abs() * length).sum();
                let count = v.iter().filter(|v| **v != 0.0).count();
                let sum: f64 = v.iter().map(|v| v.abs()).sum();
                let form = dot(v, gv, |v, gv| v * gv);
                row.euclidean = Some(self.by_gram(row.error, form, ([terms, sum], count)));
            }
            return Ok(());
        }
        let below = weights.layers[level].inputs;
        let pulled = times(
            &cotangents,
            rows.len(),
            weights.layers[level].view()?,
            below,
        )?;
        for ((input, row), pulled) in rows.iter().zip(pulled.chunks_exact(below)) {
            let row = &mut searches[*input].rows[*row];
            if step == Step::Gradient {
                let gradient: Vec<f64> = pulled.iter().map(|v| v.to_f64()).collect();
                // What rounding did to the cotangent, and what this product adds.
                let own = relative_in(width + 8, T::DTYPE);
                let errors = |q: &Norm| {
                    if !self.block.is_bounded() {
                        return 0.0;
                    }
                    let bounds = weights.bounds(*q);
                    let added = bounds.columns * (own * row.length + f64::MIN_POSITIVE);
                    up_by(bounds.reach[0] * row.error + added * weights.scale, 8)
                };
                // An estimate is taken for what it seems to be.
                let seems = self.block.is_bounded() || gradient.iter().any(|v| *v != 0.0);
                let norm = |q: &Norm| match row.length > 0.0 && seems {
                    true => up_by(norm_up(*q, &gradient) * weights.scale + errors(q), 16),
                    false => 0.0,
                };
                row.norms = self.duals.iter().map(norm).collect();
                row.distances = match self.rooms {
                    Some(rooms) if row.length > 0.0 && seems => {
                        self.within(*input, &rooms[*input], row, (pulled, &errors))
                    }
                    Some(_) => vec![f64::INFINITY; self.norms.len()],
                    None => Vec::new(),
                };
            } else {
                self.block.pull(*input, row, pulled);
            }
        }
        Ok(())
    }

    /// A row's distances within the domain, in the order of the norms, given its gradient in the normalised input and bounds of
    /// the gradient's error in any norm.
    fn within(
        &self,
        input: usize,
        room: &Room,
        row: &Row<T>,
        (gradient, errors): (&[T], &impl Fn(&Norm) -> f64),
    ) -> Vec<f64> {
        let gradient = self.block.weights.scaled(gradient);
        let value = self.block.signed(input, row);
        let of = |(norm, length): (&Norm, &f64)| {
            let neuron = Boundary {
                value,
                gradient: &gradient,
                errors: [errors(&norm.dual()), errors(&Norm::L1)],
            };
            let whole = distance(value.abs(), *length);
            boxed::distance(&neuron, room, *norm).max(whole)
        };
        self.norms.iter().zip(&row.norms).map(of).collect()
    }

    /// At least the Euclidean length from the quadratic form, or infinity if too many of its digits cancelled or vanished. `terms` is
    /// the sum of the lengths of the `count` vectors that are added up, `sum` that of their factors, and `error` the length of what rounding
    /// did to the cotangent.
    fn by_gram(&self, error: f64, form: f64, ([terms, sum], count): ([f64; 2], usize)) -> f64 {
        let weights = self.block.weights;
        let count = 2 * count + weights.read.len() + 16;
        let layer = &weights.layers[0];
        // Each product in the Gram matrix may have lost an absolute error, which two of the cotangent's numbers multiply, and so may the
        // products with them: they are scaled before they are squared, so that these errors are seen.
        let vanished = sum * SMALLEST.sqrt();
        let vanished = vanished * vanished + SMALLEST * sum + f64::MIN_POSITIVE;
        let vanished = 4.0 * (layer.inputs + layer.outputs) as f64 * vanished;
        let lost = up_by(relative(count) * terms * terms + vanished, 8);
        let most = match layer.inputs > 2 * layer.outputs {
            true => CANCELLATION,
            false => NARROW_CANCELLATION,
        };
        if !(form.is_finite() && form >= VANISHING && lost <= most * form) {
            return f64::INFINITY;
        }
        let reach = weights.bounds(Norm::L2).reach[0];
        up_by(
            up_by((form + lost).sqrt(), 4) * weights.scale + reach * error,
            16,
        )
    }
}
