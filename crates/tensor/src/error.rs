//! The crate's error type.

use candle_core::{DType, Shape};

/// The result of a fallible operation of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation of this crate failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Candle refused an operation (allocation, device, shapes of operands).
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),

    /// A matrix product that cannot be: shapes that do not fit, memory that
    /// is too short.
    #[error("matrix product: {0}")]
    Product(String),

    /// A tensor that no memory can be had for.
    #[error("no memory for a tensor of shape {shape:?}")]
    TooLarge {
        /// The shape.
        shape: Shape,
    },

    /// A hyper-parameter lies outside its range.
    #[error("{optimizer}: {field} = {value}, expected {expected}")]
    Hyperparameter {
        /// The optimiser that was configured.
        optimizer: &'static str,
        /// The field of its configuration.
        field: &'static str,
        /// The value that was given.
        value: f64,
        /// The range it must lie in.
        expected: &'static str,
    },

    /// Two parameters given to an optimiser have one name.
    #[error("parameter `{name}` was given to the optimiser twice")]
    DuplicateParameter {
        /// The repeated name.
        name: String,
    },

    /// A name that must be present is absent.
    #[error("tensor `{name}` is missing: expected one of shape {expected:?}")]
    MissingTensor {
        /// The absent name.
        name: String,
        /// The shape it should have.
        expected: Shape,
    },

    /// A name is present that nothing here owns.
    #[error("tensor `{name}` is unexpected: {reason}")]
    UnexpectedTensor {
        /// The unknown name.
        name: String,
        /// What the owner accepts instead.
        reason: String,
    },

    /// A tensor has another shape than its owner.
    #[error("tensor `{name}` has shape {found:?}, expected {expected:?}")]
    ShapeMismatch {
        /// The tensor's name.
        name: String,
        /// The shape of the owner.
        expected: Shape,
        /// The shape of the tensor.
        found: Shape,
    },

    /// A tensor has an element type that does not serve.
    #[error("tensor `{name}` has element type {found:?}, expected {expected}")]
    DType {
        /// The tensor's name, or the operation it was meant for.
        name: String,
        /// The element types that serve.
        expected: String,
        /// The element type of the tensor.
        found: DType,
    },

    /// An initialisation hint gave values that are not numbers.
    #[error("parameter `{name}`: the initialisation {init} gives values that are not finite")]
    Initialisation {
        /// The parameter's name.
        name: String,
        /// The hint, as Candle prints it.
        init: String,
    },

    /// A saved step count is negative or no single number.
    #[error("tensor `{name}` holds the step count {found}, expected an integer of at least 1")]
    StepCount {
        /// The tensor's name.
        name: String,
        /// What it holds.
        found: String,
    },

    /// A row has fewer entries than were to be selected.
    #[error("top_k_mask: k = {k} exceeds the {available} scores of a row")]
    TooFewScores {
        /// The number of entries asked for.
        k: usize,
        /// The number of entries in a row.
        available: usize,
    },

    /// A score is NaN, so that no order of its row exists.
    #[error("top_k_mask: the score in row {row}, column {column} is NaN")]
    NanScore {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
    },

    /// A matrix has no inverse.
    #[error("inverse of a tensor of shape {shape:?}: {cause}")]
    Inverse {
        /// Shape of the tensor.
        shape: Shape,
        /// Why it has none.
        cause: String,
    },

    /// A convolution that does not fit its operands.
    #[error("convolution of {found}: {cause}")]
    Convolution {
        /// The shapes of the operands.
        found: String,
        /// What does not fit.
        cause: String,
    },
}
