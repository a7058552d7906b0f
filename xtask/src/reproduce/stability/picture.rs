//! The figure: radius against change, a panel for each perturbation.

use loclin_report::figure::{Axes, Canvas, Cloud, Scale, Scatter, scatters};

use super::change::SAME;
use super::measured::Measured;

/// Panels side by side.
const COLUMNS: usize = 3;

pub(super) fn picture(networks: &[Measured], perturbations: &[String]) -> Canvas {
    let changes = |network: &Measured, perturbation: usize| -> Vec<[f64; 2]> {
        let all = network.images.iter().zip(&network.changes[perturbation]);
        all.map(|(image, change)| match change.relative <= SAME {
            // What is left is rounding.
            true => [image.eps_2, 0.0],
            false => [image.eps_2, change.relative],
        })
        .collect()
    };
    let all = || {
        let each = |network| (0..perturbations.len()).flat_map(move |at| changes(network, at));
        networks.iter().flat_map(each).map(|[_, change]| change)
    };
    let [least, most] = [
        all()
            .filter(|change| *change > 0.0)
            .fold(f64::INFINITY, f64::min),
        all()
            .filter(|change| change.is_finite())
            .fold(0.0, f64::max),
    ];
    let panel = |(at, name): (usize, &String)| Scatter {
        axes: Axes {
            title: name.clone(),
            x_label: "eps_2, proved (pixels in [0, 1])".into(),
            x_scale: Scale::Log,
            y_label: "relative change of the gradient".into(),
            y_scale: Scale::Log,
            y_holds: vec![least, most],
        },
        clouds: networks
            .iter()
            .map(|network| Cloud {
                name: network.name.clone(),
                points: changes(network, at),
            })
            .collect(),
    };
    let panels: Vec<Scatter> = perturbations.iter().enumerate().map(panel).collect();
    scatters(&panels, COLUMNS)
}
