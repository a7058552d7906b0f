//! Balls in which units change sides, against every activation pattern of a small network: a pattern is in the ball where its
//! half-planes leave something of it, and its gradients are those of a plain reverse pass.

use crate::reduced::{ROUNDING, TINY, norm_of, questions, value};
use crate::{cases, dot, untested};
use candle_core::DType;
use loclin_regions::reduced::{Limits, Question};
use loclin_regions::{Budget, Domain, Linearization, Norm};
use loclin_tests::strategies::{Limits as Sizes, Numbers, Quirk, Recipe, recipes};
use loclin_tests::{Fc, bridge};
use proptest::prelude::*;
use rand::Rng;

/// At most `2^12` patterns.
const SIZES: Sizes = Sizes {
    inputs: 5,
    depth: 3,
    width: 4,
    outputs: 2,
};

const LIMITS: Limits = Limits {
    time: None,
    parts: 2000,
    proof: false,
};

/// A half-plane counts as reached, or as left, only where it is so by this share of the numbers in it.
const SLACK: f64 = 1e-9;

/// What is found and what is proved count as one number when they differ by at most this share.
const EXACT: f64 = 1e-9;

/// A point of the plane through the ball's centre.
type Point = [f64; 2];

/// What of a convex polygon has `offset + slope * point >= 0`.
fn clip(polygon: &[Point], offset: f64, slope: Point) -> Vec<Point> {
    let at = |p: &Point| offset + slope[0] * p[0] + slope[1] * p[1];
    let mut kept = Vec::with_capacity(polygon.len() + 1);
    for (index, from) in polygon.iter().enumerate() {
        let to = &polygon[(index + 1) % polygon.len()];
        let (a, b) = (at(from), at(to));
        if a >= 0.0 {
            kept.push(*from);
        }
        if (a > 0.0 && b < 0.0) || (a < 0.0 && b > 0.0) {
            let share = a / (a - b);
            kept.push([0, 1].map(|i| from[i] + share * (to[i] - from[i])));
        }
    }
    kept
}

/// How far the origin is from a convex polygon.
fn distance(polygon: &[Point]) -> f64 {
    let cross = |a: &Point, b: &Point| a[0] * b[1] - a[1] * b[0];
    let edges = || polygon.iter().zip(polygon.iter().cycle().skip(1));
    if edges().all(|(a, b)| cross(a, b) >= 0.0) {
        return 0.0;
    }
    let of_edge = |(a, b): (&Point, &Point)| {
        let way = [b[0] - a[0], b[1] - a[1]];
        let share = -dot(a, &way) / dot(&way, &way).max(f64::MIN_POSITIVE);
        let share = share.clamp(0.0, 1.0);
        (a[0] + share * way[0]).hypot(a[1] + share * way[1])
    };
    edges().map(of_edge).fold(f64::INFINITY, f64::min)
}

/// What is asked of a network at an input, cut with a rectangle in the plane of two of its numbers.
struct Plane {
    fc: Fc,
    x: Vec<f64>,
    axes: [usize; 2],
    /// Lower and upper end along each axis, from the input.
    ends: [[f64; 2]; 2],
    norm: Norm,
    radius: f64,
}

/// A pattern that has inputs in the ball.
struct Cell {
    gradients: Vec<Vec<f64>>,
    /// The outputs at the corners of what is in the ball as far as rounding tells; none where borders only touch.
    sure: Vec<Vec<f64>>,
    /// The outputs at the corners of what may be in the ball. An l2 ball counts as the square around it.
    possible: Vec<Vec<f64>>,
}

impl Plane {
    fn of(recipe: &Recipe, norm: f64, size: f64) -> Self {
        let fc = recipe.network();
        let x = recipe.points(1).swap_remove(0);
        let mut rng = recipe.rng(99);
        let axis = rng.random_range(0..x.len());
        let other = (axis + rng.random_range(1..x.len())) % x.len();
        let mut end = || size * rng.random_range(0.2..1.5);
        let ends = [(); 2].map(|()| [-end(), end()]);
        Self {
            fc,
            x,
            axes: [axis, other],
            ends,
            norm: Norm::new(norm).unwrap(),
            radius: size,
        }
    }

    fn domain(&self) -> Domain {
        let mut ends = [self.x.clone(), self.x.clone()];
        for (axis, own) in self.axes.iter().zip(self.ends) {
            for (end, way) in ends.iter_mut().zip(own) {
                end[*axis] += way;
            }
        }
        let [low, high] = ends;
        Domain::new(low, high).unwrap()
    }

    /// The ball as a polygon, or the rectangle around it for l2.
    fn ball(&self) -> Vec<Point> {
        let [a, b] = self.ends;
        let mut ball = vec![[a[0], b[0]], [a[1], b[0]], [a[1], b[1]], [a[0], b[1]]];
        let faces: &[Point] = match self.norm.p() {
            1.0 => &[[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]],
            _ => &[[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]],
        };
        for face in faces {
            ball = clip(&ball, self.radius, *face);
        }
        ball
    }

    /// What of the ball a pattern has, `slack` more or less.
    fn cell(
        &self,
        pattern: &[bool],
        offsets: &[f64],
        gradients: &[Vec<f64>],
        slack: f64,
    ) -> Vec<Point> {
        let mut cell = self.ball();
        for ((on, offset), gradient) in pattern.iter().zip(offsets).zip(gradients) {
            let sign = if *on { 1.0 } else { -1.0 };
            let slope = self.axes.map(|axis| sign * gradient[axis]);
            // A neuron may be 0 in the whole plane.
            let size = (offset.abs() + self.radius * (slope[0].abs() + slope[1].abs())).max(1e-6);
            cell = clip(&cell, sign * offset + slack * size, slope);
        }
        let beyond = self.norm.p() == 2.0
            && !cell.is_empty()
            && distance(&cell) > self.radius * (1.0 + slack);
        if beyond { Vec::new() } else { cell }
    }

    fn cells(&self) -> Vec<Cell> {
        let neurons = self.fc.neurons();
        (0..1usize << neurons)
            .filter_map(|bits| {
                let pattern: Vec<bool> = (0..neurons).map(|at| bits >> at & 1 == 1).collect();
                let (offsets, outputs) = self.values(&pattern);
                let gradients = self.fc.neuron_gradients(&pattern);
                let output_gradients = self.fc.output_gradients(&pattern);
                let at = |corner: &Point| {
                    let along =
                        |gradient: &Vec<f64>| dot(corner, &self.axes.map(|axis| gradient[axis]));
                    output_gradients
                        .iter()
                        .zip(&outputs)
                        .map(|(g, o)| o + along(g))
                        .collect()
                };
                let [sure, possible] = [-SLACK, SLACK].map(|slack| -> Vec<Vec<f64>> {
                    self.cell(&pattern, &offsets, &gradients, slack)
                        .iter()
                        .map(at)
                        .collect()
                });
                (!possible.is_empty()).then_some(Cell {
                    gradients: output_gradients,
                    sure,
                    possible,
                })
            })
            .collect()
    }

    /// Neurons and outputs at the input, as a pattern has them whether it is the input's or not.
    fn values(&self, pattern: &[bool]) -> (Vec<f64>, Vec<f64>) {
        let (mut a, mut neurons) = (self.x.clone(), Vec::new());
        let mut sides = pattern.iter();
        for layer in &self.fc.layers {
            let z: Vec<f64> = layer
                .weight
                .iter()
                .zip(&layer.bias)
                .map(|(row, b)| dot(row, &a) + b)
                .collect();
            let slope = |z: &f64| {
                sides
                    .next()
                    .map_or(*z, |on| if *on { *z } else { self.fc.negative_slope * z })
            };
            a = z.iter().map(slope).collect();
            neurons.extend(z);
        }
        let outputs = neurons.split_off(pattern.len());
        (neurons, outputs)
    }
}

proptest! {
    #![proptest_config(cases(100))]

    /// What is found and what is proved meet at the largest value that any pattern in the ball has.
    #[test]
    fn every_pattern_of_a_ball_is_within_its_bounds_and_the_largest_is_found(
        recipe in recipes(SIZES),
        norm in prop::sample::select(vec![1.0, 2.0, f64::INFINITY]),
        size in prop::sample::select(vec![0.1, 0.5, 2.0]),
    ) {
        let recipe = Recipe { inputs: recipe.inputs.max(2), outputs: 2, ..recipe };
        // Where two neurons are one function, or more sides than two meet in one point of the plane, as between integers or in
        // the origin without biases, patterns that only touch the ball stay open.
        let touching = recipe.quirks.contains(&Quirk::Duplicate) || recipe.quirks.contains(&Quirk::NoBias)
            || recipe.numbers == Numbers::Lattice;
        let plane = Plane::of(&recipe, norm, size);
        let network = bridge::network(&plane.fc, DType::F64).unwrap();
        let x = bridge::batch(std::slice::from_ref(&plane.x), DType::F64).unwrap();
        let here = Linearization::new(&network, &x, Budget::default()).unwrap();
        let around = here.within(plane.domain()).unwrap().surroundings(0, plane.norm);
        // A neuron that is exactly 0 at the input has two gradients there, and no answer.
        let Ok(around) = around else { return untested() };
        let cells = plane.cells();
        let centre = plane.fc.output_gradients(&plane.fc.pattern(&plane.x));
        let largest = |of: &dyn Fn(&Cell) -> f64, sure: bool| {
            cells.iter().filter(|cell| !cell.sure.is_empty() || !sure).map(of).fold(f64::NEG_INFINITY, f64::max)
        };
        // Rounding is a share of the sums of absolute values over paths.
        let paths = plane.fc.absolute().output_gradients(&vec![true; plane.fc.neurons()]);
        let off = ROUNDING * norm_of(&paths) + TINY;
        for question in questions() {
            let own = |cell: &Cell| value(&question, &cell.gradients, &centre);
            let (low, high) = (largest(&own, true), largest(&own, false));
            let bound = around.bound(plane.radius, &question, LIMITS).unwrap();
            let high = high * (1.0 + 2.0 * EXACT) + off;
            prop_assert!(bound.found <= high, "{question:?}: found {} of {high}", bound.found);
            prop_assert!(bound.proved >= low - off, "{question:?}: proved {} of {low}", bound.proved);
            if touching {
                continue;
            }
            prop_assert!(bound.parts < LIMITS.parts, "{question:?}: {} units, {} parts", bound.units, bound.parts);
            prop_assert!(bound.found >= low - off, "{question:?}: found {} of {low}", bound.found);
            prop_assert!(
                bound.proved <= high,
                "{question:?}: proved {} of {high}", bound.proved
            );
        }
        let output = plane.fc.forward(&plane.x).output;
        let class = usize::from(output[1] > output[0]);
        let beyond = |outputs: &Vec<Vec<f64>>| {
            outputs.iter().map(|o| o[1 - class] - o[class]).fold(f64::NEG_INFINITY, f64::max)
        };
        let (low, high) = (largest(&|cell| beyond(&cell.sure), true), largest(&|cell| beyond(&cell.possible), false));
        let outputs = cells.iter().flat_map(|cell| &cell.possible).flatten();
        let off = ROUNDING * outputs.fold(TINY, |a: f64, v| a.max(v.abs()));
        let bound = around.bound(plane.radius, &Question::Class { class }, LIMITS).unwrap();
        prop_assert!(bound.found <= high + off, "class: found {} of {high}", bound.found);
        prop_assert!(norm == 2.0 || bound.proved >= low - off, "class: proved {} of {low}", bound.proved);
    }
}
