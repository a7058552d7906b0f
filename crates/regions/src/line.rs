//! How far points of a straight line stay in their regions along it, backward and forward: as computed, and as proved.
//!
//! A point `from + t (to - from)` is rounded, so it lies a little beside the line, and what is proved at it is proved of the
//! line by bounds of three errors: of a neuron's value at the point, of its derivative along the line, and of what the
//! step from the point to the line changes. The last two are bounded for all points at once, whatever their patterns.

use crate::{
    Error, Linearization, Linearizer, Result, Rows,
    nearest::{Nearest, distance},
};
use candle_core::{DType, Tensor};
use loclin_models::Magnitudes;
use loclin_tensor::rounding::{SMALLEST, UNIT, clear_of_zero, product_up, up_by};

/// A straight line, in float64.
pub(crate) struct Line {
    /// Where it begins, `[1, in...]`.
    from: Tensor,
    /// From there to its end, rounded, `[1, in...]`.
    direction: Tensor,
    bounds: Option<Bounds>,
}

/// What is bounded for all points of a line, for each neuron: exactly 0 where the line certainly does not move it.
struct Bounds {
    /// The error of its computed derivative along the line.
    derivatives: Vec<f64>,
    /// The difference of its values at a computed point and at the point of the line that is meant.
    shifts: Vec<f64>,
}

/// How far a point stays in its region along a line, backward and forward, in units of the line's direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    /// As computed: the directional margins without bounds of errors.
    pub(crate) plain: [f64; 2],
    /// At most the true ones; 0 where nothing is proved.
    pub(crate) proved: [f64; 2],
    /// Up to here all neurons but one certainly keep their sides as the region extends.
    pub(crate) others: [f64; 2],
    /// Whether the point lies so near a boundary that nothing is proved, but other points of the line do not.
    pub(crate) is_between: bool,
    /// As far as `plain` if each boundary is as far as it can be of which rounding hides where it is; 0 where nothing is proved.
    pub(crate) hidden: [f64; 2],
}

impl Line {
    /// From `from` `[in...]` to `to` `[in...]`.
    pub(crate) fn new(linearizer: &Linearizer, from: &Tensor, to: &Tensor) -> Result<Self> {
        let end = |x: &Tensor| x.detach().to_dtype(DType::F64)?.unsqueeze(0);
        let (from, to) = (end(from)?, end(to)?);
        let direction = (&to - &from)?;
        let bounds = match linearizer.magnitudes()? {
            Some(magnitudes) => Bounds::new(magnitudes, &from, &to, &direction)?,
            None => None,
        };
        Ok(Self {
            from,
            direction,
            bounds,
        })
    }

    /// The points at the given shares of the line, `[steps, in...]`.
    pub(crate) fn points(&self, steps: &[f64]) -> Result<Tensor> {
        let ones = vec![1; self.direction.rank() - 1];
        let shape = [&[steps.len()], &ones[..]].concat();
        let steps = Tensor::new(steps, self.direction.device())?.reshape(shape)?;
        let moved = self.direction.broadcast_mul(&steps)?;
        Ok(moved.broadcast_add(&self.from)?)
    }
}

impl Bounds {
    fn new(
        magnitudes: &Magnitudes,
        from: &Tensor,
        to: &Tensor,
        direction: &Tensor,
    ) -> Result<Option<Self>> {
        let lengths = direction.abs()?;
        let moved = lengths.ne(0.0)?.to_dtype(DType::F64)?;
        // A difference, a product and a sum, of numbers no larger than both ends together.
        let sizes = (from.abs()? + to.abs()?)?.affine(4.0 * UNIT, 4.0 * SMALLEST)?;
        let shifts = (sizes * moved)?;
        let both = Tensor::stack(&[lengths, shifts], 1)?;
        let Some(pushed) = magnitudes.push(&both, None)? else {
            return Ok(None);
        };
        let Some(neurons) = pushed.neurons else {
            return Ok(Some(Self {
                derivatives: Vec::new(),
                shifts: Vec::new(),
            }));
        };
        let neurons = Rows::of_tensor(&neurons.squeeze(0)?)?;
        // The direction is itself rounded.
        let share = magnitudes.relative_error() + 8.0 * UNIT;
        let derivatives = neurons[0].iter().map(|most| product_up(&[share, *most]));
        Ok(Some(Self {
            derivatives: derivatives.collect(),
            shifts: neurons[1].to_vec(),
        }))
    }
}

impl Linearization {
    /// How far each input, a point of `line`, stays in its region along it, by one push.
    pub(crate) fn steps_along(&self, line: &Line) -> Result<Vec<Steps>> {
        let bounds = match &self.rounding {
            Some(_) => line.bounds.as_ref(),
            None => None,
        };
        let constant = self.constant_neurons(bounds)?;
        let search = |input: usize| Search {
            values: &self.pre_activations[input],
            clear: &self.clear[input],
            errors: self.rounding.as_ref().map(|own| &own.values()[input]),
            constant: constant.map(|errors| &errors[input]),
            bounds,
            sides: [Side::new(bounds.is_some()); 2],
            undecided: Undecided::None,
        };
        let mut searches: Vec<Search> = (0..self.batch()).map(search).collect();
        let tangent = line.direction.unsqueeze(1)?;
        let own = |_, _| Ok(tangent.clone());
        self.push_rows(1, &mut searches, own, |search, start, _, row| {
            search.update(start, row);
        })?;
        let finish = |(index, search): (usize, Search)| {
            let [backward, forward] = search.sides;
            let plain = [backward.plain, forward.plain];
            if let Some(value) = plain.into_iter().find(|step| step.is_nan()) {
                return Err(Error::NotFinite {
                    index,
                    what: "the derivative of a neuron in a direction".into(),
                    value,
                });
            }
            Ok(Steps {
                plain,
                proved: [backward.proved, forward.proved],
                others: [backward.others, forward.others],
                is_between: search.undecided == Undecided::Here,
                hidden: [backward.hidden, forward.hidden],
            })
        };
        searches.into_iter().enumerate().map(finish).collect()
    }

    /// Bounds of gradients' errors, exactly 0 where a neuron's gradient certainly is: asked for only where some neuron may be 0
    /// that the line may move elsewhere.
    fn constant_neurons(&self, bounds: Option<&Bounds>) -> Result<Option<&Rows>> {
        let (Some(rounding), Some(bounds)) = (&self.rounding, bounds) else {
            return Ok(None);
        };
        let open = |clear: &[f64]| {
            let mut both = clear.iter().zip(&bounds.derivatives);
            both.any(|(z, error)| *z == 0.0 && *error > 0.0)
        };
        match self.clear.iter().any(open) {
            true => rounding.gradients().map(Some),
            false => Ok(None),
        }
    }
}

/// The search of one input for the first boundaries in both directions of a line.
struct Search<'a> {
    values: &'a [f64],
    /// Of each neuron the part of its value that rounding cannot have made.
    clear: &'a [f64],
    /// Bounds of the values' errors, if there are any.
    errors: Option<&'a [f64]>,
    /// Exactly 0 for a neuron whose gradient certainly is 0 at this input.
    constant: Option<&'a [f64]>,
    bounds: Option<&'a Bounds>,
    sides: [Side; 2],
    undecided: Undecided,
}

/// Where the sides of some neurons are undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Undecided {
    /// Nowhere.
    None,
    /// At this point: all of them move along the line.
    Here,
    /// Perhaps all along the line.
    Along,
}

/// What is known of one direction.
#[derive(Debug, Clone, Copy)]
struct Side {
    plain: f64,
    /// The smallest step, of a neuron that is undecided the largest that it can have.
    hidden: f64,
    /// The smallest and the second smallest of the steps that are proved for each neuron.
    proved: f64,
    others: f64,
}

impl Side {
    fn new(has_bounds: bool) -> Self {
        let proved = if has_bounds { f64::INFINITY } else { 0.0 };
        Self {
            plain: Nearest::NONE.distance,
            hidden: proved,
            proved,
            others: proved,
        }
    }

    /// Takes in the step that is proved for one more neuron.
    fn lower(&mut self, step: f64) {
        if step < self.proved {
            (self.proved, self.others) = (step, self.proved);
        } else {
            self.others = self.others.min(step);
        }
    }
}

impl Search<'_> {
    /// Takes in the neurons from `start` on with their derivatives along the line; one that is not finite makes the step as
    /// computed NaN, for good.
    fn update(&mut self, start: usize, row: &[f64]) {
        let values = self.values[start..].iter().zip(row);
        for (j, (&z, &speed)) in (start..).zip(values) {
            if !speed.is_finite() {
                self.sides.iter_mut().for_each(|side| side.plain = f64::NAN);
            }
            if z == 0.0 && !self.may_move(j, speed) {
                continue;
            }
            // At exactly 0 the neuron counts as positive, as everywhere.
            let side = match if z >= 0.0 { -speed } else { speed } {
                towards if towards > 0.0 => 1,
                towards if towards < 0.0 => 0,
                _ => continue,
            };
            let plain = &mut self.sides[side].plain;
            if is_beyond(*plain, z.abs(), speed.abs()) {
                continue;
            }
            let step = distance(z.abs(), up_by(speed.abs(), 1));
            if step < *plain {
                *plain = step;
            }
        }
        let Some(bounds) = self.bounds else {
            return;
        };
        let numbers = self.clear[start..].iter().zip(row);
        for (j, (&z, &speed)) in (start..).zip(numbers) {
            let (error, shift) = (bounds.derivatives[j], bounds.shifts[j]);
            // What the line does not move keeps its side, whichever that is.
            if error == 0.0 || z == 0.0 && self.is_constant(j) {
                continue;
            }
            let left = clear_of_zero(z, shift);
            if left.is_nan() || left <= 0.0 || !speed.is_finite() {
                let value = self.values[j].abs() + self.errors.map_or(0.0, |all| all[j]);
                let reach = (value + shift) / speed.abs();
                for side in &mut self.sides {
                    side.lower(0.0);
                    side.hidden = side.hidden.min(reach);
                }
                self.undecided = match self.undecided {
                    Undecided::None | Undecided::Here if speed.abs() > error => Undecided::Here,
                    _ => Undecided::Along,
                };
                continue;
            }
            let towards = if z > 0.0 { -speed } else { speed };
            let fastest = speed.abs() + error;
            for (side, towards) in self.sides.iter_mut().zip([-towards, towards]) {
                let farthest = side.others.max(side.hidden);
                if towards > -error && !is_beyond(farthest, left, fastest) {
                    let step = distance(left, up_by(fastest, 1));
                    side.lower(step);
                    side.hidden = side.hidden.min(step);
                }
            }
        }
    }

    /// Whether the line may move the neuron at a position, by more than rounding does.
    fn may_move(&self, at: usize, speed: f64) -> bool {
        let is_noise = |bounds: &Bounds| speed.abs() <= bounds.derivatives[at];
        !self.is_constant(at) && !self.bounds.is_some_and(is_noise)
    }

    /// Whether the gradient of the neuron at a position is known to be 0.
    fn is_constant(&self, at: usize) -> bool {
        self.constant.is_some_and(|all| all[at] == 0.0)
    }
}

/// Whether `z / speed` certainly is above a step, without a division: the factor is more than three roundings.
fn is_beyond(step: f64, z: f64, speed: f64) -> bool {
    z > step * speed * (1.0 + 1e-12)
}
