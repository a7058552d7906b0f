//! The form that says which inputs are listed.

use maud::{Markup, html};

/// What is asked of the list.
#[derive(Debug, Clone, Default)]
pub struct Find {
    /// What a cell of the row has to contain.
    pub text: String,
    /// Whether only inputs whose prediction is not their label; `None` where there are no labels.
    pub mistakes: Option<bool>,
    /// The column whose numbers are bounded.
    pub column: String,
    /// Those that can be.
    pub columns: Vec<Choice>,
    /// The least number of that column; empty for any.
    pub least: String,
    /// The largest.
    pub most: String,
    /// What else the address says.
    pub hidden: Vec<(String, String)>,
}

/// One of several that can be chosen.
#[derive(Debug, Clone)]
pub struct Choice {
    /// As the address has it.
    pub value: String,
    /// As the page has it.
    pub name: String,
}

impl Choice {
    /// Of a value and its name.
    pub fn new(value: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            name: name.into(),
        }
    }
}

pub(super) fn form(find: &Find) -> Markup {
    html! {
        form.find method="get" action="/" role="search" aria-label="Inputs" {
            (hidden(&find.hidden))
            label { span { "Contains" } input type="search" name="text" value=(find.text); }
            label {
                span { "Numbers of" }
                select name="column" {
                    @for choice in &find.columns {
                        option value=(choice.value) selected[choice.value == find.column] { (choice.name) }
                    }
                }
            }
            label { span { "at least" } input type="text" inputmode="decimal" name="least" size="8" value=(find.least); }
            label { span { "at most" } input type="text" inputmode="decimal" name="most" size="8" value=(find.most); }
            @if let Some(is_only) = find.mistakes {
                label.check { input type="checkbox" name="mistakes" value="1" checked[is_only]; span { "mistakes only" } }
            }
            button type="submit" { "Show" }
            a href="/" { "Show all" }
        }
    }
}

pub(super) fn hidden(pairs: &[(String, String)]) -> Markup {
    html! { @for (name, value) in pairs { input type="hidden" name=(name) value=(value); } }
}
