//! One input with the pictures of its gradients.

use maud::{Markup, html};

use crate::data::{Explanation, Panel};
use crate::error::{Context, Result};

/// An article for each.
pub(crate) fn explanations(explanations: &[Explanation]) -> Result<Markup> {
    let articles = explanations
        .iter()
        .map(|explanation| article(explanation).at(|| explanation.heading.clone()))
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
