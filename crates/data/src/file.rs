//! Reading of files whose headers are not to be trusted.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use safetensors::tensor::Metadata;

use crate::Error;

/// A stream with the name that its errors carry.
pub(crate) struct Source<'a> {
    name: String,
    reader: Reader<'a>,
}

enum Reader<'a> {
    /// A regular file, and how many of its bytes are left: what a header claims is compared with them.
    File { file: BufReader<File>, left: u64 },
    /// What gzip bytes hold, which is known when it has been unpacked.
    Unpacked(Box<dyn Read + 'a>),
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File { file, left } => {
                let count = file.read(buffer)?;
                *left = left.saturating_sub(count as u64);
                Ok(count)
            }
            Self::Unpacked(stream) => stream.read(buffer),
        }
    }
}

impl<'a> Source<'a> {
    /// The bytes of a file as they are.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let (file, left) = open_file(path)?;
        Ok(Self {
            name: path.display().to_string(),
            reader: Reader::File {
                file: BufReader::new(file),
                left,
            },
        })
    }

    /// The bytes of a file, unpacked if its first two bytes are gzip's, whatever its name.
    pub(crate) fn open_unpacked(path: &Path) -> Result<Self, Error> {
        let (file, left) = open_file(path)?;
        let mut file = BufReader::new(file);
        let start = file.fill_buf().map_err(|source| Error::Io {
            path: path.into(),
            source,
        })?;
        let reader = match start.starts_with(&[0x1f, 0x8b]) {
            true => Reader::Unpacked(Box::new(MultiGzDecoder::new(file))),
            false => Reader::File { file, left },
        };
        Ok(Self {
            name: path.display().to_string(),
            reader,
        })
    }

    /// The content of gzip bytes in memory.
    pub(crate) fn unpacked(name: &str, bytes: &'a [u8]) -> Self {
        Self {
            name: name.into(),
            reader: Reader::Unpacked(Box::new(MultiGzDecoder::new(bytes))),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The next `limit` bytes, or fewer where the stream ends before. Memory grows with the bytes
    /// that are really there, so `limit` may come from a hostile header.
    pub(crate) fn up_to(&mut self, limit: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        match (&mut self.reader).take(limit).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(cause) => Err(self.failure(cause, bytes.len() as u64)),
        }
    }

    /// What a failed read means after `done` bytes of a part.
    fn failure(&self, cause: io::Error, done: u64) -> Error {
        match self.reader {
            Reader::Unpacked(_) => {
                let found = format!("an error after {done} unpacked bytes of this part ({cause})");
                Error::malformed(
                    &self.name,
                    "gzip stream",
                    found,
                    "a whole and intact stream",
                )
            }
            Reader::File { .. } => Error::Io {
                path: (&self.name).into(),
                source: cause,
            },
        }
    }

    /// Exactly `N` bytes, or an error that names `part`.
    pub(crate) fn array<const N: usize>(&mut self, part: &str) -> Result<[u8; N], Error> {
        let bytes = self.up_to(N as u64)?;
        bytes.try_into().map_err(|bytes: Vec<u8>| {
            let found = if bytes.is_empty() {
                "end of file".into()
            } else {
                format!("{} bytes", bytes.len())
            };
            Error::malformed(&self.name, part, found, format!("{N} bytes"))
        })
    }

    /// Passes over `count` bytes, without reading them where the stream is a file.
    pub(crate) fn skip(&mut self, count: u64) -> Result<(), Error> {
        let skipped = match &mut self.reader {
            Reader::File { file, left } => match i64::try_from(count) {
                Ok(offset) if count <= *left => {
                    *left -= count;
                    file.seek_relative(offset).map(|()| count)
                }
                _ => Ok(*left),
            },
            Reader::Unpacked(stream) => io::copy(&mut stream.take(count), &mut io::sink()),
        };
        match skipped {
            Ok(skipped) if skipped == count => Ok(()),
            Ok(skipped) => {
                let found = format!("{skipped} bytes");
                let expected = format!("{count} bytes");
                Err(Error::malformed(&self.name, "values", found, expected))
            }
            Err(cause) => Err(self.failure(cause, 0)),
        }
    }

    /// The rows of `ranges` (ascending, apart) of a block of values, words of `N` bytes; the stream stands behind the
    /// block then, where that is asked for or costs nothing. What is not asked for is passed over, and memory is taken for
    /// what is asked for alone, and only if the file is as long as the block.
    pub(crate) fn rows<const N: usize, T>(
        &mut self,
        block: &Block<'_>,
        ranges: &[Range<usize>],
        mut decode: impl FnMut([u8; N]) -> T,
    ) -> Result<Vec<T>, Error> {
        let total = self.expect(block, N as u64)?;
        let row = block.features as u64 * N as u64;
        let mut values = Vec::new();
        if let Reader::File { .. } = self.reader {
            let count = ranges.iter().map(Range::len).sum::<usize>() * block.features;
            let reserved = values.try_reserve_exact(count);
            reserved.map_err(|_| Error::Memory {
                name: self.name.clone(),
                values: count,
            })?;
        }
        let mut position = 0;
        let mut buffer = Vec::new();
        for range in ranges {
            let start = range.start as u64 * row;
            self.skip(start - position)?;
            position = start;
            let end = range.end as u64 * row;
            while position < end {
                buffer.clear();
                let piece = (end - position).min(PIECE);
                let read = (&mut self.reader).take(piece).read_to_end(&mut buffer);
                read.map_err(|cause| self.failure(cause, position))?;
                position += buffer.len() as u64;
                if buffer.len() as u64 != piece {
                    return Err(block.short(&self.name, position, total));
                }
                values.extend(buffer.as_chunks().0.iter().map(|&word| decode(word)));
            }
        }
        if block.to_end || self.left().is_some() {
            self.skip(total - position)?;
        }
        Ok(values)
    }

    /// How many bytes a block has, words of `size` bytes; a file must have as many left.
    pub(crate) fn expect(&self, block: &Block<'_>, size: u64) -> Result<u64, Error> {
        let count = (block.rows as u64).checked_mul(block.features as u64);
        let total = count.and_then(|count| count.checked_mul(size));
        let Some(total) = total.filter(|&total| usize::try_from(total).is_ok()) else {
            let expected = "a product that an array can have";
            let meaning = block.meaning;
            return Err(Error::malformed(&self.name, "shape", meaning, expected));
        };
        match self.reader {
            Reader::File { left, .. } if left < total => Err(block.short(&self.name, left, total)),
            _ => Ok(total),
        }
    }

    /// Bytes that are left of a file; of others it is not known.
    pub(crate) fn left(&self) -> Option<u64> {
        match self.reader {
            Reader::File { left, .. } => Some(left),
            Reader::Unpacked(_) => None,
        }
    }

    /// Refuses bytes after the end of the content.
    pub(crate) fn end(&mut self, content: &str) -> Result<(), Error> {
        if self.up_to(1)?.is_empty() {
            return Ok(());
        }
        Err(Error::malformed(
            &self.name,
            "end of file",
            "trailing bytes",
            format!("nothing after {content}"),
        ))
    }
}

/// Refuses what is no directory.
pub(crate) fn expect_directory(path: &Path) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(|source| Error::Io {
        path: path.into(),
        source,
    })?;
    if metadata.is_dir() {
        return Ok(());
    }
    Err(Error::PathKind {
        path: path.into(),
        found: "a file",
        expected: "a directory",
    })
}

/// What a `.safetensors` file holds, and where its values begin; the header must describe a file of its length.
pub(crate) fn described(path: &Path) -> Result<(Metadata, u64), Error> {
    let (_, length) = open_file(path)?;
    let mut source = Source::open(path)?;
    let name = source.name().to_owned();
    let refuse = |found: String, expected: String| {
        Error::malformed(&name, "safetensors header", found, expected)
    };
    let count = u64::from_le_bytes(source.array("length of the header")?);
    if count > MAX_HEADER.min(length.saturating_sub(8)) {
        let found = format!("a length of {count} bytes in a file of {length}");
        return Err(refuse(
            found,
            format!("at most {MAX_HEADER}, and in the file"),
        ));
    }
    let header = source.up_to(count)?;
    let described = serde_json::from_slice::<Metadata>(&header)
        .map_err(|cause| refuse(cause.to_string(), "a description of tensors".into()))?;
    let expected = (described.data_len() as u64).saturating_add(8 + count);
    if expected != length {
        return Err(refuse(
            format!("tensors of a file of {expected} bytes"),
            format!("those of its {length} bytes"),
        ));
    }
    Ok((described, 8 + count))
}

/// Values in a stream: `rows` rows of `features` each; `meaning` explains them.
pub(crate) struct Block<'a> {
    pub(crate) rows: usize,
    pub(crate) features: usize,
    pub(crate) meaning: &'a str,
    /// Whether a packed stream is unpacked to the end of the block, although the last rows are not asked for.
    pub(crate) to_end: bool,
}

impl Block<'_> {
    /// The error of a stream that ends too early.
    fn short(&self, name: &str, found: u64, total: u64) -> Error {
        let expected = format!("{total} bytes ({})", self.meaning);
        Error::malformed(name, "values", format!("{found} bytes"), expected)
    }
}

/// The bytes that are decoded at a time: whole words of every size.
const PIECE: u64 = 1 << 16;

/// The longest header that the format allows.
const MAX_HEADER: u64 = 100_000_000;

/// A regular file and its length.
fn open_file(path: &Path) -> Result<(File, u64), Error> {
    let io = |source| Error::Io {
        path: path.into(),
        source,
    };
    let metadata = fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        // A pipe or device has no end that a reader could rely on.
        let found = if metadata.is_dir() {
            "a directory"
        } else {
            "a pipe, socket or device"
        };
        return Err(Error::PathKind {
            path: path.into(),
            found,
            expected: "a file",
        });
    }
    Ok((File::open(path).map_err(io)?, metadata.len()))
}
