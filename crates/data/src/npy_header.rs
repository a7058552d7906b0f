//! The header of `.npy` files: a Python dictionary with three known keys.
//!
//! It is read here by hand: the crates that read it allocate what the header claims or multiply its dimensions unchecked,
//! which a hostile file turns against them.

use std::path::Path;

use crate::element::Element;
use crate::error::Error;
use crate::file::Source;

/// A file at the place where its values begin, what stands before them, and how each is stored.
pub(crate) fn open(path: &Path) -> Result<(Source<'static>, Header, Element), Error> {
    let mut source = Source::open(path)?;
    let name = source.name().to_owned();
    let header = header(&mut source, &name)?;
    match Element::of_npy(&header.descr) {
        Some(element) => Ok((source, header, element)),
        None => {
            let found = format!("{:?}", header.descr);
            Err(Error::malformed(&name, "descr", found, Element::NPY))
        }
    }
}

/// What stands before the values of the file `name`.
pub(crate) fn header(source: &mut Source<'_>, name: &str) -> Result<Header, Error> {
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

/// The header's dictionary.
pub(crate) struct Header {
    /// The element type, such as `<f4`.
    pub(crate) descr: String,
    /// Whether the first index runs fastest.
    pub(crate) fortran_order: bool,
    /// The dimensions.
    pub(crate) shape: Vec<u64>,
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
