//! How a table of keys becomes the configuration's type.

use std::fmt;

/// What a key is, for readers, writers and checks of configurations of type `C`.
#[derive(Debug)]
pub struct Key<C> {
    /// Its name in files.
    pub name: &'static str,
    /// Its name in format 1, where that was another.
    pub was: Option<&'static str>,
    /// What it decides.
    pub means: &'static str,
    /// Which values it takes.
    pub takes: Takes,
    /// The paper's value, where the paper has one.
    pub paper: Option<&'static str>,
    /// Whether a configuration's value is one that the key takes.
    pub valid: fn(&C) -> bool,
}

/// The values that a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// In words.
    Words(&'static str),
    /// One of some words, each with its meaning.
    OneOf(&'static [(&'static str, &'static str)]),
}

impl fmt::Display for Takes {
    /// What a message expects.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => f.write_str(words),
            Self::OneOf(words) => {
                for (index, (word, _)) in words.iter().enumerate() {
                    let before = match index {
                        0 => "",
                        _ if index + 1 == words.len() => " or ",
                        _ => ", ",
                    };
                    write!(f, "{before}\"{word}\"")?;
                }
                Ok(())
            }
        }
    }
}

/// From one row for each key: the type with its documentation, its default, and the table [`Key`] by [`Key`].
macro_rules! keys {
    (@optional) => { None };
    (@optional $value:literal) => { Some($value) };
    (
        $(#[$about:meta])*
        $config:ident, $table:ident;
        $(
            $(#[$attribute:meta])*
            $name:ident: $type:ty = $default:expr, {
                $(was: $was:literal,)?
                means: $means:literal,
                takes: $takes:expr,
                valid: $valid:expr,
                $(paper: $paper:literal,)?
            }
        )+
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $config {
            $(
                #[doc = $means]
                $(#[doc = concat!("\n\nPaper: `", $paper, "`.")])?
                #[doc = concat!("\n\nDefault: `", stringify!($default), "`.")]
                $(#[serde(alias = $was)])?
                $(#[$attribute])*
                pub $name: $type,
            )+
        }

        impl Default for $config {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        /// Every key, in the order of files.
        pub const $table: &[Key<$config>] = &[$(Key {
            name: stringify!($name),
            was: keys!(@optional $($was)?),
            means: $means,
            takes: $takes,
            paper: keys!(@optional $($paper)?),
            valid: $valid,
        },)+];
    };
}

pub(super) use keys;
