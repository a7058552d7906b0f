//! Exit codes and the one place where an error reaches the user.

use std::io::Write;

use loclin_report::printable;

use crate::program::stop::Stopped;

/// Exit code of a command that did its work.
pub const DONE: u8 = 0;
/// Exit code of a command that was asked correctly and failed.
pub const FAILED: u8 = 1;
/// Exit code of a command that was asked wrongly; the same as clap's.
pub const USAGE: u8 = 2;

/// A request that parses and makes no sense, such as `--limit 0`.
///
/// ```
/// let error = anyhow::Error::from(loclin::program::errors::Usage::new("--limit 0: expected at least 1"));
/// assert_eq!(loclin::program::errors::exit_code(&error), loclin::program::errors::USAGE);
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Usage {
    message: String,
    source: Option<anyhow::Error>,
}

impl Usage {
    /// `message` names the option, its value, and what was expected.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    /// Like [`Usage::new`], with the error that tells why the value was refused.
    pub fn caused_by(message: impl Into<String>, source: impl Into<anyhow::Error>) -> Self {
        Self {
            message: message.into(),
            source: Some(source.into()),
        }
    }
}

/// [`USAGE`] if a [`Usage`] stands anywhere in the chain of causes, the code of a signal if one stopped the command, otherwise
/// [`FAILED`].
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(stopped) = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Stopped>())
    {
        stopped.exit_code()
    } else if error.chain().any(|cause| cause.is::<Usage>()) {
        USAGE
    } else {
        FAILED
    }
}

/// The error and its causes, outermost first, one line each.
///
/// Some libraries repeat the cause in their own message; such a cause is not said twice. Control characters, which names
/// from files may hold, are escaped.
pub fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let mut last = String::new();
    for cause in error.chain() {
        let message = cause.to_string().trim_end().to_owned();
        if text.is_empty() {
            text = format!("error: {message}");
        } else if !last.contains(&message) {
            text.push_str(&format!("\ncaused by: {message}"));
        }
        last = message;
    }
    // Messages of several lines show a place in a file.
    printable(&text, &['\n', '\t'])
}

/// Writes [`describe`] to stderr, once.
pub fn report(error: &anyhow::Error) {
    // Where stderr is closed there is nobody left to tell; the exit code still speaks.
    let _ = writeln!(std::io::stderr(), "{}", describe(error));
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn causes_follow_the_error_and_repetitions_are_left_out() {
        let error = anyhow!("No space left")
            .context("a.csv: No space left")
            .context("cannot certify");
        assert_eq!(
            describe(&error),
            "error: cannot certify\ncaused by: a.csv: No space left"
        );
    }

    #[test]
    fn control_characters_are_escaped() {
        let described = describe(&anyhow!("node `a\u{1b}[2J`: wrong"));
        assert_eq!(described, "error: node `a\\u{1b}[2J`: wrong");
    }

    #[test]
    fn usage_is_found_below_other_contexts() {
        let usage = anyhow::Error::from(Usage::caused_by("--set lambda", anyhow!("not a number")));
        assert_eq!(exit_code(&usage.context("outer")), USAGE);
        assert_eq!(exit_code(&anyhow!("disk full")), FAILED);
    }
}
