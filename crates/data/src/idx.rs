//! IDX files, the format of MNIST: unsigned bytes in an array of known dimensions.
//!
//! A file is two zero bytes, the element type (0x08: unsigned byte), the number of dimensions,
//! each dimension as a big-endian 32-bit word, and the values in C order. Plain and gzip files are
//! told apart by their first bytes.

use std::ops::Range;
use std::path::Path;

use crate::Error;
use crate::file::{Block, Source};
use crate::selection::{Rows, Selection};
use crate::values::{element_count, shape_text};

/// An array of bytes in C order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// The dimensions, each at least 1.
    pub dims: Vec<usize>,
    /// As many values as the product of the dimensions.
    pub bytes: Vec<u8>,
}

/// The most values that [`read`] accepts, 4 GiB: a gzip file can unpack to a thousand times its
/// size, and its header can claim any number.
pub const MAX_VALUES: u64 = 1 << 32;

/// Reads a whole file of `dims` dimensions, plain or gzip.
///
/// Memory grows with the values that are really there, never beyond what the header announces.
///
/// # Errors
/// A file that cannot be opened or is no file; another magic number, element type or number of
/// dimensions; a dimension of 0, or dimensions of more than [`MAX_VALUES`] values; missing or
/// trailing bytes; a damaged gzip stream.
///
/// ```
/// use loclin_data::idx;
/// let path = std::env::temp_dir().join(format!("loclin-data-doc-{}", std::process::id()));
/// std::fs::write(&path, idx::encode(&[2, 3], &[1, 2, 3, 4, 5, 6])?)?;
/// assert_eq!(idx::read(&path, 2)?.dims, [2, 3]);
/// assert!(idx::read(&path, 3).is_err());
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(path: &Path, dims: u8) -> Result<Idx, Error> {
    Ok(read_selected(path, dims, Selection::WHOLE)?.0)
}

/// The same for some of the rows, and how many the file says that it has. Of a plain file, the values of others are not
/// read; a packed one is unpacked up to the last row asked for, and what comes behind is not looked at.
pub(crate) fn read_selected(
    path: &Path,
    dims: u8,
    selection: Selection,
) -> Result<(Idx, usize), Error> {
    let mut source = Source::open_unpacked(path)?;
    let (idx, rows) = read_part(&mut source, dims, selection)?;
    let mut announced = idx.dims.clone();
    announced[0] = rows;
    if selection.rows == Rows::All || source.left().is_some() {
        source.end(&format!("{} values", shape_text(&announced)))?;
    }
    Ok((idx, rows))
}

/// The bytes of a plain IDX file.
///
/// # Errors
/// More than 255 dimensions, a dimension of 0 or above `u32::MAX`, or values that do not fill the
/// dimensions.
pub fn encode(dims: &[usize], bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let name = "IDX file to be written";
    let refuse = |expected: &str| Error::malformed(name, "dimensions", shape_text(dims), expected);
    if element_count(dims) != Some(bytes.len()) || bytes.is_empty() {
        return Err(refuse(&format!(
            "a positive product of {} values",
            bytes.len()
        )));
    }
    let count = u8::try_from(dims.len()).map_err(|_| refuse("at most 255 of them"))?;
    let mut out = vec![0, 0, UNSIGNED_BYTE, count];
    for &dimension in dims {
        let word = u32::try_from(dimension).map_err(|_| refuse("each below 2^32"))?;
        out.extend(word.to_be_bytes());
    }
    out.extend(bytes);
    Ok(out)
}

/// Reads rows of one array, says how many it has, and leaves the stream behind it if all of a split's are asked for.
pub(crate) fn read_part(
    source: &mut Source<'_>,
    dims: u8,
    selection: Selection,
) -> Result<(Idx, usize), Error> {
    let magic: [u8; 4] = source.array("magic number")?;
    let name = source.name().to_owned();
    if magic[..2] != [0, 0] {
        let found = magic.map(|byte| format!("{byte:02x}")).join(" ");
        let expected = format!("00 00 {UNSIGNED_BYTE:02x} {dims:02x}");
        return Err(Error::malformed(&name, "magic number", found, expected));
    }
    if magic[2] != UNSIGNED_BYTE {
        let found = format!("{:#04x} ({})", magic[2], type_name(magic[2]));
        return Err(Error::malformed(
            &name,
            "element type",
            found,
            "0x08 (unsigned byte)",
        ));
    }
    if magic[3] != dims {
        let (found, expected) = (magic[3].to_string(), dims.to_string());
        return Err(Error::malformed(
            &name,
            "number of dimensions",
            found,
            expected,
        ));
    }
    let mut words = Vec::with_capacity(dims.into());
    for position in 0..dims {
        let word = u32::from_be_bytes(source.array(&format!("dimension {position}"))?);
        if word == 0 {
            return Err(Error::malformed(
                &name,
                format!("dimension {position}"),
                "0",
                "at least 1",
            ));
        }
        words.push(word);
    }
    let count = words
        .iter()
        .try_fold(1u64, |count, &word| count.checked_mul(word.into()));
    let count = count.filter(|&count| count <= MAX_VALUES).ok_or_else(|| {
        Error::malformed(
            &name,
            "dimensions",
            shape_text(&words),
            format!("at most {MAX_VALUES} values"),
        )
    })?;
    let mut dims: Vec<usize> = words.iter().map(|&word| word as usize).collect();
    let Some(&total) = dims.first() else {
        let expected = "at least 1";
        return Err(Error::malformed(
            &name,
            "number of dimensions",
            "0",
            expected,
        ));
    };
    let block = Block {
        rows: total,
        // A divisor of a count that fits.
        features: (count / total as u64) as usize,
        meaning: &shape_text(&words),
        to_end: selection.rows == Rows::All,
    };
    let ranges = selection.ranges(&name, total)?;
    let bytes = source.rows(&block, &ranges, |[byte]: [u8; 1]| byte)?;
    dims[0] = ranges.iter().map(Range::len).sum();
    Ok((Idx { dims, bytes }, total))
}

const UNSIGNED_BYTE: u8 = 0x08;

fn type_name(code: u8) -> &'static str {
    match code {
        0x09 => "signed byte",
        0x0b => "16-bit integer",
        0x0c => "32-bit integer",
        0x0d => "32-bit float",
        0x0e => "64-bit float",
        _ => "no type of the format",
    }
}
