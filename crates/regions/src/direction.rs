//! Directional margins: how far a straight line stays in the region.

use crate::{Error, Linearization, Neuron, Result, margin::distance, skip};
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

/// The least step so far and the position of its neuron.
pub(crate) type Exit = (f64, usize);
pub(crate) const NEVER: Exit = (f64::INFINITY, usize::MAX);

impl Linearization {
    /// The margins (Prop. 4) in directions `[B or 1, K, in...]`, in closed form: the least
    /// `|z| / |grad z . d|` over the neurons that move towards 0, `o * (grad z . d) < 0`. By convexity the whole
    /// segment up to there is in the region. An error if a derivative is not finite.
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
        let mut exits = self.exits(count);
        self.push_rows(
            count,
            &mut exits,
            tangents,
            |(values, exits), start, k, row| {
                update(&mut exits[k], &values[start..], start, row, 1.0);
            },
        )?;
        self.collect(count, exits)
    }

    /// The margins in the `2D` signed axes, `+e_0 .. +e_{D-1}` then `-e_0 .. -e_{D-1}`. Their minimum is the l1
    /// margin (Prop. 5).
    ///
    /// For a fully connected chain on the CPU, a few dozen gradients settle them; the other neurons provably are
    /// further along every axis.
    pub fn axis_margins(&self) -> Result<DirectionalMargins> {
        match skip::axes(self)? {
            Some(exits) => {
                let exits = self.pre_activations.iter().zip(exits).collect();
                self.collect(2 * self.network().input_size(), exits)
            }
            None => self.axis_margins_by_all(),
        }
    }

    /// [`Linearization::axis_margins`] by one push of the `D` axes: the plain road, for every network.
    pub fn axis_margins_by_all(&self) -> Result<DirectionalMargins> {
        let size = self.network().input_size();
        let mut exits = self.exits(2 * size);
        let axes = |_, range| self.axes(range);
        self.push_rows(size, &mut exits, axes, |(values, exits), start, k, row| {
            update(&mut exits[k], &values[start..], start, row, 1.0);
            update(&mut exits[size + k], &values[start..], start, row, -1.0);
        })?;
        self.collect(2 * size, exits)
    }

    /// The margins along `tangent` `[1, 1, in...]` of all inputs, backward and forward, in one push.
    pub(crate) fn line_margins(&self, tangent: &Tensor) -> Result<(Vec<f64>, Vec<f64>)> {
        let mut exits = self.exits(2);
        let own = |_, _| Ok(tangent.clone());
        self.push_rows(1, &mut exits, own, |(values, exits), start, _, row| {
            update(&mut exits[0], &values[start..], start, row, -1.0);
            update(&mut exits[1], &values[start..], start, row, 1.0);
        })?;
        let steps = self.collect(2, exits)?.step;
        Ok(steps.chunks_exact(2).map(|both| (both[0], both[1])).unzip())
    }

    fn exits(&self, count: usize) -> Vec<(&Vec<f64>, Vec<Exit>)> {
        self.pre_activations
            .iter()
            .map(|values| (values, vec![NEVER; count]))
            .collect()
    }

    fn collect(
        &self,
        directions: usize,
        exits: Vec<(&Vec<f64>, Vec<Exit>)>,
    ) -> Result<DirectionalMargins> {
        for (index, (_, exits)) in exits.iter().enumerate() {
            if let Some(&(value, _)) = exits.iter().find(|(step, _)| step.is_nan()) {
                let what = "the derivative of a neuron in a direction".into();
                return Err(Error::NotFinite { index, what, value });
            }
        }
        let exits = exits.into_iter().flat_map(|(_, exits)| exits);
        let (step, limiting) = exits.map(|(step, at)| (step, self.neuron(at))).unzip();
        Ok(DirectionalMargins {
            directions,
            step,
            limiting,
        })
    }
}

/// Lowers `exit` to the first boundary among neurons with the given values and derivatives `side * row`; a
/// derivative that is not finite makes it NaN, for good.
fn update(exit: &mut Exit, values: &[f64], start: usize, row: &[f64], side: f64) {
    for (j, (&z, &t)) in values.iter().zip(row).enumerate() {
        let speed = side * t;
        if !speed.is_finite() {
            *exit = (f64::NAN, start + j);
        }
        // At exactly 0 the neuron counts as positive, as everywhere.
        let towards_zero = if z >= 0.0 { speed < 0.0 } else { speed > 0.0 };
        if towards_zero {
            let step = distance(z.abs(), speed.abs());
            if step < exit.0 {
                *exit = (step, start + j);
            }
        }
    }
}
