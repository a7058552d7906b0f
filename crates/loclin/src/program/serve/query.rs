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
    /// What is none of the words that a pair may have, in sentences.
    pub(super) misread: Vec<String>,
}

impl Query {
    /// What pairs say; what else they say is somebody else's.
    pub(super) fn of(pairs: &[(String, String)]) -> Self {
        let get = |name: &str| {
            let found = pairs.iter().find(|(own, _)| own == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let flags = ["mistakes", "descending"].into_iter().filter_map(|name| {
            let value = get(name);
            let is_known = matches!(&value[..], "" | "0" | "1");
            (!is_known).then(|| format!("{name}: expected 1 or 0, found `{value}`."))
        });
        let page = get("page");
        let number = page.parse::<usize>().ok().filter(|number| *number > 0);
        let is_page = page.is_empty() || number.is_some();
        let no_page =
            (!is_page).then(|| format!("page: expected a number from 1 on, found `{page}`."));
        Self {
            misread: flags.chain(no_page).collect(),
            text: get("text"),
            mistakes: get("mistakes") == "1",
            column: get("column"),
            least: get("least"),
            most: get("most"),
            sort: get("sort"),
            descending: get("descending") == "1",
            page: number.unwrap_or(1),
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
    fn words_that_are_none_are_said() {
        let of = |name: &str, value: &str| {
            let pair = (name.to_owned(), value.to_owned());
            Query::of(&[pair]).misread.len()
        };
        for (name, value) in [
            ("page", "x"),
            ("page", "0"),
            ("page", "-1"),
            ("mistakes", "yes"),
            ("descending", "2"),
        ] {
            assert_eq!(of(name, value), 1, "{name}={value}");
        }
        for (name, value) in [
            ("page", "2"),
            ("page", ""),
            ("mistakes", "1"),
            ("descending", "0"),
            ("text", "x"),
        ] {
            assert_eq!(of(name, value), 0, "{name}={value}");
        }
    }

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
