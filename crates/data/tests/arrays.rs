//! `.npy` arrays of every element type and order, and several of them by a pattern, against bytes made by hand.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

mod common;

use common::{assert_says, npy, write};
use loclin_data::{
    Data, Dataset, Error, Layout, Preprocessing, Rows, Split, npy as npy_file, source, train_valid,
};
use proptest::prelude::*;

fn header(descr: &str, fortran_order: bool, shape: &[usize]) -> String {
    let order = if fortran_order { "True" } else { "False" };
    let shape: Vec<String> = shape.iter().map(|size| format!("{size},")).collect();
    let shape = shape.concat();
    format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape})}}")
}

fn read(bytes: &[u8]) -> Result<Dataset, Error> {
    let directory = tempfile::tempdir().unwrap();
    npy_file::read(&write(directory.path(), "inputs.npy", bytes))
}

fn numbers(set: &Dataset) -> Vec<f64> {
    set.rows_f64(&(0..set.len()).collect::<Vec<_>>()).unwrap()
}

fn request(split: Split, seed: u64, rows: Rows) -> source::Request<'static> {
    source::Request {
        seed,
        rows,
        ..source::Request::of(split)
    }
}

fn open(name: &str, request: &source::Request<'_>) -> Result<Dataset, Error> {
    source::open_with(name, request).and_then(Data::into_table)
}

#[test]
fn every_element_type_is_taken_as_it_is() {
    // The bytes as NumPy writes them, little-endian, and what they stand for.
    let cases: [(&str, &[u8], [f64; 2]); 12] = [
        ("b1", &[0, 1], [0.0, 1.0]),
        ("u1", &[255, 3], [255.0, 3.0]),
        ("i1", &[0x80, 127], [-128.0, 127.0]),
        ("u2", &[0xff, 0xff, 1, 0], [65535.0, 1.0]),
        ("i2", &[0, 0x80, 0xff, 0xff], [-32768.0, -1.0]),
        (
            "u4",
            &[0xff, 0xff, 0xff, 0xff, 1, 0, 0, 1],
            [4_294_967_295.0, 16_777_217.0],
        ),
        (
            "i4",
            &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0x80],
            [-1.0, -2_147_483_648.0],
        ),
        (
            "u8",
            &[0, 0, 0, 0, 0, 0, 0, 0x80, 7, 0, 0, 0, 0, 0, 0, 0],
            [9_223_372_036_854_775_808.0, 7.0],
        ),
        (
            "i8",
            &[
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0x20, 0,
            ],
            [-1.0, 9_007_199_254_740_992.0],
        ),
        // 1.5; the smallest subnormal number.
        (
            "f2",
            &[0x00, 0x3e, 0x01, 0x80],
            [1.5, -5.960_464_477_539_063e-8],
        ),
        ("f4", &[0, 0, 0x80, 0xbf, 0, 0, 0, 0x3f], [-1.0, 0.5]),
        (
            "f8",
            &[
                0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f,
            ],
            [1.0, 0.1],
        ),
    ];
    for (kind, bytes, expected) in cases {
        for big_endian in [false, true] {
            let mut bytes = bytes.to_vec();
            let size = bytes.len() / 2;
            if big_endian {
                bytes.chunks_mut(size).for_each(<[u8]>::reverse);
            }
            let order = match (size, big_endian) {
                (1, _) => '|',
                (_, true) => '>',
                (_, false) => '<',
            };
            let descr = format!("{order}{kind}");
            let set = read(&npy(&header(&descr, false, &[2, 1]), &bytes)).unwrap();
            assert_eq!(numbers(&set), expected, "{descr}");
            let single = expected.map(|value| value as f32);
            assert_eq!(set.rows_f32(&[0, 1]).unwrap(), single, "{descr}");
        }
    }
}

#[test]
fn every_half_precision_number_is_read() {
    let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    for (part, exponent) in bytes.chunks(2048).zip(0u32..) {
        let exponent = exponent & 31;
        let found = read(&npy(&header("<f2", false, &[1024, 1]), part));
        if exponent == 31 {
            assert_says(&found.unwrap_err(), &["found"]);
            continue;
        }
        let set = found.unwrap();
        for (fraction, value) in numbers(&set).into_iter().enumerate() {
            let expected = match exponent {
                0 => fraction as f64 / 1024.0 * 2f64.powi(-14),
                _ => (1.0 + fraction as f64 / 1024.0) * 2f64.powi(exponent as i32 - 15),
            };
            assert_eq!(value.abs(), expected);
        }
    }
}

#[test]
fn what_no_float_is_equal_to_is_refused() {
    for (kind, integer) in [("<u8", u64::MAX), ("<i8", (1 << 53) + 1)] {
        let bytes = [0u64.to_le_bytes(), integer.to_le_bytes()].concat();
        let error = read(&npy(&header(kind, false, &[2, 1]), &bytes)).unwrap_err();
        assert_says(&error, &["inputs.npy", &integer.to_string(), "2^53"]);
    }
    for descr in ["<c8", "<f16", "|S1", "|u2", "=f4", "f4", "<U3", "", "é"] {
        let error = read(&npy(&header(descr, false, &[1, 1]), &[0; 32])).unwrap_err();
        assert_says(&error, &["descr", "an integer (i1 to i8, u1 to u8)"]);
    }
}

/// A shape of one to four dimensions, each from 1 to 4, behind some rows.
fn any_shape() -> impl Strategy<Value = Vec<usize>> {
    (1usize..9, prop::collection::vec(1usize..5, 1..4))
        .prop_map(|(rows, input)| [vec![rows], input].concat())
}

/// The index of each value of an array, in the order of a Fortran file.
fn fortran_indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for &size in shape.iter().rev() {
        let longer = |tail: &Vec<usize>| {
            let tail = tail.clone();
            (0..size).map(move |index| [vec![index], tail.clone()].concat())
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// A number that says where it stands.
fn value(index: &[usize]) -> f32 {
    index.iter().fold(0.0, |sum, &i| sum * 10.0 + i as f32)
}

proptest! {
    #[test]
    fn fortran_order_is_c_order(shape in any_shape(), row: prop::sample::Index, seed: u64) {
        let directory = tempfile::tempdir().unwrap();
        let of = |values: Vec<f32>| values.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<_>>();
        let in_fortran = fortran_indices(&shape);
        let mut in_c = in_fortran.clone();
        in_c.sort();
        let file = |name: &str, fortran: bool, order: &[Vec<usize>]| {
            let bytes = of(order.iter().map(|index| value(index)).collect());
            write(directory.path(), name, &npy(&header("<f4", fortran, &shape), &bytes))
        };
        let c = file("c.npy", false, &in_c);
        let fortran = file("f.npy", true, &in_fortran);
        let (c, fortran) = (c.to_str().unwrap(), fortran.to_str().unwrap());
        let row = Rows::One(row.index(shape[0]));
        for (split, rows) in [
            (Split::Test, Rows::All), (Split::Test, Rows::First(2)), (Split::Test, row),
            (Split::Train, Rows::All), (Split::Valid, Rows::First(1)),
        ] {
            if shape[0] == 1 && split != Split::Test {
                continue;
            }
            let request = request(split, seed, rows);
            let (a, b) = (open(c, &request).unwrap(), open(fortran, &request).unwrap());
            prop_assert_eq!(a.values(), b.values());
            prop_assert_eq!(a.input_shape(), b.input_shape());
        }
        let whole = std::fs::read(directory.path().join("f.npy")).unwrap();
        for cut in [&whole[..whole.len() - 1], &[&whole[..], &[0]].concat()] {
            prop_assert!(read(cut).is_err());
        }
    }

    #[test]
    fn a_pattern_is_its_files_one_after_the_other(
        counts in prop::collection::vec(1usize..6, 1..5), first in 0usize..12, seed: u64,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let total: usize = counts.iter().sum();
        let mut next = 0..2 * total as u32;
        for (file, &count) in counts.iter().enumerate() {
            let values = next.by_ref().take(2 * count).map(|v| v as f32);
            let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
            let name = format!("part{file}.npy");
            write(directory.path(), &name, &npy(&header("<f4", false, &[count, 2]), &bytes));
        }
        write(directory.path(), ".hidden.npy", b"");
        write(directory.path(), "other.npy", b"");
        let all: Vec<f64> = (0..2 * total).map(|v| v as f64).collect();
        let pattern = directory.path().join("part?.*");
        let open = |split, rows| open(pattern.to_str().unwrap(), &request(split, seed, rows));
        let found = open(Split::Test, Rows::All).unwrap();
        prop_assert_eq!(numbers(&found), all.clone());
        if first < total {
            let one = open(Split::Test, Rows::One(first)).unwrap();
            prop_assert_eq!(numbers(&one), &all[2 * first..2 * first + 2]);
            let some = open(Split::Test, Rows::First(first + 1)).unwrap();
            prop_assert_eq!(numbers(&some), &all[..2 * first + 2]);
        } else {
            prop_assert!(open(Split::Test, Rows::One(first)).is_err());
        }
        if total > 1 {
            let (train, _) = train_valid(total, seed);
            let part = open(Split::Train, Rows::All).unwrap();
            let expected: Vec<f64> = train.iter().flat_map(|row| [all[2 * row], all[2 * row + 1]]).collect();
            prop_assert_eq!(numbers(&part), expected);
        }
    }
}

#[test]
fn files_of_a_pattern_are_alike() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, descr: &str, shape: &[usize]| {
        let bytes = vec![0; shape.iter().product::<usize>() * 4];
        write(
            directory.path(),
            name,
            &npy(&header(descr, false, shape), &bytes),
        )
    };
    file("a.npy", "<f4", &[2, 3]);
    file("b.npy", "<f4", &[1, 3]);
    let pattern = directory.path().join("*.npy");
    let open = |pattern: &std::path::Path| {
        open(pattern.to_str().unwrap(), &source::Request::of(Split::Test))
    };
    assert_eq!(open(&pattern).unwrap().len(), 3);
    file("c.npy", "<f4", &[1, 4]);
    let error = open(&pattern).unwrap_err();
    assert_says(
        &error,
        &["c.npy", "shape 4 of <f4", "shape 3 of <f4, as ", "a.npy"],
    );
    file("c.npy", "<i4", &[1, 3]);
    assert_says(&open(&pattern).unwrap_err(), &["c.npy", "<i4", "<f4"]);
    let none = directory.path().join("x*.npy");
    assert_says(&open(&none).unwrap_err(), &["x*.npy", "none"]);
    write(directory.path(), "c.npy", b"no array");
    write(directory.path(), "d.txt", b"text");
    let mixed = directory.path().join("*");
    assert_says(&open(&mixed).unwrap_err(), &["several or other kinds"]);
}

/// The last part of many is often a single row.
#[test]
fn a_part_of_one_row_is_a_part() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, shape: &[usize]| {
        let bytes = vec![0; shape.iter().product::<usize>() * 4];
        write(
            directory.path(),
            name,
            &npy(&header("<f4", false, shape), &bytes),
        );
    };
    for (inputs, layout) in [
        (&[3, 4, 5][..], None),
        (&[3, 4, 5], Some(Layout::ChannelsFirst)),
        (&[1, 4, 5], None),
        (&[6], None),
    ] {
        file("a.npy", &[&[4], inputs].concat());
        file("b.npy", &[&[1], inputs].concat());
        let preprocessing = Preprocessing {
            layout,
            ..Preprocessing::default()
        };
        let request = source::Request {
            input_shape: Some(inputs),
            preprocessing: &preprocessing,
            ..source::Request::of(Split::Test)
        };
        let pattern = directory.path().join("*.npy");
        let found = source::open_with(pattern.to_str().unwrap(), &request).unwrap();
        assert_eq!(found.len(), 5, "{inputs:?} {layout:?}");
    }
}

/// What looks like an option may be a part of a pattern.
#[test]
fn a_pattern_may_have_commas() {
    let directory = tempfile::tempdir().unwrap();
    let array = npy(&header("<f4", false, &[2, 3]), &[0; 24]);
    for name in ["q,y=1.npy", "q,y=2.npy", "p,y=1.npy"] {
        write(directory.path(), name, &array);
    }
    let open = |name: &str| {
        let path = directory.path().join(name);
        open(path.to_str().unwrap(), &source::Request::of(Split::Test))
    };
    for (pattern, rows) in [("q,y=*.npy", 4), ("?,y=1.npy", 4), ("*,y=?.npy", 6)] {
        assert_eq!(open(pattern).unwrap().len(), rows, "{pattern}");
    }
    assert_says(
        &open("r,y=*.npy").unwrap_err(),
        &["r,y=*.npy", "at least one file"],
    );
    // Behind a pattern, an option is one.
    assert_says(
        &open("q*.npy,broken=skip").unwrap_err(),
        &["broken=skip", "expected labels=FILE.npy"],
    );
}

#[test]
fn an_array_of_the_shape_of_an_input_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = |count: usize| vec![0; 4 * count];
    for (name, shape) in [("a", &[3, 2, 2][..]), ("b", &[3, 2, 2]), ("flat", &[12])] {
        let array = npy(&header("<f4", false, shape), &bytes(12));
        write(directory.path(), &format!("{name}.npy"), &array);
    }
    let at = |name: &str, input: Option<&'static [usize]>| {
        let request = source::Request {
            input_shape: input,
            ..source::Request::of(Split::Test)
        };
        open(directory.path().join(name).to_str().unwrap(), &request)
    };
    assert_eq!(at("a.npy", Some(&[3, 2, 2])).unwrap().len(), 1);
    assert_eq!(at("?.npy", Some(&[3, 2, 2])).unwrap().len(), 2);
    assert_eq!(at("flat.npy", Some(&[1, 12])).unwrap().len(), 1);
    // Without a model, or for another, the first dimension counts rows.
    assert_eq!(at("a.npy", None).unwrap().len(), 3);
    assert_eq!(at("a.npy", Some(&[4])).unwrap().len(), 3);
    assert!(at("flat.npy", None).is_err());
    assert_says(
        &at("a.npy", Some(&[2, 2, 3])).unwrap_err(),
        &["2 x 2;", "2 x 2 x 3"],
    );
}

/// Labels of the same rows in a file of their own, of any type of numbers, of one file or of several by a pattern.
#[test]
fn labels_come_from_a_file_beside_the_inputs() {
    let directory = tempfile::tempdir().unwrap();
    let inputs = npy(&header("<f4", false, &[20, 1]), &[0; 80]);
    for name in ["a1.npy", "a2.npy"] {
        write(directory.path(), name, &inputs);
    }
    let labels: Vec<u32> = (0..40).map(|row| row * 7 % 5).collect();
    let words = |step: fn(u32) -> Vec<u8>, rows: usize| -> Vec<u8> {
        labels[..rows].iter().copied().flat_map(step).collect()
    };
    let float = |label: u32| f64::from(label).to_be_bytes().to_vec();
    for (name, descr, shape, bytes) in [
        ("u1", "|u1", &[20][..], words(|label| vec![label as u8], 20)),
        (
            "i8",
            "<i8",
            &[20, 1],
            words(|label| u64::from(label).to_le_bytes().to_vec(), 20),
        ),
        ("f8", ">f8", &[20], words(float, 20)),
        (
            "both",
            "<i4",
            &[40],
            words(|label| label.to_le_bytes().to_vec(), 40),
        ),
        (
            "below",
            "<i4",
            &[20],
            [(-1i32).to_le_bytes().to_vec(), vec![0; 76]].concat(),
        ),
        (
            "part",
            "<f4",
            &[20],
            [vec![0; 72], 0.5f32.to_le_bytes().to_vec(), vec![0; 4]].concat(),
        ),
        ("flat", "|u1", &[1, 20], vec![0; 20]),
        ("long", "|u1", &[20], vec![0; 21]),
        ("short", "|u1", &[20], vec![0; 19]),
    ] {
        write(
            directory.path(),
            &format!("{name}.npy"),
            &npy(&header(descr, false, shape), &bytes),
        );
    }
    let named = |inputs: &str, labels: &str| {
        format!(
            "{},labels={labels}",
            directory.path().join(inputs).display()
        )
    };
    for (inputs, files, rows) in [
        ("a1.npy", &["u1.npy", "i8.npy", "f8.npy"][..], 20),
        ("a?.npy", &["both.npy"], 40),
    ] {
        for file in files {
            for (split, of_split) in [
                (Split::Test, (0..rows).collect()),
                (Split::Train, train_valid(rows, 3).0),
                (Split::Valid, train_valid(rows, 3).1),
            ] {
                for wanted in [Rows::All, Rows::First(1), Rows::One(1)] {
                    let expected: Vec<u32> = match wanted {
                        Rows::All => &of_split[..],
                        Rows::First(n) => &of_split[..n],
                        Rows::One(row) => &of_split[row..=row],
                    }
                    .iter()
                    .map(|row| labels[*row])
                    .collect();
                    let set = open(&named(inputs, file), &request(split, 3, wanted)).unwrap();
                    assert_eq!((set.labels(), set.classes()), (Some(&expected[..]), None));
                }
            }
        }
    }
    let whole = request(Split::Test, 0, Rows::All);
    // By a path of its own, too.
    let absolute = directory.path().join("u1.npy").display().to_string();
    let set = open(&named("a1.npy", &absolute), &whole).unwrap();
    assert_eq!(set.labels(), Some(&labels[..20]));
    for (file, words) in [
        (
            "below.npy",
            &["below.npy: labels, row 0: found -1", "whole number"][..],
        ),
        ("part.npy", &["part.npy: labels, row 18: found 0.5"]),
        ("flat.npy", &["shape 1 x 20", "[rows] or [rows, 1]"]),
        ("both.npy", &["a1.npy", "20 rows", "both.npy", "40"]),
        ("long.npy", &["long.npy", "trailing bytes"]),
        ("short.npy", &["short.npy", "19"]),
        ("none.npy", &["none.npy"]),
        ("", &["found \"labels=\"", "labels=FILE.npy"]),
    ] {
        assert_says(&open(&named("a1.npy", file), &whole).unwrap_err(), words);
    }
    // Runs on other labels are of other data.
    let content = |labels: &str| {
        let mut bytes: Vec<u8> = Vec::new();
        let sink = &mut |piece: &[u8]| bytes.extend(piece);
        source::training_content(&named("a1.npy", labels), &whole, sink).unwrap();
        bytes
    };
    write(
        directory.path(),
        "zero.npy",
        &npy(&header("|u1", false, &[20]), &[0; 20]),
    );
    assert_eq!(content("u1.npy"), content("f8.npy"));
    assert_ne!(content("u1.npy"), content("zero.npy"));
}
