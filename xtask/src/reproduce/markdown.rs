//! Tables in Markdown.

/// A table, its first column to the left and all others to the right, padded so that the source reads well too.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            let cells = rows.iter().map(|row| cell(row, column).chars().count());
            cells
                .chain([header[column].chars().count(), 3])
                .max()
                .unwrap_or(3)
        })
        .collect();
    let line = |cells: Vec<String>| {
        let padded = cells
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (text, width))| match column {
                0 => format!("{text:<width$}"),
                _ => format!("{text:>width$}"),
            });
        format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
    };
    let rules = widths
        .iter()
        .enumerate()
        .map(|(column, width)| match column {
            0 => "-".repeat(*width),
            _ => format!("{}:", "-".repeat(width - 1)),
        });
    let mut text = line(header.iter().map(ToString::to_string).collect());
    text.push_str(&line(rules.collect()));
    for row in rows {
        text.push_str(&line(
            (0..header.len()).map(|column| cell(row, column)).collect(),
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_are_aligned() {
        let rows = [
            vec!["ROLL".to_owned(), "1".to_owned()],
            vec!["a".to_owned()],
        ];
        let expected = "| loss | eps |\n| ---- | --: |\n| ROLL |   1 |\n| a    |     |\n";
        assert_eq!(table(&["loss", "eps"], &rows), expected);
    }
}
