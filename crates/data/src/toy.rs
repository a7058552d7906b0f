//! A problem in the plane, small enough to draw every linear region of a network (Figure 1 of the
//! paper, whose own points are not published).

use std::f64::consts::{PI, TAU};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Dataset, Error, Values};

/// How to draw [`moons`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moons {
    /// Number of points, at least 2; 40 to 80 make a legible picture.
    pub points: usize,
    /// Radius of the disc in which a point is moved off its arc, 0 to 0.2. The arcs are at least
    /// 0.45 apart, so the classes stay separable.
    pub noise: f64,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for Moons {
    fn default() -> Self {
        Self {
            points: 60,
            noise: 0.12,
            seed: 0,
        }
    }
}

/// Two interleaved arcs, one per class, which a curve separates but no straight line.
///
/// Input shape `[2]`, values within `[-1.6, 1.6]`, classes 0 and 1 in turn. Points are spread evenly
/// along the arcs and then moved at random.
///
/// # Errors
/// Parameters outside their ranges.
///
/// ```
/// use loclin_data::toy::{Moons, moons};
/// let toy = moons(&Moons { points: 40, ..Moons::default() })?;
/// assert_eq!((toy.len(), toy.input_shape()), (40, &[2][..]));
/// # Ok::<(), loclin_data::Error>(())
/// ```
pub fn moons(config: &Moons) -> Result<Dataset, Error> {
    let &Moons {
        points,
        noise,
        seed,
    } = config;
    if !(2..=MAX_POINTS).contains(&points) {
        return Err(Error::Parameter {
            name: "points",
            found: points.to_string(),
            expected: "2 to 1000000",
        });
    }
    if !(0.0..=0.2).contains(&noise) {
        return Err(Error::Parameter {
            name: "noise",
            found: noise.to_string(),
            expected: "0 to 0.2",
        });
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut values = Vec::with_capacity(2 * points);
    let mut labels = Vec::with_capacity(points);
    for point in 0..points {
        let class = point % 2;
        let of_class = (points + 1 - class) / 2;
        let angle = PI * ((point / 2) as f64 + rng.random::<f64>()) / of_class as f64;
        let (sin, cos) = angle.sin_cos();
        // Half circles of radius 1 around (0, 0) and (1, 1/2), opening towards each other.
        let (x, y) = if class == 0 {
            (cos, sin)
        } else {
            (1.0 - cos, 0.5 - sin)
        };
        // Uniform in the disc: the radius is the root of a uniform number.
        let (radius, turn) = (
            noise * rng.random::<f64>().sqrt(),
            TAU * rng.random::<f64>(),
        );
        let (dy, dx) = turn.sin_cos();
        // Centred and stretched to fill a square picture.
        values.extend([
            0.9 * (x - 0.5) + radius * dx,
            1.4 * (y - 0.25) + radius * dy,
        ]);
        labels.push(class as u32);
    }
    Dataset::new("toy", &[2], Values::F64(values))?.with_labels(labels, Some(2))
}

const MAX_POINTS: usize = 1_000_000;
