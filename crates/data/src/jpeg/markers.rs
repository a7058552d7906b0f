//! The segments of a file: what stands between its markers.

use super::bits::Code;
use super::frame::{Factors, Frame, ZIGZAG};
use super::scan::{self, Scan};

/// What segments have said so far.
#[derive(Default)]
struct Said {
    quantization: [Option<[u16; 64]>; 4],
    /// Of first coefficients and of the others.
    codes: [[Option<Code>; 4]; 2],
    restart: usize,
    jfif: bool,
    adobe: Option<u8>,
}

/// Some ten are usual, and what makes files small tries no more than some sixty.
const MOST_SCANS: usize = 100;

/// The coefficients of a picture; `None` for a kind that is not decoded here.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Frame>, String> {
    let mut said = Said::default();
    let mut frame: Option<Frame> = None;
    let (mut at, mut scans) = (2, 0);
    while let Some(&[start, marker]) = bytes.get(at..at + 2) {
        if start != 0xff {
            // Bytes that belong to nothing.
            at += 1;
            continue;
        }
        at += 2;
        match marker {
            // Fill bytes, and markers without a segment.
            0xff => at -= 1,
            0x01 | 0xd0..=0xd8 => {}
            0xd9 => break,
            _ => {
                let segment = segment(bytes, at)?;
                at += segment.len() + 2;
                match marker {
                    0xdb => quantization(segment, &mut said)?,
                    0xc4 => codes(segment, &mut said)?,
                    0xdd => said.restart = word(segment, 0)?,
                    0xe0 if segment.starts_with(b"JFIF\0") => said.jfif = true,
                    0xee if segment.starts_with(b"Adobe") && segment.len() >= 12 => {
                        said.adobe = Some(segment[11]);
                    }
                    // Sequential with Huffman codes, and progressive.
                    0xc0..=0xc2 if frame.is_none() => {
                        match header(segment, marker == 0xc2, bytes.len())? {
                            Some(found) => frame = Some(found),
                            None => return Ok(None),
                        }
                    }
                    0xc0..=0xc2 => return Err(broken("has two frames")),
                    // Lossless, differential, and with arithmetic codes.
                    0xc3 | 0xc5..=0xcf => return Ok(None),
                    0xda => {
                        let frame = frame.as_mut().ok_or_else(|| broken("has a scan first"))?;
                        // Each goes through the whole picture, however few bytes it has.
                        scans += 1;
                        if scans > MOST_SCANS {
                            return Err(broken(&format!("has more than {MOST_SCANS} scans")));
                        }
                        // Tables may change after the last scan of a channel.
                        for (into, from) in frame.quantization.iter_mut().zip(&said.quantization) {
                            *into = into.or(*from);
                        }
                        let scan = scan_header(segment, frame, &said)?;
                        at = scan::read(frame, &scan, bytes, at)?;
                    }
                    _ => {}
                }
            }
        }
    }
    let mut frame = frame.ok_or_else(|| broken("has no frame"))?;
    let ids: Vec<u8> = frame
        .components
        .iter()
        .map(|component| component.id)
        .collect();
    // As libjpeg guesses.
    frame.is_ycc = match (said.jfif, said.adobe) {
        (true, _) => true,
        (false, Some(transform)) => transform != 0,
        (false, None) => ids != *b"RGB",
    };
    Ok(Some(frame))
}

/// What is wrong with a file.
fn broken(what: &str) -> String {
    format!("a JPEG image that {what}")
}

fn short() -> String {
    broken("ends too early")
}

fn byte(segment: &[u8], at: usize) -> Result<u8, String> {
    segment.get(at).copied().ok_or_else(short)
}

fn word(segment: &[u8], at: usize) -> Result<usize, String> {
    Ok(usize::from(byte(segment, at)?) << 8 | usize::from(byte(segment, at + 1)?))
}

/// The content of the segment whose length stands at a position.
fn segment(bytes: &[u8], at: usize) -> Result<&[u8], String> {
    let length = word(bytes, at)?;
    let segment = length
        .checked_sub(2)
        .and_then(|_| bytes.get(at + 2..at + length));
    segment.ok_or_else(short)
}

fn quantization(mut segment: &[u8], said: &mut Said) -> Result<(), String> {
    while let Some((&kind, rest)) = segment.split_first() {
        let (wide, table) = (kind >> 4 != 0, usize::from(kind & 15));
        let mut steps = [0u16; 64];
        for (index, place) in ZIGZAG.into_iter().enumerate() {
            steps[place] = match wide {
                true => word(rest, 2 * index)? as u16,
                false => byte(rest, index)?.into(),
            };
        }
        let slot = said.quantization.get_mut(table);
        *slot.ok_or_else(|| broken("has a table that is none"))? = Some(steps);
        segment = &rest[if wide { 128 } else { 64 }..];
    }
    Ok(())
}

fn codes(mut segment: &[u8], said: &mut Said) -> Result<(), String> {
    while let Some((&kind, rest)) = segment.split_first() {
        let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
        let total = counts.iter().map(|&count| usize::from(count)).sum();
        let symbols = rest.get(..total).ok_or_else(short)?;
        let tables = said.codes.get_mut(usize::from(kind >> 4));
        let slot = tables.and_then(|tables| tables.get_mut(usize::from(kind & 15)));
        *slot.ok_or_else(|| broken("has a table that is none"))? =
            Some(Code::new(counts, symbols)?);
        segment = &rest[total..];
    }
    Ok(())
}

fn header(segment: &[u8], progressive: bool, length: usize) -> Result<Option<Frame>, String> {
    let (bits, count) = (byte(segment, 0)?, usize::from(byte(segment, 5)?));
    let (height, width) = (word(segment, 1)?, word(segment, 3)?);
    if bits != 8 || !matches!(count, 1 | 3) {
        return Ok(None);
    }
    if width == 0 || height == 0 {
        return Err(broken("has no size"));
    }
    let mut channels = Vec::new();
    for at in (6..).step_by(3).take(count) {
        let factors = byte(segment, at + 1)?;
        let factors = Factors {
            across: usize::from(factors >> 4),
            down: usize::from(factors & 15),
        };
        if !(1..=4).contains(&factors.across) || !(1..=4).contains(&factors.down) {
            return Err(broken("has sampling factors that are none"));
        }
        let table = usize::from(byte(segment, at + 2)?);
        channels.push((byte(segment, at)?, factors, table));
    }
    let frame = Frame::new((width, height), progressive, &channels, length)?;
    // What is no whole multiple has no smooth upsampling of its own, and is not written by anybody.
    let whole = |channel: &(u8, Factors, usize)| {
        frame.most.across.is_multiple_of(channel.1.across)
            && frame.most.down.is_multiple_of(channel.1.down)
    };
    Ok(channels.iter().all(whole).then_some(frame))
}

fn scan_header<'a>(segment: &[u8], frame: &Frame, said: &'a Said) -> Result<Scan<'a>, String> {
    let count = usize::from(byte(segment, 0)?);
    let mut channels = Vec::new();
    for at in (1..).step_by(2).take(count) {
        let (id, tables) = (byte(segment, at)?, byte(segment, at + 1)?);
        let channel = frame
            .components
            .iter()
            .position(|component| component.id == id);
        let channel = channel.ok_or_else(|| broken("has a scan of no channel"))?;
        let code = |kind: usize, table: u8| said.codes[kind].get(usize::from(table))?.as_ref();
        channels.push((channel, [code(0, tables >> 4), code(1, tables & 15)]));
    }
    let at = 1 + 2 * count;
    let (first, last, steps) = (
        byte(segment, at)?,
        byte(segment, at + 1)?,
        byte(segment, at + 2)?,
    );
    let scan = match frame.progressive {
        true => Scan {
            channels,
            first: first.into(),
            last: last.into(),
            before: steps >> 4,
            step: steps & 15,
            restart: said.restart,
        },
        false => Scan {
            channels,
            first: 0,
            last: 63,
            before: 0,
            step: 0,
            restart: said.restart,
        },
    };
    let one = scan.channels.len() == 1;
    let sound = scan.first <= scan.last
        && scan.last < 64
        && scan.step <= 13
        && (scan.before == 0 || scan.before == scan.step + 1)
        && (1..=frame.components.len()).contains(&count)
        && (!frame.progressive || scan.first == 0 && scan.last == 0 || scan.first > 0 && one);
    match sound {
        true => Ok(scan),
        false => Err(broken("has a scan that is none")),
    }
}
