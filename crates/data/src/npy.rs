//! `.npy` files of NumPy, versions 1 to 3: one array of floats or bytes.
//!
//! The header is a Python dictionary with three known keys, and is read here by hand: the crates
//! that read it allocate what the header claims or multiply its dimensions unchecked, which a
//! hostile file turns against them.

use std::path::Path;

use crate::element::Element;
use crate::file::{Block, Source};
use crate::selection::{Selection, in_file};
use crate::values::{element_count, shape_text};
use crate::{Dataset, Error};

/// Reads an array whose first dimension is the rows of a dataset.
///
/// Element types `f4` and `f8` in either byte order are taken as they are; `u1` is a byte image,
/// each byte `b` standing for `b / 255`.
///
/// # Errors
/// A file that cannot be opened or is no file, another format or version, another element type,
/// Fortran order, fewer than two dimensions (one input has shape `[1, ...]`), a dimension of 0,
/// missing or trailing bytes, and values that are not finite.
///
/// ```no_run
/// let inputs = loclin_data::npy::read("inputs.npy".as_ref())?;
/// # Ok::<(), loclin_data::Error>(())
/// ```
pub fn read(path: &Path) -> Result<Dataset, Error> {
    read_selected(path, Selection::WHOLE)
}

/// The same for some of the rows; the values of others are not read.
pub(crate) fn read_selected(path: &Path, selection: Selection) -> Result<Dataset, Error> {
    let mut source = Source::open(path)?;
    let name = source.name().to_owned();
    let header = header(&mut source, &name)?;
    let element = element(&header.descr).ok_or_else(|| {
        Error::malformed(
            &name,
            "descr",
            format!("{:?}", header.descr),
            "f4, f8 or u1",
        )
    })?;
    if header.fortran_order {
        let expected = "False (numpy.ascontiguousarray makes it so)";
        return Err(Error::malformed(&name, "fortran_order", "True", expected));
    }
    let shape = header.shape;
    if shape.len() < 2 || shape.contains(&0) {
        let expected =
            "[rows, ...], two or more dimensions, each at least 1; one input is [1, ...]";
        return Err(Error::malformed(
            &name,
            "shape",
            shape_text(&shape),
            expected,
        ));
    }
    let overflow = || {
        let expected = "a product that an array can have";
        Error::malformed(&name, "shape", shape_text(&shape), expected)
    };
    let dimensions = shape.iter().map(|&dimension| usize::try_from(dimension));
    let dimensions: Vec<usize> = dimensions
        .collect::<Result<_, _>>()
        .map_err(|_| overflow())?;
    let input_shape = &dimensions[1..];
    let block = Block {
        rows: dimensions[0],
        features: element_count(input_shape).ok_or_else(overflow)?,
        meaning: &format!("{} of {}", shape_text(&shape), header.descr),
    };
    let ranges = selection.ranges(&name, block.rows)?;
    let values = element.rows(&mut source, &block, &ranges)?;
    source.end(&format!("the values ({})", block.meaning))?;
    Dataset::new(name, input_shape, values).map_err(|error| in_file(error, &ranges))
}

/// What stands before the values of the file `name`.
fn header(source: &mut Source<'_>, name: &str) -> Result<Header, Error> {
    let magic: [u8; 6] = source.array("magic number")?;
    if &magic != b"\x93NUMPY" {
        let found = format!("{:?}", magic.escape_ascii().to_string());
        return Err(Error::malformed(
            name,
            "magic number",
            found,
            "\"\\x93NUMPY\"",
        ));
    }
    let [major, minor]: [u8; 2] = source.array("version")?;
    let length = match (major, minor) {
        (1, 0) => u32::from(u16::from_le_bytes(source.array("length of the header")?)),
        (2 | 3, 0) => u32::from_le_bytes(source.array("length of the header")?),
        _ => {
            return Err(Error::malformed(
                name,
                "version",
                format!("{major}.{minor}"),
                "1.0, 2.0 or 3.0",
            ));
        }
    };
    if length > MAX_HEADER {
        let (found, expected) = (length.to_string(), format!("at most {MAX_HEADER}"));
        return Err(Error::malformed(
            name,
            "length of the header",
            found,
            expected,
        ));
    }
    let text = source.up_to(length.into())?;
    if text.len() as u64 != u64::from(length) {
        return Err(Error::malformed(
            name,
            "header",
            format!("{} bytes", text.len()),
            format!("{length} bytes"),
        ));
    }
    parse_header(&text).map_err(
        |Syntax {
             part,
             found,
             expected,
         }| { Error::malformed(name, part, found, expected) },
    )
}

/// Larger than any header of a plain array; NumPy's own limit is 10,000.
const MAX_HEADER: u32 = 1 << 16;

fn element(descr: &str) -> Option<Element> {
    match descr {
        "|u1" | "<u1" | ">u1" => Some(Element::Byte),
        "<f4" => Some(Element::F32 { big_endian: false }),
        ">f4" => Some(Element::F32 { big_endian: true }),
        "<f8" => Some(Element::F64 { big_endian: false }),
        ">f8" => Some(Element::F64 { big_endian: true }),
        _ => None,
    }
}

struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<u64>,
}

struct Syntax {
    part: &'static str,
    found: String,
    expected: &'static str,
}

/// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (20, 784), }`.
fn parse_header(bytes: &[u8]) -> Result<Header, Syntax> {
    let text = std::str::from_utf8(bytes).map_err(|error| Syntax {
        part: "header",
        found: format!("no text at byte {}", error.valid_up_to()),
        expected: "a Python dictionary in ASCII or UTF-8",
    })?;
    let mut rest = Cursor { rest: text };
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    rest.expect("{", "header", "a Python dictionary")?;
    while !rest.eat("}") {
        let key = rest.string("header", "a key in quotes, or }")?;
        rest.expect(":", "header", "a colon after a key")?;
        let again = match key {
            "descr" => descr
                .replace(rest.string("descr", "one element type in quotes, such as '<f4'")?)
                .is_some(),
            "fortran_order" => fortran_order.replace(rest.boolean()?).is_some(),
            "shape" => shape.replace(rest.tuple()?).is_some(),
            _ => true,
        };
        if again {
            let expected = "the keys descr, fortran_order and shape, once each";
            return Err(Syntax {
                part: "header",
                found: format!("the key {key:?}"),
                expected,
            });
        }
        if !rest.eat(",") {
            rest.expect("}", "header", "a comma or } after a value")?;
            break;
        }
    }
    if !rest.rest.trim_start().is_empty() {
        return Err(rest.syntax("header", "nothing after the dictionary"));
    }
    let missing = |part| Syntax {
        part,
        found: "no such key".into(),
        expected: "the key in the header",
    };
    Ok(Header {
        descr: descr.ok_or_else(|| missing("descr"))?.to_owned(),
        fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
        shape: shape.ok_or_else(|| missing("shape"))?,
    })
}

/// What is left of the header's text.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn eat(&mut self, token: &str) -> bool {
        let after = self.rest.trim_start().strip_prefix(token);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn expect(
        &mut self,
        token: &str,
        part: &'static str,
        expected: &'static str,
    ) -> Result<(), Syntax> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(self.syntax(part, expected))
        }
    }

    fn string(&mut self, part: &'static str, expected: &'static str) -> Result<&'a str, Syntax> {
        for quote in ["'", "\""] {
            if !self.eat(quote) {
                continue;
            }
            if let Some((word, after)) = self.rest.split_once(quote) {
                self.rest = after;
                return Ok(word);
            }
        }
        Err(self.syntax(part, expected))
    }

    fn boolean(&mut self) -> Result<bool, Syntax> {
        if self.eat("False") {
            return Ok(false);
        }
        self.expect("True", "fortran_order", "True or False")
            .map(|()| true)
    }

    fn tuple(&mut self) -> Result<Vec<u64>, Syntax> {
        let expected = "a tuple of numbers, such as (20, 784)";
        self.expect("(", "shape", expected)?;
        let mut numbers = Vec::new();
        while !self.eat(")") {
            let text = self.rest.trim_start();
            let end = text
                .find(|character: char| !character.is_ascii_digit())
                .unwrap_or(text.len());
            let number = text[..end]
                .parse()
                .map_err(|_| self.syntax("shape", expected))?;
            self.rest = &text[end..];
            // Python 2 wrote long numbers with a suffix.
            self.eat("L");
            numbers.push(number);
            if !self.eat(",") {
                self.expect(")", "shape", expected)?;
                break;
            }
        }
        Ok(numbers)
    }

    fn syntax(&self, part: &'static str, expected: &'static str) -> Syntax {
        let start: String = self.rest.trim_start().chars().take(24).collect();
        let found = if start.is_empty() {
            "end of header".into()
        } else {
            format!("{start:?}")
        };
        Syntax {
            part,
            found,
            expected,
        }
    }
}
