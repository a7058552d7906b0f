//! Inputs and labels in a `.safetensors` file.

use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::file::read_described;
use crate::npy::words;
use crate::values::{check_labels, shape_text};
use crate::{Dataset, Error, Values};

/// Reads the tensor `inputs` (or the only tensor besides `labels`) and, where there is one, the
/// tensor `labels`.
///
/// # Shapes
/// `inputs`: `[rows, ...]`, `F32` or `F64` as they are, or `U8` with each byte `b` standing for
/// `b / 255`. `labels`: `[rows]`, `U8`, `I32`, `U32` or `I64`, not negative. The number of classes
/// is unknown.
///
/// # Errors
/// A file that cannot be opened, is no file or is no safetensors; no such tensor; another element
/// type; fewer than two dimensions; a dimension of 0; inputs and labels of different length; a
/// label that is negative or does not fit in 32 bits; values that are not finite.
///
/// ```no_run
/// let set = loclin_data::tensors::read_safetensors("set.safetensors".as_ref())?;
/// # Ok::<(), loclin_data::Error>(())
/// ```
pub fn read_safetensors(path: &Path) -> Result<Dataset, Error> {
    let bytes = read_described(path)?;
    let name = path.display().to_string();
    let file = SafeTensors::deserialize(&bytes).map_err(|cause| {
        Error::malformed(
            &name,
            "safetensors header",
            cause.to_string(),
            "a valid file",
        )
    })?;
    let mut tensors = file.tensors();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let (labels, inputs): (Vec<_>, Vec<_>) = tensors
        .into_iter()
        .partition(|(tensor, _)| tensor == "labels");
    let Some((tensor, view)) = (match inputs.as_slice() {
        [only] => Some(only),
        several => several.iter().find(|(tensor, _)| tensor == "inputs"),
    }) else {
        let found = inputs
            .iter()
            .map(|(tensor, _)| tensor.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        let found = if found.is_empty() {
            "none".into()
        } else {
            found
        };
        return Err(Error::malformed(
            &name,
            "tensors",
            found,
            "one named inputs, or a single one",
        ));
    };
    let set = inputs_of(&name, tensor, view)?;
    match labels.first() {
        None => Ok(set),
        Some((_, view)) => {
            let labels = labels_of(&name, view)?;
            let source = format!("tensor labels of {name}");
            check_labels(
                &format!("tensor {tensor} of {name}"),
                set.len(),
                &source,
                &labels,
                None,
            )?;
            set.with_labels(labels, None)
        }
    }
}

fn inputs_of(name: &str, tensor: &str, view: &TensorView<'_>) -> Result<Dataset, Error> {
    let part = format!("tensor {tensor}");
    let shape = view.shape();
    if shape.len() < 2 || shape.contains(&0) {
        let expected =
            "[rows, ...], two or more dimensions, each at least 1; one input is [1, ...]";
        return Err(Error::malformed(
            name,
            part,
            format!("shape {}", shape_text(shape)),
            expected,
        ));
    }
    let values = match view.dtype() {
        Dtype::U8 => Values::Bytes(view.data().to_vec()),
        Dtype::F32 => Values::F32(words(view.data(), f32::from_le_bytes)),
        Dtype::F64 => Values::F64(words(view.data(), f64::from_le_bytes)),
        other => {
            return Err(Error::malformed(
                name,
                part,
                format!("element type {other}"),
                "F32, F64 or U8",
            ));
        }
    };
    Dataset::new(name, &shape[1..], values)
}

fn labels_of(name: &str, view: &TensorView<'_>) -> Result<Vec<u32>, Error> {
    let part = "tensor labels";
    if view.shape().len() != 1 {
        return Err(Error::malformed(
            name,
            part,
            format!("shape {}", shape_text(view.shape())),
            "[rows]",
        ));
    }
    let labels: Vec<i64> = match view.dtype() {
        Dtype::U8 => view.data().iter().copied().map(i64::from).collect(),
        Dtype::I32 => words(view.data(), |word| i32::from_le_bytes(word).into()),
        Dtype::U32 => words(view.data(), |word| u32::from_le_bytes(word).into()),
        Dtype::I64 => words(view.data(), i64::from_le_bytes),
        other => {
            let found = format!("element type {other}");
            return Err(Error::malformed(name, part, found, "U8, I32, U32 or I64"));
        }
    };
    let checked = labels.iter().enumerate().map(|(row, &label)| {
        u32::try_from(label).map_err(|_| {
            Error::malformed(
                name,
                format!("tensor labels, row {row}"),
                label.to_string(),
                "0 to 4294967295",
            )
        })
    });
    checked.collect()
}
