//! The report: curves, and pictures of images.

use loclin_data::{Data, Dataset};
use loclin_report::{BoundCurve, Explanation, Panel, Picture, Report, as_asked, at_least, at_most};

use super::options::What;
use super::outcome::{Outcome, Summary};
use super::row::{Answer, Row};
use crate::program::domain::said;
use crate::program::process;

/// Inputs that are shown one by one.
const SHOWN: usize = 12;

/// The page of an outcome.
pub(super) fn page(outcome: &Outcome, data: &Data) -> anyhow::Result<String> {
    let table = match data {
        Data::Table(table) => Some(table),
        Data::Sequences(_) => None,
    };
    let shown = outcome.results.iter().enumerate().take(SHOWN);
    let bounds = shown.map(|(at, row)| article(outcome, row, (table, at)));
    Ok(loclin_report::render(&Report {
        title: "What can change nearby?".into(),
        settings: settings(outcome),
        bounds: bounds.collect::<anyhow::Result<_>>()?,
        commands: vec![process::command_line()],
        ..Report::default()
    })?)
}

fn settings(outcome: &Outcome) -> Vec<(String, String)> {
    let mut settings = vec![
        ("model".to_owned(), outcome.model.display().to_string()),
        ("data".into(), outcome.data.clone()),
        ("inputs".into(), outcome.inputs.to_string()),
        ("preprocessing".into(), outcome.preprocessing.to_string()),
        ("domain".into(), said(outcome.domain.as_ref())),
        ("guarantee".into(), outcome.guarantee.name()),
        ("floating-point type".into(), outcome.dtype.to_string()),
    ];
    for Summary {
        eps, found, proved, ..
    } in &outcome.radii
    {
        if let (Some(found), Some(proved)) = (found, proved) {
            let (found, proved) = (at_most(found.p50), at_least(proved.p50));
            let both = format!("{found} found, {proved} {}", outcome.claim());
            settings.push((format!("median within {}", as_asked(*eps)), both));
        }
    }
    settings
}

/// One input, row `at` of the table.
fn article(
    outcome: &Outcome,
    row: &Row,
    (table, at): (Option<&Dataset>, usize),
) -> anyhow::Result<Explanation> {
    let curve = row
        .curve()
        .iter()
        .filter_map(|answer| Some([answer.eps, answer.found?, answer.proved?]));
    let mut points: Vec<[f64; 3]> = curve.collect();
    // Up to the margin nothing changes.
    let begins = points.first().is_none_or(|point| point[0] > row.margin);
    if begins && matches!(outcome.what, What::Change | What::Sign) {
        points.insert(0, [row.margin, 0.0, 0.0]);
    }
    let curve = BoundCurve {
        what: what(outcome.what).into(),
        norm: outcome.norm.clone(),
        claim: outcome.claim().into(),
        points,
    };
    let panels = match table {
        Some(table) => panels(row, table, at)?,
        None => Vec::new(),
    };
    Ok(Explanation {
        heading: format!("input {}", row.index),
        lines: lines(outcome, row),
        curve: Some(curve),
        panels,
        numbers: None,
    })
}

/// What a curve's heights are.
fn what(what: What) -> &'static str {
    match what {
        What::Change => "change of the gradient",
        What::Lipschitz => "length of the gradient",
        What::Sign => "signs that can change",
        What::TopK => "what exceeds the top k, by",
        What::Class => "what exceeds the class, by",
    }
}

fn lines(outcome: &Outcome, row: &Row) -> Vec<String> {
    let claim = outcome.claim();
    let mut lines = vec![format!(
        "class {}, predicted {}; the gradient is constant within an l{} radius of {}",
        row.class,
        row.prediction,
        outcome.norm,
        at_most(row.margin)
    )];
    lines.extend(
        row.bounds
            .last()
            .map(|answer| match (answer.found, answer.proved) {
                (Some(found), Some(proved)) => format!(
                    "within {}, {}: {} found, {} {claim}",
                    as_asked(answer.eps),
                    what(outcome.what),
                    at_most(found),
                    at_least(proved)
                ),
                _ => format!("within {}: no answer", as_asked(answer.eps)),
            }),
    );
    if let (Some(largest), Some(summary)) = (&row.largest, &outcome.largest) {
        let beyond = match largest.refuted.is_finite() {
            true => format!("; not within {}", at_least(largest.refuted)),
            false => String::new(),
        };
        let proved = at_most(largest.proved);
        lines.push(format!(
            "{} within {proved} ({claim}){beyond}",
            summary.allowed
        ));
    }
    lines
}

/// The input, the one found, and signs that are proved; nothing for inputs that are no images.
fn panels(row: &Row, table: &Dataset, at: usize) -> anyhow::Result<Vec<Vec<Panel>>> {
    let Some(pictured) = table.picture() else {
        return Ok(Vec::new());
    };
    let shape = pictured.shape;
    let panel = |title: String, picture: Picture| Panel {
        title,
        picture,
        scale: None,
    };
    let mut panels = vec![panel(
        "input".into(),
        Picture::image(shape, &pictured.pixels(&table.rows_f64(&[at])?))?,
    )];
    if let Some(witness) = row.witness() {
        let title = "the input found".into();
        panels.push(panel(
            title,
            Picture::image(shape, &pictured.pixels(witness))?,
        ));
    }
    let signs = |answer: &Answer| {
        let bound = answer.bound.as_ref()?;
        let both = bound.gradient.iter().zip(&bound.may_change_sign);
        let known: Vec<f64> = both
            .map(|(g, may)| if *may { f64::NAN } else { *g })
            .collect();
        (!known.is_empty()).then_some((answer.eps, known))
    };
    for (eps, known) in row.bounds.iter().filter_map(signs) {
        let title = format!("signs within {}", as_asked(eps));
        panels.push(panel(
            title,
            Picture::signs(shape, &pictured.shown(&known))?,
        ));
    }
    Ok(panels.chunks(6).map(<[Panel]>::to_vec).collect())
}
