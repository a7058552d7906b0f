//! One input.

use maud::{Markup, html};

use super::form::hidden;
use super::notice::{Notice, STYLE, finished, notice};
use crate::data::Explanation;
use crate::document::{document, section};
use crate::error::Result;
use crate::explanation;

/// What is known of an input, and what else can be asked.
#[derive(Debug, Clone, Default)]
pub struct Inspected {
    /// Which input; the first heading.
    pub title: String,
    /// What its row says, by the names of the columns.
    pub facts: Vec<(String, String)>,
    /// Why the model cannot be asked, where it cannot.
    pub notice: Option<Notice>,
    /// Its picture and gradient.
    pub here: Vec<Explanation>,
    /// What can change in balls around it, as the table says.
    pub bounds: Vec<Explanation>,
    /// What was found nearby when that was asked.
    pub nearby: Vec<Explanation>,
    /// The form that asks for it, where the model can be asked.
    pub look: Option<Look>,
    /// Where the list is.
    pub list: String,
    /// Where the input before it in the list is.
    pub previous: Option<String>,
    /// Where the one behind it is.
    pub next: Option<String>,
}

/// What is asked about the neighbourhood of an input.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// The radius.
    pub eps: String,
    /// How long it may take.
    pub seconds: String,
    /// What was wrong with either.
    pub refused: Option<String>,
    /// What else the address says.
    pub hidden: Vec<(String, String)>,
}

/// The input as one document.
///
/// # Errors
/// A picture that cannot be encoded.
pub fn inspected(input: &Inspected) -> Result<String> {
    let here = explanation::explanations(&input.here)?;
    let bounds = explanation::bounded(&input.bounds)?;
    let nearby = explanation::explanations(&input.nearby)?;
    let body = html! {
        (ways(input))
        header { h1.name { (input.title) } }
        main {
            @if let Some(own) = &input.notice { (notice(own)) }
            @if !input.here.is_empty() {
                (section("The gradient here", html! { "Constant within the radius, so this one picture holds for the whole ball." }, here))
            }
            @if !input.facts.is_empty() {
                (section("What the table says", html! { "Radii are in raw units of the input." }, facts(input)))
            }
            @if !input.bounds.is_empty() {
                (section("Beyond the region", html! { "What can change in balls around the input." }, bounds))
            }
            @if let Some(own) = &input.look { (section(
                "Nearby",
                html! { "A search for the input nearby whose gradient differs most, and bounds of how much it can." },
                html! { (look(own)) @if !input.nearby.is_empty() { (nearby) } },
            )) }
        }
    };
    Ok(finished(document(&input.title, STYLE, body)))
}

fn ways(input: &Inspected) -> Markup {
    html! {
        nav.ways aria-label="Inputs" {
            a href=(input.list) { "All inputs" }
            @if let Some(href) = &input.previous { a href=(href) rel="prev" { "← Before" } }
            @if let Some(href) = &input.next { a href=(href) rel="next" { "Next →" } }
        }
    }
}

fn facts(input: &Inspected) -> Markup {
    html! {
        dl.facts { @for (name, value) in &input.facts { div { dt { (name) } dd { (value) } } } }
    }
}

fn look(look: &Look) -> Markup {
    html! {
        form.find method="get" id="nearby" action="#nearby" {
            (hidden(&look.hidden))
            label { span { "Every number moves by at most" } input type="text" name="eps" size="8" value=(look.eps); }
            label { span { "seconds" } input type="text" inputmode="decimal" name="seconds" size="4" value=(look.seconds); }
            button type="submit" { "Look" }
        }
        @if let Some(cause) = &look.refused { div.notice role="alert" { p { (cause) } } }
    }
}
