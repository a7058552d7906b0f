//! Directional margins: how far a straight line stays in the region.

use crate::{
    Domain, Error, Guarantee, Linearization, Neuron, Result, Rows,
    local_errors::Values,
    nearest::{Nearest, distance},
    room::Room,
    rounding::is_open,
};
use candle_core::{D, Tensor};
use loclin_tensor::rounding::up_by;
use std::{borrow::Cow, sync::Arc};

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
    /// The domain in which the lines end; `None` if they are whole.
    pub domain: Option<Arc<Domain>>,
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
    /// Within a domain ([`Linearization::within`]) a step is infinite where the line leaves the domain first: no input on it is
    /// in another region.
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
        let mut margins = self.collect(count, steps)?;
        if self.within.is_some() {
            let rows = Rows::of_tensor(&directions.flatten(0, 1)?.flatten_from(1)?)?;
            self.end(&mut margins, |room, input, k| {
                let at = if shared { k } else { input * count + k };
                room.step(&rows[at])
            })?;
        }
        Ok(margins)
    }

    /// The margins in the `2D` signed axes, `+e_0 .. +e_{D-1}` then `-e_0 .. -e_{D-1}`. Their minimum is the l1
    /// margin (Prop. 5), but for a ball that is cut with a domain, which has other vertices.
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
            Some(steps) => {
                let margins = self.margins_along(2 * self.network().input_size(), steps)?;
                self.end_axes(margins)
            }
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
        let margins = self.collect(2 * size, steps)?;
        self.end_axes(margins)
    }

    /// Makes steps along the signed axes infinite that are longer than the domain.
    fn end_axes(&self, mut margins: DirectionalMargins) -> Result<DirectionalMargins> {
        let size = self.network().input_size();
        self.end(&mut margins, |room, _, k| room.way(k % size, k < size))?;
        Ok(margins)
    }

    /// Makes steps infinite that are longer than the domain, of which `longest(room, input, k)` is at least the length in a
    /// direction.
    fn end(
        &self,
        margins: &mut DirectionalMargins,
        longest: impl Fn(&Room, usize, usize) -> f64,
    ) -> Result<()> {
        margins.domain = self.domain().cloned();
        for input in 0..self.batch() {
            let Some(room) = self.room(input)? else {
                return Ok(());
            };
            for k in 0..margins.directions {
                let at = input * margins.directions + k;
                let longest = longest(&room, input, k);
                if margins.step[at] > longest || longest == 0.0 {
                    (margins.step[at], margins.limiting[at]) = (f64::INFINITY, None);
                }
            }
        }
        Ok(())
    }

    /// A search of each input in `count` directions, of which `reach(input, k)` is the largest entry of direction `k`.
    fn steps(&self, count: usize, reach: impl Fn(usize, usize) -> f64) -> Result<Vec<Steps<'_>>> {
        let of_input = |(input, values)| {
            Ok(Steps {
                values,
                errors: self.gradient_errors(input)?,
                is_bounded: self.rounding.is_some(),
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
            domain: None,
        })
    }
}

/// The search of one input for the first boundary in each direction.
struct Steps<'a> {
    /// Of each neuron the part of its value that rounding cannot have made.
    values: &'a [f64],
    /// Of each neuron a bound of the l1 norm of its gradient's error.
    errors: Cow<'a, [f64]>,
    /// Whether they are known: then a gradient with an error of 0 certainly is 0.
    is_bounded: bool,
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
            let speed = side * t;
            if !speed.is_finite() {
                nearest.distance = f64::NAN;
            }
            if self.is_bounded && *error == 0.0 {
                continue;
            }
            let error = error * reach;
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
