//! The protobuf wire format, read in place.
//!
//! Nothing is copied and nothing is reserved by a length that the file claims: a length is first checked against
//! the bytes that are there. (Of the published readers one reserves claimed lengths, one turns two bytes of an
//! empty message into a structure of 150, one needs a compiler of schemas; a hostile file must cost no more than
//! a small multiple of its own size.)

/// Why bytes cannot be read.
pub(super) type Outcome<T> = std::result::Result<T, String>;

/// The value of a field as it is on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wire<'a> {
    /// An integer of variable length.
    Varint(u64),
    /// Eight bytes.
    Fixed64([u8; 8]),
    /// A string, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Four bytes.
    Fixed32([u8; 4]),
}

/// The fields of one message, in order: number and value.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn take(&mut self, count: u64) -> Outcome<&'a [u8]> {
        let split = usize::try_from(count)
            .ok()
            .and_then(|count| self.rest.split_at_checked(count));
        let (taken, rest) = split.ok_or_else(|| {
            format!(
                "a field of {count} bytes where {} are left (truncated?)",
                self.rest.len()
            )
        })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let taken = self.take(N as u64)?;
        taken
            .try_into()
            .map_err(|_| "a field of the wrong length".to_string())
    }

    fn field(&mut self) -> Outcome<(u64, Wire<'a>)> {
        let key = varint(&mut self.rest)?;
        let wire = match key & 7 {
            0 => Wire::Varint(varint(&mut self.rest)?),
            1 => Wire::Fixed64(self.array()?),
            2 => {
                let count = varint(&mut self.rest)?;
                Wire::Bytes(self.take(count)?)
            }
            5 => Wire::Fixed32(self.array()?),
            kind => return Err(format!("a field of wire type {kind}")),
        };
        Ok((key >> 3, wire))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Outcome<(u64, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Wire<'a> {
    /// A string, bytes or message.
    pub(super) fn bytes(self) -> Outcome<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(format!("expected bytes, found {other:?}")),
        }
    }

    /// A string.
    pub(super) fn text(self) -> Outcome<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a string that is not UTF-8".into())
    }

    /// An integer; negative ones are stored as their two's complement.
    pub(super) fn int(self) -> Outcome<i64> {
        match self {
            Self::Varint(value) => Ok(value.cast_signed()),
            other => Err(format!("expected an integer, found {other:?}")),
        }
    }

    /// A number of four bytes.
    pub(super) fn float(self) -> Outcome<f32> {
        match self {
            Self::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            other => Err(format!("expected a float, found {other:?}")),
        }
    }

    /// Appends a repeated integer, packed or not.
    pub(super) fn push_ints(self, to: &mut Vec<i64>) -> Outcome<()> {
        match self {
            Self::Bytes(mut packed) => {
                while !packed.is_empty() {
                    to.push(varint(&mut packed)?.cast_signed());
                }
            }
            one => to.push(one.int()?),
        }
        Ok(())
    }

    /// Appends a repeated float, packed or not.
    pub(super) fn push_floats(self, to: &mut Vec<f64>) -> Outcome<()> {
        match self {
            Self::Bytes(packed) => {
                let (floats, rest) = packed.as_chunks();
                to.extend(floats.iter().map(|b| f64::from(f32::from_le_bytes(*b))));
                whole(rest)
            }
            one => {
                to.push(f64::from(one.float()?));
                Ok(())
            }
        }
    }

    /// Appends a repeated double, packed or not.
    pub(super) fn push_doubles(self, to: &mut Vec<f64>) -> Outcome<()> {
        match self {
            Self::Bytes(packed) => {
                let (doubles, rest) = packed.as_chunks();
                to.extend(doubles.iter().map(|b| f64::from_le_bytes(*b)));
                whole(rest)
            }
            Self::Fixed64(bytes) => {
                to.push(f64::from_le_bytes(bytes));
                Ok(())
            }
            other => Err(format!("expected a double, found {other:?}")),
        }
    }
}

fn whole(rest: &[u8]) -> Outcome<()> {
    match rest.len() {
        0 => Ok(()),
        n => Err(format!("{n} bytes after the last packed number")),
    }
}

fn varint(bytes: &mut &[u8]) -> Outcome<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes
            .split_first()
            .ok_or("an integer without end (truncated?)")?;
        *bytes = rest;
        // Bits beyond the 64th are dropped, as the format's own readers do.
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("an integer of more than ten bytes".into())
}
