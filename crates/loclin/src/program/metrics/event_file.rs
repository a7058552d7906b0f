//! TensorBoard's event files: records of protocol buffers, each with its length and two checksums.
//!
//! A record is its length in 8 bytes, the masked CRC-32C of these, the data, and the masked CRC-32C of the data, all little-endian
//! (TFRecord). The data are messages `Event` (`tensorflow/core/util/event.proto`), of which four fields are written.

/// The bits of a key of a protocol buffer that say how long a value is.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH: u64 = 2;
const FOUR_BYTES: u64 = 5;

/// Named numbers at one step.
#[derive(Clone, Debug)]
pub(super) struct Event<'a> {
    /// Seconds since 1970.
    pub(super) wall_time: f64,
    /// The step.
    pub(super) step: u64,
    /// Names and numbers; a part of a name before a slash is a group.
    pub(super) numbers: Vec<(&'a str, f64)>,
}

/// A whole file of events.
pub(super) fn to_bytes(events: &[Event<'_>]) -> Vec<u8> {
    let begun = events.first().map_or(0.0, |event| event.wall_time);
    let mut version = Vec::new();
    double(&mut version, 1, begun);
    bytes(&mut version, 3, b"brain.Event:2");
    let mut file = record(&version);
    for event in events {
        let mut summary = Vec::new();
        for (name, number) in &event.numbers {
            let mut value = Vec::new();
            bytes(&mut value, 1, name.as_bytes());
            key(&mut value, 2, FOUR_BYTES);
            value.extend((*number as f32).to_le_bytes());
            bytes(&mut summary, 1, &value);
        }
        let mut data = Vec::new();
        double(&mut data, 1, event.wall_time);
        key(&mut data, 2, VARINT);
        varint(&mut data, event.step);
        bytes(&mut data, 5, &summary);
        file.extend(record(&data));
    }
    file
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let parts = [
        &length[..],
        &masked(crc32c(&length)).to_le_bytes(),
        data,
        &masked(crc32c(data)).to_le_bytes(),
    ];
    parts.concat()
}

/// As stored: a checksum of data that hold their own checksum would be of little use.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The checksum with Castagnoli's polynomial (RFC 3720, appendix B.4), bit by bit: files are small.
fn crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    })
}

fn key(into: &mut Vec<u8>, field: u64, kind: u64) {
    varint(into, field << 3 | kind);
}

fn varint(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn double(into: &mut Vec<u8>, field: u64, number: f64) {
    key(into, field, EIGHT_BYTES);
    into.extend(number.to_le_bytes());
}

fn bytes(into: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    key(into, field, LENGTH);
    varint(into, bytes.len() as u64);
    into.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_the_published_ones() {
        // RFC 3720, appendix B.4, and the check value of the polynomial.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let up: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&up), 0x46dd_794e);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_file_is_the_bytes_that_tensorboard_writes() {
        let numbers = vec![("loss", 0.5)];
        let event = Event {
            wall_time: 2.0,
            step: 300,
            numbers,
        };
        let file = to_bytes(&[event]);
        // The version: 9 bytes of time, 15 of text, between 12 bytes and 4.
        let (version, event) = file.split_at(12 + 24 + 4);
        assert_eq!(&version[..8], &24u64.to_le_bytes());
        assert_eq!(&version[21..36], b"\x1a\x0dbrain.Event:2");
        // Time, step 300 as 0xac 0x02, a summary of one value: its name, and 0.5 in single precision.
        let data = b"\x09\0\0\0\0\0\0\0\x40\x10\xac\x02\x2a\x0d\x0a\x0b\x0a\x04loss\x15\0\0\0\x3f";
        assert_eq!(&event[12..event.len() - 4], data);
        assert_eq!(event[8..12], masked(crc32c(&event[..8])).to_le_bytes());
    }
}
