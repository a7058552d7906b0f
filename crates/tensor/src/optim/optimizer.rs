//! What every optimiser can do.

use std::collections::BTreeMap;
use std::fmt::Debug;

use candle_core::Tensor;
use candle_core::backprop::GradStore;

use crate::Result;

/// A method that moves parameters along the gradients of a loss.
pub trait Optimizer: Debug + Send {
    /// Updates every parameter that has a gradient in `gradients`.
    ///
    /// # Errors
    /// [`crate::Error::ShapeMismatch`] or [`crate::Error::DType`] for a gradient that does
    /// not fit its parameter, found before anything is changed; else Candle's.
    fn step(&mut self, gradients: &GradStore) -> Result<()>;

    /// The step length of the following steps.
    fn learning_rate(&self) -> f64;

    /// Changes the step length. The state (momentum, moments) is kept.
    ///
    /// # Errors
    /// [`crate::Error::Hyperparameter`] if the rate is negative or not finite.
    fn set_learning_rate(&mut self, rate: f64) -> Result<()>;

    /// A copy of everything that a step reads besides the hyper-parameters and
    /// the parameters themselves, named `PARAMETER.KIND`. Parameters that were
    /// never updated have none.
    ///
    /// # Errors
    /// Candle's, if an allocation fails.
    fn state(&self) -> Result<BTreeMap<String, Tensor>>;

    /// Restores what [`state`](Self::state) gave. With the parameters restored
    /// too, training continues to the bit. Nothing is changed if an error is
    /// found.
    ///
    /// # Errors
    /// A tensor that is missing, unexpected, or of a wrong shape, by name.
    fn load_state(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()>;
}
