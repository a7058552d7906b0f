//! The key `gamma`, a number or a word.

use std::fmt;

use loclin_objectives::Gamma;
use serde::{Deserializer, Serializer, de};

/// What the key takes.
pub(super) const TAKES: &str = r#"a number in (0, 100] or "max""#;

/// Whether the percentage is one.
pub(super) fn is_valid(gamma: Gamma) -> bool {
    match gamma {
        Gamma::Percent(percent) => percent > 0.0 && percent <= 100.0,
        Gamma::Max => true,
    }
}

/// A number, or `"max"`.
pub(super) fn serialize<S: Serializer>(gamma: &Gamma, serializer: S) -> Result<S::Ok, S::Error> {
    match gamma {
        Gamma::Percent(percent) => serializer.serialize_f64(*percent),
        Gamma::Max => serializer.serialize_str("max"),
    }
}

/// The reverse of [`serialize`]; a whole number will do.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Gamma, D::Error> {
    struct NumberOrMax;
    impl de::Visitor<'_> for NumberOrMax {
        type Value = Gamma;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(TAKES)
        }
        fn visit_f64<E: de::Error>(self, percent: f64) -> Result<Gamma, E> {
            Ok(Gamma::Percent(percent))
        }
        fn visit_i64<E: de::Error>(self, percent: i64) -> Result<Gamma, E> {
            Ok(Gamma::Percent(percent as f64))
        }
        fn visit_u64<E: de::Error>(self, percent: u64) -> Result<Gamma, E> {
            Ok(Gamma::Percent(percent as f64))
        }
        fn visit_str<E: de::Error>(self, word: &str) -> Result<Gamma, E> {
            if word == "max" {
                Ok(Gamma::Max)
            } else {
                Err(E::invalid_value(de::Unexpected::Str(word), &self))
            }
        }
    }
    deserializer.deserialize_any(NumberOrMax)
}
