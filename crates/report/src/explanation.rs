//! One input with the pictures of its gradients.

use anyhow::{Context, Result, ensure};
use maud::{Markup, html};

use super::png;

/// One input and what was found out about it.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Which input.
    pub heading: String,
    /// Facts, a sentence each.
    pub lines: Vec<String>,
    /// Rows of pictures.
    pub panels: Vec<Vec<Panel>>,
}

/// A picture and the words over it.
#[derive(Debug, Clone)]
pub struct Panel {
    pub title: String,
    pub picture: Picture,
}

/// Pixels, row by row from the top.
#[derive(Debug, Clone)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// An image of shape `[channels, height, width]`, channel by channel, in [0, 1]; one channel is grey.
    ///
    /// # Errors
    /// When the number of values is not the shape's, or there are neither one nor three channels.
    pub fn image(shape: [usize; 3], values: &[f64]) -> Result<Self> {
        let [channels, height, width] = shape;
        let area = height * width;
        ensure!(
            values.len() == channels * area && matches!(channels, 1 | 3),
            "{} values are no image of shape {shape:?}",
            values.len()
        );
        // A saturating cast: what is outside is clipped.
        let byte = |value: f64| (value * 255.0).round() as u8;
        let pixel = |at: usize| [0, 1, 2].map(|c| byte(values[c.min(channels - 1) * area + at]));
        Ok(Self {
            width,
            height,
            pixels: (0..area).map(pixel).collect(),
        })
    }

    /// A gradient of shape `[channels, height, width]` as the paper renders it (Figures 4 to 6): summed over the
    /// channels, the absolute value over its 99th percentile, clipped at 1.
    ///
    /// # Errors
    /// When the number of values is not the shape's.
    pub fn gradient(shape: [usize; 3], values: &[f64]) -> Result<Self> {
        let [channels, height, width] = shape;
        let area = height * width;
        ensure!(
            values.len() == channels * area,
            "{} values are no gradient of shape {shape:?}",
            values.len()
        );
        let sum = |at: usize| values.iter().skip(at).step_by(area.max(1)).sum::<f64>() as f32;
        let sums: Vec<f32> = (0..area).map(sum).collect();
        let shades: Vec<f64> = png::gradient_shades(&sums)
            .into_iter()
            .map(f64::from)
            .collect();
        Self::image([1, height, width], &shades)
    }

    /// As a data URI, each pixel a square so large that the picture is at least `side` wide or high: scaled without
    /// smoothing.
    pub(super) fn data_uri(&self, side: usize) -> Result<String> {
        let factor = side.div_ceil(self.width.max(self.height).max(1)).max(1);
        let mut pixels = Vec::with_capacity(self.pixels.len() * factor * factor);
        for row in self.pixels.chunks_exact(self.width.max(1)) {
            let wide: Vec<[u8; 3]> = row
                .iter()
                .flat_map(|pixel| std::iter::repeat_n(*pixel, factor))
                .collect();
            (0..factor).for_each(|_| pixels.extend_from_slice(&wide));
        }
        png::colour(self.width * factor, self.height * factor, &pixels)
    }
}

/// An article for each.
pub(super) fn explanations(explanations: &[Explanation]) -> Result<Markup> {
    let articles = explanations
        .iter()
        .map(|explanation| article(explanation).with_context(|| explanation.heading.clone()))
        .collect::<Result<Vec<_>>>()?;
    Ok(html! {
        figure {
            @for article in &articles { (article) }
            figcaption {
                strong { "How to read it. " }
                "A gradient is drawn as the sum over the channels of the class score’s derivatives, absolute value over "
                "its 99th percentile, clipped at 1; white pixels matter most. Integrated gradients are the "
                "mean gradient on the way from black to the image, times the image."
            }
        }
    })
}

fn article(explanation: &Explanation) -> Result<Markup> {
    let rows = explanation
        .panels
        .iter()
        .map(|row| row.iter().map(panel).collect::<Result<Vec<_>>>())
        .collect::<Result<Vec<_>>>()?;
    Ok(html! {
        article.explanation {
            h3 { (explanation.heading) }
            @for line in &explanation.lines { p { (line) } }
            @for row in &rows { div.pictures { @for panel in row { (panel) } } }
        }
    })
}

fn panel(panel: &Panel) -> Result<Markup> {
    let source = panel.picture.data_uri(224)?;
    Ok(html! {
        div.picture {
            img src=(source) width="224" alt=(panel.title);
            span { (panel.title) }
        }
    })
}
