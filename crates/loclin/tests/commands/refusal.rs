//! A command that is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::fixture::{command, text, tree};

/// Runs the command and checks that it ends with `code`, says each of `needles` (between bars) in one error on
/// stderr and nothing on stdout, and leaves `directory` as it was.
///
/// Arguments are between spaces; `@` at the start of a word or of a `KEY=` value is the directory.
pub(crate) fn refused(directory: &Path, arguments: &str, code: i32, needles: &str) {
    let before = tree(directory);
    let root = format!("{}/", text(directory));
    let expanded = arguments
        .split(' ')
        .map(|word| match word.strip_prefix('@') {
            Some(name) => format!("{root}{name}"),
            None => word.replace("=@", &format!("={root}")),
        });
    let output = command(&[]).args(expanded).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments}: something on stdout");
    assert!(!stderr.contains("panicked"), "{arguments}: {stderr}");
    assert_eq!(
        stderr.matches("error: ").count(),
        1,
        "{arguments}: {stderr}"
    );
    for needle in needles.split('|') {
        assert!(
            stderr.contains(needle),
            "{arguments}: no {needle:?} in: {stderr}"
        );
    }
    let after = tree(directory);
    let names = |tree: &BTreeMap<PathBuf, _>| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&after),
        names(&before),
        "{arguments}: files left behind"
    );
    assert!(after == before, "{arguments}: a file was changed");
}
