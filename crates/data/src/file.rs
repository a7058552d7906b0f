//! Reading of files whose headers are not to be trusted.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use safetensors::tensor::Metadata;

use crate::Error;

/// A stream with the name that its errors carry.
pub(crate) struct Source<'a> {
    name: String,
    reader: Box<dyn Read + 'a>,
    gzip: bool,
}

impl<'a> Source<'a> {
    /// The bytes of a file as they are.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self {
            name: path.display().to_string(),
            reader: Box::new(open_file(path)?),
            gzip: false,
        })
    }

    /// The bytes of a file, unpacked if its first two bytes are gzip's, whatever its name.
    pub(crate) fn open_unpacked(path: &Path) -> Result<Self, Error> {
        let mut file = BufReader::new(open_file(path)?);
        let start = file.fill_buf().map_err(|source| Error::Io {
            path: path.into(),
            source,
        })?;
        let gzip = start.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read> = if gzip {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        Ok(Self {
            name: path.display().to_string(),
            reader,
            gzip,
        })
    }

    /// The content of gzip bytes in memory.
    pub(crate) fn unpacked(name: &str, bytes: &'a [u8]) -> Self {
        Self {
            name: name.into(),
            reader: Box::new(MultiGzDecoder::new(bytes)),
            gzip: true,
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
            Err(cause) if self.gzip => {
                let found = format!(
                    "an error after {} unpacked bytes of this part ({cause})",
                    bytes.len()
                );
                Err(Error::malformed(
                    &self.name,
                    "gzip stream",
                    found,
                    "a whole and intact stream",
                ))
            }
            Err(source) => Err(Error::Io {
                path: (&self.name).into(),
                source,
            }),
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

    /// Exactly `count` bytes and then the end of the stream; `meaning` explains the count.
    pub(crate) fn rest(&mut self, count: u64, meaning: &str) -> Result<Vec<u8>, Error> {
        let bytes = self.part(count, meaning)?;
        self.end(&format!("{count} bytes of values ({meaning})"))?;
        Ok(bytes)
    }

    /// Exactly `count` bytes of values; `meaning` explains the count.
    pub(crate) fn part(&mut self, count: u64, meaning: &str) -> Result<Vec<u8>, Error> {
        let bytes = self.up_to(count)?;
        if bytes.len() as u64 != count {
            let found = format!("{} bytes", bytes.len());
            return Err(Error::malformed(
                &self.name,
                "values",
                found,
                format!("{count} bytes ({meaning})"),
            ));
        }
        Ok(bytes)
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

/// All bytes of a file.
pub(crate) fn read_all(path: &Path) -> Result<Vec<u8>, Error> {
    Source::open(path)?.up_to(u64::MAX)
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

/// All bytes of a `.safetensors` file, which is read only if its header describes a file of its length.
pub(crate) fn read_described(path: &Path) -> Result<Vec<u8>, Error> {
    let io = |source| Error::Io {
        path: path.into(),
        source,
    };
    let length = fs::metadata(path).map_err(io)?.len();
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
    read_all(path)
}

/// The longest header that the format allows.
const MAX_HEADER: u64 = 100_000_000;

fn open_file(path: &Path) -> Result<File, Error> {
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
    File::open(path).map_err(io)
}
