//! The keys that say how stored inputs become those of a network: scale, layout, resize, and what they make.

use std::fmt;

use loclin_data::{Error, Fold, Layout, Preprocessing};
use serde::{Deserializer, de};

use super::choices::DataLayout;

/// The value of `scale` that leaves it to the data.
pub(crate) const BY_DATA: &str = "by-data";

/// The value of `resize` for images as they are.
pub(crate) const NO_SIZE: &str = "none";

/// What the keys say, as they stand in files.
pub(crate) struct Keys<'a> {
    pub(crate) scale: &'a str,
    pub(crate) layout: DataLayout,
    pub(crate) resize: &'a str,
    pub(crate) exif_orientation: bool,
}

impl Keys<'_> {
    /// The same as a preprocessing, without a normalisation.
    pub(crate) fn preprocessing(&self) -> Result<Preprocessing, Error> {
        Ok(Preprocessing {
            scale: given(self.scale, BY_DATA).map(str::parse).transpose()?,
            layout: match self.layout {
                DataLayout::AsStored => None,
                DataLayout::ChannelsFirst => Some(Layout::ChannelsFirst),
                DataLayout::ChannelsLast => Some(Layout::ChannelsLast),
            },
            resize: given(self.resize, NO_SIZE).map(str::parse).transpose()?,
            exif_orientation: self.exif_orientation,
            ..Preprocessing::default()
        })
    }
}

/// The part `index` of so many of a cross-validation; none of 0.
pub(crate) fn fold(index: usize, of: usize) -> Result<Option<Fold>, Error> {
    match of {
        0 => Ok(None),
        of => Fold::new(index, of).map(Some),
    }
}

fn given<'a>(text: &'a str, not: &str) -> Option<&'a str> {
    (text != not).then_some(text)
}

/// A dataset's name and the size of its images behind it, as files before format 3 have it.
pub(crate) fn size_behind(dataset: &str) -> Option<(String, String)> {
    let (before, rest) = dataset.split_once(",size=")?;
    let (size, more) = rest
        .split_once(',')
        .map_or((rest, None), |(s, m)| (s, Some(m)));
    let name = match more {
        Some(more) => format!("{before},{more}"),
        None => before.to_owned(),
    };
    Some((name, size.to_owned()))
}

/// A text, or the text of a number.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Text;
    impl de::Visitor<'_> for Text {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number, or text in quotes")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
        fn visit_f64<E: de::Error>(self, number: f64) -> Result<String, E> {
            Ok(number.to_string())
        }
        fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }
        fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }
    deserializer.deserialize_any(Text)
}

#[cfg(test)]
mod tests {
    use super::size_behind;

    #[test]
    fn a_size_is_taken_from_behind_a_name() {
        for (given, name, size) in [
            ("caltech256,size=299", "caltech256", "299"),
            ("photos,size=8x9,broken=skip", "photos,broken=skip", "8x9"),
            ("photos,broken=skip,size=8", "photos,broken=skip", "8"),
        ] {
            let expected = Some((name.to_owned(), size.to_owned()));
            assert_eq!(size_behind(given), expected);
        }
        assert_eq!(size_behind("photos,broken=skip"), None);
    }
}
