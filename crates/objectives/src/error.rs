//! What can go wrong with an objective.

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error names the thing, the cause and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The network refused its input.
    #[error(transparent)]
    Model(#[from] loclin_models::Error),

    /// A question about the region failed.
    #[error(transparent)]
    Region(#[from] loclin_regions::Error),

    /// A tensor computation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),

    /// A helper of the tensor crate failed.
    #[error(transparent)]
    Tensor(#[from] loclin_tensor::Error),

    /// A hyper-parameter is out of range.
    #[error("{field} must be {expected}, found {found}")]
    Config {
        /// The hyper-parameter.
        field: &'static str,
        /// The values allowed.
        expected: String,
        /// The value found.
        found: String,
    },

    /// The network has no neuron, so there is nothing to regularise.
    #[error(
        "the network has no activation: it is one affine map, with one linear region everywhere"
    )]
    NoNeurons,
}

/// An error unless `c`, the weight of the hinge, is finite and not negative.
pub(crate) fn check_c(c: f64) -> Result<()> {
    if c.is_finite() && c >= 0.0 {
        return Ok(());
    }
    Err(Error::Config {
        field: "c",
        expected: "a finite number >= 0".into(),
        found: c.to_string(),
    })
}
