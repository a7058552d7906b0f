//! Rows of pictures with words: Figures 4 to 6, and the picture of one explained input.

use maud::{Markup, html};

use super::canvas::Canvas;
use crate::colour_bar::{BAR_HEIGHT, colour_bar};
use crate::data::{Explanation, NumberTable, Panel};
use crate::error::Result;
use crate::format::coordinate;

/// Side of a picture, and the room between pictures.
const SIDE: f64 = 150.0;
const GAP: f64 = 14.0;
/// Pictures that a table is at least as wide as.
const TABLE: usize = 3;
/// Room for a line of words.
const LINE: f64 = 16.0;
/// Characters of a line for each unit of width: the font's are about six units wide.
const CHARACTERS: f64 = 1.0 / 5.6;

/// The explanations below each other, each with its words above its rows of pictures.
///
/// # Errors
/// When a picture cannot be encoded.
pub fn pictures(explanations: &[Explanation]) -> Result<Canvas> {
    let columns = explanations.iter().flat_map(|e| &e.panels).map(Vec::len);
    let columns = columns.max().unwrap_or(1);
    let tables = explanations.iter().filter_map(|own| own.numbers.as_ref());
    let wide = |numbers| GAP + widths(numbers).iter().sum::<f64>();
    let table = tables.map(wide).fold(0.0, f64::max);
    let columns = columns.max(if table > 0.0 { TABLE } else { 1 });
    let width = (GAP + columns as f64 * (SIDE + GAP)).max(table);
    let mut y = GAP;
    let mut parts = Vec::new();
    for explanation in explanations {
        y += LINE;
        let at = coordinate(y);
        parts.push(html! { text.title x=(GAP) y=(at) { (explanation.heading) } });
        let limit = ((width - 2.0 * GAP) * CHARACTERS) as usize;
        for line in explanation
            .lines
            .iter()
            .flat_map(|line| wrapped(line, limit))
        {
            y += LINE;
            let at = coordinate(y);
            parts.push(html! { text x=(GAP) y=(at) { (line) } });
        }
        for row in &explanation.panels {
            y += LINE + 8.0;
            let mut height: f64 = 0.0;
            for (column, panel) in row.iter().enumerate() {
                let x = GAP + column as f64 * (SIDE + GAP);
                let (drawn, own) = drawn(panel, [x, y])?;
                parts.push(drawn);
                height = height.max(own);
            }
            y += height;
        }
        if let Some(numbers) = &explanation.numbers {
            let widths = widths(numbers);
            let room = width - GAP - widths.iter().sum::<f64>();
            let more = room / widths.len().max(1) as f64;
            for row in [&numbers.header].into_iter().chain(&numbers.rows) {
                y += LINE;
                let mut x = GAP;
                for (cell, own) in row.iter().zip(&widths) {
                    parts.push(html! { text x=(coordinate(x)) y=(coordinate(y)) { (cell) } });
                    x += own + more;
                }
            }
        }
        y += GAP;
    }
    let drawing = html! { @for part in &parts { (part) } };
    Ok(Canvas::new(width, y + GAP, drawing))
}

/// The room that each column of a table needs at least.
fn widths(numbers: &NumberTable) -> Vec<f64> {
    let longest = |column: usize| {
        let cells = [&numbers.header].into_iter().chain(&numbers.rows);
        let letters = cells.filter_map(|row| Some(row.get(column)?.chars().count()));
        letters.max().unwrap_or(0) as f64 / CHARACTERS + GAP
    };
    (0..numbers.header.len()).map(longest).collect()
}

/// A picture under its title, whose baseline is at the given place; and its height.
fn drawn(panel: &Panel, [x, y]: [f64; 2]) -> Result<(Markup, f64)> {
    let picture = &panel.picture;
    let longest = picture.width.max(picture.height).max(1) as f64;
    let (width, height) = (
        SIDE * picture.width as f64 / longest,
        SIDE * picture.height as f64 / longest,
    );
    // Twice as many pixels as units, as the PNG of the whole.
    let source = picture.data_uri(2 * SIDE as usize)?;
    let below = y + 6.0 + height;
    let markup = html! {
        text x=(coordinate(x)) y=(coordinate(y)) { (panel.title) }
        image x=(coordinate(x)) y=(coordinate(y + 6.0)) width=(coordinate(width)) height=(coordinate(height))
            href=(source) {}
        @if let Some(scale) = panel.scale { (colour_bar(scale, [x, below + 4.0], SIDE)) }
    };
    let bar = if panel.scale.is_some() {
        4.0 + BAR_HEIGHT
    } else {
        0.0
    };
    Ok((markup, height + 6.0 + bar))
}

/// The line in pieces of at most `limit` characters where its words allow.
fn wrapped(line: &str, limit: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in line.split(' ') {
        match lines.last_mut() {
            Some(last) if last.chars().count() + 1 + word.chars().count() <= limit => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Picture;

    #[test]
    fn long_lines_are_wrapped_between_words() {
        assert_eq!(wrapped("a bc def ghij", 6), ["a bc", "def", "ghij"]);
        assert_eq!(wrapped("abcdefgh i", 3), ["abcdefgh", "i"]);
    }

    #[test]
    fn a_picture_is_drawn_where_it_belongs() {
        let red = Picture::image([3, 1, 2], &[1.0, 1.0, 0.0, 0.0, 0.0, 0.0]).unwrap();
        let panel = |title: &str| Panel {
            title: title.into(),
            picture: red.clone(),
            scale: None,
        };
        let explanation = Explanation {
            heading: "an input".into(),
            lines: vec!["a fact".into()],
            curve: None,
            panels: vec![vec![panel("one"), panel("two")]],
            numbers: None,
        };
        let png = pictures(&[explanation]).unwrap().png().unwrap();
        let image = image::load_from_memory(&png).unwrap().into_rgb8();
        // 14 + 16 + 16 + 24 + 6 units down to the first picture, 14 from the left; two pixels a unit.
        let [red, white] = [[255, 0, 0], [255, 255, 255]];
        for (x, y, expected) in [
            (30, 160, red),
            (30, 290, red),
            (30, 310, white),
            (340, 200, white),
            (360, 200, red),
        ] {
            assert_eq!(image.get_pixel(x, y).0, expected, "{x} {y}");
        }
    }
}
