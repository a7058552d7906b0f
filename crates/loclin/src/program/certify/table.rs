//! The margins as a CSV file.

use std::path::Path;

use loclin_data::Data;
use loclin_report::printable;

use super::run::Certificates;
use crate::program::classes::Classes;
use crate::program::domain::InputBox;

/// `index,file,label,prediction,label_name,prediction_name,eps_P...,guarantee,layer,neuron,position,domain`, one row for each
/// input.
///
/// Radii are in raw input units, written with as many digits as it takes to read the same number back. `guarantee` is what is
/// claimed of them: `proved`, `probable(P)`, `deployed(TYPE)` or `estimate`. `layer` and `neuron` limit the l2 margin, or that
/// of the first norm; both are empty where nothing does, and the radius is `inf`. `position` says why a radius of that norm
/// is 0: `boundary`, `tie` or `undecided`; otherwise `inside`. `label` is empty without labels. Left out are the column `file`
/// for data that are not files, whose paths are relative to `root` where they can be, both names where classes have none, and
/// upper bounds of the true radii, columns `upper_P` behind the radii, where nobody asked for them. `domain`, last, is the one
/// that balls are cut with, as `LOW to HIGH` or the file that says it; the column is left out where balls are whole.
pub(super) fn csv(
    certificates: &Certificates,
    data: &Data,
    names: Option<&Classes>,
    root: Option<&Path>,
    domain: Option<&InputBox>,
) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let has_files = data.path(0).is_some();
    let columns = certificates.norms.iter().map(|norm| format!("eps_{norm}"));
    let fixed = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut header = fixed(&["index"]);
    header.extend(has_files.then(|| "file".to_owned()));
    header.extend(fixed(&["label", "prediction"]));
    header.extend(
        names
            .map(|_| fixed(&["label_name", "prediction_name"]))
            .unwrap_or_default(),
    );
    header.extend(columns);
    let bounded = certificates.norms.iter().zip(&certificates.upper);
    header.extend(bounded.map(|(norm, _)| format!("upper_{norm}")));
    header.extend(fixed(&["guarantee", "layer", "neuron", "position"]));
    header.extend(domain.map(|_| "domain".to_owned()));
    writer.write_record(header)?;
    let guarantee = certificates.guarantee().name();
    let leading = certificates.leading();
    for (index, prediction) in certificates.predictions.iter().enumerate() {
        let labels = certificates.labels.as_ref();
        let label = labels.and_then(|labels| labels.get(index));
        let mut record = vec![index.to_string()];
        record.extend(data.path(index).map(|path| relative(path, root)));
        record.push(label.map_or(String::new(), ToString::to_string));
        record.push(prediction.to_string());
        if let Some(names) = names {
            let name = |class: Option<&u32>| class.and_then(|class| names.name(*class));
            record.extend([label, Some(prediction)].map(|class| name(class).unwrap_or_default()));
        }
        let radii = certificates.margins.iter();
        record.extend(radii.map(|m| m.radius[index].to_string()));
        let bounds = certificates.upper.iter();
        record.extend(bounds.map(|bounds| bounds[index].to_string()));
        record.push(guarantee.clone());
        let limiting = leading.and_then(|margins| margins.limiting[index]);
        record.extend(match limiting {
            Some(neuron) => [
                certificates.layer(neuron).to_owned(),
                neuron.index.to_string(),
            ],
            None => [String::new(), String::new()],
        });
        let position = leading.map_or("", |margins| margins.position[index].name());
        record.push(position.to_owned());
        record.extend(domain.map(InputBox::word));
        writer.write_record(record)?;
    }
    Ok(writer.into_inner()?)
}

/// A path below `root`, control characters escaped.
fn relative(path: &Path, root: Option<&Path>) -> String {
    let below = root.and_then(|root| path.strip_prefix(root).ok());
    let below = below.filter(|path| !path.as_os_str().is_empty());
    printable(&below.unwrap_or(path).to_string_lossy(), &[])
}
