//! What a piecewise-linear operator records at a batch of inputs.

use candle_core::{DType, Error, Result, Tensor};

/// What a piecewise-linear operator recorded at a batch of `B` inputs: its part of the activation pattern (Def. 1), and
/// what its push and pull need under that pattern.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use loclin_models::ActivationRecord;
///
/// // A ReLU of three units at one input.
/// let z = Tensor::new(&[[0.5, -1.0, 2.0]], &Device::Cpu)?;
/// let signs = Tensor::new(&[[1.0, -1.0, 1.0]], &Device::Cpu)?;
/// let pieces = Tensor::new(&[[1u8, 0, 1]], &Device::Cpu)?;
/// let slopes = Tensor::new(&[[1.0, 0.0, 1.0]], &Device::Cpu)?;
/// let record = ActivationRecord::new(z, signs, pieces, 2)?.with_slopes(slopes);
/// assert_eq!((record.pre_activations().dims(), record.piece_count()), (&[1, 3][..], 2));
/// assert!(record.slopes().is_some());
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ActivationRecord {
    pre_activations: Tensor,
    signs: Tensor,
    pieces: Tensor,
    piece_count: usize,
    selection: Selection,
}

/// What an operator needs under its pattern; the first dimension is the batch.
#[derive(Debug, Clone)]
enum Selection {
    /// Nothing beside the pattern.
    Nothing,
    /// The slope of each entry.
    Slopes(Tensor),
    /// What only the operator can read.
    Own(Tensor),
}

impl ActivationRecord {
    /// A record of `m` neurons and any number of units at `B` inputs.
    ///
    /// * `pre_activations` `[B, m]`: the values of the neurons, differentiable.
    /// * `signs` `[B, m]`: the side each neuron is on, +1 or -1 (+1 at exactly 0), a constant in differentiation.
    /// * `pieces` `[B, units]`, `u8` or `u32`: the selected piece of each unit, each below `piece_count`.
    ///
    /// # Errors
    /// Shapes that do not fit each other.
    pub fn new(
        pre_activations: Tensor,
        signs: Tensor,
        pieces: Tensor,
        piece_count: usize,
    ) -> Result<Self> {
        let (batch, _) = pre_activations.dims2()?;
        if signs.dims() != pre_activations.dims() || pieces.dims2()?.0 != batch {
            return Err(Error::Msg(format!(
                "a record of pre-activations {:?} with signs {:?} and pieces {:?}",
                pre_activations.dims(),
                signs.dims(),
                pieces.dims()
            )));
        }
        Ok(Self {
            pre_activations,
            signs,
            pieces,
            piece_count,
            selection: Selection::Nothing,
        })
    }

    /// With the slopes of an elementwise operator, `[B, in...]`, one for each entry of the operand, constants in
    /// differentiation: what [`ActivationRecord::slopes`] gives back.
    pub fn with_slopes(self, slopes: Tensor) -> Self {
        Self {
            selection: Selection::Slopes(slopes),
            ..self
        }
    }

    /// With a tensor `[B, ...]` of the operator's own, a constant in differentiation: what [`ActivationRecord::own`]
    /// gives back to the operator's push and pull. Nobody else reads it.
    pub fn with_own(self, own: Tensor) -> Self {
        Self {
            selection: Selection::Own(own),
            ..self
        }
    }

    /// Values of the neurons, `[B, m]`, differentiable: pre-activations for a ReLU.
    pub fn pre_activations(&self) -> &Tensor {
        &self.pre_activations
    }

    /// The side each neuron is on, `[B, m]`, +1 or -1 (+1 at exactly 0), a constant in differentiation.
    pub fn signs(&self) -> &Tensor {
        &self.signs
    }

    /// The selected piece of each unit, `[B, units]`, `u8` or `u32`, each below [`ActivationRecord::piece_count`].
    pub fn pieces(&self) -> &Tensor {
        &self.pieces
    }

    /// How many pieces a unit can choose from.
    pub fn piece_count(&self) -> usize {
        self.piece_count
    }

    /// The selected slopes `[B, in...]` of an operator that multiplies each entry of its operand by a constant number:
    /// what engines for chains and recurrences read. `None` for every other operator.
    pub fn slopes(&self) -> Option<&Tensor> {
        match &self.selection {
            Selection::Slopes(slopes) => Some(slopes),
            _ => None,
        }
    }

    /// The tensor that the operator stored with [`ActivationRecord::with_own`].
    ///
    /// # Errors
    /// A record of another operator, which stored none.
    pub fn own(&self) -> Result<&Tensor> {
        match &self.selection {
            Selection::Own(own) => Ok(own),
            _ => Err(Error::Msg(
                "an activation record of another operator".into(),
            )),
        }
    }

    /// The records of inputs `start .. start + len`.
    ///
    /// # Errors
    /// Inputs that the record does not have.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        let narrow = |tensor: &Tensor| tensor.narrow(0, start, len);
        Ok(Self {
            pre_activations: narrow(&self.pre_activations)?,
            signs: narrow(&self.signs)?,
            pieces: narrow(&self.pieces)?,
            piece_count: self.piece_count,
            selection: self.selection.map(narrow)?,
        })
    }

    /// The same records with floating-point tensors in another dtype.
    ///
    /// # Errors
    /// A conversion that the device does not have.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        Ok(Self {
            pre_activations: self.pre_activations.to_dtype(dtype)?,
            signs: self.signs.to_dtype(dtype)?,
            pieces: self.pieces.clone(),
            piece_count: self.piece_count,
            selection: self
                .selection
                .map(|tensor| match tensor.dtype().is_float() {
                    true => tensor.to_dtype(dtype),
                    false => Ok(tensor.clone()),
                })?,
        })
    }
}

impl Selection {
    fn map(&self, map: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(match self {
            Self::Nothing => Self::Nothing,
            Self::Slopes(slopes) => Self::Slopes(map(slopes)?),
            Self::Own(own) => Self::Own(map(own)?),
        })
    }
}
