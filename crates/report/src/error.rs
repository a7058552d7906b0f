//! Why something could not be drawn.

/// The result of drawing.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something could not be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number of values that is not that of an image of the shape `[channels, height, width]`.
    #[error("{values} values are no {what} of shape {shape:?}")]
    Shape {
        /// "image" or "gradient".
        what: &'static str,
        /// How many values there are.
        values: usize,
        /// The shape that was stated.
        shape: [usize; 3],
    },
    /// A number of values that is not that of a picture of the stated size.
    #[error(
        "a picture of {width} x {height} pixels with {channels} channel(s) cannot hold {values} values"
    )]
    PictureSize {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Values for each pixel.
        channels: usize,
        /// How many values there are.
        values: usize,
    },
    /// An input that does not have one reading per network.
    #[error("{readings} readings for {networks} networks")]
    Readings {
        /// How many readings it has.
        readings: usize,
        /// How many networks are compared.
        networks: usize,
    },
    /// A heat map whose length is not `rows * cols`.
    #[error("the heat map holds {values} values, expected {rows} rows x {cols} columns")]
    HeatMap {
        /// How many values there are.
        values: usize,
        /// Rows of the grid.
        rows: usize,
        /// Columns of the grid.
        cols: usize,
    },
    /// A viewport that is empty or not finite.
    #[error("the viewport {0:?} must be [x0, x1, y0, y1] with x0 < x1 and y0 < y1, all finite")]
    Viewport([f64; 4]),
    /// A picture that cannot be encoded.
    #[error("encoding a picture of {width} x {height} pixels")]
    Picture {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Why.
        source: image::ImageError,
    },
    /// A figure that is no valid SVG.
    #[error("the figure is no valid SVG")]
    Svg(#[source] resvg::usvg::Error),
    /// A figure that cannot become a picture; says why.
    #[error("{0}")]
    Figure(&'static str),
    /// Where one of the others happened.
    #[error("{place}")]
    At {
        /// What was being drawn.
        place: String,
        /// What happened there.
        source: Box<Error>,
    },
}

/// Says where an error happened.
pub(crate) trait Context<T> {
    /// The result, its error wrapped in `place`.
    fn at(self, place: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for Result<T> {
    fn at(self, place: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::At {
            place: place(),
            source: Box::new(source),
        })
    }
}
