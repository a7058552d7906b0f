//! The numbers that an operator stores.

use super::number::{Rational, exact};
use candle_core::{DType, Tensor};
use loclin_models::Operator;
use std::collections::BTreeMap;

/// Why there is no exact network.
#[derive(Debug, thiserror::Error)]
pub enum Unsupported {
    /// An operator that the oracle does not know.
    #[error("the exact oracle does not know the operator {0}")]
    Operator(&'static str),
    /// A number that is no rational.
    #[error("{0} is no rational number")]
    NotFinite(f64),
    /// An operator without a parameter that it must have.
    #[error("there is no parameter `{0}`")]
    Parameter(&'static str),
    /// The input has another size.
    #[error("the network takes {expected} numbers, found {found}")]
    Input {
        /// Numbers of one input.
        expected: usize,
        /// Numbers found.
        found: usize,
    },
    /// A parameter that cannot be read.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// Parameters of an operator by local name: shape and numbers.
pub(super) struct Parameters(BTreeMap<&'static str, (Vec<usize>, Vec<Rational>)>);

impl Parameters {
    /// Those of an operator, exactly.
    ///
    /// # Errors
    /// A number that is not finite.
    pub(super) fn of(operator: &Operator) -> Result<Self, Unsupported> {
        let read = |(name, tensor): (&'static str, &Tensor)| {
            let values = tensor.to_dtype(DType::F64)?.flatten_all()?;
            let number = |v: f64| exact(v).ok_or(Unsupported::NotFinite(v));
            let values = values.to_vec1::<f64>()?.into_iter().map(number);
            Ok((
                name,
                (tensor.dims().to_vec(), values.collect::<Result<_, _>>()?),
            ))
        };
        let all = operator.parameters().into_iter().map(read);
        Ok(Self(all.collect::<Result<_, Unsupported>>()?))
    }

    /// Shape and numbers of one of them.
    ///
    /// # Errors
    /// There is none of that name.
    pub(super) fn get(
        &self,
        name: &'static str,
    ) -> Result<(&Vec<usize>, &Vec<Rational>), Unsupported> {
        let found = self.0.get(name).ok_or(Unsupported::Parameter(name))?;
        Ok((&found.0, &found.1))
    }
}
