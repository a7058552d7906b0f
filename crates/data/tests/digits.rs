//! The embedded digits are MNIST's, balanced, and what the committed command makes; names and
//! paths open what they say.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

mod common;

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use common::{assert_says, npy, write};
use flate2::read::GzDecoder;
use loclin_data::{Dataset, Split, Values, digits, mnist, source};
use loclin_test_files::shared;

fn counts(set: &Dataset) -> [usize; 10] {
    let mut counts = [0; 10];
    for &label in set.labels().unwrap() {
        counts[label as usize] += 1;
    }
    counts
}

fn images(set: &Dataset) -> Vec<&[u8]> {
    let Values::Bytes(bytes) = set.values() else {
        unreachable!()
    };
    bytes.chunks(set.features()).collect()
}

#[test]
fn embedded_digits_are_balanced_and_small() {
    let test = digits::load(Split::Test, 0).unwrap();
    assert_eq!(counts(&test), [200; 10]);
    let parts = [Split::Train, Split::Valid].map(|split| digits::load(split, 3).unwrap());
    assert_eq!(parts.each_ref().map(Dataset::len), [7333, 667]);
    let [train, valid] = parts.each_ref().map(counts);
    assert_eq!(
        std::array::from_fn(|digit| train[digit] + valid[digit]),
        [800; 10]
    );
    assert_ne!(digits::load(Split::Valid, 4).unwrap(), parts[1]);
    // Training and held-out digits share no image.
    let seen: HashSet<&[u8]> = parts.iter().flat_map(images).collect();
    assert!(images(&test).iter().all(|image| !seen.contains(image)));
    let embedded = Path::new(env!("CARGO_MANIFEST_DIR")).join("digits/digits.idx.gz");
    assert!(embedded.metadata().unwrap().len() <= 2_000_000);
}

#[test]
fn embedded_digits_are_what_the_command_makes_of_mnist() {
    let Some(directory) = shared("data/mnist") else {
        return;
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("digits/digits.idx.gz");
    let mut embedded = Vec::new();
    GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_end(&mut embedded)
        .unwrap();
    // The content, because the packed bytes depend on the version of the compressor.
    assert!(digits::archive(&directory).unwrap() == embedded);

    let whole = mnist::load_directory(&directory, Split::Test, 0).unwrap();
    let known: HashSet<(&[u8], u32)> = images(&whole)
        .into_iter()
        .zip(whole.labels().unwrap().to_vec())
        .collect();
    let test = digits::load(Split::Test, 0).unwrap();
    assert!(
        images(&test)
            .into_iter()
            .zip(test.labels().unwrap())
            .all(|(image, &label)| known.contains(&(image, label)))
    );
}

/// NumPy divided the same pixels by 255 and wrote them as `f4`.
#[test]
fn numpy_reads_the_same_pixels() {
    let Some(directory) = shared("data/mnist") else {
        return;
    };
    let Some(path) = shared("reference/mnist20.npy") else {
        return;
    };
    let by_numpy = source::open(path.to_str().unwrap(), Split::Test, None, 0)
        .and_then(loclin_data::Data::into_table)
        .unwrap();
    let whole = mnist::load_directory(&directory, Split::Test, 0).unwrap();
    assert_eq!(
        (by_numpy.len(), by_numpy.input_shape()),
        (20, &[28, 28][..])
    );
    let rows: Vec<usize> = (0..20).collect();
    assert_eq!(
        by_numpy.rows_f32(&rows).unwrap(),
        whole.rows_f32(&rows).unwrap()
    );
}

#[test]
fn mnist_has_the_moments_it_is_normalised_with() {
    let Some(directory) = shared("data/mnist") else {
        return;
    };
    let [train, valid] = [Split::Train, Split::Valid].map(|split| {
        source::open("mnist", split, directory.parent(), 0)
            .unwrap()
            .into_table()
            .unwrap()
    });
    assert_eq!((train.len(), valid.len()), (55_000, 5_000));
    let pixels = [&train, &valid]
        .map(|set| set.rows_f64(&(0..set.len()).collect::<Vec<_>>()).unwrap())
        .concat();
    let mean = pixels.iter().sum::<f64>() / pixels.len() as f64;
    let variance = pixels
        .iter()
        .map(|pixel| (pixel - mean).powi(2))
        .sum::<f64>()
        / pixels.len() as f64;
    // The published constants are rounded to four decimals.
    assert!(
        (mean - mnist::MEAN).abs() < 5e-5 && (variance.sqrt() - mnist::STD).abs() < 5e-5,
        "{mean} {variance}"
    );
}

#[test]
fn names_and_paths_open_what_they_say() {
    let directory = tempfile::tempdir().unwrap();
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (24, 2), }";
    let path = write(directory.path(), "inputs.NPY", &npy(header, &[9; 48]));
    let lengths = [Split::Train, Split::Valid, Split::Test].map(|split| {
        source::open(path.to_str().unwrap(), split, None, 0)
            .unwrap()
            .len()
    });
    assert_eq!(lengths, [22, 2, 24]);

    let text = write(directory.path(), "notes.txt", b"");
    let folder = directory.path().join("folder.npy");
    std::fs::create_dir(&folder).unwrap();
    let missing = directory.path().join("missing.npy");
    let cases: [(&str, Option<&Path>, &[&str]); 7] = [
        (
            "mnits",
            None,
            &[
                "\"mnits\"",
                "digits, japanese-vowels, mnist",
                "did you mean \"mnist\"?",
            ],
        ),
        (
            "imagenet",
            None,
            &[
                "\"imagenet\"",
                "digits, japanese-vowels, mnist",
                ".npy or .safetensors file",
            ],
        ),
        ("mnist", None, &["mnist", "no data directory"]),
        ("mnist", Some(directory.path()), &["no t10k images"]),
        (
            text.to_str().unwrap(),
            None,
            &["notes.txt", "a text file", "numpy.save"],
        ),
        (
            folder.to_str().unwrap(),
            None,
            &["folder.npy", "an empty folder"],
        ),
        (missing.to_str().unwrap(), None, &["missing.npy"]),
    ];
    for (name, data_dir, words) in cases {
        assert_says(
            &source::open(name, Split::Test, data_dir, 0).unwrap_err(),
            words,
        );
    }
    let far = source::open("imagenet", Split::Test, None, 0)
        .unwrap_err()
        .to_string();
    assert!(!far.contains("did you mean"), "{far}");
}
