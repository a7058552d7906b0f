//! What the header of a picture says, and its coefficients.

/// A picture whose coefficients are read.
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) progressive: bool,
    pub(super) components: Vec<Component>,
    /// The largest sampling factors.
    pub(super) most: Factors,
    /// Steps of the coefficients, in the order of rows.
    pub(super) quantization: [Option<[u16; 64]>; 4],
    /// Whether the channels are luma and two colour differences.
    pub(super) is_ycc: bool,
}

/// Samples of a channel for each unit, across and down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Factors {
    pub(super) across: usize,
    pub(super) down: usize,
}

/// A channel.
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) factors: Factors,
    /// Which quantisation table.
    pub(super) table: usize,
    /// Samples that belong to the picture.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Blocks in a row, padded to whole units.
    pub(super) blocks_across: usize,
    /// Blocks in a column, padded to whole units.
    pub(super) blocks_down: usize,
    /// The coefficients of each block, in the order of rows.
    pub(super) coefficients: Vec<[i16; 64]>,
}

/// The most bytes of a picture.
const MOST_BYTES: usize = 512 << 20;

impl Frame {
    /// A picture without coefficients, from a file of so many bytes; channels are (id, factors, table).
    pub(super) fn new(
        (width, height): (usize, usize),
        progressive: bool,
        channels: &[(u8, Factors, usize)],
        length: usize,
    ) -> Result<Self, String> {
        let largest = |of: fn(&Factors) -> usize| {
            channels
                .iter()
                .map(|(_, factors, _)| of(factors))
                .max()
                .unwrap_or(1)
        };
        let most = Factors {
            across: largest(|factors| factors.across),
            down: largest(|factors| factors.down),
        };
        if width * height * channels.len() > MOST_BYTES {
            return Err(format!(
                "a JPEG image of {width} x {height} pixels, which is too large"
            ));
        }
        let units_across = width.div_ceil(8 * most.across);
        let units_down = height.div_ceil(8 * most.down);
        let of_unit: usize = channels.iter().map(|(_, f, _)| f.across * f.down).sum();
        // Every block takes a bit at least: what a header claims is not believed.
        if units_across * units_down * of_unit > 8 * length {
            return Err(format!(
                "a JPEG image of {width} x {height} pixels in {length} bytes, which ends too early"
            ));
        }
        let component = |&(id, factors, table): &(u8, Factors, usize)| {
            let (across, down) = (units_across * factors.across, units_down * factors.down);
            Component {
                id,
                factors,
                table,
                width: (width * factors.across).div_ceil(most.across),
                height: (height * factors.down).div_ceil(most.down),
                blocks_across: across,
                blocks_down: down,
                coefficients: vec![[0; 64]; across * down],
            }
        };
        Ok(Self {
            width,
            height,
            progressive,
            components: channels.iter().map(component).collect(),
            most,
            quantization: [None; 4],
            is_ycc: true,
        })
    }
}

/// The place in a block, in the order of rows, of each coefficient in the order of files.
pub(super) const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];
