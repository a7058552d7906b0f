//! How times are compared.

use std::fmt;

/// One line of a table of times against others': `what`, and how many times shorter the time is.
pub(super) fn faster(f: &mut fmt::Formatter<'_>, what: &str, own: f64, other: f64) -> fmt::Result {
    writeln!(f, "  {what:<44} {:>9.2} times faster", other / own)
}
