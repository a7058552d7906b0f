//! Japanese Vowels (M. Kudo, J. Toyama, M. Shimbo; UCI Machine Learning Repository): which of nine
//! speakers said it?
//!
//! Each utterance is a sequence of 7 to 29 time steps with the 12 coefficients of its LPC
//! cepstrum; 270 of them for training, 370 for testing (Table 3 of the paper).

use std::path::Path;

use crate::file::{Source, expect_directory};
use crate::{Error, Sequences, Split, stratified};

/// Numbers in a time step.
pub const CHANNELS: usize = 12;

/// Number of speakers.
pub const CLASSES: usize = 9;

/// No file of the dataset comes near this, and a hostile one is cut here.
const LONGEST: u64 = 1 << 26;

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
    expect_directory(directory)?;
    let part = match split {
        Split::Train | Split::Valid => "train",
        Split::Test => "test",
    };
    let [values, sizes] = [format!("ae.{part}"), format!("size_ae.{part}")];
    let (text, values_name) = read(directory, &values)?;
    let (sizes, sizes_name) = read(directory, &sizes)?;
    let sizes = parse_sizes(&sizes, &sizes_name)?;
    let (lengths, values) = parse_values(&text, &values_name)?;
    let labels: Vec<u32> = (0u32..)
        .zip(&sizes)
        .flat_map(|(speaker, &size)| std::iter::repeat_n(speaker, size))
        .collect();
    if labels.len() != lengths.len() {
        return Err(Error::RowsDisagree {
            inputs: values_name,
            input_rows: lengths.len(),
            labels: sizes_name,
            label_rows: labels.len(),
        });
    }
    let name = directory.display().to_string();
    let (train, valid) = stratified(&labels, VALIDATION, seed);
    let all =
        Sequences::new(name, CHANNELS, &lengths, values)?.with_labels(labels, Some(CLASSES))?;
    match split {
        Split::Test => Ok(all),
        Split::Train => all.subset(&train),
        Split::Valid => all.subset(&valid),
    }
}

/// The text of a file of the directory, and its name.
fn read(directory: &Path, name: &str) -> Result<(String, String), Error> {
    let path = directory.join(name);
    if !path.exists() {
        return Err(Error::MissingFile {
            directory: directory.into(),
            what: "file of this layout".into(),
            tried: name.into(),
        });
    }
    let mut source = Source::open(&path)?;
    let bytes = source.up_to(LONGEST + 1)?;
    let name = source.name().to_owned();
    if bytes.len() as u64 > LONGEST {
        let found = format!("more than {LONGEST} bytes");
        return Err(Error::malformed(&name, "length", found, "less"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((text, name)),
        Err(_) => Err(Error::malformed(
            &name,
            "content",
            "bytes that are no text",
            "numbers in text",
        )),
    }
}

fn parse_sizes(text: &str, name: &str) -> Result<Vec<usize>, Error> {
    let expected = format!("{CLASSES} counts");
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if words.len() != CLASSES {
        let found = format!("{} words", words.len());
        return Err(Error::malformed(name, "sizes", found, expected));
    }
    let size = |word: &&str| {
        // No file that is short enough to be read holds as many utterances.
        let size = word.parse().ok().filter(|size| *size as u64 <= LONGEST);
        size.ok_or_else(|| Error::malformed(name, "sizes", shown(word), "a count"))
    };
    words.iter().map(size).collect()
}

/// The length of each utterance, and the values of all.
fn parse_values(text: &str, name: &str) -> Result<(Vec<usize>, Vec<f64>), Error> {
    let (mut lengths, mut values) = (Vec::new(), Vec::new());
    let mut steps = 0;
    for (index, line) in text.lines().enumerate() {
        let start = values.len();
        for word in line.split_ascii_whitespace() {
            let value: Option<f64> = word.parse().ok().filter(|value: &f64| value.is_finite());
            values.push(value.ok_or_else(|| {
                let part = format!("line {}", index + 1);
                Error::malformed(name, part, shown(word), "a finite number")
            })?);
        }
        let count = values.len() - start;
        let ones = count == CHANNELS && values[start..].iter().all(|value| *value == 1.0);
        if count == 0 || ones {
            values.truncate(start);
            if steps > 0 {
                lengths.push(std::mem::take(&mut steps));
            }
        } else if count == CHANNELS {
            steps += 1;
        } else {
            let part = format!("line {}", index + 1);
            let found = format!("{count} numbers");
            let expected = format!("{CHANNELS}, or an empty line after an utterance");
            return Err(Error::malformed(name, part, found, expected));
        }
    }
    if steps > 0 {
        lengths.push(steps);
    }
    Ok((lengths, values))
}

/// A word of a file, as an error shows it.
fn shown(word: &str) -> String {
    let start: String = word.chars().take(40).collect();
    format!("{start:?}")
}
