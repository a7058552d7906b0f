//! Labels as numbers of an array.

use std::ops::Range;
use std::path::Path;

use crate::element::Element;
use crate::error::Error;
use crate::file::{Block, Source};
use crate::npy_header;
use crate::selection::Selection;
use crate::values::{Values, check_label_count, shape_text};

/// An array of one number a row.
pub(crate) struct Array<'a> {
    pub(crate) element: Element,
    pub(crate) shape: Vec<u64>,
    /// The file.
    pub(crate) name: &'a str,
    /// The array in the file.
    pub(crate) part: &'a str,
}

impl Array<'_> {
    /// The labels of the rows asked for; `inputs` is the name of the inputs, and how many rows they have in all.
    pub(crate) fn read(
        &self,
        source: &mut Source<'_>,
        selection: Selection,
        (inputs, total): (&str, usize),
    ) -> Result<Vec<u32>, Error> {
        let (name, part) = (self.name, self.part);
        let rows = match self.shape[..] {
            [rows] | [rows, 1] => usize::try_from(rows).unwrap_or(usize::MAX),
            _ => {
                let found = format!("shape {}", shape_text(&self.shape));
                let expected = "[rows] or [rows, 1], one number for each input";
                return Err(Error::malformed(name, part, found, expected));
            }
        };
        check_label_count(inputs, total, &format!("{part} of {name}"), rows)?;
        let ranges = selection.ranges(name, rows)?;
        let block = Block {
            rows,
            features: 1,
            meaning: &format!("{rows} labels"),
            to_end: true,
        };
        let values = self.element.rows(source, &block, &ranges)?;
        whole(&values, (name, part), &ranges)
    }
}

/// The labels in an `.npy` file, of the rows asked for.
pub(crate) fn read_npy(
    path: &Path,
    selection: Selection,
    inputs: (&str, usize),
) -> Result<Vec<u32>, Error> {
    let (mut source, header, element) = npy_header::open(path)?;
    let name = source.name().to_owned();
    let array = Array {
        element,
        shape: header.shape,
        name: &name,
        part: "labels",
    };
    let labels = array.read(&mut source, selection, inputs)?;
    source.end("the labels")?;
    Ok(labels)
}

/// Numbers as labels.
fn whole(
    values: &Values,
    (name, part): (&str, &str),
    ranges: &[Range<usize>],
) -> Result<Vec<u32>, Error> {
    let numbers: Vec<f64> = match values {
        Values::Bytes(bytes) => return Ok(bytes.iter().copied().map(u32::from).collect()),
        Values::F32(numbers) => numbers.iter().copied().map(f64::from).collect(),
        Values::F64(numbers) => numbers.clone(),
        // No element reads as one of these.
        Values::Files(_) | Values::Stored(_) => Vec::new(),
    };
    let label = |(number, row): (f64, usize)| {
        let label = number as u32;
        match f64::from(label) == number {
            true => Ok(label),
            false => Err(Error::malformed(
                name,
                format!("{part}, row {row}"),
                number.to_string(),
                "a whole number from 0 to 4294967295",
            )),
        }
    };
    let rows = ranges.iter().cloned().flatten();
    numbers.into_iter().zip(rows).map(label).collect()
}
