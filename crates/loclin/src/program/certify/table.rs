//! The margins as rows of a CSV file.

use std::path::Path;

use loclin_data::Data;
use loclin_regions::Guarantee;

use super::batch::{Batch, layer};
use super::question::{Question, leading};
use super::row::Row;
use crate::program::classes::Classes;
use crate::program::domain::InputBox;
use crate::program::files::text_below;

/// `index,file,label,prediction,label_name,prediction_name,eps_P...,guarantee,layer,neuron,position,domain,score,place`,
/// one row for each input.
///
/// Radii are in raw input units, written with as many digits as it takes to read the same number back. `guarantee` is what is
/// claimed of those of the row: `proved`, `probable(P)`, `deployed(TYPE)` or `estimate`. `layer` and `neuron` limit the l2 margin,
/// or that of the first norm; both are empty where nothing does, and the radius is `inf`. `position` says why a radius of that norm
/// is 0: `boundary`, `tie` or `undecided`; otherwise `inside`. `label` is empty without labels. Left out are the column `file`
/// for data that are not files, whose paths are relative to the data's folder where they can be, both names where classes have
/// none, and upper bounds of the true radii, columns `upper_P` behind the radii, where nobody asked for them. `domain` is the one
/// that balls are cut with, as `LOW to HIGH` or the file that says it; the column is left out where balls are whole. `score` is the
/// output of the predicted class, or the only one. `place` says where the neuron is in its layer, counted from 0, such as
/// `channel 3, row 5, column 7`, for a difference of a maximum where that is; empty for operators that do not say it.
pub(super) struct Table<'a> {
    pub(super) data: &'a Data,
    pub(super) question: &'a Question,
    pub(super) names: Option<&'a Classes>,
    /// The folder that paths are relative to.
    pub(super) root: Option<&'a Path>,
}

impl Table<'_> {
    /// The first line.
    pub(super) fn header(&self) -> anyhow::Result<Vec<u8>> {
        let norms = &self.question.norms;
        let fixed = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut header = fixed(&["index"]);
        header.extend(self.data.path(0).map(|_| "file".to_owned()));
        header.extend(fixed(&["label", "prediction"]));
        if self.names.is_some() {
            header.extend(fixed(&["label_name", "prediction_name"]));
        }
        header.extend(norms.iter().map(|norm| format!("eps_{norm}")));
        if self.question.upper {
            header.extend(norms.iter().map(|norm| format!("upper_{norm}")));
        }
        header.extend(fixed(&["guarantee", "layer", "neuron", "position"]));
        header.extend(self.question.domain.as_ref().map(|_| "domain".to_owned()));
        header.extend(fixed(&["score", "place"]));
        lines([header])
    }

    /// The rows of a batch whose first input has the number `first`; `layers` are the names of the network's nodes.
    pub(super) fn rows(&self, batch: &Batch, first: usize, layers: &[String]) -> Vec<Row> {
        let leading = batch.margins.get(leading(&self.question.norms));
        let guarantee = batch.margins.iter().map(|margins| margins.guarantee);
        let guarantee = guarantee
            .reduce(Guarantee::weaker)
            .unwrap_or(Guarantee::Estimate);
        let name = |class: u32| self.names.and_then(|names| names.name(class));
        let row = |(at, prediction): (usize, &u32)| {
            let index = first + at;
            let labels = self.data.labels();
            let label = labels.and_then(|labels| labels.get(index).copied());
            let limiting = leading.and_then(|margins| margins.limiting[at]);
            Row {
                line: 0,
                index,
                file: self
                    .data
                    .path(index)
                    .map(|path| text_below(path, self.root)),
                label,
                prediction: *prediction,
                label_name: label.and_then(name),
                prediction_name: name(*prediction),
                radii: batch
                    .margins
                    .iter()
                    .map(|margins| margins.radius[at])
                    .collect(),
                upper: batch.upper.iter().map(|bounds| bounds[at]).collect(),
                guarantee,
                limiting: limiting.map(|neuron| (layer(layers, neuron).to_owned(), neuron.index)),
                place: batch.places[at].clone(),
                score: Some(batch.scores[at]),
                position: leading.map(|margins| margins.position[at].name().to_owned()),
            }
        };
        batch.predictions.iter().enumerate().map(row).collect()
    }

    /// Rows as lines.
    pub(super) fn lines(&self, rows: &[Row]) -> anyhow::Result<Vec<u8>> {
        lines(rows.iter().map(|row| self.record(row)))
    }

    fn record(&self, row: &Row) -> Vec<String> {
        let mut record = vec![row.index.to_string()];
        record.extend(row.file.clone());
        record.push(row.label.map_or(String::new(), |label| label.to_string()));
        record.push(row.prediction.to_string());
        if self.names.is_some() {
            let both = [&row.label_name, &row.prediction_name];
            record.extend(both.map(|name| name.clone().unwrap_or_default()));
        }
        record.extend(row.radii.iter().chain(&row.upper).map(f64::to_string));
        record.push(row.guarantee.name());
        record.extend(match &row.limiting {
            Some((layer, neuron)) => [layer.clone(), neuron.to_string()],
            None => [String::new(), String::new()],
        });
        record.push(row.position.clone().unwrap_or_default());
        record.extend(self.question.domain.as_ref().map(InputBox::word));
        record.push(row.score.map_or(String::new(), |score| score.to_string()));
        record.push(row.place.clone());
        record
    }
}

fn lines(records: impl IntoIterator<Item = Vec<String>>) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        writer.write_record(record)?;
    }
    Ok(writer.into_inner()?)
}
