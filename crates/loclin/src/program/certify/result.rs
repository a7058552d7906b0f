//! The table of margins that `certify --out` wrote.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use csv::StringRecord;
use loclin_regions::Norm;

use crate::program::files;

/// A table of margins.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The norms of its columns, in their order.
    pub(super) norms: Vec<Norm>,
    /// The domain that balls are cut with, in a word; `None` if they are whole.
    pub(super) domain: Option<String>,
    pub(super) rows: Vec<Row>,
}

/// One input's row.
#[derive(Debug)]
pub(super) struct Row {
    /// Where it stands in the file.
    pub(super) line: u64,
    pub(super) index: usize,
    pub(super) file: Option<String>,
    pub(super) label: Option<u32>,
    pub(super) prediction: u32,
    /// One for each norm.
    pub(super) radii: Vec<f64>,
    pub(super) claim: Claim,
    /// The node of the limiting neuron and its number, where the row names one.
    pub(super) limiting: Option<(String, usize)>,
}

/// What a row's guarantee says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// No radius is larger than the true one, if only with a probability.
    Radius,
    /// Nothing.
    Nothing,
}

/// Where the columns are; others than these are not read.
struct Columns {
    index: usize,
    file: Option<usize>,
    label: Option<usize>,
    prediction: usize,
    radii: Vec<usize>,
    guarantee: usize,
    layer: usize,
    neuron: usize,
}

/// Reads a table.
///
/// # Errors
/// A file that cannot be read, without a column that it must have, or with a value that is none; the message names line and
/// column.
pub(super) fn read(path: &Path) -> anyhow::Result<Table> {
    let text = files::read_text(path)?;
    parse(&text).with_context(|| format!("{}: not a table of margins", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Table> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = reader.headers()?.clone();
    let (columns, norms) = columns(&header)?;
    let at = header.iter().position(|column| column == "domain");
    let mut domain: Option<String> = None;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
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
        rows.push(row.with_context(|| format!("line {line}"))?);
    }
    ensure!(!rows.is_empty(), "it has no rows");
    let domain = domain.filter(|domain| !domain.is_empty());
    Ok(Table {
        norms,
        domain,
        rows,
    })
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
    let columns = Columns {
        index: need("index")?,
        file: find("file"),
        label: find("label"),
        prediction: need("prediction")?,
        radii,
        guarantee: need("guarantee")?,
        layer: need("layer")?,
        neuron: need("neuron")?,
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
    let limiting = match cell(columns.layer) {
        "" => None,
        layer => Some((layer.to_owned(), whole(columns.neuron)?)),
    };
    Ok(Row {
        line,
        index: whole(columns.index)?,
        file: filled(columns.file).map(str::to_owned),
        label: filled(columns.label)
            .map(|text| class(text, "label"))
            .transpose()?,
        prediction: class(cell(columns.prediction), "prediction")?,
        radii: columns
            .radii
            .iter()
            .map(radius)
            .collect::<anyhow::Result<_>>()?,
        claim: claim(cell(columns.guarantee))?,
        limiting,
    })
}

fn number<T: std::str::FromStr>(text: &str, column: &str, expected: &str) -> anyhow::Result<T> {
    let number = text.parse().ok();
    number.with_context(|| format!("column `{column}`: expected {expected}, found `{text}`"))
}

fn claim(text: &str) -> anyhow::Result<Claim> {
    let word = text.split('(').next().unwrap_or_default();
    match word {
        "proved" | "probable" | "deployed" => Ok(Claim::Radius),
        "estimate" => Ok(Claim::Nothing),
        _ => bail!(
            "column `guarantee`: expected `proved`, `probable(P)`, `deployed(TYPE)` or `estimate`, found `{text}`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_may_come_in_any_order_and_others_are_not_read() {
        let text = "eps_inf,layer,neuron,guarantee,prediction,index,note,eps_2\ninf,,,probable(1e-9),3,7,x,0.5\n";
        let table = parse(text).unwrap();
        assert_eq!(table.norms, [Norm::LINF, Norm::L2]);
        let row = &table.rows[0];
        assert_eq!((row.index, row.line, row.prediction), (7, 2, 3));
        assert_eq!(row.radii, [f64::INFINITY, 0.5]);
        assert_eq!((row.claim, &row.limiting), (Claim::Radius, &None));
        assert_eq!((&row.file, row.label), (&None, None));
    }
}
