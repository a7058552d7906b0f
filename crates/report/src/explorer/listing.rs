//! The list of inputs.

use maud::{Markup, html};

use super::form::{Find, form};
use super::notice::{STYLE, finished};
use crate::document::document;
use crate::error::{Context, Result};
use crate::picture::Picture;

/// A part of a table, and what is asked of it.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// What it is a table of; the first heading.
    pub title: String,
    /// What it says, a sentence each.
    pub lines: Vec<String>,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows of this page.
    pub rows: Vec<ListedRow>,
    /// The number of the first row of this page among those that match, from 1, and that of the last.
    pub shown: [usize; 2],
    /// How many rows match.
    pub matching: usize,
    /// How many there are.
    pub total: usize,
    /// Where the rows before these are.
    pub previous: Option<String>,
    /// Where those behind them are.
    pub next: Option<String>,
    /// What is asked.
    pub find: Find,
    /// How the numbers were made.
    pub settings: Vec<(String, String)>,
}

/// One column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Where the table is sorted by it, or the other way round if it is already.
    pub href: String,
    /// How the rows are sorted by it, if they are.
    pub sorted: Option<Sorted>,
    /// Whether its cells are numbers.
    pub is_number: bool,
}

/// In which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sorted {
    /// The smallest first.
    Ascending,
    /// The largest first.
    Descending,
}

/// One row.
#[derive(Debug, Clone)]
pub struct ListedRow {
    /// Where more is said of it.
    pub href: String,
    /// What it is called.
    pub name: String,
    /// It, where it is an image.
    pub picture: Option<Picture>,
    /// As many cells as there are columns.
    pub cells: Vec<String>,
}

/// The list as one document.
///
/// # Errors
/// A picture that cannot be encoded.
pub fn listing(list: &Listing) -> Result<String> {
    let pictures = list.rows.iter().map(|row| {
        let picture = row.picture.as_ref();
        let encoded = picture.map(|picture| picture.data_uri(48)).transpose();
        encoded.at(|| row.name.clone())
    });
    let pictures: Vec<Option<String>> = pictures.collect::<Result<_>>()?;
    let body = html! {
        header {
            h1.name { (list.title) }
            @for line in &list.lines { p.lead { (line) } }
        }
        main {
            section {
                h2 { "Inputs" }
                (form(&list.find))
                (counted(list))
                @if !list.rows.is_empty() { (table(list, &pictures)) }
                (pages(list))
            }
            @if !list.settings.is_empty() {
                section.method {
                    h2 { "How it was made" }
                    dl.facts { @for (name, value) in &list.settings { div { dt { (name) } dd { (value) } } } }
                }
            }
        }
    };
    Ok(finished(document(&list.title, STYLE, body)))
}

fn counted(list: &Listing) -> Markup {
    let [first, last] = list.shown;
    html! {
        p.counted role="status" {
            @if list.rows.is_empty() { "No row matches." }
            @else { "Rows " (first) " to " (last) " of " (list.matching) "." }
            @if list.matching < list.total { " The table has " (list.total) "." }
        }
    }
}

fn table(list: &Listing, pictures: &[Option<String>]) -> Markup {
    let has_pictures = pictures.iter().any(Option::is_some);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of inputs" {
            table.list {
                thead { tr {
                    th scope="col" { "input" }
                    @for column in &list.columns { (head(column)) }
                } }
                tbody {
                    @for (row, picture) in list.rows.iter().zip(pictures) {
                        tr {
                            th scope="row" {
                                a href=(row.href) {
                                    @if let Some(picture) = picture { img src=(picture) width="48" alt=""; }
                                    @else if has_pictures { span.gap {} }
                                    (row.name)
                                }
                            }
                            @for (cell, column) in row.cells.iter().zip(&list.columns) {
                                td.num[column.is_number] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn head(column: &Column) -> Markup {
    let (sorted, mark) = match column.sorted {
        Some(Sorted::Ascending) => (Some("ascending"), " ↑"),
        Some(Sorted::Descending) => (Some("descending"), " ↓"),
        None => (None, ""),
    };
    html! {
        th.num[column.is_number] scope="col" aria-sort=[sorted] {
            a href=(column.href) { (column.name) span aria-hidden="true" { (mark) } }
        }
    }
}

fn pages(list: &Listing) -> Markup {
    html! {
        @if list.previous.is_some() || list.next.is_some() {
            nav.pages aria-label="Pages" {
                @if let Some(href) = &list.previous { a href=(href) rel="prev" { "← Rows before" } }
                @if let Some(href) = &list.next { a href=(href) rel="next" { "More rows →" } }
            }
        }
    }
}
