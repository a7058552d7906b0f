//! The time of day, for records of what happened when.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in UTC, to the second (RFC 3339).
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Seconds since 1970 of such a date; 0 of a text that is none.
///
/// ```
/// use loclin::program::clock::seconds;
/// assert_eq!(seconds("1970-01-02T00:00:01Z"), 86_401.0);
/// assert_eq!(seconds(""), 0.0);
/// ```
pub fn seconds(date: &str) -> f64 {
    let time = humantime::parse_rfc3339_weak(date).ok();
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0.0, |since| since.as_secs_f64())
}
