//! What a random search draws from.

use loclin_tensor::random;
use rand::Rng;
use serde::Deserialize;
use toml::Value;

use super::error::PlanError;

/// The values of one key.
#[derive(Clone, Debug)]
pub(super) enum Draw {
    /// One of a list.
    Choice(Vec<Value>),
    /// A number of an interval.
    Range(Range),
}

/// An interval, its ends included; of whole numbers if both ends are written as such.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    from: Value,
    to: Value,
    scale: Scale,
}

/// What is uniformly distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scale {
    /// The number.
    Linear,
    /// Its logarithm.
    Log,
}

impl Draw {
    /// A list, or a table with `from`, `to` and `scale`.
    pub(super) fn parse(key: &str, written: &Value) -> Result<Self, PlanError> {
        let key = || format!("vary.{key}");
        match written {
            Value::Array(values) if !values.is_empty() => Ok(Self::Choice(values.clone())),
            Value::Table(table) => {
                let range: Range = table.clone().try_into().map_err(|error: toml::de::Error| {
                    let expected = format!("from, to and scale: {}", error.message());
                    PlanError::invalid(key(), expected)
                })?;
                let expected = format!(
                    "numbers from < to, both above 0 where scale = \"log\", found from = {}, to = {}",
                    range.from, range.to
                );
                let ends = (number(&range.from), number(&range.to));
                match ends {
                    (Some(from), Some(to))
                        if from < to
                            && (to - from).is_finite()
                            && (range.scale == Scale::Linear || from > 0.0) =>
                    {
                        Ok(Self::Range(range))
                    }
                    _ => Err(PlanError::invalid(key(), expected)),
                }
            }
            _ => Err(PlanError::invalid(
                key(),
                format!(
                    "a list of values, or {{ from = ..., to = ..., scale = \"linear\" or \"log\" }}, found {written}"
                ),
            )),
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(whole) => Some(*whole as f64),
        Value::Float(float) => Some(*float),
        _ => None,
    }
}

/// The value of trial and key `path`.
pub(super) fn drawn(draw: &Draw, seed: u64, path: [u64; 2]) -> Value {
    let rng = &mut random::stream(seed, &path);
    match draw {
        Draw::Choice(values) => values[rng.random_range(0..values.len())].clone(),
        Draw::Range(range) => {
            let whole = range.from.is_integer() && range.to.is_integer();
            // `parse` let numbers only in.
            let ends = (number(&range.from), number(&range.to));
            let (low, high) = (ends.0.unwrap_or(0.0), ends.1.unwrap_or(0.0));
            // Half a step more on both sides gives the end points their full share.
            let air = if whole { 0.5 } else { 0.0 };
            let share: f64 = rng.random();
            let between = |low: f64, high: f64| low + share * (high - low);
            let value = match range.scale {
                Scale::Linear => between(low - air, high + air),
                Scale::Log => between((low - air).ln(), (high + air).ln()).exp(),
            };
            match whole {
                true => Value::Integer(value.round().clamp(low, high) as i64),
                // Four digits are as much as a search needs, and a table can show.
                false => Value::Float(four_digits(value).clamp(low, high)),
            }
        }
    }
}

fn four_digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}
