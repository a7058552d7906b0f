//! One input with the pictures of its gradients.

use maud::{Markup, html};

use crate::bounds;
use crate::data::{Explanation, Panel};
use crate::error::{Context, Result};

/// An article for each.
pub(crate) fn explanations(explanations: &[Explanation]) -> Result<Markup> {
    let has_curve = explanations
        .iter()
        .any(|explanation| explanation.curve.is_some());
    Ok(html! {
        figure {
            (articles(explanations)?)
            figcaption {
                strong { "How to read it. " }
                "A gradient is drawn as the sum over the channels of the class score’s derivatives, absolute value over "
                "its 99th percentile, clipped at 1; white pixels matter most. Integrated gradients are the "
                "mean gradient on the way from black to the image, times the image."
                @if has_curve { " " (CURVE) }
            }
        }
    })
}

/// An article for each, about balls.
pub(crate) fn bounded(explanations: &[Explanation]) -> Result<Markup> {
    let has_pictures = explanations
        .iter()
        .any(|explanation| !explanation.panels.is_empty());
    Ok(html! {
        figure {
            (articles(explanations)?)
            figcaption {
                strong { "How to read it. " }
                (CURVE)
                @if has_pictures {
                    " Signs: blue pixels can only raise the score in the ball, orange ones only lower it, white ones do nothing; "
                    "of grey ones the sign is not proved. A pixel of several channels has a colour where they agree."
                }
            }
        }
    })
}

/// What a curve says.
const CURVE: &str = "The lower line is what an input was found for, the upper one what no input of the ball exceeds; the truth lies \
    between them, and where they meet it is known exactly. Up to the margin, the radius of the ball in which the gradient is \
    constant, nothing of it changes.";

fn articles(explanations: &[Explanation]) -> Result<Markup> {
    let articles = explanations
        .iter()
        .map(|explanation| article(explanation).at(|| explanation.heading.clone()))
        .collect::<Result<Vec<_>>>()?;
    Ok(html! { @for article in &articles { (article) } })
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
            @if let Some(curve) = &explanation.curve { (bounds::curve(curve)) }
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
