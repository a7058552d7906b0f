//! Japanese Vowels (M. Kudo, J. Toyama, M. Shimbo; UCI Machine Learning Repository): which of nine
//! speakers said it?
//!
//! Each utterance is a sequence of 7 to 29 time steps with the 12 coefficients of its LPC
//! cepstrum; 270 of them for training, 370 for testing (Table 3 of the paper).

use std::path::Path;

use crate::file::{Source, expect_directory};
use crate::selection::{Rows, Selection};
use crate::{Error, Sequences, Split, stratified};

/// Numbers in a time step.
pub const CHANNELS: usize = 12;

/// Number of speakers.
pub const CLASSES: usize = 9;

/// No file of the dataset comes near this, and a hostile one is cut here.
const LONGEST: u64 = 1 << 26;

/// The same of a line.
const LONGEST_LINE: usize = 1 << 16;

/// The most utterances that a file can hold that is short enough to be read: a line of twelve numbers and an empty one are
/// 25 bytes.
const MOST: usize = LONGEST as usize / 25;

/// Bytes that are read at a time.
const PIECE: u64 = 1 << 16;

/// One in this many training utterances of each speaker is for validation.
const VALIDATION: usize = 6;

/// Loads a split of the directory's files, `ae.train` and `size_ae.train` or `ae.test` and
/// `size_ae.test`; lengths and values stay as they are.
///
/// `ae.*` holds a line of [`CHANNELS`] numbers for each time step, and after each utterance an
/// empty line (or a line of ones, as copies of the files have it). `size_ae.*` holds the number of
/// utterances of each of the [`CLASSES`] speakers, in their order.
///
/// [`Split::Test`] is the published test set. [`Split::Train`] and [`Split::Valid`] divide the
/// published training set by seed, a sixth of every speaker's utterances to the latter
/// ([`stratified`]): 225 and 45. The paper does not say how it chose models.
///
/// # Errors
/// A path that is no directory, a missing or unreadable file, a line with another number of
/// values or with one that is no finite number, another number of utterances than the size file
/// says, and a size file that does not hold nine numbers.
pub fn load_directory(directory: &Path, split: Split, seed: u64) -> Result<Sequences, Error> {
    let rows = Rows::All;
    load_selected(directory, Selection { split, seed, rows })
}

/// The same for some of the split's rows; the file is read up to the last of them, and no more is kept.
pub(crate) fn load_selected(
    directory: &Path,
    Selection { split, seed, rows }: Selection,
) -> Result<Sequences, Error> {
    expect_directory(directory)?;
    let part = match split {
        Split::Train | Split::Valid => "train",
        Split::Test => "test",
    };
    let values = open(directory, &format!("ae.{part}"))?;
    let sizes = open(directory, &format!("size_ae.{part}"))?;
    let (values_name, sizes_name) = (values.name().to_owned(), sizes.name().to_owned());
    let labels = labels(sizes)?;
    let of_split = match split {
        Split::Test => (0..labels.len()).collect(),
        Split::Train => stratified(&labels, VALIDATION, seed).0,
        Split::Valid => stratified(&labels, VALIDATION, seed).1,
    };
    let name = directory.display().to_string();
    let wanted = rows.among(&name, &of_split)?;
    let found = utterances(values, wanted, rows == Rows::All)?;
    let agrees = rows != Rows::All || found.passed == labels.len();
    if !agrees || found.lengths.len() != wanted.len() {
        return Err(Error::RowsDisagree {
            inputs: values_name,
            input_rows: found.passed,
            labels: sizes_name,
            label_rows: labels.len(),
        });
    }
    let labels = wanted.iter().map(|&row| labels[row]).collect();
    Sequences::new(name, CHANNELS, &found.lengths, found.values)?.with_labels(labels, Some(CLASSES))
}

/// A file of the directory.
fn open(directory: &Path, name: &str) -> Result<Source<'static>, Error> {
    let path = directory.join(name);
    if !path.exists() {
        return Err(Error::MissingFile {
            directory: directory.into(),
            what: "file of this layout".into(),
            tried: name.into(),
        });
    }
    Source::open(&path)
}

/// The speaker of each utterance, from the file of sizes.
fn labels(mut source: Source<'_>) -> Result<Vec<u32>, Error> {
    let bytes = source.up_to(LONGEST_LINE as u64 + 1)?;
    let name = source.name();
    if bytes.len() > LONGEST_LINE {
        let found = format!("more than {LONGEST_LINE} bytes");
        return Err(Error::malformed(name, "length", found, "less"));
    }
    let text = text(&bytes, name, || "content".into())?;
    let expected = format!("{CLASSES} counts");
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if words.len() != CLASSES {
        let found = format!("{} words", words.len());
        return Err(Error::malformed(name, "sizes", found, expected));
    }
    let mut labels = Vec::new();
    for (speaker, word) in (0u32..).zip(words) {
        let size = word.parse().ok();
        let count = size.and_then(|size: usize| labels.len().checked_add(size));
        match count.filter(|count| *count <= MOST) {
            Some(count) => labels.resize(count, speaker),
            None => return Err(Error::malformed(name, "sizes", shown(word), "a count")),
        }
    }
    Ok(labels)
}

/// What was read of utterances.
#[derive(Default)]
struct Utterances {
    /// The number of time steps of each that is wanted.
    lengths: Vec<usize>,
    /// The values of these.
    values: Vec<f64>,
    /// How many were read, wanted or not.
    passed: usize,
}

impl Utterances {
    /// Ends an utterance of so many time steps, the last ones of the values.
    fn end(&mut self, steps: &mut usize, wanted: &[usize]) {
        if *steps == 0 {
            return;
        }
        match wanted.get(self.lengths.len()) {
            Some(row) if *row == self.passed => self.lengths.push(*steps),
            _ => self.values.truncate(self.values.len() - *steps * CHANNELS),
        }
        self.passed += 1;
        *steps = 0;
    }
}

/// The utterances `wanted` (ascending), up to the last of them, or to the end of the file.
fn utterances(source: Source<'_>, wanted: &[usize], to_end: bool) -> Result<Utterances, Error> {
    let mut lines = Lines::new(source);
    let mut found = Utterances::default();
    let mut steps = 0;
    while to_end || found.lengths.len() < wanted.len() {
        if !lines.advance()? {
            found.end(&mut steps, wanted);
            break;
        }
        let start = found.values.len();
        for word in lines.text()?.split_ascii_whitespace() {
            let value: Option<f64> = word.parse().ok().filter(|value: &f64| value.is_finite());
            found.values.push(value.ok_or_else(|| {
                Error::malformed(lines.name(), lines.part(), shown(word), "a finite number")
            })?);
        }
        let count = found.values.len() - start;
        let ones = count == CHANNELS && found.values[start..].iter().all(|value| *value == 1.0);
        if count == 0 || ones {
            found.values.truncate(start);
            found.end(&mut steps, wanted);
        } else if count == CHANNELS {
            steps += 1;
        } else {
            let words = format!("{count} numbers");
            let expected = format!("{CHANNELS}, or an empty line after an utterance");
            return Err(Error::malformed(
                lines.name(),
                lines.part(),
                words,
                expected,
            ));
        }
    }
    Ok(found)
}

/// The lines of a file, one after the other.
struct Lines<'a> {
    source: Source<'a>,
    piece: Vec<u8>,
    at: usize,
    /// Bytes read so far.
    read: u64,
    /// The current line, and its number from 1.
    line: Vec<u8>,
    number: usize,
}

impl<'a> Lines<'a> {
    fn new(source: Source<'a>) -> Self {
        Self {
            source,
            piece: Vec::new(),
            at: 0,
            read: 0,
            line: Vec::new(),
            number: 0,
        }
    }

    fn name(&self) -> &str {
        self.source.name()
    }

    /// The current line, as an error names it.
    fn part(&self) -> String {
        format!("line {}", self.number)
    }

    /// The current line.
    fn text(&self) -> Result<&str, Error> {
        text(&self.line, self.name(), || self.part())
    }

    /// Goes on to the next line; `false` at the end of the file.
    fn advance(&mut self) -> Result<bool, Error> {
        self.line.clear();
        self.number += 1;
        loop {
            if self.at == self.piece.len() {
                self.piece = self.source.up_to(PIECE)?;
                self.at = 0;
                self.read += self.piece.len() as u64;
                if self.read > LONGEST {
                    let found = format!("more than {LONGEST} bytes");
                    return Err(Error::malformed(self.name(), "length", found, "less"));
                }
                if self.piece.is_empty() && self.line.is_empty() {
                    return Ok(false);
                }
            }
            let rest = &self.piece[self.at..];
            let end = rest.iter().position(|byte| *byte == b'\n');
            self.line
                .extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
            self.at += end.map_or(rest.len(), |end| end + 1);
            if self.line.len() > LONGEST_LINE {
                let found = format!("more than {LONGEST_LINE} bytes");
                return Err(Error::malformed(self.name(), self.part(), found, "less"));
            }
            if end.is_some() || self.piece.is_empty() {
                return Ok(true);
            }
        }
    }
}

/// Bytes as text.
fn text<'b>(bytes: &'b [u8], name: &str, part: impl Fn() -> String) -> Result<&'b str, Error> {
    let found = "bytes that are no text";
    std::str::from_utf8(bytes).map_err(|_| Error::malformed(name, part(), found, "numbers in text"))
}

/// A word of a file, as an error shows it.
fn shown(word: &str) -> String {
    let start: String = word.chars().take(40).collect();
    format!("{start:?}")
}
