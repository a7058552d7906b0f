//! Margins: the largest lp ball inside the region, by whichever way costs least.

use crate::{
    Domain, Error, Estimate, Guarantee, Linearization, Method, Neuron, Norm, Position, Result,
    local_errors::Values,
    nearest::{Found, Nearest, distance},
    rounding::{VANISHING, is_open},
};
use loclin_tensor::rounding::up_by;
use std::sync::Arc;

/// Margins of `B` inputs, what limits them, and what is claimed of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Margins {
    /// The ball's norm.
    pub norm: Norm,
    /// The radius of each input's ball, in units of the network's input; infinite if no neuron limits it.
    pub radius: Vec<f64>,
    /// The neuron whose boundary the ball touches; `None` if the radius is infinite.
    pub limiting: Vec<Option<Neuron>>,
    /// Where each input is in its region; [`Position::Inside`] for those with a positive radius.
    pub position: Vec<Position>,
    /// What is claimed of every radius.
    pub guarantee: Guarantee,
    /// The domain that the balls are cut with; `None` for whole balls.
    pub domain: Option<Arc<Domain>>,
    /// The way that was chosen: neither [`Method::Auto`] nor [`Method::Probable`].
    pub method: Method,
    /// The work it took.
    pub work: Work,
}

/// The work that margins took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Work {
    /// Random directions pushed.
    pub directions: usize,
    /// For each input, the neurons whose gradient was measured, or pulled back until a bound excluded it.
    pub gradients: Vec<usize>,
}

/// Networks on which every gradient of an input takes fewer multiply-adds than this have every gradient measured: other
/// ways would wait for their many small products.
const SMALL: f64 = 1e9;

/// A part of a neuron's value that its error may be without being bounded again.
pub(crate) const NOTICEABLE: f64 = 1e-6;

/// Gradients of an input that an estimate leaves to be measured, about.
const MEASURED: usize = 32;

impl Linearization {
    /// The lp margins (Eq. 3) for each norm `p`: `eps_p = min over neurons of |z| / ||grad z||_q` with `1/p + 1/q = 1`
    /// (Prop. 6 for `p = 2`, by the same half-space argument for every `p`).
    ///
    /// Inside the ball of that radius the pattern, and so the gradient, is constant. A neuron with `grad z = 0` never
    /// bounds the region; one with `z = 0` and another gradient makes the margin 0. Of balls cut with a domain
    /// ([`Linearization::within`]) the distance is that to the nearest point of the domain at which the neuron is 0, infinite
    /// where there is none. [`Margins::guarantee`] is what is
    /// claimed of the numbers: in float32 they are estimates, whichever the way.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use loclin_models::{Mlp, Parameters};
    /// use loclin_regions::{Budget, Guarantee, Linearization, Method, Norm};
    ///
    /// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
    /// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
    /// let x = Tensor::new(&[[0.3, -0.2]], &Device::Cpu)?;
    /// let here = Linearization::new(&network, &x, Budget::default())?;
    /// let fast = here.margins(&[Norm::L2], Method::Auto)?.remove(0);
    /// let all = here.margins(&[Norm::L2], Method::All)?.remove(0);
    /// assert_eq!((fast.method, fast.guarantee), (Method::PrunedSearch, Guarantee::Proved));
    /// assert!((fast.radius[0] / all.radius[0] - 1.0).abs() < 1e-12);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A gradient that is looked at and is not finite, and as of [`Linearization::choose`].
    pub fn margins(&self, norms: &[Norm], method: Method) -> Result<Vec<Margins>> {
        let mut margins = self.found(norms, method)?;
        self.settle(norms, &mut margins)?;
        // Not where the way was said, nor where proofs would take too long.
        let is_proof = |of: &Margins| !matches!(of.method, Method::Estimate(_));
        if matches!(method, Method::Auto | Method::Probable(_)) && margins.iter().all(is_proof) {
            self.settle_by_lengths(norms, &mut margins)?;
        }
        // A ball of a larger norm lies in that of a smaller one: where rounding says otherwise, the larger radius holds. Not of radii that
        // fail with a probability, each for itself: one taken from another norm would fail where either does.
        let mut order: Vec<usize> = (0..margins.len()).collect();
        order.sort_by(|a, b| norms[*b].p().total_cmp(&norms[*a].p()));
        for pair in order.windows(2) {
            let inner = margins[pair[0]].clone();
            let is_probable = matches!(inner.guarantee, Guarantee::Probable { .. });
            if inner.guarantee == margins[pair[1]].guarantee && !is_probable {
                let outer = &mut margins[pair[1]];
                for (input, radius) in inner.radius.into_iter().enumerate() {
                    if radius > outer.radius[input] {
                        outer.radius[input] = radius;
                        outer.position[input] = Position::Inside;
                    }
                }
            }
        }
        Ok(margins)
    }

    /// What [`Linearization::margins`] finds for each norm by itself.
    pub(crate) fn found(&self, norms: &[Norm], method: Method) -> Result<Vec<Margins>> {
        match self.choose(norms, method)? {
            Method::PrunedSearch => {
                match self.searched(norms)? {
                    Some(found) => {
                        let each = norms.iter().zip(found);
                        let exact = |(norm, found): (&Norm, _)| {
                            self.proved(*norm, found, Method::PrunedSearch)
                        };
                        each.map(exact).collect()
                    }
                    // Gradients that overflow: an error, if they are those that matter.
                    None => self.margins_by_all(norms),
                }
            }
            Method::Bound => self.margins_by_bound(norms),
            Method::Estimate(estimate) => self.margins_by_estimate(norms, estimate),
            _ => self.margins_by_all(norms),
        }
    }

    /// What the engine finds for each norm. Inputs whose radius rounding may have made noticeably smaller are searched again with
    /// more digits.
    fn searched(&self, norms: &[Norm]) -> Result<Option<Vec<Vec<Found>>>> {
        let engine = &self.prepared.engine;
        let clear = self.clear_of_constants()?;
        let values = Values {
            clear: &clear,
            ..self.values()
        };
        let within = self.within.as_deref();
        let Some(mut found) = engine.margins(&self.trace, (values, within), norms)? else {
            return Ok(None);
        };
        for input in 0..self.batch() {
            if !found.iter().any(|of_norm| of_norm[input].lost > NOTICEABLE) {
                continue;
            }
            let x = self.inputs.narrow(0, input, 1)?;
            let recorded = &self.pre_activations[input];
            let Some((computed, errors, local)) = engine.sharper(&x, recorded)? else {
                continue;
            };
            let trace = self.trace.narrow(input, 1)?;
            let mut sharper = crate::rounding::clear(&computed, &errors);
            for (own, old) in sharper.row_mut(0).iter_mut().zip(&clear[input]) {
                *own = if old.is_infinite() { *old } else { *own };
            }
            let values = Values {
                computed: &computed,
                clear: &sharper,
                local: Some(&local),
            };
            let within = within.map(|within| within.only(input));
            let values = (values, within.as_ref());
            let Some(again) = engine.margins(&trace, values, norms)? else {
                continue;
            };
            for (of_norm, again) in found.iter_mut().zip(again) {
                let (own, again) = (&mut of_norm[input], again[0]);
                if again.nearest.distance > own.nearest.distance {
                    own.nearest = again.nearest;
                }
            }
        }
        Ok(Some(found))
    }

    /// The way that [`Linearization::margins`] takes: the least multiply-adds, by the shapes of the network, the number of
    /// inputs and what is known of the network already.
    ///
    /// # Errors
    /// A method that does not fit the network or the norms, a failure probability that is not in (0, 1).
    pub fn choose(&self, norms: &[Norm], method: Method) -> Result<Method> {
        let (prepared, cost) = (&self.prepared, &self.prepared.cost);
        let searched = prepared.engine.searches(norms);
        let refused = |needs: &str| {
            let norms: Vec<String> = norms.iter().map(Norm::to_string).collect();
            let cause = format!("{method}: needs {needs}; found norms {}", norms.join(", "));
            let what = "method";
            Err(Error::Argument { what, cause })
        };
        let estimate = match method {
            Method::Auto => None,
            Method::Probable(estimate) => Some(estimate),
            Method::PrunedSearch if !searched => {
                return refused("a fully connected chain on the CPU and norms l1, l2 and l_inf");
            }
            chosen => return Ok(chosen),
        };
        let directions = estimate.map(Estimate::directions).transpose()?;
        if searched {
            return Ok(Method::PrunedSearch);
        }
        if cost.all() < SMALL {
            return Ok(Method::All);
        }
        let inputs = self.batch() as f64;
        let bound = self.bound_cost();
        let mut best = (inputs * cost.all(), Method::All);
        if bound < best.0 {
            best = (bound, Method::Bound);
        }
        if let (Some(estimate), Some(directions)) = (estimate, directions) {
            let estimated = inputs * cost.pushes(directions + MEASURED);
            if estimated < best.0 {
                best.1 = Method::Estimate(estimate);
            }
        }
        Ok(best.1)
    }

    /// The margins by the norms of all gradients: the reference implementation, for every network and norm. Within a domain the
    /// gradients themselves of those neurons that are near enough by the norms.
    pub(crate) fn margins_by_all(&self, norms: &[Norm]) -> Result<Vec<Margins>> {
        let duals: Vec<Norm> = norms.iter().map(|norm| norm.dual()).collect();
        let lengths = self.gradient_norms(&duals)?;
        let of_norm = |(norm, lengths): (&Norm, crate::Rows)| {
            let found = lengths.iter().enumerate().map(|(input, lengths)| {
                let bounds = self.lengths_above(input, norm.dual(), lengths)?;
                let distances = self.clear[input].iter().zip(bounds);
                let distances = distances.map(|(z, length)| distance(z.abs(), length));
                let mut nearest = Nearest::NONE;
                if self.within.is_some() {
                    nearest = self.verify(&self.aim(input, *norm)?, distances)?.nearest;
                } else {
                    distances
                        .enumerate()
                        .for_each(|(at, own)| nearest.lower(own, at));
                }
                Ok(Found {
                    nearest,
                    gradients: lengths.len(),
                    lost: 0.0,
                })
            });
            let found = found.collect::<Result<Vec<Found>>>()?;
            self.proved(*norm, found, Method::All)
        };
        norms.iter().zip(lengths).map(of_norm).collect()
    }

    /// At least the lq norms of the gradients of one input's neurons, given those that were computed.
    pub(crate) fn lengths_above(&self, input: usize, q: Norm, lengths: &[f64]) -> Result<Vec<f64>> {
        let errors = self.gradient_errors(input)?;
        let size = self.network().input_size();
        // The l1 norm of a neuron's gradient in absolute values, where its error is a share of that.
        let in_absolute_values = |error: f64| match &self.rounding {
            Some(rounding) if !rounding.is_by_lengths(input) => error / rounding.share(),
            _ => f64::INFINITY,
        };
        let above = |(length, error): (&f64, &f64)| match (&self.rounding, *error) {
            (None, _) => *length,
            // Certainly.
            (Some(_), 0.0) => 0.0,
            // Squares may have vanished; the l1 norm of the absolute values is no less, either.
            (Some(_), error) if q == Norm::L2 && *length < VANISHING => {
                let vanished = VANISHING * (size as f64).sqrt();
                up_by(vanished.min(in_absolute_values(error)) + error, 8)
            }
            (Some(_), error) => up_by(q.sum_up(*length, size) + error, 4),
        };
        Ok(lengths.iter().zip(errors.iter()).map(above).collect())
    }

    /// Margins of which every neuron left out is excluded by proof.
    pub(crate) fn proved(&self, norm: Norm, found: Vec<Found>, method: Method) -> Result<Margins> {
        self.collected(norm, found, method, Guarantee::Proved, 0)
    }

    /// The margins of all inputs by what was found for each; `guarantee` is that in float64.
    pub(crate) fn collected(
        &self,
        norm: Norm,
        found: Vec<Found>,
        method: Method,
        guarantee: Guarantee,
        directions: usize,
    ) -> Result<Margins> {
        let limiting = found.iter().map(|found| self.neuron(found.nearest.at?));
        let position = |(input, found): (usize, &Found)| match found.nearest {
            Nearest {
                distance: 0.0,
                at: Some(at),
            } => self.at_zero(input, at),
            _ => Ok(Position::Inside),
        };
        Ok(Margins {
            norm,
            radius: found.iter().map(|found| found.nearest.distance).collect(),
            limiting: limiting.collect(),
            position: found
                .iter()
                .enumerate()
                .map(position)
                .collect::<Result<_>>()?,
            guarantee: match self.rounding {
                Some(_) => guarantee,
                None => Guarantee::Estimate,
            },
            domain: self.domain().cloned(),
            method,
            work: Work {
                directions,
                gradients: found.iter().map(|found| found.gradients).collect(),
            },
        })
    }

    /// Where an input is whose margin is 0 because of the neuron at a position.
    fn at_zero(&self, input: usize, at: usize) -> Result<Position> {
        let is_zero = self.pre_activations[input][at] == 0.0 && !is_open(self.clear[input][at]);
        // A gradient that may be 0 has no boundary.
        match is_zero && self.surely_moves(input, at)? {
            true => self.on_boundary_of(at),
            false => Ok(Position::Undecided),
        }
    }
}
