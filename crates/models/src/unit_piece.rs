//! The piece of a unit.

/// The piece that a unit is on at an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitPiece {
    /// The number of the input in the batch.
    pub input: usize,
    /// The number of the unit, as in [`crate::ActivationRecord::pieces`].
    pub unit: usize,
    /// The number of the piece.
    pub piece: u32,
}
