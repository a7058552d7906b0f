//! What JPEG makes of an image: written by an encoder, read as every command reads images.

use std::fs;

use anyhow::{Context, ensure};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use loclin_data::{ImageOptions, Split, folders};

use super::pictures::{Pictures, levels};

/// The images from files of this quality, 1 to 100.
pub(super) fn recoded(pictures: &Pictures, quality: u8) -> anyhow::Result<Vec<Vec<u8>>> {
    let directory = tempfile::tempdir().context("cannot make a directory for JPEG files")?;
    let size = [pictures.width, pictures.height].map(u32::try_from);
    let [width, height] = [size[0]?, size[1]?];
    for (number, picture) in pictures.levels.iter().enumerate() {
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
        encoder.encode(picture, width, height, ExtendedColorType::L8)?;
        // Read in the order of their names.
        let path = directory.path().join(format!("{number:08}.jpg"));
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let options = ImageOptions::default();
    let read = folders::load(directory.path(), Split::Test, 0, &options)?;
    let read = read.fit(&[1, pictures.height, pictures.width])?;
    ensure!(
        read.len() == pictures.levels.len(),
        "{} of {} JPEG files were read",
        read.len(),
        pictures.levels.len()
    );
    let image = |row: usize| {
        let values = read.rows_f64(&[row])?;
        levels(&values).context("a pixel of a JPEG file that is no level")
    };
    (0..read.len()).map(image).collect()
}
