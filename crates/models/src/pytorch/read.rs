//! A state dict from the bytes of a file, whichever of its formats they have.

use super::{
    archive, legacy,
    state_dict::{StateDict, from_safetensors, says},
};
use crate::error::{Error, Result};
use std::collections::HashSet;

/// Reads the bytes of a `.pth` (`torch.save` of a state dict, or of a dictionary that has one under `state_dict`, `model`,
/// `net` or another usual key, in the present format or that of PyTorch before 1.6) or a `.safetensors` file, on the CPU
/// and in the file's precision.
///
/// Counters of batches (`num_batches_tracked`) are left out. Nothing in a pickle is executed.
///
/// # Errors
/// [`Error::Malformed`] for bytes that are neither, [`Error::StateDict`] with the tensor that cannot be read, and
/// [`Error::Unreadable`] for whole modules, TorchScript, and dictionaries of several state dicts.
pub fn state_dict(bytes: &[u8]) -> Result<StateDict> {
    let tensors = match Format::of(bytes) {
        Format::Safetensors => from_safetensors(bytes)?,
        Format::Archive => archive::tensors(bytes)?,
        Format::Legacy => legacy::tensors(bytes)?,
        Format::Pickle => {
            return Err(Error::Unreadable(
                "a pickle that torch.save did not write; save the tensors with torch.save(model.state_dict(), \
                 \"state_dict.pth\")"
                    .into(),
            ));
        }
    };
    let mut names = HashSet::new();
    match tensors
        .iter()
        .find(|(name, _)| !names.insert(name.as_str()))
    {
        Some((name, _)) => Err(says(name, "is there twice")),
        None => Ok(tensors),
    }
}

/// What bytes are, as far as their beginning says; safetensors where it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Safetensors,
    Archive,
    Legacy,
    Pickle,
}

impl Format {
    pub(super) fn of(bytes: &[u8]) -> Self {
        match bytes {
            // The length of a safetensors header may have any bytes; the header itself begins with a brace.
            [_, _, _, _, _, _, _, _, b'{', ..] => Self::Safetensors,
            [b'P', b'K', ..] => Self::Archive,
            _ if legacy::begins(bytes) => Self::Legacy,
            [0x80, ..] => Self::Pickle,
            _ => Self::Safetensors,
        }
    }

    /// Whether the tensors come in the order of the modules.
    pub(super) fn keeps_order(self) -> bool {
        self != Self::Safetensors
    }
}
