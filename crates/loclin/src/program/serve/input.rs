//! One input: what the table says, its gradient, and what is found nearby when that is asked.

use std::time::Instant;

use loclin_report::explorer::{Inspected, inspected};
use loclin_report::{BoundCurve, Explanation, as_asked, at_least, at_most};

use super::gradient::{asked, here};
use super::http::Status;
use super::query::Query;
use super::search::look;
use super::source::Source;

/// The page of the input of a row; `pairs` say what else is asked.
///
/// # Errors
/// An input that the network does not take.
pub(super) fn page(
    source: &Source,
    row: usize,
    query: &Query,
    pairs: &[(String, String)],
) -> anyhow::Result<(Status, String)> {
    let input = source.rows.input(row);
    let [previous, next] = beside(source, input, query);
    let mut page = Inspected {
        title: title(source, row),
        facts: facts(source, row),
        bounds: bounds(source, row),
        list: query.href("/"),
        previous,
        next,
        ..Inspected::default()
    };
    let mut status = Status::Ok;
    match source.ask.opened() {
        Ok(opened) => {
            let asked = asked(source, &opened, input)?;
            let start = Instant::now();
            page.here.push(here(source, &asked)?);
            let (look, nearby) = look(source, &asked, (query, pairs), start.elapsed())?;
            page.look = Some(look);
            page.nearby.extend(nearby);
        }
        Err(notice) => {
            status = Status::Conflict;
            page.notice = Some(notice);
        }
    }
    Ok((status, inspected(&page)?))
}

fn title(source: &Source, row: usize) -> String {
    let input = source.rows.input(row);
    match source
        .rows
        .cell(row, "file")
        .filter(|file| !file.is_empty())
    {
        Some(file) => format!("input {input}: {file}"),
        None => format!("input {input}"),
    }
}

/// The inputs before and behind it, in the order of the list.
fn beside(source: &Source, input: usize, query: &Query) -> [Option<String>; 2] {
    let mut inputs: Vec<usize> = Vec::new();
    for row in source.rows.find(query) {
        let own = source.rows.input(row);
        if inputs.last() != Some(&own) {
            inputs.push(own);
        }
    }
    let at = inputs.iter().position(|own| *own == input);
    let href = |at: usize| {
        inputs
            .get(at)
            .map(|own| query.href(&format!("/input/{own}")))
    };
    [
        at.and_then(|at| at.checked_sub(1)).and_then(href),
        at.and_then(|at| href(at + 1)),
    ]
}

/// What the row says, but for what differs between the radii of bounds.
fn facts(source: &Source, row: usize) -> Vec<(String, String)> {
    let of_radius = [
        "eps",
        "found",
        "proved",
        "exact",
        "stays",
        "signs_proved",
        "units",
        "parts",
        "seconds",
    ];
    let cells = source.rows.cells(row).zip(source.rows.columns());
    let facts = cells.filter(|(cell, column)| {
        let is_of_radius = source.bounds.is_some() && of_radius.contains(&&column.name[..]);
        !cell.is_empty() && !is_of_radius
    });
    facts
        .map(|(cell, column)| (column.name.clone(), cell.to_owned()))
        .collect()
}

/// The bounds of a table of bounds.
fn bounds(source: &Source, row: usize) -> Vec<Explanation> {
    let Some([what, norm]) = &source.bounds else {
        return Vec::new();
    };
    let rows = &source.rows;
    let number = |row: usize, column: &str| rows.cell(row, column)?.parse::<f64>().ok();
    let points = rows.all_of(rows.input(row)).filter_map(|row| {
        let eps = number(row, "eps")?;
        Some([eps, number(row, "found")?, number(row, "proved")?])
    });
    let points: Vec<[f64; 3]> = points.collect();
    let claim = match rows.cell(row, "guarantee") {
        Some("proved") => "proved",
        _ => "estimate",
    };
    let line = |[eps, found, proved]: &[f64; 3]| {
        let (eps, found, proved) = (as_asked(*eps), at_most(*found), at_least(*proved));
        format!("within {eps}: {found} found, {proved} {claim}")
    };
    vec![Explanation {
        heading: what.clone(),
        lines: points.iter().map(line).collect(),
        curve: (points.len() > 1).then(|| BoundCurve {
            what: what.clone(),
            norm: norm.clone(),
            claim: claim.into(),
            points,
        }),
        panels: Vec::new(),
        numbers: None,
    }]
}
