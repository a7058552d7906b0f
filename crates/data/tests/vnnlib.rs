//! Boxes of inputs from VNN-LIB files: the forms that there are, and hostile ones refused with the line.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

mod common;

use std::io::Write as _;

use common::{assert_says, write};
use flate2::Compression;
use flate2::write::GzEncoder;
use loclin_data::Error;
use loclin_data::vnnlib::{self, InputBox};
use proptest::prelude::*;

const DECLARED: &str =
    "(declare-const X_0 Real)\n(declare-const X_1 Real)\n(declare-const Y_0 Real)\n";

fn read(text: &str) -> Result<InputBox, Error> {
    let directory = tempfile::tempdir().unwrap();
    vnnlib::read(&write(directory.path(), "box.vnnlib", text.as_bytes()))
}

/// A text behind the declarations, which end with line 3.
fn asserted(text: &str) -> Result<InputBox, Error> {
    read(&format!("{DECLARED}{text}"))
}

#[test]
fn every_form_of_one_box_is_read() {
    let forms = [
        "(assert (<= |X_0| 0.5))(assert (|>=| |X_0| (|-| 1)))(assert (<= |X_1| 2))(assert (>= X_1 0.25))",
        "(assert (<= X_0 0.5))(assert (>= X_0 -1))(assert (<= X_1 2e0))(assert (>= X_1 +.25))",
        "(assert (>= 0.5 X_0))(assert (<= (- 1.0) X_0))(assert (= X_1 2))(assert (= 2 X_1)) ; X_1 is 2 :|",
        "(assert (and (<= X_0 0.5) (>= X_0 -1) (<= X_0 7) (>= X_0 -7)))(assert (and (<= X_1 2) (>= X_1 0.25)))",
        "(assert (or (and (<= X_0 0.5) (>= X_0 -1) (<= X_1 2) (>= X_1 0.25) (>= Y_0 X))))",
        "(set-logic |X_0; \" (|)(set-info :x \"(X_0\n\")\n(assert (or (and (<= X_0 0.5) (and (>= X_0 -1)))))
         (assert (>= (+ Y_0 (* 2 (- Y_0 1))) 3))(assert (or (<= Y_0 3) (and (>= Y_0 4) (not (= Y_0 5)))))
         (assert (<= X_1 2))(assert (>= X_1 0.25))(check-sat)",
    ];
    for (at, form) in forms.iter().enumerate() {
        let found = asserted(form).unwrap();
        assert_eq!(found.high, [0.5, 2.0], "{form}");
        let low = if at == 2 { 2.0 } else { 0.25 };
        assert_eq!(found.low, [-1.0, low], "{form}");
    }
    let other =
        "(declare-fun X_1 () Real)(declare-fun X_0 () Real)(assert (= X_0 1))(assert (= X_1 2))";
    assert_eq!(read(other).unwrap().low, [1.0, 2.0]);
    let left = "(declare-const X_0 Real)(assert (= X_0 1))(exit)(assert (= X_0 2))(nothing";
    assert_eq!(read(left).unwrap().high, [1.0]);
    let quoted = "(declare-const |X_0| |Real|)(assert (= X_0 1))(assert (<= |X_0| 3))";
    assert_eq!(read(quoted).unwrap().low, [1.0]);
}

#[test]
fn packed_files_are_read() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    write!(encoder, "(declare-const X_0 Real)(assert (= X_0 1))").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = write(
        directory.path(),
        "box.vnnlib.gz",
        &encoder.finish().unwrap(),
    );
    assert_eq!(vnnlib::read(&path).unwrap().high, [1.0]);
}

#[test]
fn what_is_no_box_is_refused_with_its_line() {
    let cases: [(&str, &[&str]); 23] = [
        // Symbols between bars are those without; none of them is a number, and texts are none.
        ("(assert (<= |X_0| |X_1|))", &["relation"]),
        ("(assert (<= X_0 |1|))", &["relation"]),
        ("(assert (<= X_0 \"X_1\"))", &["relation"]),
        (
            "(assert (or (and (<= X_0 1))\n(and (<= X_0 2))))",
            &["line 5", "several boxes", "a file for each"],
        ),
        (
            "(assert (or (<= Y_0 1) (<= X_0 2)))",
            &["line 4", "several boxes"],
        ),
        (
            "(assert (or (and (<= X_0 1)) (<= Y_0 2)))",
            &["several boxes"],
        ),
        ("\n(assert (<= X_0 X_1))", &["line 5", "relation"]),
        ("(assert (<= (+ X_0 X_1) 1))", &["relation"]),
        ("(assert (<= (- 1 X_0) 1))", &["relation"]),
        ("(assert (<= X_0 Y_0))", &["relation"]),
        ("(assert (<= 0 X_0 1))", &["relation"]),
        ("(assert (not (<= X_0 1)))", &["`not` of inputs"]),
        ("(assert (< X_0 1))", &["`<` of inputs"]),
        ("(assert (<= X_2 1))", &["X_2", "declared"]),
        ("(assert (<= X_0 1e999))", &["`1e999`", "finite"]),
        ("(assert (<= X_0 nan))", &["relation"]),
        ("(assert (<= X_0 1.0.0))", &["`1.0.0`"]),
        (
            "(assert (<= X_0 1))\n(assert (>= X_0 2))",
            &["line 5", "X_0", "leave nothing: 2 to 1"],
        ),
        ("(assert (<= X_0 1)", &["the end of the file"]),
        ("(assert (<= X_0 1)))", &["line 4", "`)`", "a command"]),
        ("(push 1)", &["`push`"]),
        ("\n(assert false)", &["line 5", "no input is true"]),
        (
            "(assert (and (or) (<= X_0 1)))",
            &["line 4", "no input is true"],
        ),
    ];
    for (text, words) in cases {
        assert_says(&asserted(text).unwrap_err(), words);
    }
}

#[test]
fn inputs_are_numbered_and_bounded() {
    let cases: [(&str, &[&str]); 10] = [
        ("", &["line 1", "no inputs"]),
        ("(declare-const Y_0 Real)", &["no inputs"]),
        (
            "(declare-const X_0 Real)",
            &["line 1", "X_0 without bounds"],
        ),
        (
            "(declare-const X_0 Real)(assert (<= X_0 1))",
            &["X_0 without lower bound"],
        ),
        (
            "(declare-const X_0 Real)\n(declare-const X_0 Real)",
            &["line 2", "declared in line 1"],
        ),
        (
            "(declare-const X_18446744073709551615 Real)(assert (= X_18446744073709551615 1))",
            &["without X_0"],
        ),
        (
            "(declare-const X_99999999999999999999 Real)",
            &["X_ and a number"],
        ),
        ("(declare-const X_01 Real)", &["`X_01`"]),
        ("(declare-const X_0 Int)", &["sort `Int`"]),
        ("(vnnlib-version <2.0>)", &["version 2"]),
    ];
    for (text, words) in cases {
        assert_says(&read(text).unwrap_err(), words);
    }
}

#[test]
fn what_is_deep_or_long_is_refused_or_passed_over() {
    let deep = |count| format!("(assert {}{}", "(and ".repeat(count), "(<= X_0 1)");
    assert_says(
        &asserted(&deep(100_000)).unwrap_err(),
        &["line 4", "nested deeper than 64"],
    );
    // Long texts between bars are passed over.
    let boxed = "(assert (= X_0 1))(assert (= X_1 1))";
    let source = format!("(set-info :source |{}|)", "about\n".repeat(100_000));
    assert!(asserted(&format!("{source}{boxed}")).is_ok());
    // Terms of outputs may be as deep as they like.
    let terms = format!(
        "(assert (<= {}Y_0{} 1))",
        "(- ".repeat(100_000),
        ")".repeat(100_000)
    );
    assert!(asserted(&format!("{boxed}{terms}")).is_ok());
    assert_says(&asserted(&"(".repeat(1 << 20)).unwrap_err(), &["`(`"]);
    assert_says(
        &asserted(&"a".repeat(1 << 20)).unwrap_err(),
        &["1000 bytes"],
    );
    assert_says(
        &asserted(&format!("(echo \"{}", "\n".repeat(1 << 20))).unwrap_err(),
        &["end of a quotation"],
    );
    assert_says(
        &asserted("\u{fffd}\0").unwrap_err(),
        &["line 4", "a command"],
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(words in prop::collection::vec(
        prop::sample::select(vec![
            "(", "(", ")", ")", "assert", "declare-const", "X_0", "X_1", "Y_0", "Real", "<=", ">=", "and", "or", "-", "1",
            "0.5", "(assert", "(<= X_0 1)", "(>= X_0 0)", "(declare-const X_0 Real)", "\"", "|", ";", "\n",
        ]),
        0..40,
    )) {
        if let Ok(found) = read(&words.join(" ")) {
            prop_assert!(found.low.iter().zip(&found.high).all(|(low, high)| low <= high));
        }
    }

    #[test]
    fn numbers_come_back(bounds in prop::collection::vec((-1e9f64..1e9, 0.0f64..1e9), 1..30)) {
        let mut text = String::new();
        for at in 0..bounds.len() {
            text += &format!("(declare-const X_{at} Real)\n");
        }
        for (at, (low, width)) in bounds.iter().enumerate().rev() {
            text += &format!("(assert (>= X_{at} {low}))\n(assert (<= X_{at} {}))\n", low + width);
        }
        let found = read(&text).unwrap();
        let (low, high): (Vec<f64>, Vec<f64>) = bounds.into_iter().map(|(low, width)| (low, low + width)).unzip();
        prop_assert_eq!((found.low, found.high), (low, high));
    }
}
