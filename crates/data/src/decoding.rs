//! The pixels of a JPEG or PNG file.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageBuffer, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::error::Error;
use crate::file::Source;
use crate::jpeg::{self, Picture};

/// What is known of an image that can be read.
pub(crate) struct Checked {
    /// Height and width.
    pub(crate) size: [usize; 2],
    /// Whether it has one channel.
    pub(crate) grey: bool,
    /// Whether its channels are equal, as those of a grey image in colour are.
    pub(crate) equal_channels: bool,
    /// Whether its numbers have 16 bits.
    pub(crate) deep: bool,
}

/// Decodes a file to see whether it can be.
pub(crate) fn check(path: &Path, turned: bool) -> Result<Checked, String> {
    let image = decode(path, turned)?;
    let grey = !image.color().has_color();
    let deep = is_deep(image.color());
    let size = [image.height() as usize, image.width() as usize];
    let equal = |[red, green, blue]: [u16; 3]| red == green && green == blue;
    let equal_channels = grey
        || match deep {
            true => image.into_rgb16().pixels().all(|pixel| equal(pixel.0)),
            false => {
                let pixels = image.into_rgb8().into_raw();
                pixels
                    .as_chunks()
                    .0
                    .iter()
                    .all(|pixel: &[u8; 3]| equal(pixel.map(u16::from)))
            }
        };
    Ok(Checked {
        size,
        grey,
        equal_channels,
        deep,
    })
}

/// The most bytes of an image's file.
const MOST_BYTES: u64 = 1 << 30;

/// The bytes of an image's file.
pub(crate) fn bytes_of(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = Source::open(path)?.up_to(MOST_BYTES + 1)?;
    match bytes.len() as u64 > MOST_BYTES {
        true => {
            let (name, found) = (path.display().to_string(), "more than 2^30 bytes");
            Err(Error::malformed(&name, "image", found, "a file of fewer"))
        }
        false => Ok(bytes),
    }
}

/// The whole image, or why there is none; `turned` as its EXIF orientation says.
pub(crate) fn decode(path: &Path, turned: bool) -> Result<DynamicImage, String> {
    let bytes = bytes_of(path).map_err(|error| match error {
        // What names the path already is said without it.
        Error::Io { source, .. } => source.to_string(),
        Error::PathKind {
            found, expected, ..
        } => format!("found {found}, expected {expected}"),
        error => error.to_string(),
    })?;
    let reader = ImageReader::new(Cursor::new(&bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    match reader.format() {
        Some(ImageFormat::Png) => {}
        // The decoder fills what is missing with grey.
        Some(ImageFormat::Jpeg) if !is_complete(&bytes) => {
            return Err("a JPEG image that ends too early".into());
        }
        Some(ImageFormat::Jpeg) => {}
        Some(other) => {
            return Err(format!(
                "not a JPEG or PNG image but {other:?}; convert it to PNG"
            ));
        }
        None => return Err("not a JPEG or PNG image".into()),
    }
    let own = match reader.format() {
        Some(ImageFormat::Jpeg) => jpeg::decode(&bytes)?,
        _ => None,
    };
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let orientation = match turned {
        true => decoder.orientation().map_err(|error| error.to_string())?,
        false => Orientation::NoTransforms,
    };
    let mut image = match own {
        Some(picture) => of_picture(picture)?,
        None => {
            // As many bytes as an image may have by default.
            let fits = Limits::default().reserve(decoder.total_bytes());
            fits.map_err(|error| error.to_string())?;
            DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?
        }
    };
    image.apply_orientation(orientation);
    if image.color().has_alpha() {
        let opaque = match is_deep(image.color()) {
            true => image.to_rgba16().pixels().all(|p| p[3] == u16::MAX),
            false => image.to_rgba8().pixels().all(|p| p[3] == u8::MAX),
        };
        if !opaque {
            return Err("transparent pixels, which have no colour of their own".into());
        }
    }
    Ok(image)
}

fn of_picture(picture: Picture) -> Result<DynamicImage, String> {
    // Both sides have 16 bits in a file.
    let (width, height) = (picture.width as u32, picture.height as u32);
    let image = match picture.grey {
        true => ImageBuffer::from_raw(width, height, picture.pixels).map(DynamicImage::ImageLuma8),
        false => ImageBuffer::from_raw(width, height, picture.pixels).map(DynamicImage::ImageRgb8),
    };
    image.ok_or_else(|| "a JPEG image without all of its pixels".into())
}

/// Whether a JPEG file has its end-of-image marker, whatever stands behind that: segments have their lengths, and in the data of a
/// scan no marker occurs but those that restart it.
fn is_complete(bytes: &[u8]) -> bool {
    let is_marker = |pair: &[u8]| matches!(pair, [0xff, code] if !matches!(code, 0x00 | 0x01 | 0xd0..=0xd8 | 0xff));
    let mut rest = bytes;
    while let Some(at) = rest.windows(2).position(is_marker) {
        match rest[at + 1..] {
            [0xd9, ..] => return true,
            [_, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                rest = rest.get(at + 2 + length..).unwrap_or_default();
            }
            _ => return false,
        }
    }
    false
}

/// Whether its numbers have more than 8 bits.
pub(crate) fn is_deep(color: ColorType) -> bool {
    color.bytes_per_pixel() > color.channel_count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_picture_is_none_of_it() {
        // A start, a segment with a thumbnail's end in it, a scan with a restart and a stuffed byte, an end.
        let mut picture = vec![0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd9, 0xff, 0xda];
        picture.extend([
            0xff, 0xda, 0, 3, 1, 7, 0xff, 0x00, 0xff, 0xd3, 9, 0xff, 0xff, 0xd9,
        ]);
        for cut in 0..picture.len() {
            assert!(!is_complete(&picture[..cut]), "{cut}");
        }
        assert!(is_complete(&picture));
        picture.extend([1, 0xff, 0xda, 2]);
        assert!(is_complete(&picture));
    }
}
