//! JPEG and PNG files that are decoded when their rows are asked for.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{ColorType, DynamicImage, ImageBuffer, ImageFormat, ImageReader, Pixel, Rgb};
use rayon::prelude::*;

use crate::Error;
use crate::file::read_all;

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
/// Pixels come out channel by channel (red, green, blue), in [0, 1]: 8 bits over 255, 16 bits over 65535.
/// Resizing is linear interpolation over the area that a pixel covers, rounded to the file's depth. Orientation
/// and colour profile of a file are not applied.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageFiles {
    paths: Vec<PathBuf>,
    size: [usize; 2],
    left_out: Vec<LeftOut>,
}

/// The largest side of a resized image.
const LARGEST: usize = 4096;

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
        let checked: Vec<Result<Checked, String>> =
            paths.par_iter().map(|path| check(path)).collect();
        let mut faults: [Vec<LeftOut>; 2] = Default::default();
        let (mut rows, mut sizes) = (Vec::new(), Vec::new());
        for (row, (path, checked)) in paths.iter().zip(checked).enumerate() {
            let (kind, cause) = match checked {
                Err(cause) => (0, cause),
                Ok(Checked { grey: true, .. }) if options.grey != Grey::Repeat => {
                    (1, "one channel (grey)".to_owned())
                }
                Ok(Checked { size, .. }) => {
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
        let size = match (options.size, sizes.first()) {
            (_, None) => {
                return Err(Error::malformed(
                    name,
                    "images",
                    format!("none that can be used ({})", list(&left_out)),
                    "at least 1",
                ));
            }
            (Some(size), _) => size,
            (None, Some(&size)) => {
                if let Some(other) = sizes.iter().position(|other| *other != size) {
                    let text = |of: usize| {
                        let ([height, width], path) = (sizes[of], paths[rows[of]].display());
                        format!("{height} x {width} ({path})")
                    };
                    return Err(Error::malformed(
                        name,
                        "sizes of the images",
                        format!("{} and {}", text(0), text(other)),
                        "one size, or \",size=N\" behind the dataset's name, which makes all N x N",
                    ));
                }
                size
            }
        };
        let files = Self {
            paths: rows.iter().map(|&row| paths[row].clone()).collect(),
            size,
            left_out,
        };
        Ok((files, rows))
    }

    /// A single file, resized to `size` or of its own size.
    ///
    /// # Errors
    /// A size out of its range, and a file that cannot be read as an image.
    pub fn one(path: &Path, size: Option<[usize; 2]>) -> Result<Self, Error> {
        let cause = |cause| Error::Image {
            path: path.into(),
            cause,
        };
        let own = check(path).map_err(cause)?.size;
        check_size(size)?;
        Ok(Self {
            paths: vec![path.into()],
            size: size.unwrap_or(own),
            left_out: Vec::new(),
        })
    }

    /// The files, one per row.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Shape of an image: three channels, height, width.
    pub fn shape(&self) -> [usize; 3] {
        [3, self.size[0], self.size[1]]
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
            size: self.size,
            left_out: self.left_out.clone(),
        }
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.paths.truncate(rows);
    }

    /// The pixels of the given rows, which must exist, each converted from [0, 1] by `convert`.
    pub(crate) fn read<T: Clone + Default + Send>(
        &self,
        rows: &[usize],
        convert: impl Fn(f64) -> T + Sync,
    ) -> Result<Vec<T>, Error> {
        let features = self.features();
        let mut values = vec![T::default(); rows.len() * features];
        values
            .par_chunks_mut(features)
            .zip(rows)
            .try_for_each(|(values, &row)| {
                let path = &self.paths[row];
                let image = decode(path).map_err(|cause| Error::Image {
                    path: path.clone(),
                    cause,
                })?;
                if is_deep(image.color()) {
                    let level = |value: u16| f64::from(value) / 65535.0;
                    planes(image.into_rgb16(), self.size, values, |v| convert(level(v)));
                } else {
                    let level = |value: u8| f64::from(value) / 255.0;
                    planes(image.into_rgb8(), self.size, values, |v| convert(level(v)));
                }
                Ok(())
            })?;
        Ok(values)
    }

    fn features(&self) -> usize {
        3 * self.size[0] * self.size[1]
    }
}

fn check_size(size: Option<[usize; 2]>) -> Result<(), Error> {
    match size {
        Some(size) if size.iter().any(|side| !(1..=LARGEST).contains(side)) => {
            Err(Error::Parameter {
                name: "size",
                found: format!("{} x {}", size[0], size[1]),
                expected: "height and width from 1 to 4096",
            })
        }
        _ => Ok(()),
    }
}

/// What is known of an image that can be read.
struct Checked {
    size: [usize; 2],
    grey: bool,
}

fn check(path: &Path) -> Result<Checked, String> {
    let image = decode(path)?;
    let color = image.color();
    Ok(Checked {
        size: [image.height() as usize, image.width() as usize],
        grey: !color.has_color(),
    })
}

/// The whole image, or why there is none.
fn decode(path: &Path) -> Result<DynamicImage, String> {
    let bytes = read_all(path).map_err(|error| match error {
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
        _ => return Err("not a JPEG or PNG image".into()),
    }
    let image = reader.decode().map_err(|error| error.to_string())?;
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

/// Whether a JPEG file has its end-of-image marker behind its last start of a scan. Neither occurs in the data of a
/// scan, and thumbnails come before the first.
fn is_complete(bytes: &[u8]) -> bool {
    let marker = |window: &[u8], code: u8| *window == [0xff, code];
    let scan = bytes.windows(2).rposition(|window| marker(window, 0xda));
    let end = bytes.windows(2).rposition(|window| marker(window, 0xd9));
    end > scan
}

fn is_deep(color: ColorType) -> bool {
    color.bytes_per_pixel() > color.channel_count()
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
        for (channel, &value) in pixel.channels().iter().enumerate() {
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
