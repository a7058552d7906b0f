//! Inputs and labels in a `.safetensors` file.

use std::path::Path;

use safetensors::tensor::TensorInfo;

use crate::element::Element;
use crate::file::{Block, Source, described};
use crate::labels;
use crate::selection::{Selection, in_file};
use crate::values::{element_count, shape_text};
use crate::{Dataset, Error};

/// Reads the tensor `inputs` (or the only tensor besides `labels`) and, where there is one, the
/// tensor `labels`.
///
/// # Shapes
/// `inputs`: `[rows, ...]`, floats, integers or booleans as they are. `labels`: `[rows]` or `[rows, 1]`, whole numbers from 0 on,
/// stored as any of these. The number of classes is unknown.
///
/// # Errors
/// A file that cannot be opened, is no file or is no safetensors; no such tensor; another element
/// type; fewer than two dimensions; a dimension of 0; inputs and labels of different length; a
/// label that is not whole, is negative or does not fit in 32 bits; values that are not finite.
///
/// ```no_run
/// let set = loclin_data::tensors::read_safetensors("set.safetensors".as_ref())?;
/// # Ok::<(), loclin_data::Error>(())
/// ```
pub fn read_safetensors(path: &Path) -> Result<Dataset, Error> {
    read_selected(path, Selection::WHOLE)
}

/// The same for some of the rows; the values of others are not read.
pub(crate) fn read_selected(path: &Path, selection: Selection) -> Result<Dataset, Error> {
    let (described, start) = described(path)?;
    let name = path.display().to_string();
    let mut tensors: Vec<_> = described.tensors().into_iter().collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let (labels, inputs): (Vec<_>, Vec<_>) = tensors
        .into_iter()
        .partition(|(tensor, _)| tensor == "labels");
    let Some((tensor, info)) = (match inputs.as_slice() {
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
    let file = Described { path, name, start };
    let (set, total) = file.inputs(tensor, info, selection)?;
    match labels.first() {
        None => Ok(set),
        Some((_, info)) => {
            let part = "tensor labels";
            let labels = labels::Array {
                element: file.element(part, info)?,
                shape: info.shape.iter().map(|&size| size as u64).collect(),
                name: &file.name,
                part,
            };
            let inputs = format!("tensor {tensor} of {}", file.name);
            let labels = labels.read(&mut file.at(info)?, selection, (&inputs, total))?;
            set.with_labels(labels, None)
        }
    }
}

/// A file whose header is known.
struct Described<'a> {
    path: &'a Path,
    name: String,
    /// Where its values begin.
    start: u64,
}

impl Described<'_> {
    /// The file from a tensor's values on.
    fn at(&self, info: &TensorInfo) -> Result<Source<'static>, Error> {
        let mut source = Source::open(self.path)?;
        source.skip(self.start.saturating_add(info.data_offsets.0 as u64))?;
        Ok(source)
    }

    /// How the values of a tensor are stored.
    fn element(&self, part: &str, info: &TensorInfo) -> Result<Element, Error> {
        Element::of_safetensors(info.dtype).ok_or_else(|| {
            let found = format!("element type {}", info.dtype);
            Error::malformed(&self.name, part, found, Element::SAFETENSORS)
        })
    }

    /// The rows asked for, and how many there are.
    fn inputs(
        &self,
        tensor: &str,
        info: &TensorInfo,
        selection: Selection,
    ) -> Result<(Dataset, usize), Error> {
        let part = format!("tensor {tensor}");
        let shape = &info.shape;
        let refuse = |found: String, expected: &str| {
            Error::malformed(&self.name, part.as_str(), found, expected)
        };
        let expected =
            "[rows, ...], two or more dimensions, each at least 1; one input is [1, ...]";
        let features = match &shape[..] {
            [_, input @ ..] if !input.is_empty() && !shape.contains(&0) => element_count(input),
            _ => None,
        };
        let Some(features) = features else {
            return Err(refuse(format!("shape {}", shape_text(shape)), expected));
        };
        let element = self.element(&part, info)?;
        let block = Block {
            rows: shape[0],
            features,
            meaning: &format!("{} of {}", shape_text(shape), info.dtype),
            to_end: true,
        };
        let ranges = selection.ranges(&self.name, block.rows)?;
        let values = element.rows(&mut self.at(info)?, &block, &ranges)?;
        let set = Dataset::new(&self.name, &shape[1..], values)
            .map_err(|error| in_file(error, &ranges))?
            .of_array();
        Ok((set, block.rows))
    }
}
