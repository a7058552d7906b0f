//! The coefficients of a scan (T.81, annexes F and G).

use super::bits::{Bits, Code};
use super::frame::{Component, Frame, ZIGZAG};

/// A scan: which channels, with which codes, and which part of their coefficients.
pub(super) struct Scan<'a> {
    /// The index of each channel, and its codes of first coefficients and of the others.
    pub(super) channels: Vec<(usize, [Option<&'a Code>; 2])>,
    /// The first coefficient, in the order of files.
    pub(super) first: usize,
    /// The last.
    pub(super) last: usize,
    /// Bits that were left out before; 0 in a first scan.
    pub(super) before: u8,
    /// Bits that are left out now.
    pub(super) step: u8,
    /// Units between restart markers; 0 for none.
    pub(super) restart: usize,
}

/// What a scan remembers from block to block.
struct State<'a> {
    bits: Bits<'a>,
    /// The first coefficient of the block before, for each channel of the scan.
    last: [i32; 3],
    /// Blocks without further coefficients.
    empty: u32,
}

/// Reads a scan whose data begin at a position; where the next marker is.
pub(super) fn read(
    frame: &mut Frame,
    scan: &Scan<'_>,
    bytes: &[u8],
    at: usize,
) -> Result<usize, String> {
    let mut state = State {
        bits: Bits::new(bytes, at),
        last: [0; 3],
        empty: 0,
    };
    let progressive = frame.progressive;
    if let [(channel, codes)] = scan.channels[..] {
        // One channel alone has only the blocks that belong to the picture.
        let Some(component) = frame.components.get_mut(channel) else {
            return Ok(at);
        };
        let across = component.width.div_ceil(8);
        let down = component.height.div_ceil(8);
        for unit in 0..across * down {
            restart(scan, unit, &mut state)?;
            let place = unit / across * component.blocks_across + unit % across;
            block(&mut state, scan, component, 0, (place, codes), progressive)?;
        }
        return Ok(state.bits.next_marker());
    }
    let units_across = frame.width.div_ceil(8 * frame.most.across);
    let units_down = frame.height.div_ceil(8 * frame.most.down);
    for unit in 0..units_across * units_down {
        restart(scan, unit, &mut state)?;
        for (index, &(channel, codes)) in scan.channels.iter().enumerate() {
            let Some(component) = frame.components.get_mut(channel) else {
                continue;
            };
            let factors = component.factors;
            for inside in 0..factors.across * factors.down {
                let row = unit / units_across * factors.down + inside / factors.across;
                let column = unit % units_across * factors.across + inside % factors.across;
                let place = row * component.blocks_across + column;
                block(
                    &mut state,
                    scan,
                    component,
                    index,
                    (place, codes),
                    progressive,
                )?;
            }
        }
    }
    Ok(state.bits.next_marker())
}

fn restart(scan: &Scan<'_>, unit: usize, state: &mut State<'_>) -> Result<(), String> {
    if scan.restart > 0 && unit > 0 && unit.is_multiple_of(scan.restart) {
        state.bits.restart()?;
        state.last = [0; 3];
        state.empty = 0;
    }
    Ok(())
}

/// Reads what a scan has of the block at a place; `index` is the channel's in the scan.
fn block(
    state: &mut State<'_>,
    scan: &Scan<'_>,
    component: &mut Component,
    index: usize,
    (place, codes): (usize, [Option<&Code>; 2]),
    progressive: bool,
) -> Result<(), String> {
    let Some(block) = component.coefficients.get_mut(place) else {
        return Ok(());
    };
    let code = |kind: usize| codes[kind].ok_or("a JPEG image without a Huffman table that it uses");
    if scan.first == 0 {
        match scan.before {
            0 => {
                let size = state.bits.symbol(code(0)?)?;
                let difference = state.bits.signed(u32::from(size.min(15)))?;
                let last = state
                    .last
                    .get_mut(index)
                    .ok_or("a JPEG image of too many channels")?;
                *last = last.wrapping_add(difference);
                block[0] = (*last << scan.step) as i16;
            }
            _ => block[0] |= (state.bits.take(1)? << scan.step) as i16,
        }
    }
    match (progressive, scan.last) {
        (_, 0) => Ok(()),
        (false, _) => sequential(&mut state.bits, code(1)?, block),
        (true, _) if scan.before == 0 => first(state, scan, code(1)?, block),
        (true, _) => refined(state, scan, code(1)?, block),
    }
}

/// All coefficients behind the first.
fn sequential(bits: &mut Bits<'_>, code: &Code, block: &mut [i16; 64]) -> Result<(), String> {
    let mut at = 1;
    while at < 64 {
        let symbol = bits.symbol(code)?;
        let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        match (size, zeros) {
            (0, 15) => at += 16,
            (0, _) => break,
            _ => {
                at += zeros;
                let value = bits.signed(size)?;
                if let Some(&place) = ZIGZAG.get(at) {
                    block[place] = value as i16;
                }
                at += 1;
            }
        }
    }
    Ok(())
}

/// The high bits of some coefficients (T.81, G.1.2.2).
fn first(
    state: &mut State<'_>,
    scan: &Scan<'_>,
    code: &Code,
    block: &mut [i16; 64],
) -> Result<(), String> {
    if state.empty > 0 {
        state.empty -= 1;
        return Ok(());
    }
    let mut at = scan.first;
    while at <= scan.last {
        let symbol = state.bits.symbol(code)?;
        let (zeros, size) = (symbol >> 4, u32::from(symbol & 15));
        match (size, zeros) {
            (0, 15) => at += 16,
            (0, _) => {
                state.empty = (1 << zeros) - 1 + state.bits.take(zeros.into())? as u32;
                break;
            }
            _ => {
                at += usize::from(zeros);
                let value = state.bits.signed(size)? << scan.step;
                if let Some(&place) = ZIGZAG.get(at) {
                    block[place] = value as i16;
                }
                at += 1;
            }
        }
    }
    Ok(())
}

/// One more bit of some coefficients (T.81, G.1.2.3).
fn refined(
    state: &mut State<'_>,
    scan: &Scan<'_>,
    code: &Code,
    block: &mut [i16; 64],
) -> Result<(), String> {
    let bit = 1i16 << scan.step;
    let mut at = scan.first;
    if state.empty == 0 {
        while at <= scan.last {
            let symbol = state.bits.symbol(code)?;
            let (mut zeros, size) = (symbol >> 4, symbol & 15);
            let mut value = 0;
            if size > 0 {
                value = if state.bits.take(1)? == 1 { bit } else { -bit };
            } else if zeros < 15 {
                state.empty = (1 << zeros) + state.bits.take(zeros.into())? as u32;
                break;
            }
            // Past so many coefficients that are still 0; the others on the way get their bit.
            while at <= scan.last {
                let coefficient = &mut block[ZIGZAG[at]];
                if *coefficient != 0 {
                    correct(&mut state.bits, coefficient, bit)?;
                } else if zeros == 0 {
                    *coefficient = value;
                    at += 1;
                    break;
                } else {
                    zeros -= 1;
                }
                at += 1;
            }
        }
    }
    if state.empty > 0 {
        for &place in ZIGZAG.get(at..=scan.last).unwrap_or_default() {
            if block[place] != 0 {
                correct(&mut state.bits, &mut block[place], bit)?;
            }
        }
        state.empty -= 1;
    }
    Ok(())
}

/// The next bit of a coefficient that is not 0.
fn correct(bits: &mut Bits<'_>, coefficient: &mut i16, bit: i16) -> Result<(), String> {
    if bits.take(1)? == 1 && *coefficient & bit == 0 {
        let change = if *coefficient > 0 { bit } else { -bit };
        *coefficient = coefficient.wrapping_add(change);
    }
    Ok(())
}
