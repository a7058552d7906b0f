//! Directional margins: how far a straight line stays in the region.

use crate::{
    Error, Linearization, Neuron, Result,
    nearest::{Nearest, distance},
};
use candle_core::Tensor;

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
    /// segment up to there is in the region.
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
        let mut steps = self.steps(count);
        self.push_rows(
            count,
            &mut steps,
            tangents,
            |(values, steps), start, k, row| {
                update(&mut steps[k], &values[start..], start, row, 1.0);
            },
        )?;
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
        match engine.axes(&self.trace, &self.pre_activations)? {
            Some(steps) => {
                let steps = self.pre_activations.iter().zip(steps).collect();
                self.collect(2 * self.network().input_size(), steps)
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
        let mut steps = self.steps(2 * size);
        let axes = |_, range| self.axes(range);
        self.push_rows(size, &mut steps, axes, |(values, steps), start, k, row| {
            update(&mut steps[k], &values[start..], start, row, 1.0);
            update(&mut steps[size + k], &values[start..], start, row, -1.0);
        })?;
        self.collect(2 * size, steps)
    }

    /// The margins along `tangent` `[1, 1, in...]` of all inputs, backward and forward, in one push.
    pub(crate) fn line_margins(&self, tangent: &Tensor) -> Result<(Vec<f64>, Vec<f64>)> {
        let mut steps = self.steps(2);
        let own = |_, _| Ok(tangent.clone());
        self.push_rows(1, &mut steps, own, |(values, steps), start, _, row| {
            update(&mut steps[0], &values[start..], start, row, -1.0);
            update(&mut steps[1], &values[start..], start, row, 1.0);
        })?;
        let steps = self.collect(2, steps)?.step;
        Ok(steps.chunks_exact(2).map(|both| (both[0], both[1])).unzip())
    }

    fn steps(&self, count: usize) -> Vec<(&[f64], Vec<Nearest>)> {
        self.pre_activations
            .iter()
            .map(|values| (values, vec![Nearest::NONE; count]))
            .collect()
    }

    fn collect(
        &self,
        directions: usize,
        steps: Vec<(&[f64], Vec<Nearest>)>,
    ) -> Result<DirectionalMargins> {
        for (index, (_, steps)) in steps.iter().enumerate() {
            if let Some(found) = steps.iter().find(|found| found.distance.is_nan()) {
                let (what, value) = (
                    "the derivative of a neuron in a direction".into(),
                    found.distance,
                );
                return Err(Error::NotFinite { index, what, value });
            }
        }
        let steps = steps.into_iter().flat_map(|(_, steps)| steps);
        let (step, limiting) = steps
            .map(|found| (found.distance, found.at.and_then(|at| self.neuron(at))))
            .unzip();
        Ok(DirectionalMargins {
            directions,
            step,
            limiting,
        })
    }
}

/// Lowers `nearest` to the first boundary among neurons with the given values and derivatives `side * row`; a
/// derivative that is not finite makes it NaN, for good.
fn update(nearest: &mut Nearest, values: &[f64], start: usize, row: &[f64], side: f64) {
    for (j, (&z, &t)) in values.iter().zip(row).enumerate() {
        let speed = side * t;
        if !speed.is_finite() {
            nearest.distance = f64::NAN;
        }
        // At exactly 0 the neuron counts as positive, as everywhere.
        let towards_zero = if z >= 0.0 { speed < 0.0 } else { speed > 0.0 };
        if towards_zero {
            let step = distance(z.abs(), speed.abs());
            if step < nearest.distance {
                nearest.lower(step, start + j);
            }
        }
    }
}
