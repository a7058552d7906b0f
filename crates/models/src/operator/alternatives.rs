//! What a piecewise-linear operator selects from.

/// The functions and entries that a piecewise-linear operator selects from, as numbers without rounding: what arithmetic
/// other than that of tensors needs to evaluate it. Entries are those of the operand of one input, flat.
#[derive(Debug, Clone, PartialEq)]
pub enum Alternatives {
    /// Every entry goes through a continuous piecewise-linear function of one number; the output has the operand's entries.
    /// An entry at a breakpoint is on its right. The neurons are the entries minus the first breakpoint, then the entries minus the second, and so on.
    Lines {
        /// Breakpoints, strictly increasing, at least one.
        breakpoints: Vec<f64>,
        /// Slopes, one more than breakpoints: once for all entries, or for each of them.
        slopes: Vec<Vec<f64>>,
        /// The value at the first breakpoint.
        anchor: f64,
    },
    /// Each entry of the output is the largest of a group of entries of the operand, the first of equal ones in the order of
    /// the group. The neurons are the selected entry minus each of the others, in their order, group after group.
    Largest(
        /// The groups, none of them empty.
        Vec<Vec<u32>>,
    ),
}
