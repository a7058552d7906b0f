//! What an address asks of the list.

use form_urlencoded::Serializer;

/// Which rows, in which order, from which on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Query {
    /// What a cell has to contain, whatever its case.
    pub(super) text: String,
    /// Only rows whose prediction is not their label.
    pub(super) mistakes: bool,
    /// The column whose numbers are bounded; empty for none.
    pub(super) column: String,
    pub(super) least: String,
    pub(super) most: String,
    /// The column that rows are sorted by; empty for the table's order.
    pub(super) sort: String,
    pub(super) descending: bool,
    /// The page, from 1.
    pub(super) page: usize,
}

impl Query {
    /// What pairs say; what else they say is somebody else's.
    pub(super) fn of(pairs: &[(String, String)]) -> Self {
        let get = |name: &str| {
            let found = pairs.iter().find(|(own, _)| own == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        Self {
            text: get("text"),
            mistakes: get("mistakes") == "1",
            column: get("column"),
            least: get("least"),
            most: get("most"),
            sort: get("sort"),
            descending: get("descending") == "1",
            page: get("page").parse().unwrap_or(1).max(1),
        }
    }

    /// The pairs that say it; what is usual is left out.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let yes = |is: bool| if is { "1" } else { "" }.to_owned();
        let page = match self.page {
            1 => String::new(),
            page => page.to_string(),
        };
        let all = [
            ("text", self.text.clone()),
            ("mistakes", yes(self.mistakes)),
            ("column", self.column.clone()),
            ("least", self.least.clone()),
            ("most", self.most.clone()),
            ("sort", self.sort.clone()),
            ("descending", yes(self.descending)),
            ("page", page),
        ];
        let said = all.into_iter().filter(|(_, value)| !value.is_empty());
        said.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// An address with it.
    pub(super) fn href(&self, path: &str) -> String {
        let pairs = self.pairs();
        match pairs.is_empty() {
            true => path.to_owned(),
            false => {
                let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
                format!("{path}?{query}")
            }
        }
    }

    /// From another page on.
    pub(super) fn at_page(&self, page: usize) -> Self {
        Self {
            page,
            ..self.clone()
        }
    }

    /// Sorted by a column, the other way round where it is already.
    pub(super) fn sorted_by(&self, column: &str) -> Self {
        Self {
            sort: column.to_owned(),
            descending: self.sort == column && !self.descending,
            page: 1,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_what_was_asked() {
        let query = Query {
            text: "a&b=c ü".into(),
            mistakes: true,
            sort: "eps_2".into(),
            descending: true,
            page: 3,
            ..Query::default()
        };
        let href = query.href("/");
        let pairs = form_urlencoded::parse(&href.as_bytes()[2..]).into_owned();
        assert_eq!(Query::of(&pairs.collect::<Vec<_>>()), query);
        assert_eq!(Query::of(&[]).href("/input/1"), "/input/1");
        assert!(!query.sorted_by("eps_2").descending && query.sorted_by("x").page == 1);
    }
}
