//! How the classes of a table are called.

use std::collections::BTreeMap;

use crate::program::certify::Row;
use crate::program::classes::Classes;

/// The name of each class that a row may give it.
pub(super) enum Called<'a> {
    /// By what the user says.
    Given(&'a Classes),
    /// By the table alone.
    Agreed(BTreeMap<u32, String>),
}

impl<'a> Called<'a> {
    /// By `names`, if the user gave them. Else nobody knows what a table calls its classes; but the rows have to agree, and where they
    /// do not, those hold that call a class as the data do, or as the first row does.
    pub(super) fn new(rows: &[Row], names: Option<&'a Classes>, is_given: bool) -> Self {
        if let Some(names) = names.filter(|_| is_given) {
            return Self::Given(names);
        }
        let mut agreed: BTreeMap<u32, String> = BTreeMap::new();
        for (_, class, name) in rows.iter().flat_map(said) {
            let of_data = names.and_then(|names| names.name(class));
            let known = agreed.entry(class).or_insert_with(|| name.to_owned());
            if of_data.as_deref() == Some(name) {
                name.clone_into(known);
            }
        }
        Self::Agreed(agreed)
    }

    /// What a row says of names that is not so.
    pub(super) fn wrong(&self, row: &Row) -> Vec<String> {
        let mut causes = Vec::new();
        for (column, class, name) in said(row) {
            let known = match self {
                Self::Given(names) => names.name(class),
                Self::Agreed(names) => names.get(&class).cloned(),
            };
            let known = known.unwrap_or_default();
            if known != name {
                let by = match self {
                    Self::Given(_) => "",
                    Self::Agreed(_) => " in another row",
                };
                causes.push(format!(
                    "{column} `{name}`, class {class} is called `{known}`{by}"
                ));
            }
        }
        causes
    }
}

/// The columns of names that a row has, the class and the name.
fn said(row: &Row) -> impl Iterator<Item = (&'static str, u32, &str)> {
    let label = row.label.zip(row.label_name.as_deref());
    let prediction = row.prediction_name.as_deref();
    let label = label.map(|(class, name)| ("label_name", class, name));
    let prediction = prediction.map(|name| ("prediction_name", row.prediction, name));
    label.into_iter().chain(prediction)
}
