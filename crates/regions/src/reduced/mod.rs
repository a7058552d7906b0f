//! What happens beyond the region: balls in which units change their selection.
//!
//! Inside a ball a network *is* a small network of only those units that can change their selection there
//! ([`Surroundings`]); the change of its gradient is a combination of their gradients.

mod answer;
mod ball;
mod best_first;
mod branch;
mod build;
mod change;
mod constant;
mod feasible;
mod function;
mod inverse;
mod limits;
mod network;
mod operator;
mod part;
mod proof;
mod question;
mod solver;
mod state;
mod surroundings;
mod units;
mod witness;

pub use answer::Bound;
pub use constant::ConstantBall;
pub use function::ReducedFunction;
pub use inverse::{Largest, Threshold, rising};
pub use limits::Limits;
pub use proof::{Proof, Reason, Step};
pub use question::{Question, one_output};
pub use surroundings::Surroundings;
