//! Several files by one pattern: `inputs/*.npy`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The files that a pattern means, sorted by name; `None` for what is no pattern. The last part of the path may have `*`
/// for any characters and `?` for one.
pub(crate) fn expand(given: &Path) -> Result<Option<Vec<PathBuf>>, Error> {
    let pattern = given.file_name().and_then(|name| name.to_str());
    let Some(pattern) = pattern.filter(|name| is_one(name)) else {
        return Ok(None);
    };
    if given.exists() {
        return Ok(None);
    }
    let directory = match given.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let io = |source| Error::Io {
        path: directory.into(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let matching = name.to_str().is_some_and(|name| {
            // As shells do: a hidden file must be asked for.
            matches(pattern.as_bytes(), name.as_bytes())
                && (!name.starts_with('.') || pattern.starts_with('.'))
        });
        if matching && !entry.path().is_dir() {
            files.push(match given.parent() {
                Some(parent) => parent.join(name),
                None => name.into(),
            });
        }
    }
    if files.is_empty() {
        let name = given.display().to_string();
        let expected = "at least one file of a name that the pattern has";
        return Err(Error::malformed(&name, "files", "none", expected));
    }
    files.sort_unstable();
    Ok(Some(files))
}

/// Whether a name is a pattern.
pub(crate) fn is_one(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// Whether a name is one of the pattern's.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Where the last star was, and where what it stands for ends.
    let (mut at, mut of, mut star) = (0, 0, None);
    while of < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(&byte) if byte == name[of] || byte == b'?' => {
                at += 1;
                of += 1;
            }
            _ => match &mut star {
                Some((before, end)) => {
                    *end += 1;
                    (at, of) = (*before + 1, *end);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;
    use proptest::prelude::*;

    /// The same by its definition.
    fn by_definition(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((b'*', after)), _) => {
                (0..=name.len()).any(|end| by_definition(after, &name[end..]))
            }
            (Some((&byte, after)), Some((&first, rest))) => {
                (byte == b'?' || byte == first) && by_definition(after, rest)
            }
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn a_star_is_anything(pattern in "[ab*?]{0,8}", name in "[ab]{0,10}") {
            let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(matches(pattern, name), by_definition(pattern, name));
        }
    }
}
