//! What the sources of the library crates must not contain.
//!
//! Clippy refuses printing already; this is the cheap look beforehand, and it also sees code that
//! clippy does not (behind a feature) and what clippy has no lint for (the environment).

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use loclin::program::files;

const WORDS: [(&str, &str); 6] = [
    ("println!", "libraries do not print; return the value"),
    ("print!", "libraries do not print; return the value"),
    ("eprintln!", "libraries do not print; return an error"),
    ("eprint!", "libraries do not print; return an error"),
    ("dbg!", "left over from debugging"),
    (
        "env::var",
        "libraries do not read the environment; take a parameter",
    ),
];

/// The part of the product that is a program: it talks to people and knows its process.
const PROGRAM: &str = "crates/loclin/src/program";

/// Refuses forbidden words in `crates/*/src`, outside comments, test modules and the program.
pub(super) fn check(root: &Path) -> anyhow::Result<()> {
    let crates = root.join("crates");
    let mut wrong = Vec::new();
    for member in children(&crates)? {
        let source = member.join("src");
        if source.is_dir() {
            search(&source, root, &mut wrong)?;
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n           "));
    Ok(())
}

fn search(directory: &Path, root: &Path, wrong: &mut Vec<String>) -> anyhow::Result<()> {
    for path in children(directory)? {
        if path == root.join(PROGRAM) {
            continue;
        }
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_test {
            search(&path, root, wrong)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            let shown = path.strip_prefix(root).unwrap_or(&path).display();
            let found = findings(&files::read_text(&path)?);
            wrong.extend(
                found
                    .into_iter()
                    .map(|(line, word, why)| format!("{shown}:{line}: `{word}`: {why}")),
            );
        }
    }
    Ok(())
}

/// Line, word and reason of everything forbidden. By convention a test module ends its file.
fn findings(source: &str) -> Vec<(usize, &'static str, &'static str)> {
    let mut found = Vec::new();
    let mut lines = source.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]"
            && lines.peek().is_some_and(|(_, next)| next.ends_with('{'))
        {
            break;
        }
        let code = line.split("//").next().unwrap_or_default();
        for (word, why) in WORDS {
            if code
                .match_indices(word)
                .any(|(at, _)| starts_word(code, at))
            {
                found.push((index + 1, word, why));
            }
        }
    }
    found
}

/// Whether the text at `at` does not continue an identifier, as `print!` does in `eprint!`.
fn starts_word(code: &str, at: usize) -> bool {
    let before = code.get(..at).and_then(|text| text.chars().next_back());
    !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// The directory's entries in the order of their names.
fn children(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let failed = || format!("{}: cannot read the directory", directory.display());
    let entries = std::fs::read_dir(directory).with_context(failed)?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()
        .with_context(failed)?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_code_and_leaves_comments_and_tests_alone() {
        let source = "\
/// println!(\"in an example\")
fn a() { println!(\"x\") } // eprintln! here is a comment
fn b() { my_print!(std::env::var(\"X\")) }
#[cfg(test)]
mod elsewhere;
fn c() { eprintln!() }
#[cfg(test)]
mod tests {
    fn d() { println!() }
}
";
        let found: Vec<_> = findings(source)
            .into_iter()
            .map(|(line, word, _)| (line, word))
            .collect();
        assert_eq!(found, [(2, "println!"), (3, "env::var"), (6, "eprintln!")]);
    }

    #[test]
    fn names_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("crates/one/src/deep");
        files::create_dir(&source).unwrap();
        files::write_atomic(&source.join("a.rs"), b"\nfn a() { dbg!(1); }\n").unwrap();
        files::write_atomic(&source.join("tests.rs"), b"fn a() { dbg!(1); }\n").unwrap();
        let error = check(dir.path()).unwrap_err().to_string();
        assert!(
            error.starts_with("crates/one/src/deep/a.rs:2: `dbg!`"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1);
    }
}
