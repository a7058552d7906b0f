//! The region itself, as half-spaces.

use crate::{
    Domain, Error, Linearization, Norm, Result, Rows,
    boxed::{self, Boundary},
    room::Room,
};
use candle_core::{DType, Device, Tensor};
use loclin_tensor::rounding::{largest, relative, up_by};
use std::sync::Arc;

/// The convex polyhedron `S(x) = { v : A v + b >= 0 }` of Lemma 2, one row for each neuron.
///
/// Row `j` of `A` is `o_j grad z_j`, and `b_j = o_j (z_j - grad z_j . x)`; the output is affine on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Polyhedron {
    /// The normals `A`, `|I|` rows of `D` numbers.
    pub normals: Rows,
    /// The offsets `b`, `|I|` numbers.
    pub offsets: Vec<f64>,
    /// For each row a bound of what rounding has done to it: to the normal, as an l1 norm, and to the offset. The exact
    /// half-space has `|A^ v + b^ - (A v + b)| <= normal ||v||_inf + offset`. Infinite where errors are not bounded.
    pub errors: Vec<RowError>,
    /// The domain that it is cut with, whose faces are no rows; `None` if it is whole.
    pub domain: Option<Arc<Domain>>,
}

/// What rounding has done to a row of a [`Polyhedron`] at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowError {
    /// The l1 norm of the normal's error.
    pub normal: f64,
    /// The offset's error.
    pub offset: f64,
}

impl RowError {
    /// Of a row of which nobody knows it.
    const UNKNOWN: Self = Self {
        normal: f64::INFINITY,
        offset: f64::INFINITY,
    };
}

impl Polyhedron {
    /// `A v + b` at a point `v` of `D` numbers: how far each neuron is from its boundary, in its own units.
    pub fn slack(&self, v: &[f64]) -> Vec<f64> {
        let row = |(normal, offset): (&[f64], &f64)| dot(normal, v) + offset;
        self.normals.iter().zip(&self.offsets).map(row).collect()
    }

    /// Whether a point is inside, up to `tolerance` in the neurons' units, and in the domain if there is one.
    pub fn contains(&self, v: &[f64], tolerance: f64) -> bool {
        let domain = self.domain.as_ref();
        domain.is_none_or(|domain| domain.contains(v))
            && self.slack(v).iter().all(|slack| *slack >= -tolerance)
    }

    /// The radius of the largest lp ball around a point inside: the distance to the nearest facet in the dual
    /// norm, within the domain if there is one, infinite where none is met there; negative if the point is outside, minus infinity if it is outside the domain. Rounded.
    pub fn margin(&self, v: &[f64], norm: Norm) -> f64 {
        let dual = norm.dual();
        let room = match self.domain.as_ref().map(|domain| Room::new(domain, v)) {
            Some(Err(_)) => return f64::NEG_INFINITY,
            Some(Ok(room)) => Some(room),
            None => None,
        };
        let rows = self.slack(v).into_iter().zip(self.normals.iter());
        let distances = rows.filter_map(|(slack, normal)| {
            let length = dual.of(normal);
            (length > 0.0).then(|| match &room {
                Some(room) if slack > 0.0 => {
                    let neuron = Boundary {
                        value: slack,
                        gradient: normal,
                        errors: [0.0; 2],
                    };
                    boxed::distance(&neuron, room, norm)
                }
                _ => slack / length,
            })
        });
        distances.fold(f64::INFINITY, f64::min)
    }

    /// `A` `[|I|, D]` and `b` `[|I|]` as tensors.
    ///
    /// # Errors
    /// A type of number or a device that the tensor library refuses.
    pub fn to_tensors(&self, dtype: DType, device: &Device) -> Result<(Tensor, Tensor)> {
        let normals = self.normals.to_tensor(dtype, device)?;
        let offsets = Tensor::from_vec(self.offsets.clone(), self.offsets.len(), device)?;
        Ok((normals, offsets.to_dtype(dtype)?))
    }
}

impl Linearization {
    /// The polyhedron around input number `input` (Lemma 2): `|I| * (D + 1)` numbers.
    ///
    /// # Errors
    /// An input that the batch does not have.
    pub fn polyhedron(&self, input: usize) -> Result<Polyhedron> {
        if input >= self.batch() {
            let cause = format!("{input} of a batch of {}", self.batch());
            return Err(Error::Argument {
                what: "input",
                cause,
            });
        }
        let one = self.only(input)?;
        one.polyhedra()?.pop().ok_or(Error::Argument {
            what: "input",
            cause: "an empty batch".into(),
        })
    }

    /// The polyhedra around all inputs: `B * |I| * (D + 1)` numbers.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn polyhedra(&self) -> Result<Vec<Polyhedron>> {
        let inputs = Rows::of_tensor(&self.inputs.flatten_from(1)?)?;
        let gradients = self.neuron_jacobians()?.into_iter();
        let polyhedra = gradients.zip(inputs.iter().zip(self.pre_activations.iter()));
        let polyhedron = |(input, (mut gradients, (x, values))): (usize, (Rows, _))| {
            let errors = self.gradient_errors(input)?;
            let both = gradients.rows_mut().into_iter().zip(errors.iter());
            let zeros = both.filter(|(_, error)| self.is_surely_0(**error));
            zeros.for_each(|(row, _)| row.fill(0.0));
            let mut polyhedron = half_spaces(gradients, x, values);
            polyhedron.domain = self.domain().cloned();
            if let Some(rounding) = &self.rounding {
                let of_values = values.iter().zip(&rounding.values()[input]);
                let rows = polyhedron.normals.iter().zip(errors.iter());
                let error = |((row, normal), value): ((&[f64], &f64), (&f64, &f64))| RowError {
                    normal: *normal,
                    offset: offset_error((row, *normal), x, value),
                };
                polyhedron.errors = rows.zip(of_values).map(error).collect();
            }
            Ok(polyhedron)
        };
        polyhedra.enumerate().map(polyhedron).collect()
    }
}

/// Turns the neurons' gradients, in place, into half-spaces that hold `x`.
fn half_spaces(mut gradients: Rows, x: &[f64], values: &[f64]) -> Polyhedron {
    let mut offsets = Vec::with_capacity(values.len());
    for (gradient, z) in gradients.rows_mut().into_iter().zip(values) {
        let sign = if *z >= 0.0 { 1.0 } else { -1.0 };
        offsets.push(sign * (z - dot(gradient, x)));
        gradient.iter_mut().for_each(|g| *g *= sign);
    }
    Polyhedron {
        normals: gradients,
        errors: vec![RowError::UNKNOWN; offsets.len()],
        offsets,
        domain: None,
    }
}

/// The error of `z - g . x`, given `g` and `z` with theirs.
fn offset_error((row, normal): (&[f64], f64), x: &[f64], (z, value): (&f64, &f64)) -> f64 {
    let terms: f64 = row.iter().zip(x).map(|(g, x)| (g * x).abs()).sum();
    // The difference is rounded, too, whichever of both is larger.
    let sum = relative(row.len() + 4) * (terms + z.abs()) + normal * largest(x) + value;
    up_by(sum, row.len() + 8)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
