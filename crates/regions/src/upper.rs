//! How much larger than a proved radius the margin can be.

use crate::{
    Guarantee, Linearization, Margins, Norm, Result, Rows, boxed, by_lengths::PullErrors,
    rounding::is_open, units::units,
};
use loclin_tensor::rounding::{
    down, largest, length_down, length_up, product_up, quotient_up, sum_down, up,
};

/// A neuron's value and gradient as computed, with bounds of their errors: of the gradient in the dual norm and in l1.
struct Limiting {
    computed: f64,
    error: f64,
    gradient: Vec<f64>,
    errors: [f64; 2],
}

impl Linearization {
    /// For each input an upper bound of the margin whose lower bound is [`Margins::radius`]: the distance of the limiting
    /// neuron's boundary, rounded up, with the errors of its value and of its gradient. Both together say how much of the
    /// radius rounding can have taken. Infinite where no neuron limits it, its gradient may be 0, a side is undecided, or errors
    /// that the radius was proved with are no longer known.
    ///
    /// Takes one pull for each input. Without bounds of rounding errors ([`crate::Guarantee::Estimate`]) it is an estimate,
    /// too.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Mlp, Parameters};
    /// use loclin_regions::{Budget, Linearization, Method, Norm};
    ///
    /// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let x = Tensor::new(&[[0.3, -0.2]], &Device::Cpu)?;
    /// let here = Linearization::new(&network, &x, Budget::default())?;
    /// let margins = here.margins(&[Norm::L2], Method::Auto)?.remove(0);
    /// let upper = here.upper_bounds(&margins)?[0];
    /// assert!(margins.radius[0] <= upper && upper <= margins.radius[0] * (1.0 + 1e-9));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn upper_bounds(&self, margins: &Margins) -> Result<Vec<f64>> {
        let of_input = |(input, limiting): (usize, &Option<crate::Neuron>)| {
            let Some(at) = limiting.and_then(|own| self.position(own)) else {
                return Ok(f64::INFINITY);
            };
            if !self.knows_pattern(input)? {
                return Ok(f64::INFINITY);
            }
            let is_by_lengths = self.rounding.is_none() && margins.guarantee == Guarantee::Proved;
            let limiting = match is_by_lengths {
                true if margins.radius[input] > 0.0 => {
                    self.limiting_by_lengths(input, at, margins.norm)?
                }
                // The pattern is not proved.
                true => None,
                false => Some(self.limiting(input, at)?),
            };
            let Some(Limiting {
                computed,
                error,
                gradient,
                errors: [in_dual, in_l1],
            }) = limiting
            else {
                return Ok(f64::INFINITY);
            };
            let z = up(computed.abs() + error);
            Ok(match self.room(input)? {
                Some(room) => {
                    let (z, room) = (z.copysign(computed), room.narrower());
                    boxed::distance_above(z, (&gradient, in_l1), &room, margins.norm)
                }
                None => {
                    let length = length_below(margins.norm.dual(), &gradient);
                    quotient_up(z, down(length - in_dual))
                }
            })
        };
        margins.limiting.iter().enumerate().map(of_input).collect()
    }

    /// The neuron at a position by bounds of absolute values; without any, as computed.
    fn limiting(&self, input: usize, at: usize) -> Result<Limiting> {
        let (gradient, error) = self.gradient(input, at)?;
        Ok(Limiting {
            computed: self.pre_activations[input][at],
            error: match &self.rounding {
                Some(rounding) => rounding.values()[input][at],
                None => 0.0,
            },
            gradient,
            errors: [error; 2],
        })
    }

    /// The neuron at a position by bounds of lengths, which its pull finds; `None` if they are not known.
    fn limiting_by_lengths(&self, input: usize, at: usize, norm: Norm) -> Result<Option<Limiting>> {
        let (Some(rounding), Some(neuron)) = (self.by_lengths(input)?, self.neuron(at)) else {
            return Ok(None);
        };
        let trace = self.trace.narrow(input, 1)?;
        let mut pull = trace.patch_pull(neuron.node, &[neuron.index])?;
        let mut errors = PullErrors::default();
        loop {
            let reached = pull.reached().last();
            let length = match reached {
                Some(part) => length_up(&part.cotangents.flatten_all()?.to_vec1::<f64>()?),
                None => 0.0,
            };
            if let Some((node, _)) = pull.next() {
                rounding.pass(self.network(), (node, length), &mut errors);
            }
            if !pull.step()? {
                break;
            }
        }
        let gradient = Rows::of_tensor(&pull.gradients()?.flatten_from(2)?.squeeze(0)?)?;
        let computed = rounding.neurons[at];
        let (_, least) = rounding.bounds(computed, std::iter::empty(), &errors);
        let (error, size) = (errors.of_gradient(), self.network().input_size());
        let longer = |q: Norm| product_up(&[error, q.longer_than_l2(size)]);
        Ok(Some(Limiting {
            computed,
            // On either side as much.
            error: up(computed.abs() - least),
            gradient: gradient[0].to_vec(),
            errors: [longer(norm.dual()), longer(Norm::L1)],
        }))
    }

    /// Whether the recorded pattern is certainly one of the input's, but for neurons that do not depend on the input near it.
    fn knows_pattern(&self, input: usize) -> Result<bool> {
        if !self.clear[input].iter().any(|z| is_open(*z)) {
            return Ok(true);
        }
        let errors = self.gradient_errors(input)?;
        let mut both = self.clear[input].iter().zip(errors.iter());
        Ok(both.all(|(z, error)| !is_open(*z) || *error == 0.0))
    }

    /// Whether the neuron at a position certainly changes its value near the input, within the domain if there is one.
    pub(crate) fn surely_moves(&self, input: usize, at: usize) -> Result<bool> {
        let (gradient, error) = self.gradient(input, at)?;
        let room = self.room(input)?;
        let moves = |at: usize| room.as_ref().is_none_or(|room| room.longer_way(at) > 0.0);
        let mut free = gradient.iter().enumerate().filter(|(at, _)| moves(*at));
        Ok(free.any(|(_, g)| down(g.abs() - error) > 0.0))
    }

    /// The gradient of the neuron at a position as computed, or 0 where it certainly is, and a bound of the l1 norm of its error.
    fn gradient(&self, input: usize, at: usize) -> Result<(Vec<f64>, f64)> {
        let Some(neuron) = self.neuron(at) else {
            return Ok((vec![0.0; self.network().input_size()], 0.0));
        };
        let range = self.ranges.iter().find(|range| range.node == neuron.node);
        let count = range.map_or(0, |range| range.count);
        let unit = units(self.network(), &[neuron.index], count)?;
        let trace = self.trace.narrow(input, 1)?;
        let pulled = trace.pull_neurons(neuron.node, &unit)?;
        let gradient = Rows::of_tensor(&pulled.flatten_from(2)?.squeeze(0)?)?;
        let error = self.gradient_errors(input)?[at];
        Ok(match self.is_surely_0(error) {
            true => (vec![0.0; gradient.width()], error),
            false => (gradient[0].to_vec(), error),
        })
    }
}

/// At most the lq norm of a vector.
fn length_below(q: Norm, vector: &[f64]) -> f64 {
    match q {
        Norm::L1 => sum_down(vector),
        Norm::L2 => length_down(vector),
        Norm::LINF => largest(vector),
        // Powers are rounded to a few units in the last place.
        q => q.of(vector) * (1.0 - (16 * vector.len() + 64) as f64 * f64::EPSILON),
    }
}
