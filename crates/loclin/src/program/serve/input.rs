//! One input: what the table says, its gradient, and what is found nearby when that is asked.

use std::time::{Duration, Instant};

use anyhow::Context;
use candle_core::{DType, Tensor};
use loclin_models::Network;
use loclin_regions::{Budget, Linearization, Method, Norm};
use loclin_report::explorer::{Inspected, Look, Notice, inspected};
use loclin_report::{BoundCurve, Explanation, NumberTable, Panel, Picture, significant};

use super::http::Status;
use super::query::Query;
use super::source::Source;
use crate::program::distortion::Radius;
use crate::program::domain::InputBox;
use crate::program::explain::{Drawing, Integration, NearbyOptions, ReadOptions, Subject, read};
use crate::program::opened::Opened;
use crate::program::tensors;

/// The radius of a search that is offered first: eight levels of a stored picture.
const EPS: &str = "8/256";
/// Seconds that a search is offered, and the most that it is given.
const SECONDS: (f64, f64) = (5.0, 60.0);
/// The most gradients that a search evaluates.
const EVALUATIONS: f64 = 2000.0;
/// Numbers that are shown of an input that is no picture.
const NUMBERS: usize = 20;

/// An input, ready to be asked about.
struct Asked {
    network: Network,
    subject: Subject,
    /// `[in...]`.
    x: Tensor,
    domain: Option<InputBox>,
    seed: u64,
}

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
        !cell.is_empty() && !(source.bounds.is_some() && of_radius.contains(&&column.name[..]))
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
        let [eps, found, proved] = [eps, found, proved].map(|number| significant(*number));
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

fn asked(source: &Source, opened: &Opened, input: usize) -> anyhow::Result<Asked> {
    let named = source.ask.named().map_err(said)?;
    let at = input.checked_sub(named.first).context("no such input")?;
    let part = opened.data.tables(&[at])?.pop().context("no input")?;
    let network = opened.model.raw(part.inputs.input_shape())?;
    let mut subject = Subject::of_row(&part.inputs, 0, network.input_shape())?;
    subject.name = format!("input {input}");
    let x = subject.tensor(network.input_shape(), DType::F64, network.device())?;
    Ok(Asked {
        domain: named.domain.read(InputBox::of_data(opened.data.domain()))?,
        seed: named.global.seed.unwrap_or(0),
        network,
        subject,
        x,
    })
}

fn said(notice: Notice) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", notice.title, notice.lines.join(" "))
}

/// The input and its gradient, and its radii where the table has none.
fn here(source: &Source, asked: &Asked) -> anyhow::Result<Explanation> {
    let Asked {
        network,
        subject,
        domain,
        ..
    } = asked;
    let mut here = Linearization::new(network, &asked.x.unsqueeze(0)?, Budget::default())?;
    if let Some(domain) = domain {
        here = here.within(domain.of_size(network.input_size())?)?;
    }
    let prediction = tensors::predictions(here.trace().output())?;
    let prediction = prediction.first().copied().context("no output")?;
    let output = if network.output_size() == 1 {
        0
    } else {
        prediction
    };
    let gradient = here.output_gradients(&[output])?.to_dtype(DType::F64)?;
    let gradient = gradient.flatten_all()?.to_vec1::<f64>()?;
    let outputs = here.trace().output().to_dtype(DType::F64)?;
    let outputs = outputs.flatten_all()?.to_vec1::<f64>()?;
    let score = outputs.get(output as usize).copied().unwrap_or(f64::NAN);
    let length: f64 = gradient.iter().map(|number| number.abs()).sum();
    let mut lines = vec![format!(
        "predicted class {prediction}, whose score is {}; its gradient has the l1 norm {}",
        significant(score),
        significant(length)
    )];
    if !source
        .rows
        .columns()
        .iter()
        .any(|own| own.name.starts_with("eps_"))
    {
        lines.extend(radii(&here)?);
    }
    let (panels, numbers) = drawn(subject, &gradient)?;
    Ok(Explanation {
        heading: subject.name.clone(),
        lines,
        curve: None,
        panels,
        numbers,
    })
}

/// The radii of the usual norms, in sentences.
fn radii(here: &Linearization) -> anyhow::Result<Vec<String>> {
    let norms = [Norm::L1, Norm::L2, Norm::LINF];
    let margins = here.margins(&norms, Method::Auto)?;
    let nodes = here.network().nodes();
    let line = |(norm, own): (&Norm, &loclin_regions::Margins)| {
        let radius = own.radius.first().copied().unwrap_or(0.0);
        let limiting = own.limiting.first().copied().flatten();
        let neuron = limiting.map_or(String::new(), |neuron| {
            let node = nodes.get(neuron.node).map_or("", |node| &node.name);
            format!("; it ends at {node}, neuron {}", neuron.index)
        });
        let (radius, guarantee) = (significant(radius), own.guarantee);
        format!("constant within an l{norm} radius of {radius} ({guarantee}){neuron}")
    };
    Ok(norms.iter().zip(&margins).map(line).collect())
}

/// The picture with its gradient, or the numbers whose derivative is largest.
fn drawn(
    subject: &Subject,
    gradient: &[f64],
) -> anyhow::Result<(Vec<Vec<Panel>>, Option<NumberTable>)> {
    if let Some((shape, is_image)) = subject.drawn() {
        let values = subject.shown(&subject.values);
        let (input, scale) = match is_image {
            true => (Picture::image(shape, &values)?, None),
            false => {
                let (picture, scale) = Picture::signed(shape, &values, None)?;
                (picture, Some(scale))
            }
        };
        let over = is_image.then_some(&input);
        let (signed, full) = Picture::signed(shape, &subject.shown(gradient), over)?;
        let panel = |title: &str, picture: Picture, scale| Panel {
            title: title.to_owned(),
            picture,
            scale,
        };
        let signed = panel("gradient", signed, Some(full));
        return Ok((vec![vec![panel("input", input, scale), signed]], None));
    }
    let mut order: Vec<usize> = (0..gradient.len()).collect();
    order.sort_by(|a, b| {
        gradient[*b]
            .abs()
            .total_cmp(&gradient[*a].abs())
            .then(a.cmp(b))
    });
    let row = |at: &usize| {
        let value = subject.values.get(*at).copied().unwrap_or(f64::NAN);
        let numbers = [value, gradient[*at]].map(significant);
        [subject.place(*at)].into_iter().chain(numbers).collect()
    };
    let numbers = NumberTable {
        header: ["number", "value", "gradient"].map(str::to_owned).into(),
        rows: order.iter().take(NUMBERS).map(row).collect(),
    };
    Ok((Vec::new(), Some(numbers)))
}

/// The form for a search, and what it found if it was asked for.
fn look(
    source: &Source,
    asked: &Asked,
    (query, pairs): (&Query, &[(String, String)]),
    evaluation: Duration,
) -> anyhow::Result<(Look, Option<Explanation>)> {
    let get = |name: &str| {
        pairs
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| &value[..])
    };
    let (eps, seconds) = (get("eps"), get("seconds"));
    let mut look = Look {
        eps: eps.unwrap_or(EPS).to_owned(),
        seconds: seconds.map_or(SECONDS.0.to_string(), str::to_owned),
        refused: None,
        hidden: query.pairs(),
    };
    if eps.is_none() && seconds.is_none() {
        return Ok((look, None));
    }
    let radius = look.eps.parse::<Radius>();
    let time = look.seconds.trim().parse::<f64>().ok();
    let time = time.filter(|time| *time > 0.0 && *time <= SECONDS.1);
    let (radius, time) = match (radius, time) {
        (Ok(radius), Some(time)) => (radius, time),
        (Err(cause), _) => {
            look.refused = Some(format!("Radius `{}`: {cause}.", look.eps));
            return Ok((look, None));
        }
        (_, None) => {
            let most = SECONDS.1;
            look.refused = Some(format!(
                "Seconds `{}`: expected a number up to {most}.",
                look.seconds
            ));
            return Ok((look, None));
        }
    };
    let _turn = source.ask.turn();
    // Half for the search, half for bounds; a step of the search is a gradient and its derivative.
    let most = 0.25 * time / evaluation.as_secs_f64().max(1e-6);
    let evaluations = most.clamp(10.0, EVALUATIONS) as usize;
    let options = ReadOptions {
        eps: radius.value(),
        domain: asked.domain.clone(),
        evaluations,
        seed: asked.seed,
        integration: Integration::Steps((evaluations / 10).clamp(1, 50)),
        baseline: None,
        noise: None,
        nearby: Some(NearbyOptions {
            time: Duration::from_secs_f64(0.5 * time),
            top: 10,
        }),
    };
    let reading = read(&asked.network, &asked.x, None, &options);
    let reading = reading.with_context(|| asked.subject.name.clone())?;
    Ok((
        look,
        Some(Explanation {
            heading: format!("Within {radius}"),
            lines: reading.lines(radius),
            curve: reading.curve(),
            panels: reading.panels(&asked.subject, Drawing::Signed)?,
            numbers: reading.numbers(&asked.subject),
        }),
    ))
}
