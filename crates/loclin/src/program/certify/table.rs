//! The margins as a CSV file.

use super::run::Certificates;

/// `index,label,prediction,eps_P...,guarantee,layer,neuron`, one row for each input.
///
/// Radii are in raw input units, written with as many digits as it takes to read the same number back. `guarantee` is what is
/// claimed of them: `proved`, `probable(P)` or `estimate`. `layer`
/// and `neuron` limit the l2 margin, or that of the first norm; both are empty where nothing does, and the
/// radius is `inf`. `label` is empty without labels.
pub(super) fn csv(certificates: &Certificates) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let columns = certificates.norms.iter().map(|norm| format!("eps_{norm}"));
    let fixed = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let header = fixed(&["index", "label", "prediction"])
        .into_iter()
        .chain(columns);
    writer.write_record(header.chain(fixed(&["guarantee", "layer", "neuron"])))?;
    let guarantee = certificates.guarantee().name();
    for (index, prediction) in certificates.predictions.iter().enumerate() {
        let label = certificates
            .labels
            .as_ref()
            .and_then(|labels| labels.get(index));
        let mut record = vec![
            index.to_string(),
            label.map_or(String::new(), ToString::to_string),
            prediction.to_string(),
        ];
        record.extend(
            certificates
                .margins
                .iter()
                .map(|m| m.radius[index].to_string()),
        );
        record.push(guarantee.clone());
        let limiting = certificates
            .leading()
            .and_then(|margins| margins.limiting[index]);
        record.extend(match limiting {
            Some(neuron) => [
                certificates.layer(neuron).to_owned(),
                neuron.index.to_string(),
            ],
            None => [String::new(), String::new()],
        });
        writer.write_record(record)?;
    }
    Ok(writer.into_inner()?)
}
