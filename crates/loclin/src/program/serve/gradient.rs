//! An input's picture and gradient.

use anyhow::Context;
use candle_core::{DType, Tensor};
use loclin_models::Network;
use loclin_regions::{Budget, Linearization, Method, Norm};
use loclin_report::explorer::Notice;
use loclin_report::{Explanation, NumberTable, Panel, Picture, at_most, significant};

use super::ask::Found;
use super::source::Source;
use crate::program::domain::InputBox;
use crate::program::explain::Subject;
use crate::program::tensors;

/// Numbers that are shown of an input that is no picture.
const NUMBERS: usize = 20;

/// An input, ready to be asked about.
pub(super) struct Asked {
    pub(super) network: Network,
    pub(super) subject: Subject,
    /// `[in...]`.
    pub(super) x: Tensor,
    pub(super) domain: Option<InputBox>,
    pub(super) seed: u64,
}

/// The input of this number.
///
/// # Errors
/// One that the network does not take.
pub(super) fn asked(source: &Source, found: &Found, input: usize) -> anyhow::Result<Asked> {
    let named = source.ask.named().map_err(said)?;
    let at = input.checked_sub(named.first).context("no such input")?;
    let part = found.data.tables(&[at])?.pop().context("no input")?;
    let network = found.model.raw(part.inputs.input_shape())?;
    let mut subject = Subject::of_row(&part.inputs, 0, network.input_shape())?;
    subject.name = format!("input {input}");
    let x = subject.tensor(network.input_shape(), DType::F64, network.device())?;
    Ok(Asked {
        domain: found.domain.clone(),
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
pub(super) fn here(source: &Source, asked: &Asked) -> anyhow::Result<Explanation> {
    let Asked {
        network,
        subject,
        domain,
        ..
    } = asked;
    let mut here = Linearization::new(network, &asked.x.unsqueeze(0)?, Budget::default())?;
    if let Some(domain) = domain {
        here = here.within(domain.of_shape(network.input_shape())?)?;
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
        let (radius, guarantee) = (at_most(radius), own.guarantee);
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
        let (input, scale) = match is_image {
            true => (
                Picture::image(shape, &subject.pixels(&subject.values))?,
                None,
            ),
            false => {
                let values = subject.shown(&subject.values);
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
