//! Pictures as PNG data URIs.

use base64::Engine;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use crate::error::{Error, Result};

/// A grey picture of `values` in `[0, 1]` (0 black, 1 white), row by row from
/// the top; values outside are clipped and NaN is black.
///
/// # Errors
/// When the number of values is not `width * height`.
pub(crate) fn grey(width: usize, height: usize, values: &[f32]) -> Result<String> {
    let bytes: Vec<u8> = values.iter().map(|&v| to_byte(v)).collect();
    data_uri(width, height, &bytes, ExtendedColorType::L8)
}

/// A colour picture, row by row from the top.
///
/// # Errors
/// When the number of pixels is not `width * height`.
pub(crate) fn colour(width: usize, height: usize, pixels: &[[u8; 3]]) -> Result<String> {
    data_uri(
        width,
        height,
        pixels.as_flattened(),
        ExtendedColorType::Rgb8,
    )
}

/// A signed gradient as shades in `[0, 1]`: the absolute value over its 99th
/// percentile, clipped at 1 (the rendering of the paper's Figures 4 to 6).
///
/// A gradient whose 99th percentile is zero is scaled by its largest entry.
pub(crate) fn gradient_shades(gradient: &[f32]) -> Vec<f32> {
    let scale = gradient_scale(gradient);
    let shade = |g: &f32| match scale > 0.0 {
        true => (g.abs() / scale).min(1.0),
        false => 0.0,
    };
    gradient.iter().map(shade).collect()
}

/// What [`gradient_shades`] draws as 1: the 99th percentile of the absolute values or, where that is 0, the largest.
pub(crate) fn gradient_scale(gradient: &[f32]) -> f32 {
    let mut sizes: Vec<f32> = gradient
        .iter()
        .map(|g| g.abs())
        .filter(|g| g.is_finite())
        .collect();
    sizes.sort_by(f32::total_cmp);
    let last = sizes.len().saturating_sub(1);
    // Position 0.99 * last between two order statistics, as numpy interpolates.
    let (below, rest) = (last * 99 / 100, last * 99 % 100);
    let at = |i: usize| sizes.get(i).copied().unwrap_or(0.0);
    let percentile = at(below) + (at((below + 1).min(last)) - at(below)) * rest as f32 / 100.0;
    match percentile > 0.0 {
        true => percentile,
        false => at(last),
    }
}

fn to_byte(value: f32) -> u8 {
    // A saturating cast: NaN becomes 0.
    (value * 255.0).round() as u8
}

fn data_uri(width: usize, height: usize, bytes: &[u8], kind: ExtendedColorType) -> Result<String> {
    let channels = usize::from(kind.channel_count());
    let expected = width
        .checked_mul(height)
        .and_then(|n| n.checked_mul(channels));
    let size = || Error::PictureSize {
        width,
        height,
        channels,
        values: bytes.len(),
    };
    if expected != Some(bytes.len()) {
        return Err(size());
    }
    // The format's sizes have 32 bits.
    let wide = u32::try_from(width).map_err(|_| size())?;
    let high = u32::try_from(height).map_err(|_| size())?;
    let mut file = Vec::new();
    PngEncoder::new_with_quality(&mut file, CompressionType::Best, FilterType::Adaptive)
        .write_image(bytes, wide, high, kind)
        .map_err(|source| Error::Picture {
            width,
            height,
            source,
        })?;
    let encoded = base64::engine::general_purpose::STANDARD.encode(file);
    Ok(format!("data:image/png;base64,{encoded}"))
}
