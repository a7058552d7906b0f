//! Single inputs picked out of many, and which layers limit the radii of all.

use maud::{Markup, html};

use crate::data::{LayerCount, PickedInput, Selection};
use crate::error::{Context, Result};
use crate::format::{coordinate, percent};

/// Width of the longest bar in the drawing's units.
const BAR: f64 = 100.0;

/// How many inputs each layer limits, most first.
pub(crate) fn layers(layers: &[LayerCount]) -> Markup {
    let total: usize = layers.iter().map(|layer| layer.inputs).sum();
    let most = layers.iter().map(|layer| layer.inputs).max().unwrap_or(0);
    let share = |inputs: usize, of: usize| inputs as f64 / of.max(1) as f64;
    html! {
        figure {
            div.scroll tabindex="0" role="region" aria-label="Layers that limit the radii" {
                table.layers {
                    thead { tr {
                        th scope="col" { "layer" }
                        th.num scope="col" { "inputs" }
                        th.num scope="col" { "share" }
                        th scope="col" aria-hidden="true" {}
                    } }
                    tbody { @for layer in layers { tr {
                        th scope="row" { (layer.name) }
                        td.num { (layer.inputs) }
                        td.num { (percent(share(layer.inputs, total))) }
                        td aria-hidden="true" {
                            svg.sample viewBox="0 0 100 8" width="100" height="8" {
                                rect.bar width=(coordinate(BAR * share(layer.inputs, most))) height="8" {}
                            }
                        }
                    } } }
                }
            }
            figcaption {
                "Of each input, the layer of the neuron that changes sides first. Where one layer limits most of them, its neurons "
                "are what to train or to look at."
            }
        }
    }
}

/// Each selection under its heading, a card for each input.
pub(crate) fn selections(selections: &[Selection]) -> Result<Markup> {
    let selections = selections
        .iter()
        .map(|selection| {
            let cards = selection.inputs.iter().map(card);
            Ok((&selection.heading, cards.collect::<Result<Vec<_>>>()?))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(html! {
        @for (heading, cards) in &selections {
            h3 { (heading) }
            div.picked { @for card in cards { (card) } }
        }
    })
}

fn card(input: &PickedInput) -> Result<Markup> {
    let source = input
        .picture
        .as_ref()
        .map(|picture| picture.data_uri(112))
        .transpose()
        .at(|| input.name.clone())?;
    Ok(html! {
        div.card {
            @if let Some(source) = &source {
                img src=(source) width="112" alt={ "The input " (input.name) };
            }
            div {
                strong { (input.name) }
                @for line in &input.lines { p { (line) } }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Picture, Report, render};

    #[test]
    fn picked_inputs_and_layers_are_on_the_page() {
        let layer = |name: &str, inputs| LayerCount {
            name: name.into(),
            inputs,
        };
        let input = PickedInput {
            name: "cat <1>.png".into(),
            lines: vec!["0.01 of an 8-bit level".into()],
            picture: Some(Picture::image([1, 2, 2], &[0.0, 1.0, 0.5, 0.25]).unwrap()),
        };
        let page = render(&Report {
            layers: vec![layer("conv1", 3), layer("fc", 1)],
            selections: vec![Selection {
                heading: "The smallest radii".into(),
                inputs: vec![input],
            }],
            ..Report::default()
        })
        .unwrap();
        assert!(page.contains("75.0%") && page.contains("width=\"33.3"));
        assert!(page.contains("cat &lt;1&gt;.png") && page.contains("0.01 of an 8-bit level"));
        assert_eq!(page.matches("<img ").count(), 1);
    }
}
