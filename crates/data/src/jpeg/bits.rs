//! The bits of a scan, and Huffman codes.

/// What is said of a scan that stops before it is whole.
const SHORT: &str = "a JPEG image whose data end too early";

/// A code: the symbols, and where each length begins.
#[derive(Clone)]
pub(super) struct Code {
    symbols: Vec<u8>,
    /// For every 8 bits the length and symbol of the code that they begin with; 0 for a longer one.
    short: Vec<(u8, u8)>,
    /// For each length the largest code of it, -1 for none.
    largest: [i32; 17],
    /// What is added to a code of a length to get its symbol's index.
    offset: [i32; 17],
}

impl Code {
    /// The code with so many symbols of each length from 1 to 16 (T.81, C.2).
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, String> {
        let (mut largest, mut offset) = ([-1; 17], [0; 17]);
        let mut short = vec![(0, 0); 256];
        let (mut code, mut index) = (0i32, 0usize);
        for (&count, length) in counts.iter().zip(1usize..) {
            offset[length] = index as i32 - code;
            for _ in 0..count {
                if code >= 1 << length {
                    return Err("a JPEG image with a Huffman table that is none".into());
                }
                let symbol = symbols.get(index).copied().unwrap_or(0);
                if length <= 8 {
                    let first = (code as usize) << (8 - length);
                    short[first..first + (1 << (8 - length))].fill((length as u8, symbol));
                }
                largest[length] = code;
                code += 1;
                index += 1;
            }
            code <<= 1;
        }
        Ok(Self {
            symbols: symbols.to_vec(),
            short,
            largest,
            offset,
        })
    }
}

/// The bits of the data of a scan, without the zero bytes that are stuffed in.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
    /// Bits that are read, the next of them highest.
    window: u64,
    count: u32,
    /// Bits of the window that are no data.
    missing: u32,
}

impl<'a> Bits<'a> {
    /// From a position on.
    pub(super) fn new(bytes: &'a [u8], position: usize) -> Self {
        Self {
            bytes,
            position,
            window: 0,
            count: 0,
            missing: 0,
        }
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let byte = match (
                self.bytes.get(self.position),
                self.bytes.get(self.position + 1),
            ) {
                (Some(0xff), Some(0)) => {
                    self.position += 2;
                    0xff
                }
                (Some(&byte), _) if byte != 0xff => {
                    self.position += 1;
                    byte
                }
                // A marker, or the end.
                _ => {
                    self.missing += 8;
                    0
                }
            };
            self.window |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    fn skip(&mut self, count: u32) -> Result<(), String> {
        self.window <<= count;
        self.count -= count;
        match self.count < self.missing {
            true => Err(SHORT.into()),
            false => Ok(()),
        }
    }

    /// So many bits as a number, at most 16.
    pub(super) fn take(&mut self, count: u32) -> Result<i32, String> {
        if count == 0 {
            return Ok(0);
        }
        if self.count < count {
            self.fill();
        }
        let bits = (self.window >> (64 - count)) as i32;
        self.skip(count)?;
        Ok(bits)
    }

    /// A number of so many bits, at most 15, negative if the first is 0 (T.81, F.2.2.1).
    pub(super) fn signed(&mut self, count: u32) -> Result<i32, String> {
        let bits = self.take(count)?;
        Ok(match count > 0 && bits < 1 << (count - 1) {
            true => bits - (1 << count) + 1,
            false => bits,
        })
    }

    /// The symbol of the next code.
    pub(super) fn symbol(&mut self, code: &Code) -> Result<u8, String> {
        if self.count < 16 {
            self.fill();
        }
        let (length, symbol) = code.short[(self.window >> 56) as usize];
        if length > 0 {
            self.skip(length.into())?;
            return Ok(symbol);
        }
        for length in 9..=16 {
            let bits = (self.window >> (64 - length)) as i32;
            if bits <= code.largest[length as usize] {
                self.skip(length)?;
                let index = usize::try_from(bits + code.offset[length as usize]);
                let symbol = index.ok().and_then(|index| code.symbols.get(index));
                return symbol.copied().ok_or_else(wrong);
            }
        }
        // Nothing but zeros may stand behind the data.
        Err(if self.missing > 0 {
            SHORT.into()
        } else {
            wrong()
        })
    }

    /// Goes on behind a restart marker.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        let at = self.next_marker();
        match self.bytes.get(at + 1) {
            Some(0xd0..=0xd7) => {
                *self = Self::new(self.bytes, at + 2);
                Ok(())
            }
            _ => Err(SHORT.into()),
        }
    }

    /// Where the next marker begins.
    pub(super) fn next_marker(&self) -> usize {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let found = rest
            .windows(2)
            .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff));
        self.position + found.unwrap_or(rest.len())
    }
}

fn wrong() -> String {
    "a JPEG image whose data have a code that is none".into()
}
