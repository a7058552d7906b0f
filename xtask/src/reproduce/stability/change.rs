//! How much the explanation of one image changes, and whether that agrees with what is proved.

use anyhow::{Context, ensure};
use loclin_regions::Norm;

use super::compare::{cosine, distance, rank_correlation, relative, top_share};

/// Below this a change is rounding.
pub(super) const SAME: f64 = 1e-9;

/// An image and its proved radii.
pub(super) struct Image {
    /// Its place among the test images.
    pub(super) row: usize,
    pub(super) label: u32,
    pub(super) eps_2: f64,
    pub(super) eps_inf: f64,
    /// The l_inf radius within which the gradient is proved to change by at most a share, where it was asked for.
    pub(super) bounded: Option<f64>,
}

/// Explanations of the output of an image's class.
pub(super) struct Explained {
    /// The class that the network gives.
    pub(super) class: u32,
    pub(super) gradient: Vec<f64>,
    pub(super) times_input: Vec<f64>,
    pub(super) integrated: Option<Vec<f64>>,
}

/// What a perturbation does to one image's explanation.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Distances of the perturbed image, from above.
    pub(super) l2: f64,
    pub(super) linf: f64,
    /// Of the gradient.
    pub(super) relative: f64,
    pub(super) relative_l1: f64,
    pub(super) cosine: f64,
    pub(super) ranks: Option<f64>,
    pub(super) top: f64,
    /// Of gradient times input, and of integrated gradients.
    pub(super) times_input: f64,
    pub(super) integrated: Option<f64>,
    pub(super) class_changed: bool,
    /// Whether the perturbed image lies within the radii.
    pub(super) inside_2: bool,
    pub(super) inside_inf: bool,
    pub(super) inside_bounded: Option<bool>,
}

impl Change {
    pub(super) fn of(
        image: &Image,
        [x, moved]: [&[f64]; 2],
        [before, after]: [&Explained; 2],
        top: usize,
    ) -> Self {
        let (own, other) = (&before.gradient, &after.gradient);
        let [l2, linf] = [Norm::L2, Norm::LINF].map(|norm| distance(x, moved, norm));
        let both = before.integrated.as_ref().zip(after.integrated.as_ref());
        Self {
            l2,
            linf,
            relative: relative(own, other, Norm::L2),
            relative_l1: relative(own, other, Norm::L1),
            cosine: cosine(own, other),
            ranks: rank_correlation(own, other),
            top: top_share(own, other, top),
            times_input: relative(&before.times_input, &after.times_input, Norm::L2),
            integrated: both.map(|(own, other)| relative(own, other, Norm::L2)),
            class_changed: before.class != after.class,
            inside_2: l2 < image.eps_2,
            inside_inf: linf < image.eps_inf,
            inside_bounded: image.bounded.map(|radius| linf < radius),
        }
    }

    /// Whether the gradient is proved to be the same.
    pub(super) fn inside(&self) -> bool {
        self.inside_2 || self.inside_inf
    }

    /// Whether what is proved holds: the same gradient within the radii, and a change of at most `share` in l1.
    pub(super) fn agrees(&self, image: &Image, share: f64) -> anyhow::Result<()> {
        let at = || format!("test image {}: within its proved radius", image.row);
        let Self {
            relative,
            relative_l1,
            ..
        } = self;
        if self.inside() {
            let same = *relative <= SAME;
            ensure!(same, "{}, but the gradient changes by {relative}", at());
        }
        if self.inside_bounded == Some(true) {
            let little = *relative_l1 <= share * (1.0 + SAME);
            ensure!(
                little,
                "{} for {share}, but the gradient changes by {relative_l1} in l1",
                at()
            );
        }
        Ok(())
    }
}

/// Checks all changes of a network.
pub(super) fn all_agree(
    name: &str,
    images: &[Image],
    changes: &[Vec<Change>],
    share: f64,
) -> anyhow::Result<()> {
    for (image, change) in changes.iter().flat_map(|all| images.iter().zip(all)) {
        change
            .agrees(image, share)
            .with_context(|| format!("{name}: a proof that does not hold"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(gradient: &[f64]) -> Explained {
        Explained {
            class: 0,
            gradient: gradient.to_vec(),
            times_input: gradient.to_vec(),
            integrated: None,
        }
    }

    #[test]
    fn a_change_within_a_proved_radius_is_refused() {
        let image = |eps_2: f64, bounded: Option<f64>| Image {
            row: 4,
            label: 0,
            eps_2,
            eps_inf: 0.0,
            bounded,
        };
        let (before, after) = (explained(&[1.0, 3.0]), explained(&[1.0, 4.0]));
        let check = |image: &Image, after: &Explained| {
            let inputs: [&[f64]; 2] = [&[0.5, 0.5], &[0.5, 0.6]];
            Change::of(image, inputs, [&before, after], 1).agrees(image, 0.25)
        };
        let error = check(&image(0.2, None), &after).unwrap_err().to_string();
        assert!(
            error.contains("image 4") && error.contains("changes by"),
            "{error}"
        );
        check(&image(0.2, None), &explained(&[1.0, 3.0])).unwrap();
        // Outside of the ball anything may be.
        check(&image(0.05, None), &after).unwrap();
        // A quarter is allowed, and not more.
        check(&image(0.0, Some(0.2)), &after).unwrap();
        let more = explained(&[1.0, 4.1]);
        assert!(check(&image(0.0, Some(0.2)), &more).is_err());
        check(&image(0.0, Some(0.05)), &more).unwrap();
    }
}
