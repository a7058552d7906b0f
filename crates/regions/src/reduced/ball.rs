//! The ball of inputs that a statement is about: within a radius of a centre in an lp norm, and inside the domain.

use crate::{Error, Norm, Result, room::Room};
use loclin_tensor::rounding::{down, largest, product_up, quotient_down, up_by};

/// Rounds of [`Cut`] that find which numbers have come to their ends.
const ROUNDS: usize = 64;

/// The deviations `delta` of inputs `x + delta` that lie within `radius` of `x` in an lp norm, and in the domain.
#[derive(Debug, Clone)]
pub(crate) struct InputBall {
    norm: Norm,
    radius: f64,
    /// How far each number can go down and up; `None` without a domain.
    room: Option<Room>,
}

impl InputBall {
    /// With the room that the domain leaves around its centre, if there is one.
    ///
    /// # Errors
    /// A radius that is not a number from 0, and an infinite radius without ends.
    pub(crate) fn new(norm: Norm, radius: f64, room: Option<Room>) -> Result<Self> {
        let bounded = room.as_ref().is_some_and(|room| room.most.is_finite());
        if radius.is_nan() || radius < 0.0 || (radius.is_infinite() && !bounded) {
            let what = "radius";
            let cause = format!("{radius}; must be from 0, and finite where the domain is not");
            return Err(Error::Argument { what, cause });
        }
        Ok(Self { norm, radius, room })
    }

    pub(crate) fn norm(&self) -> Norm {
        self.norm
    }

    /// How far number `at` can go in the direction of `sign`, whatever the others do; infinite where only their norm limits it.
    pub(crate) fn end(&self, at: usize, sign: f64) -> f64 {
        match self.norm {
            Norm::LINF => self.room(at, sign).min(self.radius),
            _ => self.room(at, sign),
        }
    }

    pub(crate) fn radius(&self) -> f64 {
        self.radius
    }

    /// No number of a deviation is larger.
    pub(crate) fn reach(&self) -> f64 {
        let most = self.room.as_ref().map(|room| room.most);
        self.radius.min(most.unwrap_or(f64::INFINITY))
    }

    /// At least the norm of every deviation.
    pub(crate) fn length(&self) -> f64 {
        let farthest = self.room.as_ref().map(|room| room.farthest(self.norm));
        self.radius.min(farthest.unwrap_or(f64::INFINITY))
    }

    /// How far number `at` can go in the direction of `sign`.
    fn room(&self, at: usize, sign: f64) -> f64 {
        match &self.room {
            Some(room) => room.way(at, sign > 0.0),
            None => f64::INFINITY,
        }
    }

    /// At least the largest `linear . delta`.
    pub(crate) fn most(&self, linear: &[f64]) -> f64 {
        let (size, dual) = (linear.len(), self.norm.dual());
        if self.radius == 0.0 {
            return 0.0;
        }
        let whole = || product_up(&[self.radius, dual.of_up(linear)]);
        let Some(room) = &self.room else {
            return whole();
        };
        if self.norm == Norm::LINF {
            let term = |(at, w): (usize, &f64)| match *w {
                0.0 => 0.0,
                w => w.abs() * room.way(at, w > 0.0).min(self.radius),
            };
            return up_by(linear.iter().enumerate().map(term).sum(), size + 2);
        }
        let cut = Cut::new(self, linear);
        if !cut.scale.is_finite() {
            return whole();
        }
        let Some(mu) = cut.multiplier else {
            // The whole box.
            let term = |(at, w): (usize, &f64)| cut.end(at, *w) * w.abs();
            return up_by(linear.iter().enumerate().map(term).sum(), size + 2);
        };
        // For every split |w| = a + b into parts that are not negative: sum a_i r_i + ||b||_q t.
        let mut ends = 0.0;
        let part = |(at, w): (usize, &f64)| {
            let part = cut.part(at, *w, mu);
            if w.abs() > part {
                ends += (w.abs() - part) * cut.end(at, *w);
            }
            part
        };
        let parts: Vec<f64> = linear.iter().enumerate().map(part).collect();
        let beyond = product_up(&[self.radius, dual.of_up(&parts)]);
        up_by(up_by(ends, size + 3) + beyond, 1)
    }

    /// A deviation, written to `delta`, at which `linear . delta` is about as large as it can be.
    pub(crate) fn maximiser(&self, linear: &[f64], delta: &mut [f64]) {
        if self.radius == 0.0 {
            return delta.fill(0.0);
        }
        if self.norm == Norm::LINF {
            for (at, (own, w)) in delta.iter_mut().zip(linear).enumerate() {
                let end = if *w == 0.0 {
                    0.0
                } else {
                    self.room(at, *w).min(self.radius)
                };
                *own = end.copysign(*w);
            }
            return;
        }
        let cut = Cut::new(self, linear);
        let mut left = self.radius;
        for (at, (own, w)) in delta.iter_mut().zip(linear).enumerate() {
            let end = cut.end(at, *w);
            let length = match (cut.multiplier, self.norm.p()) {
                _ if *w == 0.0 => 0.0,
                (None, _) => end,
                (Some(mu), 1.0) if w.abs() > mu => end,
                (Some(mu), 1.0) if w.abs() < mu => 0.0,
                (Some(_), 1.0) => f64::NAN,
                (Some(mu), _) => (cut.free(*w, mu) * self.radius).min(end),
            };
            *own = length.copysign(*w);
            left -= if length.is_nan() { 0.0 } else { length };
        }
        // What l1 has left goes to the number at the threshold.
        for (at, own) in delta.iter_mut().enumerate().filter(|(_, own)| own.is_nan()) {
            let length = cut.end(at, linear[at]).min(left.max(0.0));
            left -= length;
            *own = length.copysign(linear[at]);
        }
    }

    /// The deviation in the ball that is near `delta`: cut with the box, then shrunk. It certainly is no longer than the radius.
    pub(crate) fn project(&self, delta: &mut [f64]) {
        for (at, own) in delta.iter_mut().enumerate() {
            *own = own.clamp(-self.end(at, -1.0), self.end(at, 1.0));
        }
        let length = self.norm.of_up(delta);
        if length > self.radius {
            let share = quotient_down(self.radius, length);
            // Each product is no larger than the exact one.
            let shrunk = |own: &f64| down(own.abs() * share).max(0.0).copysign(*own);
            delta.iter_mut().for_each(|own| *own = shrunk(own));
        }
    }
}

/// How a linear function's maximum over a ball cut with a box divides the ball among numbers. For another `p` than 1 all is relative
/// to the radius and to the largest weight, so that no power vanishes or overflows that matters.
struct Cut<'a> {
    ball: &'a InputBall,
    /// The largest weight.
    scale: f64,
    /// Of the norm's constraint; `None` where the box alone limits.
    multiplier: Option<f64>,
}

impl<'a> Cut<'a> {
    fn new(ball: &'a InputBall, linear: &[f64]) -> Self {
        let mut cut = Self {
            ball,
            scale: largest(linear),
            multiplier: None,
        };
        cut.multiplier = match ball.norm.p() {
            1.0 => cut.threshold(linear),
            p => cut.root(linear, p),
        };
        cut
    }

    fn end(&self, at: usize, w: f64) -> f64 {
        self.ball.room(at, w).min(self.ball.radius)
    }

    /// How far a number would go without an end, as a share of the radius.
    fn free(&self, w: f64, mu: f64) -> f64 {
        let weight = w.abs() / self.scale;
        match self.ball.norm.p() {
            2.0 => weight / mu,
            p => (weight / mu).powf(1.0 / (p - 1.0)),
        }
    }

    /// The part of a weight's size that its end does not stop, rounded to whatever side: at most the whole.
    fn part(&self, at: usize, w: f64, mu: f64) -> f64 {
        let share = self.end(at, w) / self.ball.radius;
        let part = match self.ball.norm.p() {
            1.0 => mu,
            2.0 => mu * self.scale * share,
            p => mu * self.scale * share.powf(p - 1.0),
        };
        part.min(w.abs())
    }

    /// The weight up to which an l1 ball's radius is spent, the largest first.
    fn threshold(&self, linear: &[f64]) -> Option<f64> {
        let mut order: Vec<usize> = (0..linear.len()).filter(|at| linear[*at] != 0.0).collect();
        order.sort_unstable_by(|a, b| linear[*b].abs().total_cmp(&linear[*a].abs()));
        let mut left = self.ball.radius;
        for at in order {
            left -= self.end(at, linear[at]);
            if left <= 0.0 {
                return Some(linear[at].abs());
            }
        }
        None
    }

    /// The multiplier at which the numbers' ways, cut with their ends, fill the ball.
    fn root(&self, linear: &[f64], p: f64) -> Option<f64> {
        let power = |d: f64| if p == 2.0 { d * d } else { d.powf(p) };
        let q = p / (p - 1.0);
        let dual = |w: f64| if p == 2.0 { w * w } else { w.powf(q) };
        // Those at their ends only become more as the others go further.
        let (mut mu, mut last) = (f64::INFINITY, usize::MAX);
        for _ in 0..ROUNDS {
            let (mut spent, mut rest, mut ended) = (0.0, 0.0, 0);
            for (at, w) in linear.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                let end = self.end(at, *w) / self.ball.radius;
                match self.free(*w, mu) >= end && mu.is_finite() {
                    true => {
                        spent += power(end);
                        ended += 1;
                    }
                    false => rest += dual(w.abs() / self.scale),
                }
            }
            if ended == last {
                break;
            }
            last = ended;
            let left = 1.0 - spent;
            if rest == 0.0 || left <= 0.0 {
                return if left <= 0.0 { Some(mu) } else { None };
            }
            // sum (|w| / mu)^q = left.
            mu = match p {
                2.0 => (rest / left).sqrt(),
                _ => (rest / left).powf(1.0 / q),
            };
        }
        mu.is_finite().then_some(mu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Radii, rooms and weights of all sizes: a bound is no less than what the deviation along the weights reaches, and that where no end
    /// stops it.
    #[test]
    fn powers_that_vanish_or_overflow_leave_bounds() {
        for p in [1.0, 1.0001, 1.5, 2.0, 3.0, 1e6, f64::INFINITY] {
            let norm = Norm::new(p).unwrap();
            for size in [1e-300, 1e-170, 1e-162, 1e-160, 1e-155, 1.0, 1e160, 1e300] {
                for weight in [1e-170, 1e-160, 1.0, 1e160] {
                    let (linear, radius) = ([weight, -weight], 0.37 * size);
                    for room in [f64::INFINITY, size, 0.25 * size] {
                        let room = (room < f64::INFINITY).then_some([room; 2]);
                        let room = room.map(|ways| Room::of(ways.into_iter()));
                        let ball = InputBall::new(norm, radius, room.clone()).unwrap();
                        // Both numbers go as far.
                        let way = 0.37 * 2f64.powf(-1.0 / p);
                        let way = match room {
                            Some(room) if room.most < size => way.min(0.25),
                            _ => way,
                        };
                        let most = ball.most(&linear);
                        let truth = 2.0 * way * size * weight;
                        let (low, high) = (truth * (1.0 - 1e-13), truth * (1.0 + 1e-9));
                        let all = format!("p {p}, size {size}, weight {weight}: {most} of {truth}");
                        assert!(most >= low, "{all}");
                        assert!(most <= high || truth < 1e-300, "{all}");
                        let mut delta = [3.0 * size, -0.1 * size];
                        ball.project(&mut delta);
                        assert!(
                            norm.of(&delta) <= radius * (1.0 + 1e-15),
                            "{all}: {delta:?}"
                        );
                    }
                }
            }
        }
    }
}
