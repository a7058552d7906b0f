//! Pages to explore a result input by input, for a program that answers requests.
//!
//! They work without scripts: what is asked for is in the address, and forms put it there. Addresses are given by whoever answers
//! them.

mod form;
mod inspected;
mod listing;
mod notice;

pub use form::{Choice, Find};
pub use inspected::{Inspected, Look, inspected};
pub use listing::{Column, ListedRow, Listing, Sorted, listing};
pub use notice::{Notice, failure};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Picture;

    fn find() -> Find {
        Find {
            text: "a\"b".into(),
            mistakes: Some(true),
            column: "eps_2".into(),
            columns: vec![Choice::new("", "any column"), Choice::new("eps_2", "eps_2")],
            least: "0.1".into(),
            most: String::new(),
            hidden: vec![("sort".into(), "eps_2".into())],
        }
    }

    #[test]
    fn a_list_says_how_it_is_sorted_and_keeps_what_was_asked() {
        let column = |name: &str, sorted| Column {
            name: name.into(),
            href: format!("/?sort={name}&descending=1"),
            sorted,
            is_number: true,
        };
        let page = listing(&Listing {
            title: "margins.csv".into(),
            columns: vec![
                column("index", None),
                column("eps_2", Some(Sorted::Ascending)),
            ],
            rows: vec![ListedRow {
                href: "/input/7?sort=eps_2".into(),
                name: "input 7".into(),
                picture: Some(Picture::image([1, 1, 2], &[0.0, 1.0]).unwrap()),
                cells: vec!["7".into(), "<0.5>".into()],
            }],
            shown: [1, 1],
            matching: 1,
            total: 9,
            find: find(),
            ..Listing::default()
        })
        .unwrap();
        assert!(page.contains("aria-sort=\"ascending\"") && page.contains("&lt;0.5&gt;"));
        assert!(
            page.contains("value=\"a&quot;b\"") && page.contains("name=\"sort\" value=\"eps_2\"")
        );
        assert!(page.contains("href=\"/?sort=index&amp;descending=1\""));
        assert!(!page.contains("<script"));
    }

    #[test]
    fn a_failure_is_announced_and_leads_back() {
        let notice = Notice {
            title: "The model has changed".into(),
            lines: vec!["net.onnx".into()],
        };
        let page = failure(&notice, Some("/?page=2"));
        assert!(page.contains("role=\"alert\"") && page.contains("href=\"/?page=2\""));
        let page = inspected(&Inspected {
            title: "input 7".into(),
            facts: vec![("eps_2".into(), "0.5".into())],
            notice: Some(notice),
            list: "/".into(),
            ..Inspected::default()
        })
        .unwrap();
        assert!(page.contains("role=\"alert\"") && page.contains("0.5"));
    }
}
