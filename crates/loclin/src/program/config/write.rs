//! Configurations as files: every key with its value, and what it means.

use super::keys::{Config, KEYS};
use super::table::{Key, Takes};

/// The format of the files that are written.
///
/// Format 1 had no such number, `leak` for `negative_slope`, and at first fewer keys; formats 1 and 2 had the size of images
/// behind the dataset's name.
pub const FORMAT: i64 = 3;

/// Columns of a comment.
const WIDTH: usize = 118;

impl Config {
    /// The complete configuration of a run as a file that [`Config::load`] reads back to an equal value.
    ///
    /// # Errors
    /// When TOML cannot hold a value; no configuration that passed [`Config::load`] has one.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        self.to_toml_under("The complete configuration of this run.")
    }

    /// The same under a heading of one's own.
    ///
    /// # Errors
    /// As [`Config::to_toml`].
    pub fn to_toml_under(&self, heading: &str) -> Result<String, toml::ser::Error> {
        let table = toml::Table::try_from(self)?;
        let defaults = toml::Table::try_from(Self::default())?;
        let mut text = comment("", heading);
        text.push_str(&format!("\nformat = {FORMAT}\n"));
        for key in KEYS {
            let (Some(value), Some(default)) = (table.get(key.name), defaults.get(key.name)) else {
                continue;
            };
            text.push('\n');
            text.push_str(&explained(key, default));
            text.push_str(&format!("{} = {value}\n", key.name));
        }
        Ok(text)
    }
}

/// What stands above a key.
fn explained(key: &Key<Config>, default: &toml::Value) -> String {
    let mut text = comment("", key.means);
    let mut last = match key.takes {
        Takes::Words(words) => {
            let mut letters = words.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            format!("{}. ", first.chain(letters).collect::<String>())
        }
        Takes::OneOf(words) => {
            for (word, means) in words {
                text.push_str(&comment("    ", &format!("\"{word}\": {}", means.trim())));
            }
            String::new()
        }
    };
    last.push_str(&format!("Default: {default}."));
    if let Some(paper) = key.paper {
        last.push_str(&format!(" Paper: {paper}."));
    }
    text.push_str(&comment("", &last));
    text
}

/// The words as lines of a comment; those after the first are indented as it is.
fn comment(indent: &str, words: &str) -> String {
    let mut text = String::new();
    let mut line = String::new();
    for word in words.split_whitespace() {
        let used = 2 + indent.len() + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && used > WIDTH {
            text.push_str(&format!("# {indent}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    text + &format!("# {indent}{line}\n")
}
