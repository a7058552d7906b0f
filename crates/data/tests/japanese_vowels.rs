//! Japanese Vowels: the published files read as they are, damaged ones refused.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

mod common;

use std::path::Path;

use common::{assert_says, write};
use loclin_data::{Data, Error, Fold, Rows, Sequences, Split, japanese_vowels, source};
use loclin_test_files::shared;
use proptest::prelude::*;

const SIZES: &str = "1 1 1 1 1 1 1 1 2\n";

/// Ten utterances of 1, 2, 3, 1, 2, ... steps; the values count up.
fn utterances(end: &str) -> String {
    let mut text = String::new();
    let mut next = 0.0;
    for index in 0..10 {
        for _ in 0..index % 3 + 1 {
            let row: Vec<String> = (0..12)
                .map(|_| {
                    next += 0.5;
                    format!("{next}")
                })
                .collect();
            text += &format!("{} \n", row.join(" "));
        }
        text += end;
    }
    text
}

fn load(directory: &Path, values: &str, sizes: &str) -> Result<Sequences, Error> {
    write(directory, "ae.test", values.as_bytes());
    write(directory, "size_ae.test", sizes.as_bytes());
    japanese_vowels::load_directory(directory, Split::Test, 0)
}

#[test]
fn the_published_files_have_the_published_sizes() {
    let Some(directory) = shared("data/japanese-vowels") else {
        return;
    };
    let open = |split, seed| {
        let data = source::open("japanese-vowels", split, directory.parent(), seed).unwrap();
        match data {
            Data::Sequences(sequences) => sequences,
            Data::Table(_) => panic!("a table"),
        }
    };
    let sets = [Split::Train, Split::Valid, Split::Test].map(|split| open(split, 0));
    assert_eq!(sets.each_ref().map(Sequences::len), [225, 45, 370]);
    let lengths: Vec<usize> = sets.iter().flat_map(Sequences::lengths).collect();
    assert_eq!(
        (lengths.iter().min(), lengths.iter().max()),
        (Some(&7), Some(&29))
    );
    let count = |set: &Sequences, speaker| {
        set.labels()
            .unwrap()
            .iter()
            .filter(|l| **l == speaker)
            .count()
    };
    assert!((0..9).all(|speaker| count(&sets[0], speaker) == 25 && count(&sets[1], speaker) == 5));
    assert_eq!(count(&sets[2], 2), 88);
    let first = sets[2].table(&[0]).unwrap();
    assert_eq!(first.input_shape(), [19, 12]);
    assert_ne!(open(Split::Valid, 1), sets[1]);
    assert_eq!(open(Split::Test, 1), sets[2]);
    let by_path = source::open(directory.to_str().unwrap(), Split::Valid, None, 0).unwrap();
    assert_eq!(by_path.len(), 45);
}

#[test]
fn both_kinds_of_separator_mean_the_same_and_lengths_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let ones = format!("{}\n", ["1.0"; 12].join(" "));
    let set = load(directory.path(), &utterances("\n"), SIZES).unwrap();
    assert_eq!(
        set,
        load(directory.path(), &utterances(&ones), SIZES).unwrap()
    );
    assert_eq!(
        set.lengths().collect::<Vec<_>>(),
        [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]
    );
    assert_eq!(set.labels().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 8]);
    let parts = Data::from(set.clone()).tables(&[9, 2, 0, 5]).unwrap();
    let positions: Vec<&[usize]> = parts.iter().map(|part| &part.positions[..]).collect();
    assert_eq!(positions, [&[0, 2][..], &[1, 3]]);
    assert_eq!(parts[0].inputs.labels().unwrap(), [8, 0]);
    assert_says(
        &set.table(&[0, 1]).unwrap_err(),
        &["sequence 1", "2 time steps", "1, as"],
    );
    assert_says(&set.subset(&[]).unwrap_err(), &["0 rows"]);
    assert_says(
        &Data::from(set.clone()).tables(&[10]).unwrap_err(),
        &["row index 10", "below 10"],
    );
    assert_says(
        &Data::from(set).into_table().unwrap_err(),
        &["different lengths"],
    );
}

/// Rows asked for are those of the whole, and what comes behind the last of them may be anything.
#[test]
fn some_rows_are_read_without_those_behind_them() {
    let directory = tempfile::tempdir().unwrap();
    let sizes = "6 6 6 6 6 6 6 6 6";
    let text = utterances("\n").repeat(6);
    let text = &text[..text.match_indices("\n\n").nth(53).unwrap().0 + 2];
    for part in ["train", "test"] {
        write(directory.path(), &format!("ae.{part}"), text.as_bytes());
        write(
            directory.path(),
            &format!("size_ae.{part}"),
            sizes.as_bytes(),
        );
    }
    let name = directory.path().to_str().unwrap();
    let some = |split, rows| {
        let request = source::Request {
            rows,
            ..source::Request::of(split)
        };
        source::open_with(name, &request)
    };
    for (split, count) in [(Split::Train, 45), (Split::Valid, 9), (Split::Test, 54)] {
        let all = source::open(name, split, None, 0).unwrap();
        assert_eq!(all.len(), count);
        for rows in [1, 4, count, count + 1] {
            let first: Vec<usize> = (0..rows.min(count)).collect();
            assert_eq!(
                some(split, Rows::First(rows)).unwrap(),
                all.subset(&first).unwrap()
            );
        }
        assert_eq!(
            some(split, Rows::One(5)).unwrap(),
            all.subset(&[5]).unwrap()
        );
        assert_says(&some(split, Rows::One(count)).unwrap_err(), &["row index"]);
        assert!(some(split, Rows::First(0)).is_err());
    }
    // In parts every row validates once, and what trains is the rest.
    let mut lengths = Vec::new();
    for index in 0..6 {
        let part = |split, rows| {
            let fold = Some(Fold::new(index, 6).unwrap());
            let request = source::Request {
                rows,
                fold,
                ..source::Request::of(split)
            };
            source::open_with(name, &request).unwrap()
        };
        let valid = part(Split::Valid, Rows::All);
        assert_eq!((valid.len(), part(Split::Train, Rows::All).len()), (9, 45));
        let mut speakers = valid.labels().unwrap().to_vec();
        speakers.sort_unstable();
        assert_eq!(speakers, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(
            part(Split::Valid, Rows::One(3)),
            valid.subset(&[3]).unwrap()
        );
        // Test data have no part in it.
        assert_eq!(part(Split::Test, Rows::All).len(), 54);
        let Data::Sequences(valid) = valid else {
            panic!("a table");
        };
        lengths.extend(valid.lengths());
    }
    lengths.sort_unstable();
    let all = source::open(name, Split::Test, None, 0).unwrap();
    let Data::Sequences(all) = all else {
        panic!("a table");
    };
    let mut expected: Vec<usize> = all.lengths().collect();
    expected.sort_unstable();
    assert_eq!(lengths, expected);
    let end = text.match_indices("\n\n").nth(2).unwrap().0 + 2;
    let damaged = format!("{}1 2 x\n", &text[..end]);
    write(directory.path(), "ae.test", damaged.as_bytes());
    assert_eq!(some(Split::Test, Rows::First(3)).unwrap().len(), 3);
    assert_says(&some(Split::Test, Rows::First(4)).unwrap_err(), &["\"x\""]);
    write(directory.path(), "ae.test", &text.as_bytes()[..end]);
    assert_says(
        &some(Split::Test, Rows::First(4)).unwrap_err(),
        &["holds 3 rows", "holds 54"],
    );
}

#[test]
fn damaged_files_are_named_with_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let good = utterances("\n");
    let cases: [(&str, &str, &[&str]); 9] = [
        ("", SIZES, &["ae.test holds 0 rows", "holds 10"]),
        ("1 2 3\n", SIZES, &["ae.test", "line 1", "3 numbers", "12"]),
        (
            "1 2 x\n",
            SIZES,
            &["ae.test", "line 1", "\"x\"", "finite number"],
        ),
        ("1 nan\n", SIZES, &["line 1", "\"nan\""]),
        ("\n1e999\n", SIZES, &["line 2", "\"1e999\""]),
        (&good, "1 2 3", &["size_ae.test", "3 words", "9 counts"]),
        (&good, "1 1 1 1 1 1 1 1 -1", &["size_ae.test", "\"-1\""]),
        (
            &good,
            "1 1 1 1 1 1 1 1 99999999999",
            &["size_ae.test", "\"99999999999\""],
        ),
        (&good, "1 1 1 1 1 1 1 1 1", &["holds 10 rows", "holds 9"]),
    ];
    for (values, sizes, words) in cases {
        assert_says(&load(directory.path(), values, sizes).unwrap_err(), words);
    }
    let empty = tempfile::tempdir().unwrap();
    let missing = japanese_vowels::load_directory(empty.path(), Split::Train, 0).unwrap_err();
    assert_says(&missing, &["ae.train"]);
    write(directory.path(), "ae.test", &[0xff, 0xfe]);
    let binary = japanese_vowels::load_directory(directory.path(), Split::Test, 0).unwrap_err();
    assert_says(&binary, &["ae.test", "no text"]);
}

proptest! {
    #[test]
    fn a_cut_file_is_an_error_or_lacks_only_the_end_of_a_line(at: prop::sample::Index) {
        let directory = tempfile::tempdir().unwrap();
        let whole = utterances("\n");
        let cut = &whole[..at.index(whole.len())];
        if let Ok(set) = load(directory.path(), cut, SIZES) {
            // The last number may have lost digits, which nobody can know, or nothing but white space is missing.
            prop_assert_eq!(set.len(), 10);
            prop_assert_eq!(cut.split_whitespace().count(), whole.split_whitespace().count());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), sizes in "[0-9 x.-]{0,30}") {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), "ae.test", &bytes);
        write(directory.path(), "size_ae.test", sizes.as_bytes());
        let _ = japanese_vowels::load_directory(directory.path(), Split::Test, 0);
    }
}
