//! CIFAR-10 in its binary layout, small and real.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

mod common;

use std::path::Path;

use common::{assert_says, write};
use loclin_data::{Data, Dataset, Split, cifar10, source};
use loclin_test_files::shared;

/// Images whose pixels are `first`, `first + 1`, ... and whose labels are given.
fn file(labels: &[u8], first: u8) -> Vec<u8> {
    let image = |label: u8, value: u8| [vec![label], vec![value; 3072]].concat();
    let images = labels.iter().zip(first..);
    images
        .flat_map(|(&label, value)| image(label, value))
        .collect()
}

fn open(name: &str, split: Split) -> Result<Dataset, loclin_data::Error> {
    source::open(name, split, None, 0).and_then(Data::into_table)
}

fn whole(directory: &Path) {
    for (index, name) in cifar10::TRAIN_FILES.iter().enumerate() {
        write(directory, name, &file(&[index as u8, 9], 10 * index as u8));
    }
    write(directory, cifar10::TEST_FILE, &file(&[3, 0, 9], 100));
}

#[test]
fn images_come_in_the_order_of_the_files() {
    let directory = tempfile::tempdir().unwrap();
    whole(directory.path());
    let name = directory.path().to_str().unwrap();
    let test = open(name, Split::Test).unwrap();
    assert_eq!(test.input_shape(), cifar10::SHAPE);
    assert_eq!(
        (test.labels(), test.classes()),
        (Some(&[3, 0, 9][..]), Some(10))
    );
    assert_eq!(test.rows_f64(&[2]).unwrap(), [102.0 / 255.0; 3072]);
    assert_eq!(test.moments().unwrap().mean, cifar10::MEAN);
    let [train, valid] = [Split::Train, Split::Valid].map(|split| open(name, split).unwrap());
    assert_eq!((train.len(), valid.len()), (9, 1));

    // The public archive unpacks into a folder, and the name finds it in the data directory.
    let data = tempfile::tempdir().unwrap();
    let inner = data.path().join("cifar10/cifar-10-batches-bin");
    std::fs::create_dir_all(&inner).unwrap();
    whole(&inner);
    let named = source::open("cifar10", Split::Train, Some(data.path()), 0).unwrap();
    assert_eq!(named.labels(), train.labels());
}

#[test]
fn files_are_missing_only_with_permission() {
    let directory = tempfile::tempdir().unwrap();
    whole(directory.path());
    for name in ["data_batch_2.bin", "data_batch_5.bin"] {
        std::fs::remove_file(directory.path().join(name)).unwrap();
    }
    let name = directory.path().to_str().unwrap();
    let error = open(name, Split::Train).unwrap_err();
    assert_says(
        &error,
        &[
            "data_batch_2.bin, data_batch_5.bin missing",
            "missing=skip",
            "the 3 that are there",
        ],
    );
    let part = open(&format!("{name},missing=skip"), Split::Train).unwrap();
    assert_eq!(part.len(), 5);
    assert_says(
        &part.name(),
        &["data_batch_1.bin, data_batch_3.bin, data_batch_4.bin alone"],
    );

    let none = tempfile::tempdir().unwrap();
    let path = none.path();
    let missing = loclin_data::Unusable::Skip;
    let error = cifar10::load_directory(path, Split::Test, 0, missing).unwrap_err();
    assert_says(&error, &["no test images", "test_batch.bin"]);
}

#[test]
fn what_breaks_the_format_is_named() {
    let cases: [(Vec<u8>, &[&str]); 4] = [
        (vec![], &["images: found 0"]),
        (file(&[1, 10], 0), &["row 1", "label 10", "0 to 9"]),
        (
            file(&[1, 2], 0)[..4000].to_vec(),
            &["image 1", "927 bytes", "3073"],
        ),
        (b"not a batch".to_vec(), &["image 0", "11 bytes"]),
    ];
    for (bytes, words) in cases {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), cifar10::TEST_FILE, &bytes);
        let error = open(directory.path().to_str().unwrap(), Split::Test).unwrap_err();
        assert_says(&error, &["test_batch.bin"]);
        assert_says(&error, words);
    }
}

#[test]
fn the_moments_are_those_of_the_data() {
    let Some(directory) = shared("data/cifar10") else {
        return;
    };
    let name = format!("{},missing=skip", directory.display());
    let parts = [Split::Train, Split::Valid].map(|split| open(&name, split).unwrap());
    let mut sums = [[0.0; 2]; 3];
    for part in &parts {
        let rows: Vec<usize> = (0..part.len()).collect();
        for image in part.rows_f64(&rows).unwrap().chunks(3072) {
            for (sums, plane) in sums.iter_mut().zip(image.chunks(1024)) {
                plane
                    .iter()
                    .for_each(|v| (sums[0] += v, sums[1] += v * v).0);
            }
        }
    }
    let count = 1024.0 * parts.iter().map(Dataset::len).sum::<usize>() as f64;
    for (channel, [sum, squares]) in sums.into_iter().enumerate() {
        let mean = sum / count;
        let std = (squares / count - mean * mean).sqrt();
        // A fifth of the training images or more: their means vary by 0.25 / sqrt(10,000) and a little more,
        // because the pixels of an image are alike.
        assert!(
            (mean - cifar10::MEAN[channel]).abs() < 5e-3,
            "{channel}: mean {mean}"
        );
        assert!(
            (std - cifar10::STD[channel]).abs() < 5e-3,
            "{channel}: std {std}"
        );
    }
}
