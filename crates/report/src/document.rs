//! What all pages have around their content: the style, and the promise that nothing comes from outside.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");
/// Tells the browser what the page promises; forms lead back to where the page came from.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'";

/// A whole document; `style` comes behind the style of all pages.
pub(crate) fn document(title: &str, style: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(style)) }
            }
            body { (body) }
        }
    }
}

/// A section with its heading and what it is about.
pub(crate) fn section(heading: &str, lead: Markup, content: Markup) -> Markup {
    html! { section { h2 { (heading) } p.lead { (lead) } (content) } }
}
