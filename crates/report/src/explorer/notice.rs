//! What went wrong, and what to do about it.

use maud::{Markup, html};

use crate::document::document;
use crate::format::printable;

/// The style of what the pages of the explorer have and others do not.
pub(super) const STYLE: &str = include_str!("explorer.css");

/// Something that cannot be shown.
#[derive(Debug, Clone)]
pub struct Notice {
    /// What cannot, in a few words.
    pub title: String,
    /// Why, and the remedy, a sentence each.
    pub lines: Vec<String>,
}

/// A page of nothing else, with a way back where there is one.
pub fn failure(notice: &Notice, back: Option<&str>) -> String {
    let body = html! {
        header { h1 { (notice.title) } }
        main {
            div.notice role="alert" { @for line in &notice.lines { p { (line) } } }
            @if let Some(back) = back { p { a href=(back) { "Back to the list" } } }
        }
    };
    finished(document(&notice.title, STYLE, body))
}

/// Within a page.
pub(super) fn notice(notice: &Notice) -> Markup {
    html! {
        div.notice role="alert" {
            h2 { (notice.title) }
            @for line in &notice.lines { p { (line) } }
        }
    }
}

/// Names from files may hold control characters.
pub(super) fn finished(page: Markup) -> String {
    printable(&page.into_string(), &['\n', '\t'])
}
