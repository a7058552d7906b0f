//! Planted circles are found, and what looks like one is not.

use std::path::{Path, PathBuf};

use loclin::program::files;

use super::{circles_of, shown};

/// Writes a crate of these files and looks for a circle.
fn look(sources: &[(&str, &str)]) -> Option<String> {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in sources {
        let path: PathBuf = root.path().join(name);
        files::create_dir(path.parent().unwrap()).unwrap();
        files::write_atomic(&path, text.as_bytes()).unwrap();
    }
    let circles = circles_of(&root.path().join("lib.rs")).unwrap();
    assert!(circles.len() < 2, "{circles:?}");
    circles.first().map(|circle| shown(circle, root.path()))
}

#[test]
fn a_planted_circle_is_spelled_out() {
    let found = look(&[
        ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
        ("a.rs", "use crate::b::B;\npub struct A(B);\n"),
        ("b.rs", "pub struct B;\nfn f() { crate::c::c(); }\n"),
        ("c.rs", "use super::a;\npub fn c() { let _: a::A; }\n"),
    ]);
    assert_eq!(
        found.as_deref(),
        Some(
            "a circle of files: a.rs imports `crate::b::B` from b.rs; b.rs imports `crate::c::c` from c.rs; c.rs imports \
             `a::A` from a.rs"
        )
    );
}

#[test]
fn re_exports_lead_to_the_file_that_defines() {
    // Both children import through the parent, which defines nothing of it.
    let parent = "mod one;\nmod two;\npub use one::One;\npub use two::*;\n";
    let fine = [
        ("lib.rs", "mod room;\n"),
        ("room/mod.rs", parent),
        ("room/one.rs", "pub struct One;\n"),
        ("room/two.rs", "use super::One;\npub struct Two(One);\n"),
    ];
    assert_eq!(look(&fine), None);
    let mut wrong = fine;
    wrong[2].1 = "use crate::room::Two;\npub struct One;\nfn f(_: Two) {}\n";
    let found = look(&wrong).unwrap();
    assert!(
        found.contains("room/one.rs imports `crate::room::Two` from room/two.rs"),
        "{found}"
    );
}

#[test]
fn a_child_that_imports_from_its_parents_file_closes_a_circle() {
    let sources = [
        (
            "lib.rs",
            "mod child;\npub struct Own;\nfn f() { child::g(); }\n",
        ),
        (
            "child.rs",
            "use super::Own;\npub fn g() -> Option<Own> { None }\n",
        ),
    ];
    assert!(look(&sources).is_some());
    // Inside a macro's arguments, too.
    let mut hidden = sources;
    hidden[1].1 = "pub fn g() { let _ = format!(\"{}\", size_of::<crate::Own>()); }\n";
    assert!(look(&hidden).is_some());
}

#[test]
fn declarations_tests_and_other_crates_are_no_imports() {
    let sources = [
        (
            "lib.rs",
            "mod a;\nmod b;\npub enum E { V }\nuse std::fmt;\nfn f() -> fmt::Result { Ok(()) }\n",
        ),
        (
            "a.rs",
            "use super::E;\npub fn a() -> E { E::V }\n#[cfg(test)]\nmod tests { use crate::b::*; use super::*; }\n",
        ),
        (
            "b.rs",
            "pub fn b() { crate::a::a(); }\nmod inline { pub(super) fn i() { super::b(); } }\n",
        ),
    ];
    assert_eq!(look(&sources), None);
}

#[test]
fn a_file_that_cannot_be_parsed_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("lib.rs");
    files::write_atomic(&file, b"fn {").unwrap();
    let error = format!("{:#}", circles_of(Path::new(&file)).unwrap_err());
    assert!(error.contains("lib.rs: cannot be parsed"), "{error}");
}
