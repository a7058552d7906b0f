//! A straight line through all regions, without rounding.

use super::graph::Graph;
use super::number::{Rational, exact, nearest, reduced};
use super::parameters::Unsupported;

/// A stretch of a line in one region, as shares of the line.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// Where it begins.
    pub start: Rational,
    /// Where it ends.
    pub end: Rational,
    /// Gradients of the outputs.
    pub output_gradients: Vec<Vec<Rational>>,
}

impl Graph {
    /// All stretches from `from` to `to`, in order: they tile [0, 1], and where two meet some neuron is 0 that moves along the
    /// line. `None` if there are more than `most`.
    ///
    /// # Errors
    /// Ends of another size, or with a number that is not finite.
    pub fn stretches(
        &self,
        from: &[f64],
        to: &[f64],
        most: usize,
    ) -> Result<Option<Vec<Stretch>>, Unsupported> {
        let numbers = |x: &[f64]| {
            let number = |v: &f64| exact(*v).ok_or(Unsupported::NotFinite(*v));
            x.iter().map(number).collect::<Result<Vec<_>, _>>()
        };
        let (from, to) = (numbers(from)?, numbers(to)?);
        let direction: Vec<Rational> = from.iter().zip(&to).map(|(a, b)| b - a).collect();
        let mut found: Vec<Stretch> = Vec::new();
        let mut gaps = vec![(Rational::ZERO, Rational::ONE)];
        while let Some((a, b)) = gaps.pop() {
            if found.len() + gaps.len() > most {
                return Ok(None);
            }
            let at = between(&a, &b);
            let x: Vec<Rational> = from
                .iter()
                .zip(&direction)
                .map(|(x, d)| x + d * &at)
                .collect();
            let point = self.at_rational(&x)?;
            let (mut start, mut end) = (a.clone(), b.clone());
            for neuron in &point.neurons {
                let terms = neuron.gradient.iter().zip(&direction);
                let speed = reduced(terms.fold(Rational::ZERO, |sum, (g, d)| sum + g * d));
                if speed == Rational::ZERO {
                    continue;
                }
                let zero = reduced(&at - &neuron.value / speed);
                if zero <= at && zero > start {
                    start = zero.clone();
                }
                if zero >= at && zero < end {
                    end = zero;
                }
            }
            if start < end {
                found.push(Stretch {
                    start: start.clone(),
                    end: end.clone(),
                    output_gradients: point.output_gradients,
                });
            }
            gaps.extend((a < start).then_some((a, start)));
            gaps.extend((end < b).then_some((end, b)));
        }
        found.sort_by(|one, other| one.start.cmp(&other.start));
        Ok(Some(found))
    }
}

/// A number between two others, with few digits where that can be.
fn between(a: &Rational, b: &Rational) -> Rational {
    let middle = (a + b) / Rational::from(2u8);
    match exact(nearest(&middle)) {
        Some(near) if *a < near && near < *b => near,
        _ => middle,
    }
}
