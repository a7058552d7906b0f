//! The list of inputs.

use loclin_data::Data;
use loclin_report::explorer::{Choice, Column, Find, ListedRow, Listing, Sorted, listing};
use loclin_report::{Picture, significant};

use super::query::Query;
use super::source::Source;

/// Rows of a page.
const ROWS: usize = 25;

/// The part of the list that is asked for.
///
/// # Errors
/// A picture that cannot be drawn.
pub(super) fn page(source: &Source, query: &Query) -> anyhow::Result<String> {
    let rows = &source.rows;
    let found = rows.find(query);
    let pages = found.len().div_ceil(ROWS).max(1);
    let query = query.at_page(query.page.min(pages));
    let first = (query.page - 1) * ROWS;
    let here: Vec<usize> = found.iter().skip(first).take(ROWS).copied().collect();
    let mut lines = source.lines.clone();
    let opened = source.ask.opened();
    if let Err(notice) = &opened {
        lines.push(format!("No pictures and no gradients: {}.", notice.title));
    }
    let offset = source.ask.named().map_or(0, |named| named.first);
    let row = |row: &usize| {
        let input = rows.input(*row);
        let data = opened.as_ref().map(|opened| &opened.data).ok();
        ListedRow {
            href: query.href(&format!("/input/{input}")),
            name: format!("input {input}"),
            picture: data.and_then(|data| picture(data, input.checked_sub(offset)?)),
            cells: cells(source, *row),
        }
    };
    let shown = [(first + 1).min(found.len()), first + here.len()];
    let page = |page: usize| query.at_page(page).href("/");
    Ok(listing(&Listing {
        title: source.title.clone(),
        lines,
        columns: columns(source, &query),
        rows: here.iter().map(row).collect(),
        shown,
        matching: found.len(),
        total: rows.len(),
        previous: (query.page > 1).then(|| page(query.page - 1)),
        next: (query.page < pages).then(|| page(query.page + 1)),
        find: find(source, &query),
        settings: source.settings.clone(),
    })?)
}

fn columns(source: &Source, query: &Query) -> Vec<Column> {
    let columns = source.rows.columns().iter().skip(1);
    let column = |own: &super::rows::Column| Column {
        name: own.name.clone(),
        href: query.sorted_by(&own.name).href("/"),
        sorted: (query.sort == own.name).then_some(match query.descending {
            true => Sorted::Descending,
            false => Sorted::Ascending,
        }),
        is_number: own.is_number,
    };
    columns.map(column).collect()
}

/// The cells behind the index, which the row's name says; numbers short.
fn cells(source: &Source, row: usize) -> Vec<String> {
    let cells = source.rows.cells(row).zip(source.rows.columns()).skip(1);
    let short = |(cell, column): (&str, &super::rows::Column)| match cell.parse::<f64>() {
        // Whole numbers are names of classes or neurons.
        Ok(number) if column.is_number && !cell.bytes().all(|byte| byte.is_ascii_digit()) => {
            significant(number)
        }
        _ => cell.to_owned(),
    };
    cells.map(short).collect()
}

/// The form, filled as the address says.
fn find(source: &Source, query: &Query) -> Find {
    let numbers = source.rows.columns().iter().filter(|own| own.is_number);
    let choices = numbers.map(|own| Choice::new(&own.name, &own.name));
    let sort = [("sort", &query.sort)].map(|(name, value)| (name.to_owned(), value.clone()));
    let descending = query.descending.then(|| ("descending".into(), "1".into()));
    Find {
        text: query.text.clone(),
        mistakes: source.rows.has_labels().then_some(query.mistakes),
        column: query.column.clone(),
        columns: [Choice::new("", "any column")]
            .into_iter()
            .chain(choices)
            .collect(),
        least: query.least.clone(),
        most: query.most.clone(),
        hidden: sort
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .chain(descending)
            .collect(),
    }
}

/// An input that is an image; none for one that cannot be read, which the input's own page says.
fn picture(data: &Data, at: usize) -> Option<Picture> {
    let part = data.tables(&[at]).ok()?.pop()?;
    let pictured = part.inputs.picture().filter(|own| !own.is_line())?;
    let values = part.inputs.rows_f64(&[0]).ok()?;
    match pictured.is_image(&values) {
        true => Picture::image(pictured.shape, &pictured.pixels(&values)).ok(),
        false => None,
    }
}
