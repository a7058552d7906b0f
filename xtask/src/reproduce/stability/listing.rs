//! Every number, one line for each network, image and perturbation.

use anyhow::Context;

use super::measured::Measured;

const HEADER: [&str; 20] = [
    "network",
    "image",
    "label",
    "perturbation",
    "eps_2",
    "eps_inf",
    "change_25_inf",
    "l2",
    "linf",
    "relative_change",
    "relative_change_l1",
    "cosine",
    "rank_correlation",
    "top_share",
    "times_input_change",
    "integrated_change",
    "class_changed",
    "inside_eps_2",
    "inside_eps_inf",
    "inside_change_25_inf",
];

pub(super) fn listing(networks: &[Measured], perturbations: &[String]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    // Radii as they are proved; five digits of everything else.
    let short = |value: f64| format!("{value:.4e}");
    let some = |value: Option<f64>| value.map_or_else(String::new, short);
    let yes = |value: bool| u8::from(value).to_string();
    for network in networks {
        for (perturbation, changes) in perturbations.iter().zip(&network.changes) {
            for (image, change) in network.images.iter().zip(changes) {
                writer.write_record([
                    network.name.clone(),
                    image.row.to_string(),
                    image.label.to_string(),
                    perturbation.clone(),
                    image.eps_2.to_string(),
                    image.eps_inf.to_string(),
                    image
                        .bounded
                        .map_or_else(String::new, |radius| radius.to_string()),
                    short(change.l2),
                    short(change.linf),
                    short(change.relative),
                    short(change.relative_l1),
                    short(change.cosine),
                    some(change.ranks),
                    short(change.top),
                    short(change.times_input),
                    some(change.integrated),
                    yes(change.class_changed),
                    yes(change.inside_2),
                    yes(change.inside_inf),
                    change.inside_bounded.map_or_else(String::new, yes),
                ])?;
            }
        }
    }
    writer.into_inner().context("cannot finish the table")
}
