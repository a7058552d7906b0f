//! JPEG as libjpeg decodes it, to the last bit.
//!
//! Other decoders in Rust let the padding of a picture into the colour of its last column and row, which are up to 83 of
//! 255 wrong then, and round the transform otherwise. A radius is about the numbers that a network was trained on, and
//! nearly all networks were trained on what libjpeg makes of files (Pillow, OpenCV, torchvision). So this is the published
//! algorithm (ITU T.81, with the arithmetic of libjpeg's accurate integer transform and its smooth upsampling), for what
//! cameras and programs write: Huffman codes, 8 bits, one or three channels, sequential or progressive.

mod bits;
mod colour;
mod frame;
mod markers;
mod scan;
mod transform;

/// A decoded picture.
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// One for each pixel of a grey picture, else three.
    pub(crate) pixels: Vec<u8>,
    pub(crate) grey: bool,
}

/// The picture of a file; `None` for a kind of JPEG that is not decoded here.
///
/// # Errors
/// Data that break the format, end before the picture does, or are of a picture that takes more than 512 MiB.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Picture>, String> {
    let Some(mut frame) = markers::read(bytes)? else {
        return Ok(None);
    };
    let planes = frame
        .components
        .iter_mut()
        .map(|component| transform::plane(component, &frame.quantization))
        .collect::<Result<Vec<_>, _>>()?;
    let grey = planes.len() == 1;
    let pixels = colour::pixels(&frame, &planes);
    Ok(Some(Picture {
        width: frame.width,
        height: frame.height,
        pixels,
        grey,
    }))
}
