//! A drawing that becomes an SVG or a PNG file.

use maud::{Markup, PreEscaped, html};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use crate::error::{Error, Result};

const STYLE: &str = include_str!("../figure.css");
/// PNG pixels per SVG unit.
const RESOLUTION: f32 = 2.0;

/// A drawing on white, its size in SVG units.
pub struct Canvas {
    width: f64,
    height: f64,
    drawing: Markup,
}

impl Canvas {
    /// `drawing` is SVG in the classes of `figure.css`.
    pub fn new(width: f64, height: f64, drawing: Markup) -> Self {
        Self {
            width,
            height,
            drawing,
        }
    }

    /// A whole SVG file.
    pub fn svg(&self) -> String {
        let (width, height) = (self.width.ceil(), self.height.ceil());
        let markup = html! {
            svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
                viewBox={ "0 0 " (width) " " (height) } {
                style { (PreEscaped(STYLE)) }
                rect.paper width=(width) height=(height) {}
                (self.drawing)
            }
        };
        markup.into_string()
    }

    /// The same as a PNG file, twice as many pixels as SVG units.
    ///
    /// # Errors
    /// When the drawing is no valid SVG, or too large for a picture.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut options = Options::default();
        let fonts = options.fontdb_mut();
        // The fonts of the machine play no part: the same picture everywhere.
        fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
        let family = fonts.faces().next().and_then(|face| face.families.first());
        let family = family
            .map(|(name, _)| name.clone())
            .ok_or(Error::Figure("the font has no name"))?;
        fonts.set_sans_serif_family(family);
        let tree = Tree::from_str(&self.svg(), &options).map_err(Error::Svg)?;
        let size = tree
            .size()
            .scale_by(RESOLUTION)
            .ok_or(Error::Figure("the figure is empty"))?;
        let size = size.to_int_size();
        let mut pixels = Pixmap::new(size.width(), size.height())
            .ok_or(Error::Figure("the figure is too large"))?;
        let scale = Transform::from_scale(RESOLUTION, RESOLUTION);
        resvg::render(&tree, scale, &mut pixels.as_mut());
        pixels
            .encode_png()
            .map_err(|_| Error::Figure("cannot encode the figure"))
    }
}
