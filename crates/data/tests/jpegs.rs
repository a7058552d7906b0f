//! JPEG files of many widths and kinds, against the pixels that libjpeg finds in them (`jpeg/make.py`), and broken ones.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

mod common;

use std::path::Path;

use common::write;
use loclin_data::{Data, Dataset, Error, Split, source};
use proptest::prelude::*;
use safetensors::SafeTensors;

const PICTURES: &[u8] = include_bytes!("jpeg/pictures.safetensors");

fn open(path: &Path) -> Result<Dataset, Error> {
    source::open(path.to_str().unwrap(), Split::Test, None, 0).and_then(Data::into_table)
}

struct Known {
    name: String,
    file: Vec<u8>,
    /// Height and width.
    size: [usize; 2],
    /// Three bytes each.
    pixels: Vec<u8>,
}

fn pictures() -> Vec<Known> {
    let all = SafeTensors::deserialize(PICTURES).unwrap();
    let one = |name: String| {
        let tensor = |end: &str| all.tensor(&format!("{name}.{end}")).unwrap();
        let pixels = tensor("rgb");
        let size = [pixels.shape()[0], pixels.shape()[1]];
        let (file, pixels) = (tensor("jpg").data().to_vec(), pixels.data().to_vec());
        Known {
            name,
            file,
            size,
            pixels,
        }
    };
    let names = all.names().into_iter();
    let names = names.filter_map(|name| name.strip_suffix(".jpg").map(str::to_owned));
    names.map(one).collect()
}

#[test]
fn pixels_are_those_of_libjpeg() {
    let pictures = pictures();
    assert_eq!(pictures.len(), 160);
    let directory = tempfile::tempdir().unwrap();
    for known in pictures {
        let Known {
            name,
            file,
            size: [height, width],
            pixels,
        } = known;
        let set = open(&write(directory.path(), "a.jpg", &file)).unwrap();
        assert_eq!(set.input_shape(), [3, height, width], "{name}");
        let found = set.rows_f64(&[0]).unwrap();
        let area = height * width;
        for (at, pixel) in pixels.chunks(3).enumerate() {
            for (channel, &expected) in pixel.iter().enumerate() {
                let found = 255.0 * found[channel * area + at];
                assert!(
                    (found - f64::from(expected)).abs() < 1e-9,
                    "{name}: pixel {at}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_changed_file_is_read_or_refused(
        which: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<u8>()), 0..6),
        keep in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let pictures = pictures();
        let mut file = pictures[which.index(pictures.len())].file.clone();
        for (at, in_header, byte) in changes {
            let among = if in_header { file.len().min(620) } else { file.len() };
            file[at.index(among)] = byte;
        }
        if let Some(keep) = keep {
            file.truncate(keep.index(file.len()));
        }
        let directory = tempfile::tempdir().unwrap();
        if let Ok(set) = open(&write(directory.path(), "a.jpg", &file)) {
            prop_assert_eq!(set.rows_f64(&[0]).unwrap().len(), set.features());
        }
    }
}

/// A header that claims more than the file can hold takes no memory.
#[test]
fn a_claimed_size_is_not_believed() {
    let mut pictures = pictures().into_iter();
    let known = pictures.find(|known| known.name.starts_with("420-16x"));
    let mut file = known.unwrap().file;
    let at = file
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0] || pair == [0xff, 0xc2])
        .unwrap();
    file[at + 5..at + 9].copy_from_slice(&[0xf0, 0, 0x20, 0]);
    let directory = tempfile::tempdir().unwrap();
    let error = open(&write(directory.path(), "a.jpg", &file)).unwrap_err();
    common::assert_says(&error, &["8192 x 61440", "too large"]);
    file[at + 5..at + 9].copy_from_slice(&[0x20, 0, 0x20, 0]);
    let error = open(&write(directory.path(), "a.jpg", &file)).unwrap_err();
    common::assert_says(&error, &["8192 x 8192", "ends too early"]);
}
