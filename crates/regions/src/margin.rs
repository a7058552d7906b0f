//! Margins: the largest lp ball inside the region.

use crate::{Error, Linearization, Neuron, Norm, Result, device, skip};

/// Margins of `B` inputs and what limits them.
#[derive(Debug, Clone, PartialEq)]
pub struct Margins {
    /// The radius of each input's ball, in units of the network's input; infinite if no neuron limits it.
    pub radius: Vec<f64>,
    /// The neuron whose boundary the ball touches; `None` if the radius is infinite.
    pub limiting: Vec<Option<Neuron>>,
}

impl Linearization {
    /// The lp margins (Eq. 3) for each norm `p`, exact: `eps_p = min over neurons of |z| / ||grad z||_q` with
    /// `1/p + 1/q = 1` (Prop. 6 for `p = 2`, by the same half-space argument for every `p`).
    ///
    /// Inside the ball of that radius the pattern, and so the gradient, is constant. A neuron with
    /// `grad z = 0` never bounds the region; one with `z = 0` and another gradient makes the margin 0.
    ///
    /// For a fully connected chain on the CPU, l1, l2 and l_inf need the gradients of a few neurons only: the
    /// others provably are not the nearest.
    pub fn margins(&self, norms: &[Norm]) -> Result<Vec<Margins>> {
        match skip::margins(self, norms)? {
            Some(margins) => Ok(margins),
            None => self.margins_by_all(norms),
        }
    }

    /// [`Linearization::margins`] by the norms of all gradients: the plain road, for every network and norm.
    pub fn margins_by_all(&self, norms: &[Norm]) -> Result<Vec<Margins>> {
        let lengths = self.gradient_norms(&norms.iter().map(|p| p.dual()).collect::<Vec<_>>())?;
        let margins = |lengths: Vec<Vec<f64>>| {
            let nearest = self
                .pre_activations
                .iter()
                .zip(lengths)
                .map(|(values, lengths)| {
                    nearest(
                        values
                            .iter()
                            .zip(&lengths)
                            .map(|(z, length)| distance(z.abs(), *length)),
                    )
                });
            let (radius, limiting) = nearest
                .map(|(radius, at)| (radius, at.and_then(|i| self.neuron(i))))
                .unzip();
            Margins { radius, limiting }
        };
        Ok(lengths.into_iter().map(margins).collect())
    }

    /// The lq norms of all neurons' gradients, for each norm `q`: `[q][B][|I|]`; an error if one is not finite.
    ///
    /// Pushes the `D` input axes through the fixed-pattern network in chunks: about
    /// `D * (multiply-adds of one forward pass)` for each input, shared layers once for all.
    pub fn gradient_norms(&self, norms: &[Norm]) -> Result<Vec<Vec<Vec<f64>>>> {
        let lengths = match self.network().device().is_cpu() {
            true => None,
            false => device::gradient_norms(self, norms)?,
        };
        let lengths = match lengths {
            Some(lengths) => lengths,
            None => self.norms_on_host(norms)?,
        };
        for (index, lengths) in lengths.iter().flat_map(|all| all.iter().enumerate()) {
            if let Some(&value) = lengths.iter().find(|length| !length.is_finite()) {
                return Err(Error::NotFinite {
                    index,
                    what: "the length of a neuron's gradient".into(),
                    value,
                });
            }
        }
        Ok(lengths)
    }

    /// The norms of all gradients, tangents read on the host.
    fn norms_on_host(&self, norms: &[Norm]) -> Result<Vec<Vec<Vec<f64>>>> {
        let neurons = self.neurons();
        let fresh: Vec<Vec<f64>> = norms
            .iter()
            .map(|norm| vec![0.0; slots(*norm) * neurons])
            .collect();
        let mut totals = vec![fresh; self.batch()];
        self.push_rows(
            self.network().input_size(),
            &mut totals,
            |_, axes| self.axes(axes),
            |totals: &mut Vec<Vec<f64>>, start, _, row| {
                for (norm, totals) in norms.iter().zip(totals) {
                    let slots = slots(*norm);
                    accumulate(
                        *norm,
                        &mut totals[slots * start..][..slots * row.len()],
                        row,
                    );
                }
            },
        )?;
        let finish = |(i, norm): (usize, &Norm)| {
            let one = |totals: &Vec<Vec<f64>>| {
                let parts = totals[i].chunks_exact(slots(*norm));
                parts.map(|total| root(*norm, total)).collect()
            };
            totals.iter().map(one).collect()
        };
        Ok(norms.iter().enumerate().map(finish).collect())
    }
}

/// The distance to a boundary at value `z` with gradient length `length`.
pub(crate) fn distance(z: f64, length: f64) -> f64 {
    if length > 0.0 {
        z / length
    } else {
        f64::INFINITY
    }
}

/// The smallest finite value, the first of equal ones, and its position.
pub(crate) fn nearest(distances: impl Iterator<Item = f64>) -> (f64, Option<usize>) {
    distances
        .enumerate()
        .fold((f64::INFINITY, None), |(least, at), (i, d)| {
            if d < least { (d, Some(i)) } else { (least, at) }
        })
}

/// Numbers kept of each neuron while its norm is summed: for a general `p`, the sum and what it is relative to.
fn slots(norm: Norm) -> usize {
    match norm.p() {
        1.0 | 2.0 | f64::INFINITY => 1,
        _ => 2,
    }
}

/// Adds one axis' derivatives to running norms, before the root. A NaN stays.
fn accumulate(norm: Norm, totals: &mut [f64], row: &[f64]) {
    let larger = |v: f64, t: f64| v.abs() > t || v.is_nan();
    match norm.p() {
        1.0 => totals.iter_mut().zip(row).for_each(|(t, v)| *t += v.abs()),
        2.0 => totals.iter_mut().zip(row).for_each(|(t, v)| *t += v * v),
        f64::INFINITY => totals
            .iter_mut()
            .zip(row)
            .for_each(|(t, v)| *t = if larger(*v, *t) { v.abs() } else { *t }),
        // Powers of ratios to the largest entry so far: those of the entries themselves would vanish or
        // overflow for large `p`, and a gradient that vanished would not limit the region.
        p => totals.chunks_exact_mut(2).zip(row).for_each(|(total, v)| {
            let (sum, largest) = (total[0], total[1]);
            if larger(*v, largest) {
                total[0] = sum * (largest / v.abs()).powf(p) + 1.0;
                total[1] = v.abs();
            } else if largest > 0.0 {
                total[0] = sum + (v.abs() / largest).powf(p);
            }
        }),
    }
}

fn root(norm: Norm, total: &[f64]) -> f64 {
    match norm.p() {
        1.0 | f64::INFINITY => total[0],
        2.0 => total[0].sqrt(),
        p => total[1] * total[0].powf(1.0 / p),
    }
}
