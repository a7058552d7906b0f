//! Why there is no exact answer.

/// The result of exact arithmetic.
pub type Result<T> = std::result::Result<T, ExactError>;

/// Why exact arithmetic has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExactError {
    /// The work would be more than what was allowed.
    #[error("exact arithmetic would take {needed} multiply-adds, of {allowed} allowed")]
    TooLarge {
        /// Multiply-adds that the work can take.
        needed: u64,
        /// Those allowed.
        allowed: u64,
    },
    /// An operator that does not say what exact arithmetic needs.
    #[error("node `{node}`: not known exactly: {cause}")]
    Unknown {
        /// The operator's node.
        node: String,
        /// What it does not say.
        cause: String,
    },
    /// A number that is not finite.
    #[error("{place}: {value} is not finite")]
    NotFinite {
        /// Where it stands.
        place: String,
        /// The number.
        value: f64,
    },
    /// An input of another size.
    #[error("the network takes {expected} numbers, found {found}")]
    Input {
        /// Numbers of one input.
        expected: usize,
        /// Numbers found.
        found: usize,
    },
    /// An input outside the domain.
    #[error("number {number} of the input is {value}, outside the domain [{low}, {high}]")]
    Outside {
        /// The first number that is.
        number: usize,
        /// Its value.
        value: f64,
        /// Its lower end.
        low: f64,
        /// Its upper end.
        high: f64,
    },
    /// A pattern of another network.
    #[error("an activation pattern with pieces that the network does not have")]
    Pattern,
    /// The network refused.
    #[error(transparent)]
    Model(#[from] loclin_models::Error),
    /// A tensor computation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl ExactError {
    pub(super) fn unknown(node: &str, cause: impl Into<String>) -> Self {
        Self::Unknown {
            node: node.into(),
            cause: cause.into(),
        }
    }
}
