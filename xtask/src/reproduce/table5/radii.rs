//! What is proved of a network beyond the regions of some images.

use std::path::Path;

use anyhow::{Context, bail};
use candle_core::DType;
use loclin::program::options::{DataDir, Global};
use loclin::program::sweep::Planned;
use loclin::program::{files, tensors, train};
use loclin_data::{Data, Split};
use loclin_models::{ModelFile, Network};
use loclin_regions::reduced::{Limits, Question, Surroundings, Threshold};
use loclin_regions::{Guarantee, Norm};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::plan::Measured;
use crate::reproduce::asked::{At, change_in_l1, median};

/// Without branching, but with a look for inputs at which much changes.
const LOOK: Limits = Limits {
    parts: 2,
    ..Limits::ROOT
};

/// The numbers of some images, in a run's directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Radii {
    /// SHA-256 of the model's file.
    model: String,
    asked: Measured,
    pub(super) images: Vec<Image>,
}

/// What is known of one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Image {
    /// The l_inf radius within which the gradient of the predicted class changes by no more than the share, in l1.
    pub(super) radius: f64,
    /// A radius at which it was found to change more; infinity (`null` in the file) if none was found.
    pub(super) refuted: Option<f64>,
    /// What is asked of test images only.
    pub(super) ball: Option<Ball>,
}

/// The l_inf ball around an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ball {
    /// Changes of the gradient as shares of its norm: the largest that was found, and what none passes; `None` (`null` in the file) for
    /// a change of a gradient that is 0.
    pub(super) found: Option<f64>,
    pub(super) proved: Option<f64>,
    /// Neurons that can change sides, at most.
    pub(super) units: usize,
    /// For each radius of classes, whether the class is right and stays.
    pub(super) class: Vec<bool>,
}

impl Radii {
    /// Of the trained `run` in `directory`, read if they are those of its model, otherwise measured and kept.
    pub(super) fn of(
        run: &Planned,
        directory: &Path,
        split: Split,
        asked: &Measured,
        data: &DataDir,
        global: &Global,
    ) -> anyhow::Result<Self> {
        let model = directory.join(train::MODEL);
        let digest = files::digest(&model)?;
        let kept = directory.join(format!("radii-{}.json", split.name()));
        if kept.exists()
            && let Ok(radii) = serde_json::from_str::<Self>(&files::read_text(&kept)?)
            && radii.model == digest
            && radii.asked == *asked
        {
            return Ok(radii);
        }
        tracing::info!(
            "{}: radii of {} {} images",
            run.name,
            asked.inputs,
            split.name()
        );
        let Data::Table(images) = train::open(&run.config, split, &data.data_dir)? else {
            bail!("{}: sequences are no images", run.config.dataset)
        };
        let images = images.take(asked.inputs)?;
        let device = global.device.open()?;
        let network = ModelFile::load(&model, DType::F64, &device)?.raw(images.input_shape())?;
        let labels = images.labels().context("images without labels")?.to_vec();
        let rows: Vec<usize> = (0..images.len()).collect();
        let x = tensors::inputs(&images, &rows, DType::F64, &device)?;
        let x: Vec<Vec<f64>> = x.flatten_from(1)?.to_vec2()?;
        let whole = split == Split::Test;
        let image = |(x, label): (&Vec<f64>, &u32)| image(&network, x, *label, asked, whole);
        let images = x.par_iter().zip(&labels).map(image);
        let radii = Self {
            model: digest,
            asked: asked.clone(),
            images: images.collect::<anyhow::Result<_>>()?,
        };
        let mut json = serde_json::to_vec_pretty(&radii)?;
        json.push(b'\n');
        files::write_atomic(&kept, &json)?;
        Ok(radii)
    }

    /// The median radius.
    pub(super) fn radius(&self) -> f64 {
        median(self.images.iter().map(|image| image.radius).collect())
    }

    /// The median of a number of balls.
    pub(super) fn in_ball(&self, number: impl Fn(&Ball) -> f64) -> f64 {
        let balls = self.images.iter().filter_map(|image| image.ball.as_ref());
        median(balls.map(number).collect())
    }

    /// The share of images whose class is right and stays in the ball of radius number `index`.
    pub(super) fn class(&self, index: usize) -> f64 {
        let stays = |image: &&Image| {
            let ball = image.ball.as_ref();
            ball.is_some_and(|ball| ball.class.get(index) == Some(&true))
        };
        self.images.iter().filter(stays).count() as f64 / self.images.len() as f64
    }
}

fn image(
    network: &Network,
    x: &[f64],
    label: u32,
    asked: &Measured,
    whole: bool,
) -> anyhow::Result<Image> {
    let at = At::new(network, x, Some(asked.domain))?;
    let around = at.around(Norm::LINF)?;
    if around.guarantee() != Guarantee::Proved {
        bail!("nothing is proved of this network: {}", around.guarantee());
    }
    let question = change_in_l1(network.output_size(), at.class);
    let most = asked.domain[1] - asked.domain[0];
    let largest = around.largest(
        &question,
        Threshold::Relative(asked.change),
        most,
        Limits::ROOT,
    )?;
    let ball = match whole {
        true => Some(ball(&around, &at, &question, label, asked)?),
        false => None,
    };
    Ok(Image {
        radius: largest.proved,
        refuted: Some(largest.refuted).filter(|radius| radius.is_finite()),
        ball,
    })
}

/// A change as a share of the gradient's length.
fn share(change: f64, length: f64) -> Option<f64> {
    match change == 0.0 {
        true => Some(0.0),
        false => Some(change / length).filter(|share| share.is_finite()),
    }
}

fn ball(
    around: &Surroundings,
    at: &At,
    question: &Question,
    label: u32,
    asked: &Measured,
) -> anyhow::Result<Ball> {
    let bound = around.bound(asked.ball, question, LOOK)?;
    let length: f64 = bound.gradient.iter().map(|g| g.abs()).sum();
    let right = at.class == label as usize;
    let stays = |radius: &f64| -> anyhow::Result<bool> {
        let question = Question::Class { class: at.class };
        Ok(right && around.bound(*radius, &question, Limits::ROOT)?.stays() == Some(true))
    };
    Ok(Ball {
        found: share(bound.found, length),
        proved: share(bound.proved, length),
        units: bound.units,
        class: asked
            .class
            .iter()
            .map(stays)
            .collect::<anyhow::Result<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept can be read again, also of a network that has no gradient.
    #[test]
    fn shares_of_no_gradient_are_kept_and_read() {
        assert_eq!(share(0.0, 0.0), Some(0.0));
        assert_eq!(share(1.0, 4.0), Some(0.25));
        let ball = Ball {
            found: share(1.0, 0.0),
            proved: None,
            units: 2,
            class: vec![true],
        };
        let text = serde_json::to_string(&ball).unwrap();
        assert_eq!(serde_json::from_str::<Ball>(&text).unwrap(), ball);
    }
}
