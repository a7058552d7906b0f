//! What can go wrong when a region is asked for.

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error names the thing, the cause and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The network refused its input, or a tensor computation failed.
    #[error(transparent)]
    Model(#[from] loclin_models::Error),

    /// A tensor computation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),

    /// A seeded tensor could not be drawn.
    #[error(transparent)]
    Tensor(#[from] loclin_tensor::Error),

    /// A number that is not finite, so that no region can be certified.
    #[error("input {index} of the batch: {what} is not finite ({value})")]
    NotFinite {
        /// Index in the batch.
        index: usize,
        /// Which quantity.
        what: String,
        /// Its value.
        value: f64,
    },

    /// The `p` of a norm is not in `[1, inf]`.
    #[error("a norm must be a number p with 1 <= p <= inf, found `{0}`")]
    Norm(String),

    /// An argument is out of range.
    #[error("{what}: {cause}")]
    Argument {
        /// Which argument.
        what: &'static str,
        /// The value found and the values allowed.
        cause: String,
    },
}
