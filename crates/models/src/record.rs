//! What a piecewise-linear operator records at a batch of inputs.

use crate::unit_piece::UnitPiece;
use candle_core::{DType, Error, Result, Tensor};
use loclin_tensor::TwoPieces;
use std::sync::OnceLock;

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
/// assert!(record.slopes()?.is_some());
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ActivationRecord {
    pre_activations: Tensor,
    /// The same without the loss of its shape, where the neurons are the operand's entries.
    operand: Option<Tensor>,
    signs: Part,
    pieces: Part,
    piece_count: usize,
    selection: Selection,
}

/// A tensor that is there, or is made when it is first asked for: a step of training needs few of them.
#[derive(Debug, Clone)]
struct Part {
    found: OnceLock<Tensor>,
    /// How it is made.
    of: Option<Choice>,
}

/// What a function of two pieces selects at an operand.
#[derive(Debug, Clone)]
struct Choice {
    operand: Tensor,
    pieces: TwoPieces,
    reading: Reading,
}

/// What of a selection is meant.
#[derive(Debug, Clone, Copy)]
enum Reading {
    Signs,
    Pieces,
    Slopes,
}

/// What an operator needs under its pattern; the first dimension is the batch.
#[derive(Debug, Clone)]
enum Selection {
    /// Nothing beside the pattern.
    Nothing,
    /// The slope of each entry.
    Slopes(Part),
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
            operand: None,
            signs: Part::new(signs),
            pieces: Part::new(pieces),
            piece_count,
            selection: Selection::Nothing,
        })
    }

    /// The record of a function of two pieces at an operand `[B, in...]`, a neuron for each entry, with its slopes. Signs,
    /// pieces and slopes are made when they are first asked for.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn of_two_pieces(pieces: TwoPieces, operand: &Tensor) -> Result<Self> {
        let flat = operand.flatten_from(1)?;
        let part = |operand: &Tensor, reading| Part {
            found: OnceLock::new(),
            of: Some(Choice {
                operand: operand.detach(),
                pieces,
                reading,
            }),
        };
        Ok(Self {
            signs: part(&flat, Reading::Signs),
            pieces: part(&flat, Reading::Pieces),
            piece_count: 2,
            selection: Selection::Slopes(part(operand, Reading::Slopes)),
            operand: (pieces.breakpoint == 0.0).then(|| operand.clone()),
            pre_activations: match pieces.breakpoint {
                0.0 => flat,
                at => (flat - at)?,
            },
        })
    }

    /// With the slopes of an elementwise operator, `[B, in...]`, one for each entry of the operand, constants in
    /// differentiation: what [`ActivationRecord::slopes`] gives back.
    pub fn with_slopes(self, slopes: Tensor) -> Self {
        Self {
            selection: Selection::Slopes(Part::new(slopes)),
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

    /// [`ActivationRecord::pre_activations`] in any shape `[B, ...]`: where the neurons are the entries of the operand, the
    /// operand itself, which is differentiated with one pass less.
    pub fn unshaped_pre_activations(&self) -> &Tensor {
        self.operand.as_ref().unwrap_or(&self.pre_activations)
    }

    /// The side each neuron is on, `[B, m]`, +1 or -1 (+1 at exactly 0), a constant in differentiation.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn signs(&self) -> Result<&Tensor> {
        self.signs.get()
    }

    /// The selected piece of each unit, `[B, units]`, `u8` or `u32`, each below [`ActivationRecord::piece_count`].
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn pieces(&self) -> Result<&Tensor> {
        self.pieces.get()
    }

    /// How many pieces a unit can choose from.
    pub fn piece_count(&self) -> usize {
        self.piece_count
    }

    /// The selected slopes `[B, in...]` of an operator that multiplies each entry of its operand by a constant number:
    /// what engines for chains and recurrences read. `None` for every other operator.
    ///
    /// # Errors
    /// A tensor computation that fails.
    pub fn slopes(&self) -> Result<Option<&Tensor>> {
        match &self.selection {
            Selection::Slopes(slopes) => slopes.get().map(Some),
            _ => Ok(None),
        }
    }

    /// The function and the operand of [`ActivationRecord::of_two_pieces`]; `None` where the slopes are others.
    pub(crate) fn two_pieces(&self) -> Option<(TwoPieces, &Tensor)> {
        match &self.selection {
            Selection::Slopes(Part {
                of: Some(choice), ..
            }) => Some((choice.pieces, &choice.operand)),
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

    /// The values of the neurons, `[B, m]`, of a function of one number with so many breakpoints, neurons of the first breakpoint first: with
    /// some units on other pieces, where that takes another side of 0, as near to it as can be.
    ///
    /// # Errors
    /// A unit that there is not, or a tensor that cannot be read.
    pub(crate) fn placed(&self, units: &[UnitPiece], breakpoints: usize) -> Result<Tensor> {
        let z = &self.pre_activations;
        let (batch, width) = z.dims2()?;
        let entries = width / breakpoints.max(1);
        let mut values = z.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        for UnitPiece { input, unit, piece } in units {
            if *unit >= entries || *input >= batch {
                return Err(Error::Msg(format!("a record without unit {unit}")));
            }
            for breakpoint in 0..breakpoints {
                let value = &mut values[input * width + breakpoint * entries + unit];
                let is_above = *piece as usize > breakpoint;
                if (*value >= 0.0) != is_above {
                    *value = if is_above { 0.0 } else { -f64::from_bits(1) };
                }
            }
        }
        Tensor::from_vec(values, (batch, width), z.device())?.to_dtype(z.dtype())
    }

    /// The records of inputs `start .. start + len`.
    ///
    /// # Errors
    /// Inputs that the record does not have.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        let narrow = |tensor: &Tensor| tensor.narrow(0, start, len);
        Ok(Self {
            pre_activations: narrow(&self.pre_activations)?,
            operand: self.operand.as_ref().map(narrow).transpose()?,
            signs: self.signs.map(narrow)?,
            pieces: self.pieces.map(narrow)?,
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
            operand: None,
            signs: self.signs.map(|signs| signs.to_dtype(dtype))?,
            // Found first: a number that is rounded may be on another side.
            pieces: self.pieces.map(|pieces| Ok(pieces.clone()))?,
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

impl Part {
    fn new(tensor: Tensor) -> Self {
        Self {
            found: OnceLock::from(tensor),
            of: None,
        }
    }

    fn get(&self) -> Result<&Tensor> {
        match (self.found.get(), &self.of) {
            (Some(found), _) => Ok(found),
            (None, Some(choice)) => {
                let made = choice.make()?;
                Ok(self.found.get_or_init(|| made))
            }
            (None, None) => Err(Error::Msg("a record without its tensor".into())),
        }
    }

    fn map(&self, map: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(Self::new(map(self.get()?)?))
    }
}

impl Choice {
    fn make(&self) -> Result<Tensor> {
        let (pieces, operand) = (self.pieces, &self.operand);
        match self.reading {
            Reading::Signs => pieces.choose(operand, -1.0, 1.0),
            Reading::Pieces => pieces.side(operand),
            Reading::Slopes => pieces.choose(operand, pieces.slopes[0], pieces.slopes[1]),
        }
    }
}

impl Selection {
    fn map(&self, map: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(match self {
            Self::Nothing => Self::Nothing,
            Self::Slopes(slopes) => Self::Slopes(slopes.map(map)?),
            Self::Own(own) => Self::Own(map(own)?),
        })
    }
}
