//! The bytes of a pickle, from the front.

use super::object::Outcome;

/// What is left to read.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, count: usize) -> Outcome<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or("the file ends early (truncated?)")?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| "the file ends early".into())
    }

    pub(super) fn line(&mut self) -> Outcome<&'a str> {
        let end = self.0.iter().position(|b| *b == b'\n');
        let line = self.take(end.ok_or("a line without end")?)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| "a name that is not UTF-8".into())
    }

    /// The length that stands in front of what an instruction brings: one, four or eight bytes, by the instruction.
    pub(super) fn length(&mut self, instruction: u8) -> Outcome<usize> {
        match instruction {
            b'U' | b'C' | 0x8a | 0x8c => Ok(usize::from(self.array::<1>()?[0])),
            0x8d | 0x8e | 0x96 => usize::try_from(u64::from_le_bytes(self.array()?))
                .map_err(|_| "the file ends early (truncated?)".into()),
            _ => usize::try_from(u32::from_le_bytes(self.array()?))
                .map_err(|_| "the file ends early (truncated?)".into()),
        }
    }
}

/// A little-endian integer in two's complement, if it has at most eight bytes.
pub(super) fn long(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.last().is_some_and(|b| *b >= 0x80);
    let mut full = [if negative { 0xff } else { 0 }; 8];
    full.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(full))
}
