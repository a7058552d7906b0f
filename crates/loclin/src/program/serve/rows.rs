//! The rows of a table, found and sorted.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, ensure};
use csv::StringRecord;

use super::query::Query;
use crate::program::files;

/// A table whose rows belong to inputs.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Vec<Column>,
    rows: Vec<StringRecord>,
    /// The number of each row's input.
    inputs: Vec<usize>,
    /// Where the first row of an input is.
    first: HashMap<usize, usize>,
    /// The columns of the label and of the prediction.
    decided: Option<[usize; 2]>,
}

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// Whether all its cells are numbers or empty.
    pub(super) is_number: bool,
}

impl Rows {
    /// Reads a table.
    ///
    /// # Errors
    /// A file that cannot be read, or has no column `index` of whole numbers.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let named = || format!("{}: not a table of certify or bound", path.display());
        let mut reader = csv::Reader::from_reader(files::open(path)?);
        let header = reader.headers().with_context(named)?.clone();
        let rows: Result<Vec<StringRecord>, _> = reader.into_records().collect();
        Self::new(&header, rows.with_context(named)?).with_context(named)
    }

    /// Of a header and rows of as many cells.
    ///
    /// # Errors
    /// No rows, or no column `index` of whole numbers.
    pub(super) fn new(header: &StringRecord, rows: Vec<StringRecord>) -> anyhow::Result<Self> {
        ensure!(!rows.is_empty(), "it has no rows");
        let find = |name: &str| header.iter().position(|column| column == name);
        let index = find("index").context("it has no column `index`")?;
        let cell = |row: &StringRecord, at: usize| row.get(at).unwrap_or("").to_owned();
        let input = |(at, row): (usize, &StringRecord)| {
            let number = cell(row, index);
            let read = number.parse::<usize>();
            read.with_context(|| format!("row {}: index `{number}`", at + 1))
        };
        let inputs: Vec<usize> = rows
            .iter()
            .enumerate()
            .map(input)
            .collect::<anyhow::Result<_>>()?;
        let mut first = HashMap::with_capacity(inputs.len());
        for (at, input) in inputs.iter().enumerate() {
            first.entry(*input).or_insert(at);
        }
        let is_number = |at: usize| {
            let mut cells = rows.iter().map(|row| row.get(at).unwrap_or(""));
            cells.all(|cell| cell.is_empty() || cell.parse::<f64>().is_ok())
        };
        let column = |(at, name): (usize, &str)| Column {
            name: name.to_owned(),
            is_number: is_number(at),
        };
        Ok(Self {
            columns: header.iter().enumerate().map(column).collect(),
            decided: find("label")
                .zip(find("prediction"))
                .map(<[usize; 2]>::from),
            rows,
            inputs,
            first,
        })
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The number of the input of a row.
    pub(super) fn input(&self, row: usize) -> usize {
        self.inputs[row]
    }

    /// The first row of an input.
    pub(super) fn of_input(&self, input: usize) -> Option<usize> {
        self.first.get(&input).copied()
    }

    /// All rows of an input.
    pub(super) fn all_of(&self, input: usize) -> impl Iterator<Item = usize> {
        let rows = self.of_input(input).into_iter();
        rows.flat_map(move |first| first..self.rows.len())
            .take_while(move |row| self.inputs[*row] == input)
    }

    /// The cell of a row in a column, by its name.
    pub(super) fn cell(&self, row: usize, column: &str) -> Option<&str> {
        self.rows[row].get(self.at(column)?)
    }

    /// All cells of a row.
    pub(super) fn cells(&self, row: usize) -> impl Iterator<Item = &str> {
        self.rows[row].iter()
    }

    /// Whether rows have labels, so that there can be mistakes.
    pub(super) fn has_labels(&self) -> bool {
        self.decided
            .is_some_and(|[label, _]| self.rows.iter().any(|row| !row[label].is_empty()))
    }

    /// What of a query is no question about this table, a line for each.
    pub(super) fn not_understood(&self, query: &Query) -> Vec<String> {
        let columns = [("column", &query.column), ("sort", &query.sort)];
        let unknown = columns.into_iter().filter_map(|(name, column)| {
            let is_known = column.is_empty() || self.at(column).is_some();
            (!is_known).then(|| format!("{name}: the table has no column `{column}`."))
        });
        let bounds = [("least", &query.least), ("most", &query.most)];
        let numbers = bounds.into_iter().filter_map(|(name, text)| {
            let is_number = text.is_empty() || bound(text).is_some();
            (!is_number).then(|| format!("{name}: expected a number, found `{text}`."))
        });
        let misread = query.misread.iter().cloned();
        let mut lines: Vec<String> = unknown.chain(numbers).chain(misread).collect();
        let is_bounded = !query.least.is_empty() || !query.most.is_empty();
        if is_bounded && query.column.is_empty() {
            lines.push("least and most bound the numbers of a column: choose one.".into());
        }
        if query.mistakes && self.decided.is_none() {
            lines.push("mistakes: the table has no columns `label` and `prediction`.".into());
        }
        lines
    }

    /// The rows that are asked for, in the order asked for.
    pub(super) fn find(&self, query: &Query) -> Vec<usize> {
        let text = query.text.to_lowercase();
        let column = self.at(&query.column);
        let (least, most) = (bound(&query.least), bound(&query.most));
        let is_wanted = |row: &usize| {
            let cells = &self.rows[*row];
            let contains = |cell: &str| cell.to_lowercase().contains(&text);
            let is_mistake = || {
                let decided = self.decided.map(|both| both.map(|at| &cells[at]));
                decided.is_some_and(|[label, own]| !label.is_empty() && label != own)
            };
            let is_within = |at: usize| {
                let number = cells[at].parse::<f64>();
                number.is_ok_and(|number| {
                    least.is_none_or(|least| number >= least)
                        && most.is_none_or(|most| number <= most)
                })
            };
            let is_bounded = least.is_some() || most.is_some();
            (text.is_empty() || cells.iter().any(contains))
                && (!query.mistakes || is_mistake())
                && (!is_bounded || column.is_none_or(is_within))
        };
        let mut found: Vec<usize> = (0..self.rows.len()).filter(is_wanted).collect();
        if let Some(at) = self.at(&query.sort) {
            let numbers = self.columns[at].is_number;
            found.sort_by(|a, b| {
                let order = order(&self.rows[*a][at], &self.rows[*b][at], numbers);
                // Rows without a value are last, whichever way the others go.
                match order {
                    Order::Known(order) if query.descending => order.reverse(),
                    Order::Known(order) | Order::Missing(order) => order,
                }
            });
        }
        found
    }

    fn at(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|own| own.name == column)
    }
}

/// The number that bounds a column; NaN bounds nothing.
fn bound(text: &str) -> Option<f64> {
    let number = text.trim().parse::<f64>().ok();
    number.filter(|number| !number.is_nan())
}

enum Order {
    Known(Ordering),
    /// One of them has no value.
    Missing(Ordering),
}

fn order(a: &str, b: &str, numbers: bool) -> Order {
    if a.is_empty() || b.is_empty() {
        return Order::Missing(a.is_empty().cmp(&b.is_empty()));
    }
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
    Order::Known(match numbers {
        true => number(a).total_cmp(&number(b)),
        false => a.cmp(b),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let record = |cells: [&str; 5]| StringRecord::from(cells.to_vec());
        let table = [
            ["4", "cat/a.png", "1", "1", "0.5"],
            ["5", "dog/b.png", "2", "1", "inf"],
            ["5", "dog/b.png", "2", "1", ""],
            ["7", "Cat/c.png", "", "0", "0.05"],
        ];
        let header = record(["index", "file", "label", "prediction", "eps_2"]);
        Rows::new(&header, table.map(record).to_vec()).unwrap()
    }

    #[test]
    fn rows_are_found_and_sorted() {
        let rows = rows();
        let find = |change: fn(&mut Query)| {
            let mut query = Query::of(&[]);
            change(&mut query);
            rows.find(&query)
        };
        assert_eq!(find(|_| ()), [0, 1, 2, 3]);
        assert_eq!(find(|q| q.text = "CAT".into()), [0, 3]);
        assert_eq!(find(|q| q.mistakes = true), [1, 2]);
        assert_eq!(find(|q| q.sort = "eps_2".into()), [3, 0, 1, 2]);
        let down = find(|q| (q.sort, q.descending) = ("eps_2".into(), true));
        assert_eq!(down, [1, 0, 3, 2]);
        let small = find(|q| (q.column, q.most) = ("eps_2".into(), "0.5".into()));
        assert_eq!(small, [0, 3]);
        let lines = |change: fn(&mut Query)| {
            let mut query = Query::of(&[]);
            change(&mut query);
            rows.not_understood(&query).len()
        };
        assert_eq!(lines(|q| q.sort = "../etc".into()), 1);
        assert_eq!(
            lines(|q| (q.column, q.most) = ("eps_2".into(), "0,5".into())),
            1
        );
        assert_eq!(lines(|q| (q.least, q.most) = ("nan".into(), "1".into())), 2);
        assert_eq!(
            lines(|q| (q.column, q.least) = ("eps_2".into(), " 1e-3 ".into())),
            0
        );
        assert_eq!(rows.all_of(5).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(
            (rows.of_input(6), rows.cell(3, "eps_2")),
            (None, Some("0.05"))
        );
        assert!(rows.has_labels() && rows.columns()[4].is_number && !rows.columns()[1].is_number);
    }
}
