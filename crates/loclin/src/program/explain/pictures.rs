//! The pictures of an explained input, or its numbers where it is no image.

use loclin_report::{NumberTable, Panel, Picture, significant};

use super::reading::Reading;
use super::subject::Subject;

/// Rows of a table of numbers.
const ROWS: usize = 20;

/// How gradients are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// Absolute values in grey, as in the paper's figures.
    Absolute,
    /// With their signs, in colours over the image.
    Signed,
}

impl Reading {
    /// The pictures, in two rows: of the input, and of the one whose gradient differs most. None for inputs that are no images.
    ///
    /// # Errors
    /// A subject of another shape.
    pub fn panels(&self, subject: &Subject, drawing: Drawing) -> anyhow::Result<Vec<Vec<Panel>>> {
        let Some((shape, is_image)) = subject.drawn() else {
            return Ok(Vec::new());
        };
        let row = |titles: [&str; 4], image: &[f64], gradients: [Option<&[f64]>; 3]| {
            let picture = match is_image {
                true => Picture::image(shape, &subject.pixels(image))?,
                false => Picture::signed(shape, &subject.shown(image), None)?.0,
            };
            let over = picture.clone();
            let mut panels = vec![panel(titles[0], picture, None)];
            for (title, values) in titles[1..].iter().zip(gradients) {
                let Some(values) = values else { continue };
                let values = subject.shown(values);
                panels.push(match drawing {
                    Drawing::Absolute => panel(title, Picture::gradient(shape, &values)?, None),
                    Drawing::Signed => {
                        let over = is_image.then_some(&over);
                        let (picture, scale) = Picture::signed(shape, &values, over)?;
                        panel(title, picture, Some(scale))
                    }
                });
            }
            anyhow::Ok(panels)
        };
        let here = [
            "input",
            "gradient",
            "integrated gradients",
            "smooth gradient",
        ];
        let there = [
            "most distorting input found",
            "its gradient",
            "its integrated gradients",
            "",
        ];
        let [integrated, integrated_there] = &self.integrated;
        let smooth = self.smooth_gradient.as_deref();
        Ok(vec![
            row(
                here,
                &subject.values,
                [Some(&self.gradient), Some(&integrated.values), smooth],
            )?,
            row(
                there,
                &self.worst_input,
                [
                    Some(&self.worst_gradient),
                    Some(&integrated_there.values),
                    None,
                ],
            )?,
        ])
    }

    /// Of an input that is no image, the numbers that its class is attributed to most.
    pub fn numbers(&self, subject: &Subject) -> Option<NumberTable> {
        if matches!(subject.drawn(), Some((_, true))) {
            return None;
        }
        let integrated = &self.integrated[0].values;
        let mut order: Vec<usize> = (0..integrated.len()).collect();
        order.sort_by(|a, b| {
            integrated[*b]
                .abs()
                .total_cmp(&integrated[*a].abs())
                .then(a.cmp(b))
        });
        let columns: [(&str, Option<&[f64]>); 5] = [
            ("value", Some(&subject.values)),
            ("gradient", Some(&self.gradient)),
            ("integrated gradient", Some(integrated)),
            ("smooth gradient", self.smooth_gradient.as_deref()),
            ("most distorting", Some(&self.worst_input)),
        ];
        let columns = || {
            columns
                .iter()
                .filter_map(|(name, values)| values.map(|values| (name, values)))
        };
        let row = |at: &usize| {
            let cells = columns().map(|(_, values)| {
                values
                    .get(*at)
                    .map_or_else(String::new, |v| significant(*v))
            });
            [subject.place(*at)].into_iter().chain(cells).collect()
        };
        let names = columns().map(|(name, _)| (*name).to_owned());
        Some(NumberTable {
            header: ["number".to_owned()].into_iter().chain(names).collect(),
            rows: order.iter().take(ROWS).map(row).collect(),
        })
    }
}

fn panel(title: &str, picture: Picture, scale: Option<f64>) -> Panel {
    Panel {
        title: title.to_owned(),
        picture,
        scale,
    }
}
