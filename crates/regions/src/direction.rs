//! Directional margins: how far a straight line stays in the region.

use crate::{
    Error, Guarantee, Linearization, Neuron, Result, Rows,
    local_errors::Values,
    nearest::{Nearest, distance},
    rounding::is_open,
};
use candle_core::{D, Tensor};
use loclin_tensor::rounding::up_by;
use std::borrow::Cow;

/// Directional margins of `B` inputs in `K` directions.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectionalMargins {
    /// `K`, the number of directions.
    pub directions: usize,
    /// The step at which the line `x + step * d` reaches the region's boundary, `[B * K]` in row-major order;
    /// infinite if it never does. In units of `d`: the distance, for a unit vector.
    pub step: Vec<f64>,
    /// The neuron that is 0 there; `None` if the step is infinite.
    pub limiting: Vec<Option<Neuron>>,
    /// What is claimed of every step.
    pub guarantee: Guarantee,
}

impl DirectionalMargins {
    /// The margins of one input in all directions.
    pub fn of_input(&self, input: usize) -> &[f64] {
        &self.step[input * self.directions..(input + 1) * self.directions]
    }
}

impl Linearization {
    /// The margins (Prop. 4) in directions `[B or 1, K, in...]`, in closed form: the least
    /// `|z| / |grad z . d|` over the neurons that move towards 0, `o * (grad z . d) < 0`. By convexity the whole
    /// segment up to there is in the region. Where the input has several patterns (entries of a maximum that are exactly equal), they
    /// are those of the recorded one; where a side is undecided, they are 0.
    ///
    /// # Errors
    /// Directions of another shape, or a derivative that is not finite.
    pub fn directional_margins(&self, directions: &Tensor) -> Result<DirectionalMargins> {
        let count = directions.dim(1)?;
        let directions = directions.detach();
        let shared = directions.dim(0)? == 1;
        let tangents = |inputs: std::ops::Range<usize>, range: std::ops::Range<usize>| {
            let own = if shared {
                directions.clone()
            } else {
                directions.narrow(0, inputs.start, inputs.len())?
            };
            Ok(own.narrow(1, range.start, range.len())?)
        };
        if !shared && directions.dim(0)? != self.batch() {
            let cause = format!("{:?} for a batch of {}", directions.dims(), self.batch());
            return Err(Error::Argument {
                what: "directions",
                cause,
            });
        }
        let reach = Rows::of_tensor(&directions.abs()?.flatten_from(2)?.max(D::Minus1)?)?;
        let mut steps = self.steps(count, |input, k| match shared {
            true => reach[0][k],
            false => reach[input][k],
        })?;
        self.push_rows(count, &mut steps, tangents, |search, start, k, row| {
            search.update(k, k, start, row, 1.0);
        })?;
        self.collect(count, steps)
    }

    /// The margins in the `2D` signed axes, `+e_0 .. +e_{D-1}` then `-e_0 .. -e_{D-1}`. Their minimum is the l1
    /// margin (Prop. 5).
    ///
    /// For a fully connected chain on the CPU, a few dozen gradients settle them; the other neurons are further along
    /// every axis by their bounds.
    ///
    /// # Errors
    /// A derivative that is looked at and is not finite.
    pub fn axis_margins(&self) -> Result<DirectionalMargins> {
        let engine = &self.prepared.engine;
        let clear = self.clear_of_constants()?;
        let values = Values {
            clear: &clear,
            ..self.values()
        };
        match engine.axes(&self.trace, values)? {
            Some(steps) => self.margins_along(2 * self.network().input_size(), steps),
            None => self.axis_margins_by_all(),
        }
    }

    /// [`Linearization::axis_margins`] by one push of the `D` axes: the reference implementation, for every network.
    ///
    /// # Errors
    /// A derivative that is not finite.
    pub fn axis_margins_by_all(&self) -> Result<DirectionalMargins> {
        let size = self.network().input_size();
        let mut steps = self.steps(2 * size, |_, _| 1.0)?;
        let axes = |_, range| self.axes(range);
        self.push_rows(size, &mut steps, axes, |search, start, k, row| {
            search.update(k, k, start, row, 1.0);
            search.update(size + k, k, start, row, -1.0);
        })?;
        self.collect(2 * size, steps)
    }

    /// The margins along `tangent` `[1, 1, in...]` of all inputs, backward and forward, in one push.
    pub(crate) fn line_margins(&self, tangent: &Tensor) -> Result<(Vec<f64>, Vec<f64>)> {
        // Without their errors: where a piece ends is looked for again from the other side.
        let plain = |values| Steps {
            values,
            errors: Cow::Owned(vec![0.0; self.neurons()]),
            reach: vec![0.0; 2],
            nearest: vec![Nearest::NONE; 2],
        };
        let mut steps: Vec<Steps> = self.pre_activations.iter().map(plain).collect();
        let own = |_, _| Ok(tangent.clone());
        self.push_rows(1, &mut steps, own, |search, start, _, row| {
            search.update(0, 0, start, row, -1.0);
            search.update(1, 0, start, row, 1.0);
        })?;
        let steps = self.collect(2, steps)?.step;
        Ok(steps.chunks_exact(2).map(|both| (both[0], both[1])).unzip())
    }

    /// A search of each input in `count` directions, of which `reach(input, k)` is the largest entry of direction `k`.
    fn steps(&self, count: usize, reach: impl Fn(usize, usize) -> f64) -> Result<Vec<Steps<'_>>> {
        let of_input = |(input, values)| {
            Ok(Steps {
                values,
                errors: self.gradient_errors(input)?,
                reach: (0..count).map(|k| reach(input, k)).collect(),
                nearest: vec![Nearest::NONE; count],
            })
        };
        self.clear.iter().enumerate().map(of_input).collect()
    }

    fn collect(&self, directions: usize, steps: Vec<Steps<'_>>) -> Result<DirectionalMargins> {
        let nearest = steps.into_iter().map(|steps| steps.nearest).collect();
        self.margins_along(directions, nearest)
    }

    fn margins_along(
        &self,
        directions: usize,
        steps: Vec<Vec<Nearest>>,
    ) -> Result<DirectionalMargins> {
        for (index, steps) in steps.iter().enumerate() {
            if let Some(found) = steps.iter().find(|found| found.distance.is_nan()) {
                let (what, value) = (
                    "the derivative of a neuron in a direction".into(),
                    found.distance,
                );
                return Err(Error::NotFinite { index, what, value });
            }
        }
        let (step, limiting) = steps
            .into_iter()
            .flatten()
            .map(|found| (found.distance, found.at.and_then(|at| self.neuron(at))))
            .unzip();
        Ok(DirectionalMargins {
            directions,
            step,
            limiting,
            guarantee: match self.rounding {
                Some(_) => Guarantee::Proved,
                None => Guarantee::Estimate,
            },
        })
    }
}

/// The search of one input for the first boundary in each direction.
struct Steps<'a> {
    /// Of each neuron the part of its value that rounding cannot have made.
    values: &'a [f64],
    /// Of each neuron a bound of the l1 norm of its gradient's error.
    errors: Cow<'a, [f64]>,
    /// The largest entry of each direction.
    reach: Vec<f64>,
    nearest: Vec<Nearest>,
}

impl Steps<'_> {
    /// Lowers the step of direction `k` to the first boundary among the neurons from `start` on, with derivatives
    /// `side * row` in direction `pushed`; a derivative that is not finite makes it NaN, for good.
    fn update(&mut self, k: usize, pushed: usize, start: usize, row: &[f64], side: f64) {
        let (nearest, reach) = (&mut self.nearest[k], self.reach[pushed]);
        let numbers = self.values[start..].iter().zip(&self.errors[start..]);
        for (j, ((&z, error), &t)) in numbers.zip(row).enumerate() {
            let (speed, error) = (side * t, error * reach);
            if !speed.is_finite() {
                nearest.distance = f64::NAN;
            }
            // At exactly 0 the neuron counts as positive, as everywhere; undecided, as both.
            let towards_zero = if is_open(z) {
                true
            } else if z >= 0.0 {
                speed < error
            } else {
                speed > -error
            };
            if towards_zero {
                let speed = speed.abs() + error;
                let speed = if speed == 0.0 { 0.0 } else { up_by(speed, 1) };
                let step = distance(z.abs(), speed);
                if step < nearest.distance {
                    nearest.lower(step, start + j);
                }
            }
        }
    }
}
