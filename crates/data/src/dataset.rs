use std::sync::Arc;

use crate::error::Error;
use crate::fit::{self, Order};
use crate::images::LeftOut;
use crate::pictured::Pictured;
use crate::preprocessing::{Layout, Scale};
use crate::values::{Moments, Values, check_label_range, check_labels, element_count, shape_text};

/// A table of inputs of one shape, one per row, with optional class labels.
///
/// Valid by construction: at least one row, whole rows, finite values, labels (if any) one per
/// row and below the number of classes (if known).
///
/// ```
/// use loclin_data::{Dataset, Values};
/// let set = Dataset::new("two grey pixels", &[1], Values::Bytes(vec![0, 255]))?
///     .with_labels(vec![0, 1], Some(2))?;
/// assert_eq!(set.rows_f64(&[1, 0])?, [1.0, 0.0]);
/// # Ok::<(), loclin_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    pub(crate) name: String,
    pub(crate) input_shape: Vec<usize>,
    pub(crate) rows: usize,
    pub(crate) values: Values,
    pub(crate) labels: Option<Vec<u32>>,
    pub(crate) classes: Option<usize>,
    /// The name of each class, where the data say it.
    pub(crate) class_names: Option<Arc<[String]>>,
    /// Sub-folders that are not known to be classes.
    pub(crate) unnumbered_folders: Option<usize>,
    pub(crate) moments: Option<Moments>,
    /// What stored numbers are multiplied by, where that was said.
    pub(crate) scale: Option<Scale>,
    /// Whether stored numbers are pixels, from 0 to the largest number of 8 or 16 bits.
    pub(crate) pixels: bool,
    /// Which dimension of an input counts its channels, where that is known.
    pub(crate) layout: Option<Layout>,
    /// How the values of a stored row are ordered.
    pub(crate) order: Order,
    /// The shape and layout of a stored row.
    pub(crate) stored: (Vec<usize>, Option<Layout>),
}

impl Dataset {
    /// Rows of shape `input_shape` without labels; `name` (a file where there is one) appears in
    /// errors.
    ///
    /// # Errors
    /// An input shape with a zero or with more than `usize::MAX` elements, no rows, values that
    /// are no whole number of rows, and values that are not finite (with row and column).
    pub fn new(
        name: impl Into<String>,
        input_shape: &[usize],
        values: Values,
    ) -> Result<Self, Error> {
        let name = name.into();
        let features = element_count(input_shape)
            .filter(|&count| count > 0)
            .ok_or_else(|| {
                let expected = "every dimension at least 1, and a product that an array can have";
                Error::malformed(
                    &name,
                    "shape of an input",
                    shape_text(input_shape),
                    expected,
                )
            })?;
        let count = values.len();
        if count == 0 || !count.is_multiple_of(features) {
            let expected = format!(
                "one or more rows of {features} ({})",
                shape_text(input_shape)
            );
            return Err(Error::malformed(
                &name,
                "values",
                format!("{count} of them"),
                expected,
            ));
        }
        if let Some((position, value)) = values.first_not_finite() {
            let (row, column) = (position / features, position % features);
            return Err(Error::NotFinite {
                name,
                row,
                column,
                value,
                dtype: "number",
            });
        }
        let input_shape = input_shape.to_vec();
        let stored = (input_shape.clone(), None);
        let pixels = matches!(values, Values::Bytes(_) | Values::Files(_));
        Ok(Self {
            name,
            input_shape,
            rows: count / features,
            values,
            labels: None,
            classes: None,
            class_names: None,
            unnumbered_folders: None,
            moments: None,
            scale: None,
            pixels,
            layout: None,
            order: Order::AsStored,
            stored,
        })
    }

    /// Adds one label per row; `classes` is the number of classes where it is known.
    ///
    /// # Errors
    /// Another number of labels than rows, or a label that is not below `classes`.
    pub fn with_labels(mut self, labels: Vec<u32>, classes: Option<usize>) -> Result<Self, Error> {
        let source = format!("the labels of {}", self.name);
        check_labels(&self.name, self.rows, &source, &labels, classes)?;
        self.labels = Some(labels);
        self.classes = classes;
        Ok(self)
    }

    /// Says how many classes there are.
    ///
    /// # Errors
    /// A label that is not below `classes`.
    pub fn with_classes(self, classes: usize) -> Result<Self, Error> {
        let labels = self.labels.as_deref().unwrap_or_default();
        check_label_range(
            &format!("the labels of {}", self.name),
            labels,
            Some(classes),
        )?;
        Ok(Self {
            classes: Some(classes),
            ..self
        })
    }

    /// Says how the classes are called, in the order of their numbers.
    #[must_use]
    pub(crate) fn with_class_names(self, names: Arc<[String]>) -> Self {
        let class_names = Some(names);
        Self {
            class_names,
            ..self
        }
    }

    /// Says that the images lie in so many folders that are not known to be classes.
    #[must_use]
    pub(crate) fn with_unnumbered_folders(self, folders: usize) -> Self {
        let unnumbered_folders = Some(folders);
        Self {
            unnumbered_folders,
            ..self
        }
    }

    /// Adds the moments that a network for this data should normalise with.
    ///
    /// # Errors
    /// A number of entries that is neither 1 nor the number of channels, a mean that is not
    /// finite, or a standard deviation that is not finite and positive.
    pub fn with_moments(mut self, moments: Moments) -> Result<Self, Error> {
        let channels = self.input_shape.first().copied().unwrap_or(1);
        for (part, entries) in [
            ("mean", &moments.mean),
            ("standard deviation", &moments.std),
        ] {
            if entries.len() != 1 && entries.len() != channels
                || moments.mean.len() != moments.std.len()
            {
                let found = format!("{} entries", entries.len());
                let expected =
                    format!("1, or one for each of {channels} channels, alike for both moments");
                return Err(Error::malformed(&self.name, part, found, expected));
            }
        }
        if let Some(mean) = moments.mean.iter().find(|mean| !mean.is_finite()) {
            return Err(Error::malformed(
                &self.name,
                "mean",
                mean.to_string(),
                "a finite number",
            ));
        }
        if let Some(std) = moments
            .std
            .iter()
            .find(|std| !(std.is_finite() && **std > 0.0))
        {
            return Err(Error::malformed(
                &self.name,
                "standard deviation",
                std.to_string(),
                "a positive number",
            ));
        }
        self.moments = Some(moments);
        Ok(self)
    }

    /// The same rows, their stored numbers multiplied by this factor in place of 1/255 for bytes and images, 1/65535 for images of
    /// 16 bits, and 1 for floats.
    #[must_use]
    pub fn with_scale(self, scale: Scale) -> Self {
        let scale = Some(scale);
        Self { scale, ..self }
    }

    /// The same rows, whose numbers are those of an array and no pixels, as they are.
    #[must_use]
    pub(crate) fn of_array(self) -> Self {
        Self {
            pixels: false,
            scale: None,
            ..self
        }
    }

    /// The interval that every number of an input lies in by what it is, `[low, high]` after scaling: of pixels, 0 to 255 times the
    /// scale, or to 65535 times it where an image has 16 bits. `None` for other numbers.
    ///
    /// ```
    /// use loclin_data::{Dataset, Split, Values, digits};
    /// assert_eq!(digits::load(Split::Test, 0)?.domain(), Some([0.0, 1.0]));
    /// assert_eq!(Dataset::new("set", &[1], Values::F64(vec![0.5]))?.domain(), None);
    /// # Ok::<(), loclin_data::Error>(())
    /// ```
    pub fn domain(&self) -> Option<[f64; 2]> {
        let high = match self.deep_scale() {
            Some(scale) => scale.apply(65535.0),
            None => self.scale().apply(255.0),
        };
        self.pixels.then_some([0.0, high])
    }

    /// What stored numbers are multiplied by, but for those of 16 bits.
    pub(crate) fn scale(&self) -> Scale {
        let own = if self.pixels {
            Scale::PIXELS
        } else {
            Scale::ONE
        };
        self.scale.unwrap_or(own)
    }

    /// What those of images of 16 bits are multiplied by, where there are any.
    pub(crate) fn deep_scale(&self) -> Option<Scale> {
        let is_deep = matches!(&self.values, Values::Files(files) if files.is_deep());
        is_deep.then(|| self.scale.unwrap_or(Scale::DEEP_PIXELS))
    }

    /// The same rows, said to have their channels in this dimension.
    #[must_use]
    pub fn with_layout(self, layout: Layout) -> Self {
        let layout = Some(layout);
        let stored = (self.stored.0, layout);
        Self {
            layout,
            stored,
            ..self
        }
    }

    /// The same for rows whose layout is not known yet.
    pub(crate) fn laid_out(self, layout: Layout) -> Result<Self, Error> {
        let expected = match (self.layout, self.input_shape.len()) {
            (Some(_), _) => "none: images know their layout",
            (None, 1) => "none: a flat vector has no layout",
            (None, _) => return Ok(self.with_layout(layout)),
        };
        Err(Error::Parameter {
            name: "layout",
            found: format!("{layout} for {}", self.name),
            expected,
        })
    }

    /// The rows as inputs of the shape `wanted` that a network takes.
    ///
    /// Equal shapes, shapes that differ by dimensions of 1, and flat vectors on either side are taken in the order in which
    /// values are stored. Where it is known which dimension counts the channels, as of images, they are moved to where the
    /// network has them. Images whose three channels are equal become those of one channel where the network takes one.
    /// Moments of channels that are no longer the first dimension are left out.
    ///
    /// # Errors
    /// [`Error::Shape`]: any other shape, with what to do about it.
    ///
    /// ```
    /// use loclin_data::{Dataset, Layout, Values};
    /// let set = Dataset::new("set", &[1, 2, 3], Values::F64(vec![0., 1., 2., 3., 4., 5.]))?;
    /// let error = set.clone().fit(&[3, 1, 2]).unwrap_err().to_string();
    /// assert!(error.contains("1 x 2 x 3") && error.contains("3 x 1 x 2"), "{error}");
    /// let set = set.with_layout(Layout::ChannelsLast).fit(&[3, 1, 2])?;
    /// assert_eq!(set.rows_f64(&[0])?, [0., 3., 1., 4., 2., 5.]);
    /// # Ok::<(), loclin_data::Error>(())
    /// ```
    pub fn fit(mut self, wanted: &[usize]) -> Result<Self, Error> {
        if let Values::Files(files) = &mut self.values
            && element_count(wanted) == Some(files.area())
            && files.take_grey()
        {
            self.input_shape = files.shape().to_vec();
            self.stored.0.clone_from(&self.input_shape);
        }
        let is_image = matches!(self.values, Values::Files(_));
        let order = fit::order(&self.input_shape, wanted, self.layout, is_image);
        let order = order.map_err(|remedy| Error::Shape {
            name: self.name.clone(),
            found: shape_text(&self.input_shape),
            wanted: shape_text(wanted),
            remedy: self.remedy(wanted).unwrap_or(remedy),
        })?;
        if let Order::Moved(moved) = order {
            // Back again is as stored.
            self.order = match self.order {
                Order::AsStored => order,
                Order::Moved(_) => Order::AsStored,
            };
            self.layout = Some(moved.to);
        } else if !fit::same(&self.input_shape, wanted) {
            self.layout = None;
        }
        self.input_shape = wanted.to_vec();
        let channels = wanted.first().copied().unwrap_or(1);
        let last = self.layout == Some(Layout::ChannelsLast);
        let fits = |moments: &Moments| match moments.mean.len() {
            1 => true,
            count => count == channels && !last,
        };
        self.moments = self.moments.filter(fits);
        Ok(self)
    }

    /// What to do about images that do not fit.
    fn remedy(&self, wanted: &[usize]) -> Option<String> {
        let Values::Files(files) = &self.values else {
            return None;
        };
        let count = element_count(wanted);
        if count == Some(files.area()) {
            return Some("the images are in colour, and the model takes one channel".into());
        }
        let fits = count != Some(self.features()) && fit::image_size(wanted).is_some();
        fits.then(|| "--resize makes images fit".into())
    }

    /// How an input is seen as a picture. `None` for inputs that are no images.
    pub fn picture(&self) -> Option<Pictured> {
        let (shape, layout) = &self.stored;
        let mut places: Vec<usize> = (0..self.features()).collect();
        if let Order::Moved(moved) = self.order {
            let mut back = Vec::with_capacity(places.len());
            let other = fit::Move {
                to: moved.to.other(),
                ..moved
            };
            other.apply(&places, &mut back);
            places = back;
        }
        let of_stored = fit::picture(shape, *layout, &places);
        let found = of_stored.or_else(|| {
            let places: Vec<usize> = (0..self.features()).collect();
            fit::picture(&self.input_shape, self.layout, &places)
        });
        let [_, white] = self.domain().unwrap_or([0.0, 1.0]);
        found.map(|(shape, places)| Pictured::new(shape, places, white))
    }

    /// The name: a dataset's, or the path of a file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape of one input, for example `[1, 28, 28]`.
    pub fn input_shape(&self) -> &[usize] {
        &self.input_shape
    }

    /// Which dimension of an input counts its channels, where that is known.
    pub fn layout(&self) -> Option<Layout> {
        self.layout
    }

    /// Number of values of one input.
    pub fn features(&self) -> usize {
        self.values.len() / self.rows
    }

    /// Number of rows, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a dataset is never empty")]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// All values as they are stored.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// One label per row, if the data is labelled.
    pub fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    /// Number of classes, where it is known.
    pub fn classes(&self) -> Option<usize> {
        self.classes
    }

    /// The name of each class, where it is known: of a folder of images those of its sub-folders, or of the model's classes where
    /// these were said.
    pub fn class_names(&self) -> Option<&[String]> {
        self.class_names.as_deref()
    }

    /// How many sub-folders a folder of images has, where they are not as many as the classes of the model that the images are for:
    /// then nobody knows whose images they hold, and there are no labels.
    pub fn unnumbered_folders(&self) -> Option<usize> {
        self.unnumbered_folders
    }

    /// The moments to normalise with, where they are known.
    pub fn moments(&self) -> Option<&Moments> {
        self.moments.as_ref()
    }

    /// The images that were left out because they are broken or grey; none where rows are no image files.
    pub fn left_out(&self) -> &[LeftOut] {
        match &self.values {
            Values::Files(files) => files.left_out(),
            _ => &[],
        }
    }
}
