//! How numbers and norms are written, in text and in HTML.

use maud::{Markup, html};

/// What stands in for a number that is not there.
pub(crate) const MISSING: &str = "–";

/// `value` with three significant digits and no exponent where that is short.
///
/// NaN is "–" and infinity "∞"; from a million on, and below a ten-thousandth,
/// the exponent is written out.
pub fn significant(value: f64) -> String {
    if value.is_nan() {
        return MISSING.to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞" } else { "−∞" }.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    // Formatting with an exponent first gets the carry right: 9.996 is 10.0.
    let scientific = format!("{value:.2e}");
    let exponent = scientific
        .split_once('e')
        .and_then(|(_, digits)| digits.parse::<i32>().ok())
        .unwrap_or(0);
    match exponent {
        -4..=1 => format!("{value:.*}", usize::try_from(2 - exponent).unwrap_or(0)),
        2..=5 => format!("{value:.0}"),
        _ => scientific,
    }
}

/// [`significant`], no larger than `value`: of a radius within which something is proved.
pub fn at_most(value: f64) -> String {
    significant(directed(value, 2, false))
}

/// [`significant`], no smaller than `value`: of a number that nothing exceeds.
pub fn at_least(value: f64) -> String {
    significant(directed(value, 2, true))
}

/// [`significant`] where that is the very number, otherwise six digits, no larger than it: of a radius that was asked for.
///
/// ```
/// assert_eq!(loclin_report::as_asked(0.5), "0.500");
/// assert_eq!(loclin_report::as_asked(8.0 / 255.0), "0.0313725");
/// ```
pub fn as_asked(value: f64) -> String {
    let short = significant(value);
    let digits = directed(value, 5, false);
    match short.parse::<f64>() {
        Ok(same) if same != value && (1e-4..1e6).contains(&value.abs()) => digits.to_string(),
        Ok(same) if same != value => format!("{digits:e}"),
        _ => short,
    }
}

/// A share as percent with so many decimals, no larger than it is: 100% are all.
///
/// ```
/// assert_eq!(loclin_report::percent_at_most(3999.0 / 4000.0, 1), "99.9%");
/// assert_eq!(loclin_report::percent_at_most(0.29, 1), "29.0%");
/// ```
pub fn percent_at_most(share: f64, decimals: usize) -> String {
    let percent = 100.0 * share;
    let nearest = format!("{percent:.decimals$}");
    let unit = 10f64.powi(-i32::try_from(decimals).unwrap_or(0));
    // A product is rounded itself.
    match nearest.parse::<f64>() {
        Ok(found) if found > percent * (1.0 + 1e-12) => format!("{:.decimals$}%", found - unit),
        _ => format!("{nearest}%"),
    }
}

/// `value` with so many digits behind the first, rounded up or down.
pub fn directed(value: f64, digits: usize, up: bool) -> f64 {
    if !value.is_finite() || value == 0.0 {
        return value;
    }
    let read = |text: &str| text.parse::<f64>().unwrap_or(value);
    let is_beyond = |found: f64| if up { found < value } else { found > value };
    let nearest = format!("{value:.digits$e}");
    let found = read(&nearest);
    if !is_beyond(found) {
        return found;
    }
    // One unit of the last digit further; the next power of ten where there is none.
    let Some((mantissa, exponent)) = nearest.split_once('e') else {
        return value;
    };
    let whole = mantissa.replace('.', "").parse::<i64>().unwrap_or(0) + if up { 1 } else { -1 };
    let exponent = exponent.parse::<i64>().unwrap_or(0) - digits as i64;
    let moved = read(&format!("{whole}e{exponent}"));
    if moved.is_finite() { moved } else { value }
}

/// `text` with every control character escaped but those of `kept`: a name from a file may hold what moves a terminal's
/// cursor, or ends a line.
///
/// ```
/// assert_eq!(loclin_report::printable("a\u{1b}[2J\nb", &[]), "a\\u{1b}[2J\\nb");
/// assert_eq!(loclin_report::printable("a\u{1b}[2J\nb", &['\n']), "a\\u{1b}[2J\nb");
/// ```
pub fn printable(text: &str, kept: &[char]) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && !kept.contains(&character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A radius in units of 1e-4, as the paper's tables have it.
pub(crate) fn radius_e4(value: f64) -> String {
    significant(value * 1e4)
}

/// A share in `[0, 1]` as percent with one decimal.
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{:.1}%", share * 100.0)
    } else {
        MISSING.to_owned()
    }
}

/// Wall-clock time in the unit a person would use.
pub(crate) fn seconds(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        MISSING.to_owned()
    } else if value < 59.95 {
        format!("{value:.1} s")
    } else {
        let whole = value.round();
        format!("{:.0} min {:02.0} s", (whole / 60.0).floor(), whole % 60.0)
    }
}

/// `numerator / denominator` when it says something: both positive and finite.
pub(crate) fn ratio(numerator: f64, denominator: f64) -> Option<f64> {
    let meaningful = |x: f64| x.is_finite() && x > 0.0;
    (meaningful(numerator) && meaningful(denominator)).then(|| numerator / denominator)
}

/// A ratio as "×12.3", or "–".
pub(crate) fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| MISSING.to_owned(), |r| format!("×{}", significant(r)))
}

/// Both bounds of #CLR: one number where they coincide.
pub(crate) fn bracket(lower: usize, upper: usize) -> String {
    if lower == upper {
        lower.to_string()
    } else {
        format!("{lower}–{upper}")
    }
}

/// The radius symbol of a norm.
pub(crate) fn epsilon(norm: &str) -> Markup {
    html! { span.symbol { "ε" sub { (order(norm)) } } }
}

/// The norm's own symbol.
pub(crate) fn ell(norm: &str) -> Markup {
    html! { span.symbol { "ℓ" sub { (order(norm)) } } }
}

/// The norm's order as it is written in a subscript.
pub(crate) fn order(norm: &str) -> &str {
    if norm == "inf" { "∞" } else { norm }
}

/// `10^exponent` in Unicode superscripts, for SVG labels.
pub(crate) fn power_of_ten(exponent: i32) -> String {
    let superscript = |c: char| match c {
        '-' => '⁻',
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        _ => '⁹',
    };
    let exponent: String = exponent.to_string().chars().map(superscript).collect();
    format!("10{exponent}")
}

/// A coordinate for SVG: two decimals at most, no trailing zeros.
pub(crate) fn coordinate(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}
