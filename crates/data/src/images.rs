//! JPEG and PNG files that are decoded when their rows are asked for.

use std::path::PathBuf;

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Pixel, Rgb};
use rayon::prelude::*;

use crate::decoding::{Checked, check, decode, is_deep};
use crate::error::Error;
use crate::preprocessing::{LARGEST, Scale};

/// What to do about a file that is missing or broken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Unusable {
    /// An error that names it.
    #[default]
    Refuse,
    /// Go on without it.
    Skip,
}

/// What to do about an image with one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Grey {
    /// Its channel is taken three times.
    #[default]
    Repeat,
    /// An error that names it.
    Refuse,
    /// Go on without it.
    Skip,
}

/// How image files are read.
///
/// ```
/// use loclin_data::{Grey, ImageOptions};
/// let options = ImageOptions { size: Some([64, 64]), grey: Grey::Skip, ..ImageOptions::default() };
/// assert_eq!(options.broken, loclin_data::Unusable::Refuse);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImageOptions {
    /// Height and width that every image is resized to, whatever its proportions, each 1 to 4096; `None` where
    /// all images have one size, which is kept.
    pub size: Option<[usize; 2]>,
    /// Images that cannot be read: no JPEG or PNG, truncated, damaged, transparent, or too large to decode.
    pub broken: Unusable,
    /// Images with one channel.
    pub grey: Grey,
    /// Whether images are turned as their EXIF orientation says, if they have one.
    pub exif_orientation: bool,
}

impl ImageOptions {
    /// Whether images may be left out.
    pub(crate) fn leaves_out(&self) -> bool {
        self.broken == Unusable::Skip || self.grey == Grey::Skip
    }
}

/// An image that is no row of its dataset, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The file.
    pub path: PathBuf,
    /// The cause.
    pub cause: String,
}

/// Image files of one size, one per row: the pixels of 30,000 images need not fit into memory.
///
/// Pixels come out channel by channel (red, green, blue), in [0, 1] unless a dataset has another scale: 8 bits over 255,
/// 16 bits over 65535. A scale multiplies the numbers as they are stored. Resizing is linear interpolation over the area that a pixel covers, rounded to the file's depth. The
/// colour profile of a file is not applied, its EXIF orientation on request.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageFiles {
    paths: Vec<PathBuf>,
    size: [usize; 2],
    /// Three, or one where all images are grey and a network takes one.
    channels: usize,
    /// Whether the channels of every image are equal.
    all_grey: bool,
    /// Whether an image has 16 bits.
    deep: bool,
    resized: bool,
    turned: bool,
    left_out: Vec<LeftOut>,
}

/// How many files an error lists.
const LISTED: usize = 10;

impl ImageFiles {
    /// Checks every file, in parallel, by decoding it; also says which of `paths` the rows are, ascending.
    ///
    /// # Errors
    /// A size out of its range, images of different sizes where none is given, and broken or grey images that the
    /// options refuse (the first ten are named); no image left.
    pub fn open(
        name: &str,
        paths: &[PathBuf],
        options: &ImageOptions,
    ) -> Result<(Self, Vec<usize>), Error> {
        check_size(options.size)?;
        let checked: Vec<Result<Checked, String>> = paths
            .par_iter()
            .map(|path| check(path, options.exif_orientation))
            .collect();
        let (mut all_grey, mut any_deep) = (true, false);
        let mut faults: [Vec<LeftOut>; 2] = Default::default();
        let (mut rows, mut sizes) = (Vec::new(), Vec::new());
        for (row, (path, checked)) in paths.iter().zip(checked).enumerate() {
            let (kind, cause) = match checked {
                Err(cause) => (0, cause),
                Ok(Checked { grey: true, .. }) if options.grey != Grey::Repeat => {
                    (1, "one channel (grey)".to_owned())
                }
                Ok(Checked {
                    size,
                    equal_channels,
                    deep,
                    ..
                }) => {
                    all_grey &= equal_channels;
                    any_deep |= deep;
                    rows.push(row);
                    sizes.push(size);
                    continue;
                }
            };
            let path = path.clone();
            faults[kind].push(LeftOut { path, cause });
        }
        let refused = [
            ("broken", options.broken == Unusable::Refuse),
            ("grey", options.grey == Grey::Refuse),
        ];
        for (faults, (option, refuse)) in faults.iter().zip(refused) {
            if let ([fault], [_], true) = (&faults[..], paths, refuse) {
                return Err(Error::Image {
                    path: fault.path.clone(),
                    cause: fault.cause.clone(),
                });
            }
            if refuse && !faults.is_empty() {
                return Err(Error::Images {
                    name: name.into(),
                    count: faults.len(),
                    total: paths.len(),
                    listed: list(faults),
                    option,
                });
            }
        }
        let left_out = faults.concat();
        let size = match options.size.or(sizes.first().copied()) {
            Some(_) if sizes.is_empty() => None,
            size => size,
        };
        let Some(size) = size else {
            let found = format!("none that can be used ({})", list(&left_out));
            return Err(Error::malformed(name, "images", found, "at least 1"));
        };
        if options.size.is_none() {
            one_size(name, paths, &rows, &sizes)?;
        }
        let files = Self {
            paths: rows.iter().map(|&row| paths[row].clone()).collect(),
            size,
            channels: 3,
            all_grey,
            deep: any_deep,
            resized: options.size.is_some(),
            turned: options.exif_orientation,
            left_out,
        };
        Ok((files, rows))
    }

    /// The files, one per row.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Shape of an image: channels, height, width.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.size[0], self.size[1]]
    }

    /// Pixels of an image.
    pub(crate) fn area(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// The size that images are resized to, if they are.
    pub(crate) fn resized(&self) -> Option<[usize; 2]> {
        self.resized.then_some(self.size)
    }

    /// Whether an image has 16 bits.
    pub(crate) fn is_deep(&self) -> bool {
        self.deep
    }

    /// Whether images are turned as their EXIF orientation says.
    pub(crate) fn is_turned(&self) -> bool {
        self.turned
    }

    /// Takes one channel of every image, if that is all there is; whether it is.
    pub(crate) fn take_grey(&mut self) -> bool {
        if self.all_grey {
            self.channels = 1;
        }
        self.all_grey
    }

    /// The images that were left out because they are broken or grey.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Number of values of all images.
    pub(crate) fn values(&self) -> usize {
        self.paths.len() * self.features()
    }

    /// The given rows, which must exist, in the given order.
    pub(crate) fn subset(&self, rows: &[usize]) -> Self {
        Self {
            paths: rows.iter().map(|&row| self.paths[row].clone()).collect(),
            left_out: self.left_out.clone(),
            ..*self
        }
    }

    /// The same with the files of another part of one dataset, of one shape, after its own.
    pub(crate) fn extend(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.left_out.extend(other.left_out);
        self.all_grey &= other.all_grey;
        self.deep |= other.deep;
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.paths.truncate(rows);
    }

    /// The pixels of the given rows, which must exist, scaled and then converted; without a scale, those of an image over the
    /// largest that it can have.
    pub(crate) fn read<T: Clone + Default + Send>(
        &self,
        rows: &[usize],
        scale: Option<Scale>,
        convert: impl Fn(f64) -> T + Sync,
    ) -> Result<Vec<T>, Error> {
        let features = self.features();
        let mut values = vec![T::default(); rows.len() * features];
        values
            .par_chunks_mut(features)
            .zip(rows)
            .try_for_each(|(values, &row)| {
                let path = &self.paths[row];
                let image = decode(path, self.turned).map_err(|cause| Error::Image {
                    path: path.clone(),
                    cause,
                })?;
                if is_deep(image.color()) {
                    let scale = scale.unwrap_or(Scale::DEEP_PIXELS);
                    let level = |value: u16| scale.apply(value.into());
                    planes(image.into_rgb16(), self.size, values, |v| convert(level(v)));
                } else {
                    let scale = scale.unwrap_or(Scale::PIXELS);
                    let level = |value: u8| scale.apply(value.into());
                    planes(image.into_rgb8(), self.size, values, |v| convert(level(v)));
                }
                Ok(())
            })?;
        Ok(values)
    }

    fn features(&self) -> usize {
        self.channels * self.area()
    }
}

/// Refuses sizes that differ, those of the `rows` of `paths`.
fn one_size(
    name: &str,
    paths: &[PathBuf],
    rows: &[usize],
    sizes: &[[usize; 2]],
) -> Result<(), Error> {
    let Some(other) = sizes.iter().position(|other| *other != sizes[0]) else {
        return Ok(());
    };
    let text = |of: usize| {
        let ([height, width], path) = (sizes[of], paths[rows[of]].display());
        format!("{height} x {width} ({path})")
    };
    Err(Error::malformed(
        name,
        "sizes of the images",
        format!("{} and {}", text(0), text(other)),
        "one size, or --resize (`resize` in a configuration), which makes all alike",
    ))
}

fn check_size(size: Option<[usize; 2]>) -> Result<(), Error> {
    match size {
        Some(size) if size.iter().any(|side| !(1..=LARGEST).contains(side)) => {
            Err(Error::Parameter {
                name: "resize",
                found: format!("{} x {}", size[0], size[1]),
                expected: "height and width from 1 to 4096",
            })
        }
        _ => Ok(()),
    }
}

/// Resizes an image and writes it channel by channel.
fn planes<S, T>(
    image: ImageBuffer<Rgb<S>, Vec<S>>,
    [height, width]: [usize; 2],
    out: &mut [T],
    convert: impl Fn(S) -> T,
) where
    S: image::Primitive + 'static,
    Rgb<S>: Pixel<Subpixel = S>,
{
    // Sides are at most `LARGEST`.
    let (rows, columns) = (height as u32, width as u32);
    let image = match image.dimensions() == (columns, rows) {
        true => image,
        false => imageops::resize(&image, columns, rows, FilterType::Triangle),
    };
    let area = height * width;
    for (position, pixel) in image.pixels().enumerate() {
        // One channel stands for three equal ones where there is room for no more.
        for (channel, &value) in pixel.channels().iter().take(out.len() / area).enumerate() {
            out[channel * area + position] = convert(value);
        }
    }
}

fn list(faults: &[LeftOut]) -> String {
    let one = |fault: &LeftOut| format!("{}: {}", fault.path.display(), fault.cause);
    let mut listed: Vec<String> = faults.iter().take(LISTED).map(one).collect();
    if faults.len() > LISTED {
        listed.push(format!("and {} more", faults.len() - LISTED));
    }
    listed.join("; ")
}
