//! Exact rational arithmetic: what a network's values, gradients and radii are, without any rounding.
//!
//! [`Graph::of`] reads a network's operators and the numbers that they store; every number is a rational, a float
//! being an integer times a power of two. [`Graph::at`] evaluates it at an input, with the exact gradient of every
//! neuron by forward mode, and [`Point::radii`] is Eq. 3 of the paper for l1, l2 and l_inf. A claim of the library
//! is then right or wrong: no tolerance is needed. The oracle shares nothing with the library but the description
//! of operators ([`loclin_models::operators::OperatorSpec`]) and their parameters.
//!
//! | file | what it does |
//! |---|---|
//! | `number` | rationals, floats to rationals, square roots |
//! | `map` | the three kinds of map that every operator becomes |
//! | `layout`, `affine`, `selecting` | each operator as such a map |
//! | `parameters`, `graph` | a network as a list of maps |
//! | `point` | values and gradients at one input |
//! | `line` | a straight line through all regions |
//! | `boxed` | radii of balls cut with a box |
//! | `radius` | radii, and how a float is held against them |
//! | `plan`, `draw`, `build` | random networks, ordinary ones and ones that break floating point |

mod affine;
mod boxed;
mod build;
mod draw;
mod graph;
mod layout;
mod line;
mod map;
mod number;
mod parameters;
mod plan;
mod point;
mod radius;
mod selecting;

pub use boxed::Ways;
pub use build::Drawn;
pub use graph::Graph;
pub use line::Stretch;
pub use map::{Map, Row};
pub use number::{Rational, exact, nearest};
pub use parameters::Unsupported;
pub use plan::{Block, Numbers, Plan, Quirk, hostile, ordinary};
pub use point::{Neuron, Point};
pub use radius::{Radii, Radius, assert_radius_at_most};
