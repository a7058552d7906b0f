//! The stored bytes of rows, for a digest that says whether two data are the same.

use crate::{Data, Dataset, Error, Values, decoding};

impl Data {
    /// Gives the stored content to `sink`, piece by piece: the shape and number of the rows, their values as they are stored, lowest
    /// byte first, or of image files their bytes, and the labels. Names and preprocessing are no part of it.
    ///
    /// # Errors
    /// An image file that cannot be read.
    ///
    /// ```
    /// use loclin_data::{Split, source};
    /// let digits = source::open("digits", Split::Test, None, 0)?;
    /// let mut length = 0;
    /// digits.content(&mut |bytes| length += bytes.len())?;
    /// assert!(length > 2000 * 784);
    /// # Ok::<(), loclin_data::Error>(())
    /// ```
    pub fn content(&self, sink: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        match self {
            Self::Table(table) => table.values_content(sink)?,
            Self::Sequences(sequences) => {
                numbers(sink, [sequences.channels() as u64], u64::to_le_bytes);
                numbers(
                    sink,
                    sequences.lengths().map(|length| length as u64),
                    u64::to_le_bytes,
                );
                numbers(sink, sequences.values().iter().copied(), f64::to_le_bytes);
            }
        }
        let labels = self.labels().unwrap_or_default();
        numbers(sink, labels.iter().copied(), u32::to_le_bytes);
        Ok(())
    }
}

impl Dataset {
    fn values_content(&self, sink: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let shape = self.stored.0.iter().map(|size| *size as u64);
        numbers(sink, shape.chain([self.len() as u64]), u64::to_le_bytes);
        content(self.values(), sink)
    }
}

fn content(values: &Values, sink: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
    match values {
        Values::Bytes(values) => sink(values),
        Values::F32(values) => numbers(sink, values.iter().copied(), f32::to_le_bytes),
        Values::F64(values) => numbers(sink, values.iter().copied(), f64::to_le_bytes),
        Values::Files(files) => {
            for path in files.paths() {
                sink(&decoding::bytes_of(path)?);
            }
        }
        Values::Stored(stored) => {
            let rows: Vec<usize> = (0..stored.rows()).collect();
            for rows in rows.chunks(ROWS) {
                content(&stored.read(rows)?, sink)?;
            }
        }
    }
    Ok(())
}

/// Numbers as bytes, some at a time.
fn numbers<T, const N: usize>(
    sink: &mut dyn FnMut(&[u8]),
    numbers: impl IntoIterator<Item = T>,
    bytes: fn(T) -> [u8; N],
) {
    let mut piece = Vec::with_capacity(PIECE + N);
    for number in numbers {
        piece.extend(bytes(number));
        if piece.len() >= PIECE {
            sink(&piece);
            piece.clear();
        }
    }
    sink(&piece);
}

/// Rows read from a file at a time.
const ROWS: usize = 512;

/// Bytes given at a time.
const PIECE: usize = 1 << 16;
