//! The table of margins, read again.

use std::path::Path;

use std::io::Read;

use anyhow::{Context, bail, ensure};
use csv::StringRecord;
use loclin_regions::{Guarantee, Norm};

use super::row::Row;
use crate::program::files;

/// A table of margins.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The norms of its columns, in their order.
    pub(crate) norms: Vec<Norm>,
    /// The domain that balls are cut with, in a word; `None` if they are whole.
    pub(crate) domain: Option<String>,
    pub(crate) rows: Vec<Row>,
}

/// Where the columns are; others than these are not read.
struct Columns {
    index: usize,
    file: Option<usize>,
    label: Option<usize>,
    prediction: usize,
    label_name: Option<usize>,
    prediction_name: Option<usize>,
    radii: Vec<usize>,
    /// One for each of them, or none.
    upper: Vec<usize>,
    guarantee: usize,
    layer: usize,
    neuron: usize,
    position: Option<usize>,
    score: Option<usize>,
    place: Option<usize>,
}

/// Reads a table.
///
/// # Errors
/// A file that cannot be read, without a column that it must have, or with a value that is none; the message names line and
/// column.
pub(crate) fn read(path: &Path) -> anyhow::Result<Table> {
    let mut table = Table::default();
    (table.norms, table.domain) = each(path, |row| {
        table.rows.push(row);
        Ok(())
    })?;
    Ok(table)
}

/// The same, row by row; the norms of the columns and the domain come back.
pub(super) fn each(
    path: &Path,
    row: impl FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<(Vec<Norm>, Option<String>)> {
    let file = files::open(path)?;
    parse(file, row).with_context(|| format!("{}: not a table of margins", path.display()))
}

fn parse(
    from: impl Read,
    mut each: impl FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<(Vec<Norm>, Option<String>)> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(from);
    let header = reader.headers()?.clone();
    // Of lines that end in CR LF the reader says the one before.
    let ends = 2u64.saturating_sub(reader.position().line());
    let (columns, norms) = columns(&header)?;
    let at = header.iter().position(|column| column == "domain");
    let mut domain: Option<String> = None;
    let mut rows = 0;
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line) + ends;
        let (found, expected) = (record.len(), header.len());
        ensure!(
            found == expected,
            "line {line}: {found} columns, the header has {expected}"
        );
        if let Some(own) = at.and_then(|at| record.get(at)) {
            let first = domain.get_or_insert_with(|| own.to_owned());
            ensure!(
                first == own,
                "line {line}: column `domain`: `{own}`, `{first}` before"
            );
        }
        let row = row(&record, &header, &columns, line);
        each(row.with_context(|| format!("line {line}"))?)?;
        rows += 1;
    }
    ensure!(rows > 0, "it has no rows");
    Ok((norms, domain.filter(|domain| !domain.is_empty())))
}

fn columns(header: &StringRecord) -> anyhow::Result<(Columns, Vec<Norm>)> {
    let find = |name: &str| header.iter().position(|column| column == name);
    let need = |name: &str| find(name).with_context(|| format!("it has no column `{name}`"));
    let (mut radii, mut norms) = (Vec::new(), Vec::new());
    for (at, column) in header.iter().enumerate() {
        if let Some(norm) = column.strip_prefix("eps_") {
            let norm: Norm = norm.parse().with_context(|| format!("column `{column}`"))?;
            radii.push(at);
            norms.push(norm);
        }
    }
    ensure!(
        !radii.is_empty(),
        "it has no column of radii, such as `eps_2`"
    );
    // All of them or none.
    let uppers = norms.iter().map(|norm| format!("upper_{norm}"));
    let upper: Option<Vec<usize>> = uppers.clone().map(|name| find(&name)).collect();
    let known: Vec<String> = uppers.collect();
    let mut found = header.iter().filter(|name| name.starts_with("upper_"));
    if let Some(alone) = found.find(|name| upper.is_none() || !known.iter().any(|own| own == name))
    {
        bail!("column `{alone}`: upper bounds stand beside radii, all or none: expected {known:?}");
    }
    let columns = Columns {
        index: need("index")?,
        file: find("file"),
        label: find("label"),
        prediction: need("prediction")?,
        label_name: find("label_name"),
        prediction_name: find("prediction_name"),
        radii,
        upper: upper.unwrap_or_default(),
        guarantee: need("guarantee")?,
        layer: need("layer")?,
        neuron: need("neuron")?,
        position: find("position"),
        score: find("score"),
        place: find("place"),
    };
    Ok((columns, norms))
}

fn row(
    record: &StringRecord,
    header: &StringRecord,
    columns: &Columns,
    line: u64,
) -> anyhow::Result<Row> {
    let cell = |at: usize| record.get(at).unwrap_or("");
    let filled = |at: Option<usize>| at.map(cell).filter(|cell| !cell.is_empty());
    let named = |at: usize| header.get(at).unwrap_or("");
    let radius = |at: &usize| number::<f64>(cell(*at), named(*at), "a number");
    let whole = |at: usize| number::<usize>(cell(at), named(at), "a whole number");
    let class = |text: &str, name: &str| number::<u32>(text, name, "a class");
    let limiting = match (cell(columns.layer), cell(columns.neuron)) {
        ("", "") => None,
        ("", neuron) => bail!("column `layer`: expected that of neuron {neuron}, found nothing"),
        (layer, _) => Some((layer.to_owned(), whole(columns.neuron)?)),
    };
    Ok(Row {
        line,
        index: whole(columns.index)?,
        file: filled(columns.file).map(str::to_owned),
        label: filled(columns.label)
            .map(|text| class(text, "label"))
            .transpose()?,
        prediction: class(cell(columns.prediction), "prediction")?,
        label_name: filled(columns.label_name).map(str::to_owned),
        prediction_name: filled(columns.prediction_name).map(str::to_owned),
        radii: columns
            .radii
            .iter()
            .map(radius)
            .collect::<anyhow::Result<_>>()?,
        upper: columns
            .upper
            .iter()
            .map(radius)
            .collect::<anyhow::Result<_>>()?,
        guarantee: cell(columns.guarantee)
            .parse::<Guarantee>()
            .context("column `guarantee`")?,
        limiting,
        place: filled(columns.place).unwrap_or_default().to_owned(),
        score: filled(columns.score)
            .map(|text| number(text, "score", "a number"))
            .transpose()?,
        position: filled(columns.position).map(str::to_owned),
    })
}

fn number<T: std::str::FromStr>(text: &str, column: &str, expected: &str) -> anyhow::Result<T> {
    let number = text.parse().ok();
    number.with_context(|| format!("column `{column}`: expected {expected}, found `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_may_come_in_any_order_and_others_are_not_read() {
        let text = "eps_inf,layer,neuron,guarantee,prediction,index,note,eps_2\ninf,,,probable(1e-9),3,7,x,0.5\n";
        let mut rows = Vec::new();
        let (norms, _) = parse(text.as_bytes(), |row| {
            rows.push(row);
            Ok(())
        })
        .unwrap();
        assert_eq!(norms, [Norm::LINF, Norm::L2]);
        let row = &rows[0];
        assert_eq!((row.index, row.line, row.prediction), (7, 2, 3));
        assert_eq!(row.radii, [f64::INFINITY, 0.5]);
        assert!(row.claims() && row.limiting.is_none());
        assert_eq!((&row.file, row.label), (&None, None));
    }

    #[test]
    fn lines_are_counted_whatever_they_end_in() {
        for end in ["\n", "\r\n"] {
            let lines = [
                "index,prediction,eps_2,guarantee,layer,neuron",
                "0,1,inf,proved,,",
                "1,1,inf,proved,,",
            ];
            let mut found = Vec::new();
            let text = lines.map(|line| format!("{line}{end}")).concat();
            parse(text.as_bytes(), |row| {
                found.push(row.line);
                Ok(())
            })
            .unwrap();
            assert_eq!(found, [2, 3], "{end:?}");
        }
    }
}
