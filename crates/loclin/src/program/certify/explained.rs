//! What the radii of a dataset mean: the worst input, levels of stored pictures, shares, and what limits.

use std::collections::BTreeMap;

use loclin_data::{Applied, Stored};
use loclin_report::{as_asked, at_most, percent_at_most};
use serde::Serialize;

/// The smallest radius of a norm.
#[derive(Clone, Debug, Serialize)]
pub struct Worst {
    /// The radius, in raw input units.
    pub radius: f64,
    /// The first input that has it.
    pub index: usize,
    /// Its file, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// A layer, and how many inputs it limits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limiting {
    /// Its name.
    pub layer: String,
    /// Inputs whose nearest neuron (l2, or the first norm) is one of its.
    pub inputs: usize,
}

/// Inputs whose radius is above one that was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Above {
    /// That radius, in raw input units.
    pub radius: f64,
    /// Their share, for each norm by column name (`eps_2`).
    pub share: BTreeMap<String, f64>,
}

/// What one level of 8 bits of a stored picture is in raw input units; `None` for inputs that are no pictures or bytes, and for
/// pictures of 16 bits.
pub(super) fn level(applied: &Applied) -> Option<f64> {
    let is_stored =
        matches!(applied.what, Stored::Bytes | Stored::Pixels) && applied.deep_scale.is_none();
    let level = (applied.scale.apply(1.0) - applied.scale.apply(0.0)).abs();
    (is_stored && level > 0.0).then_some(level)
}

/// A radius in words: the number, and how many levels of a stored picture it is.
pub(super) fn radius_in_words(radius: f64, level: Option<f64>) -> String {
    let number = at_most(radius);
    match level {
        Some(level) if radius.is_finite() => {
            format!("{number}, {} of one 8-bit level", at_most(radius / level))
        }
        _ => number,
    }
}

/// What is said where no other stored picture can lie within a radius: two of them are a level apart in a number at least, and
/// so in every norm. Not after a change of size, which may bring any two as near as one likes.
fn alone(radius: f64, applied: &Applied) -> &'static str {
    let is_less = level(applied).is_some_and(|level| radius < level);
    match is_less && applied.resized.is_none() {
        true => "; no other stored picture lies inside",
        false => "",
    }
}

/// The worst input of a norm in words.
pub(super) fn worst_in_words(norm: &str, worst: &Worst, applied: &Applied) -> String {
    let radius = radius_in_words(worst.radius, level(applied));
    let file = worst
        .file
        .as_ref()
        .map_or(String::new(), |file| format!(", {file}"));
    let alone = alone(worst.radius, applied);
    format!("{norm} {radius} (input {}{file}){alone}", worst.index)
}

/// The median radius of a norm in words.
pub(super) fn median_in_words(norm: &str, median: f64, applied: &Applied) -> String {
    let radius = radius_in_words(median, level(applied));
    format!("{norm} {radius}{}", alone(median, applied))
}

impl Above {
    /// It in words.
    pub(super) fn in_words(&self) -> String {
        let shares = self
            .share
            .iter()
            .map(|(column, share)| format!("{} {}", norm(column), percent_at_most(*share, 2)));
        let shares = shares.collect::<Vec<_>>().join(", ");
        format!("{}: {shares} of the inputs", as_asked(self.radius))
    }
}

/// The layers that limit most in words, of so many inputs.
pub(super) fn limiting_in_words(layers: &[Limiting], inputs: usize) -> Option<String> {
    let shares = layers.iter().take(SHOWN).map(|limiting| {
        let percent = 100.0 * limiting.inputs as f64 / inputs.max(1) as f64;
        format!("{} {percent:.1}%", limiting.layer)
    });
    let shares = shares.collect::<Vec<_>>().join(", ");
    let more = match layers.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(", {more} layers less"),
    };
    (!layers.is_empty()).then(|| format!("{shares} of the inputs{more}"))
}

/// How many limiting layers are named.
const SHOWN: usize = 5;

/// The norm of a column, such as `l2` for `eps_2`.
pub(super) fn norm(column: &str) -> String {
    format!("l{}", column.strip_prefix("eps_").unwrap_or(column))
}

#[cfg(test)]
mod tests {
    use super::*;
    use loclin_data::Scale;

    #[test]
    fn a_radius_is_said_in_levels_of_stored_pictures() {
        let mut applied = Applied {
            what: Stored::Pixels,
            scale: Scale::PIXELS,
            ..Applied::default()
        };
        let half = 0.5 / 255.0;
        let word = median_in_words("l2", half, &applied);
        assert_eq!(
            word,
            "l2 0.00196, 0.500 of one 8-bit level; no other stored picture lies inside"
        );
        assert!(!median_in_words("l2", 2.5 * half, &applied).contains("inside"));
        applied.resized = Some([32, 32]);
        assert!(!median_in_words("l2", half, &applied).contains("inside"));
        applied.what = Stored::Numbers;
        assert_eq!(median_in_words("l2", half, &applied), "l2 0.00196");
    }

    #[test]
    fn few_layers_are_named() {
        let layers: Vec<Limiting> = (0..7)
            .map(|at| Limiting {
                layer: format!("a{at}"),
                inputs: 7 - at,
            })
            .collect();
        let words = limiting_in_words(&layers, 28).unwrap();
        assert!(words.starts_with("a0 25.0%, a1 21.4%") && words.ends_with(", 2 layers less"));
        assert_eq!(limiting_in_words(&[], 3), None);
    }
}
