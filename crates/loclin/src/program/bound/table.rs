//! The answers as a CSV file.

use super::question::Asked;
use super::row::{Answer, Farthest, Row};

/// `index,file,label,prediction,class,at_input,margin,eps,found,proved,exact,units,parts,guarantee,seconds`, one row for each input
/// and radius.
///
/// `at_input` is what is bounded at the input itself: for a change the norm of the gradient, for signs how many numbers it has; empty
/// where nothing is asked.
/// `stays` (yes, no or open) stands in tables of the top k and of classes, `signs_proved` in those of signs. Where the largest
/// radius is asked for, the columns `threshold`, `radius_proved`, `radius_refuted` and `times_margin` follow, and a row without
/// radii of its own has nothing between `margin` and `guarantee`. `guarantee` is `proved`, or `estimate`, which claims nothing.
/// The column `file` is left out for data that are not files.
pub(super) struct Table<'a> {
    pub(super) asked: &'a Asked,
    pub(super) has_files: bool,
}

impl Table<'_> {
    /// The first line.
    pub(super) fn header(&self) -> anyhow::Result<Vec<u8>> {
        let header = header(self.asked, self.has_files).into_iter();
        lines([header.map(str::to_owned).collect()])
    }

    /// The lines of an input.
    pub(super) fn lines(&self, row: &Row) -> anyhow::Result<Vec<u8>> {
        let answers = row.bounds.iter().map(Some);
        let none = row.bounds.is_empty().then_some(None);
        lines(
            answers
                .chain(none)
                .map(|answer| record(row, answer, self.asked, self.has_files)),
        )
    }
}

fn lines(records: impl IntoIterator<Item = Vec<String>>) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        writer.write_record(record)?;
    }
    Ok(writer.into_inner()?)
}

fn header(asked: &Asked, has_files: bool) -> Vec<&'static str> {
    let mut header = vec!["index"];
    header.extend(has_files.then_some("file"));
    header.extend(["label", "prediction", "class", "at_input", "margin"]);
    header.extend(["eps", "found", "proved", "exact"]);
    header.extend(asked.what().is_decision().then_some("stays"));
    header.extend(asked.counts_signs().then_some("signs_proved"));
    header.extend(["units", "parts", "guarantee", "seconds"]);
    if asked.largest.is_some() {
        header.extend([
            "threshold",
            "radius_proved",
            "radius_refuted",
            "times_margin",
        ]);
    }
    header
}

fn record(row: &Row, answer: Option<&Answer>, asked: &Asked, has_files: bool) -> Vec<String> {
    let text = |value: Option<String>| value.unwrap_or_default();
    let number = |of: fn(&Answer) -> Option<f64>| text(answer.and_then(of).map(decimal));
    let count =
        |of: fn(&Answer) -> Option<usize>| text(answer.and_then(of).map(|value| value.to_string()));
    let mut record = vec![row.index.to_string()];
    record.extend(has_files.then(|| text(row.file.clone())));
    record.extend([
        text(row.label.map(|label| label.to_string())),
        row.prediction.to_string(),
        row.class.to_string(),
        text(row.at_input.map(|value| value.to_string())),
        row.margin.to_string(),
        number(|answer| Some(answer.eps)),
        number(|answer| answer.found),
        number(|answer| answer.proved),
        text(answer.map(|answer| answer.exact.to_string())),
    ]);
    if asked.what().is_decision() {
        record.push(text(answer.map(|answer| stays(answer.stays).to_owned())));
    }
    if asked.counts_signs() {
        record.push(number(|answer| answer.signs_proved));
    }
    let seconds = answer.map_or(row.seconds, |answer| answer.seconds);
    record.extend([
        count(|answer| answer.units),
        count(|answer| answer.parts),
        row.guarantee.name(),
        seconds.to_string(),
    ]);
    if asked.largest.is_some() {
        let of = |of: fn(&Farthest) -> Option<f64>| {
            text(
                row.largest
                    .as_ref()
                    .and_then(of)
                    .map(|value| value.to_string()),
            )
        };
        record.extend([
            of(|largest| Some(largest.threshold)),
            of(|largest| Some(largest.proved)),
            of(|largest| Some(largest.refuted)),
            of(|largest| largest.times_margin),
        ]);
    }
    record
}

/// A number; of the smallest ones, which decisions that stay are proved below, without their hundreds of zeros.
fn decimal(value: f64) -> String {
    match value.is_subnormal() {
        true => format!("{value:e}"),
        false => value.to_string(),
    }
}

/// Whether something stays, in a word.
pub(super) fn stays(stays: Option<bool>) -> &'static str {
    match stays {
        Some(true) => "yes",
        Some(false) => "no",
        None => "open",
    }
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn the_smallest_numbers_are_short_and_read_again() {
        let smallest = -f64::from_bits(1);
        assert_eq!(decimal(smallest), "-5e-324");
        for value in [smallest, 0.0, 0.25, 1e-7, f64::INFINITY] {
            assert_eq!(decimal(value).parse(), Ok(value));
        }
    }
}
