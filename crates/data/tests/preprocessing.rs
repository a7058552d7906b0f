//! Shapes that fit a model and those that do not, against an oracle; scales; layouts; image files on their own.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

mod common;

use common::{assert_says, write};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use loclin_data::{
    Data, Dataset, Error, Layout, Preprocessing, Resize, Scale, Split, Values, source,
};
use proptest::prelude::*;

fn numbered(shape: &[usize]) -> Dataset {
    let count = 2 * shape.iter().product::<usize>();
    let values = (0..count).map(|value| value as f64).collect();
    Dataset::new("set", shape, Values::F64(values)).unwrap()
}

fn both(set: &Dataset) -> Vec<f64> {
    set.rows_f64(&[0, 1]).unwrap()
}

/// All ways to order the dimensions of a shape and to put in dimensions of 1.
fn any_relative(shape: Vec<usize>) -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    let ones = prop::collection::vec(0usize..4, 0..3);
    let shuffled = Just(shape.clone()).prop_shuffle();
    (shuffled, ones).prop_map(move |(mut other, ones)| {
        for at in ones {
            other.insert(at.min(other.len()), 1);
        }
        (shape.clone(), other)
    })
}

fn any_pair() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    let shape = || prop::collection::vec(1usize..5, 1..4);
    prop_oneof![
        (shape(), shape()),
        shape().prop_flat_map(any_relative),
        shape().prop_map(|shape| (shape.clone(), vec![shape.iter().product()])),
        shape().prop_map(|shape| (vec![shape.iter().product()], shape)),
    ]
}

proptest! {
    #[test]
    fn a_shape_fits_if_only_ones_differ_or_one_is_flat((found, wanted) in any_pair()) {
        let set = numbered(&found);
        let before = both(&set);
        let count = |shape: &[usize]| shape.iter().product::<usize>();
        let sides = |shape: &[usize]| shape.iter().copied().filter(|&n| n > 1).collect::<Vec<_>>();
        let flat = sides(&found).len() <= 1 || sides(&wanted).len() <= 1;
        let fits = count(&found) == count(&wanted) && (flat || sides(&found) == sides(&wanted));
        match set.fit(&wanted) {
            Ok(set) => {
                prop_assert!(fits, "{found:?} {wanted:?}");
                prop_assert_eq!(set.input_shape(), &wanted[..]);
                prop_assert_eq!(both(&set), before);
            }
            Err(error) => {
                prop_assert!(!fits, "{found:?} {wanted:?}");
                let text = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
                assert_says(&error, &[&format!("shape {};", text(&found)), &format!("takes {}:", text(&wanted))]);
            }
        }
    }

    /// A transposed array with a layout gives what the model's own array gives; one whose transposition has its shape stays.
    #[test]
    fn a_layout_moves_channels(channels in 1usize..6, height in 1usize..6, width in 1usize..6) {
        let (first, last) = ([channels, height, width], [height, width, channels]);
        let set = numbered(&first);
        let values = both(&set);
        let mut moved = Vec::new();
        for row in values.chunks(values.len() / 2) {
            for at in 0..height * width {
                moved.extend((0..channels).map(|channel| row[channel * height * width + at]));
            }
        }
        let other = Dataset::new("set", &last, Values::F64(moved.clone())).unwrap();
        let ambiguous = first == last && channels > 1;
        let same_order = channels == 1 || height * width == 1;
        for (set, layout, wanted, expected) in [
            (set, Layout::ChannelsFirst, last, moved),
            (other, Layout::ChannelsLast, first, values),
        ] {
            let own = set.clone().with_layout(layout);
            // In the model's own shape it is in the model's own layout, also where that is the shape of the other one.
            let same = own.clone().fit(set.input_shape()).unwrap();
            prop_assert_eq!((both(&same), same.layout()), (both(&set), Some(layout)));
            let found = own.fit(&wanted).unwrap();
            if ambiguous {
                prop_assert_eq!((both(&found), found.layout()), (both(&set), Some(layout)));
                continue;
            }
            prop_assert_eq!(both(&found), expected.clone());
            prop_assert_eq!(both(&found.subset(&[1, 0]).unwrap().subset(&[1, 0]).unwrap()), expected);
            // And back again, if it was moved.
            if !same_order {
                prop_assert_eq!(both(&found.fit(set.input_shape()).unwrap()), both(&set));
                let error = set.fit(&wanted);
                if let Err(error) = error {
                    assert_says(&error, &[&format!("--layout {layout}")]);
                }
            }
        }
    }

    #[test]
    fn a_quotient_is_rounded_once_and_read_back(factor in 1u32..1000, divisor in 1u32..1000, value in -1e9..1e9f64) {
        let scale: Scale = format!("{factor}/{divisor}").parse().unwrap();
        prop_assert_eq!(scale.to_string().parse::<Scale>().unwrap(), scale);
        prop_assert_eq!(scale.apply(value), value * f64::from(factor) / f64::from(divisor));
    }
}

#[test]
fn numbers_of_a_preprocessing_are_checked() {
    for text in [
        "0",
        "-1",
        "nan",
        "inf",
        "1/0",
        "1/2/3",
        "",
        "x",
        "1e308/1e-308",
    ] {
        assert_says(&text.parse::<Scale>().unwrap_err(), &["scale", "1/255"]);
    }
    let of = |mean: &[f64], std: &[f64]| Preprocessing {
        mean: mean.to_vec(),
        std: std.to_vec(),
        ..Preprocessing::default()
    };
    assert!(of(&[0.5; 3], &[0.2; 3]).check().is_ok());
    for (mean, std) in [
        (&[0.5][..], &[][..]),
        (&[0.5], &[0.1, 0.2]),
        (&[f64::NAN], &[0.1]),
        (&[0.5], &[0.0]),
        (&[0.5], &[f64::INFINITY]),
    ] {
        assert!(of(mean, std).check().is_err(), "{mean:?} {std:?}");
    }
    let first = of(&[0.5], &[0.2]);
    let second = Preprocessing {
        scale: Some(Scale::PIXELS),
        resize: Some(Resize::To([2, 3])),
        ..of(&[0.1], &[0.1])
    };
    let both = first.clone().or(second.clone());
    assert_eq!((both.mean, both.scale), (first.mean, second.scale));
}

#[test]
fn a_scale_is_what_stored_numbers_are_multiplied_by() {
    let bytes = Dataset::new("set", &[2], Values::Bytes(vec![0, 51])).unwrap();
    assert_eq!(bytes.rows_f64(&[0]).unwrap(), [0.0, 0.2]);
    let scaled = bytes.with_scale("1/51".parse().unwrap());
    assert_eq!(scaled.rows_f64(&[0]).unwrap(), [0.0, 1.0]);
    assert_eq!(
        scaled.applied().to_string(),
        "bytes times 1/51; radii in these units"
    );
    let large = Dataset::new("set", &[2], Values::F32(vec![1.0, 3e38])).unwrap();
    let large = large.with_scale("1e300".parse().unwrap());
    assert_says(&large.rows_f64(&[0]).unwrap_err(), &["column 1", "inf"]);
    assert_says(&large.rows_f32(&[0]).unwrap_err(), &["column 0", "f32"]);
}

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A picture whose pixels say where they stand.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([0, 1, 2].map(|channel| (100 * channel + 10 * y + x) as u8))
    })
}

fn open(
    name: &std::path::Path,
    preprocessing: &Preprocessing,
    input: Option<&[usize]>,
) -> Result<Dataset, Error> {
    let request = source::Request {
        preprocessing,
        input_shape: input,
        ..source::Request::of(Split::Test)
    };
    source::open_with(name.to_str().unwrap(), &request).and_then(Data::into_table)
}

#[test]
fn images_come_as_the_model_takes_them() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "one.png", &png(picture(4, 3)));
    let none = Preprocessing::default();
    let first = open(&file, &none, Some(&[3, 3, 4])).unwrap();
    let last = open(&file, &none, Some(&[1, 3, 4, 3])).unwrap();
    let (first_row, last_row) = (first.rows_f64(&[0]).unwrap(), last.rows_f64(&[0]).unwrap());
    for channel in 0..3 {
        for at in 0..12 {
            let expected = (100 * channel + 10 * (at / 4) + at % 4) as f64 / 255.0;
            assert_eq!(first_row[channel * 12 + at], expected);
            assert_eq!(last_row[at * 3 + channel], expected);
        }
    }
    assert_eq!(
        last.applied().to_string(),
        "pixels times 1/255; laid out 1 x 3 x 4 x 3 (channels-last); radii in these units"
    );
    for shape in [&[4, 3, 3][..], &[3, 4, 4], &[3, 2, 6], &[3, 3, 3]] {
        let error = open(&file, &none, Some(shape)).unwrap_err();
        assert_says(&error, &["one.png", "3 x 3 x 4", "the model takes"]);
    }
    // Their layout is known, so it is not said.
    let layout = Preprocessing {
        layout: Some(Layout::ChannelsLast),
        ..Preprocessing::default()
    };
    assert_says(
        &open(&file, &layout, None).unwrap_err(),
        &["layout", "images know"],
    );
    // To the size of the model, whichever side its channels are on.
    let resize = Preprocessing {
        resize: Some(Resize::Model),
        ..Preprocessing::default()
    };
    for shape in [&[3, 6, 8][..], &[6, 8, 3]] {
        let set = open(&file, &resize, Some(shape)).unwrap();
        assert_eq!(set.input_shape(), shape);
        assert_says(&set.applied(), &["resized to 6 x 8; pixels"]);
    }
    for shape in [Some(&[144][..]), Some(&[3, 5, 3]), None] {
        assert_says(
            &open(&file, &resize, shape).unwrap_err(),
            &["resize", "HxW"],
        );
    }
    let bytes = Preprocessing {
        scale: Some(Scale::ONE),
        ..Preprocessing::default()
    };
    let set = open(&file, &bytes, None).unwrap();
    assert_eq!(set.rows_f64(&[0]).unwrap()[35], 223.0);
    assert_says(&set.applied(), &["pixels as they are, 0 to 255"]);
}

#[test]
fn grey_images_are_taken_by_models_of_one_channel() {
    let directory = tempfile::tempdir().unwrap();
    let grey = |value: u8| RgbImage::from_pixel(2, 2, Rgb([value; 3]));
    write(directory.path(), "a.png", &png(grey(51)));
    let luma = image::GrayImage::from_pixel(2, 2, image::Luma([255]));
    write(directory.path(), "b.png", &png(luma));
    let none = Preprocessing::default();
    for shape in [&[1, 2, 2][..], &[4], &[2, 2, 1], &[2, 2]] {
        let set = open(directory.path(), &none, Some(shape)).unwrap();
        let expected = [[0.2; 4], [1.0; 4]].concat();
        assert_eq!(set.rows_f64(&[0, 1]).unwrap(), expected, "{shape:?}");
    }
    let set = open(directory.path(), &none, Some(&[3, 2, 2])).unwrap();
    assert_eq!(set.features(), 12);
    let colour = write(directory.path(), "c.png", &png(picture(2, 2)));
    for path in [directory.path(), &colour] {
        let error = open(path, &none, Some(&[1, 2, 2])).unwrap_err();
        assert_says(&error, &["3 x 2 x 2", "1 x 2 x 2"]);
    }
    let pattern = directory.path().join("[ab].png");
    assert!(open(&pattern, &none, None).is_err());
    let pattern = directory.path().join("?.png");
    assert_eq!(open(&pattern, &none, None).unwrap().len(), 3);
    let broken = write(directory.path(), "d.png", b"no picture");
    assert_says(
        &open(&broken, &none, None).unwrap_err(),
        &["d.png", "not a JPEG or PNG"],
    );
}

#[test]
fn exif_orientation_is_applied_on_request() {
    // Exif in a PNG: big-endian TIFF, one entry, tag 0x0112 of one short.
    let exif = |orientation: u8| {
        [
            &b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..],
            &[orientation, 0, 0, 0, 0, 0, 0],
        ]
        .concat()
    };
    let stored = picture(3, 2);
    let at = |x: u32, y: u32| f64::from(stored.get_pixel(x, y)[0]) / 255.0;
    let directory = tempfile::tempdir().unwrap();
    let turned = Preprocessing {
        exif_orientation: true,
        ..Preprocessing::default()
    };
    for orientation in 1..=8u8 {
        use image::ImageEncoder;
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder
            .write_image(stored.as_raw(), 3, 2, image::ExtendedColorType::Rgb8)
            .unwrap();
        let file = write(directory.path(), "exif.png", &bytes);
        let plain = open(&file, &Preprocessing::default(), None).unwrap();
        assert_eq!(plain.input_shape(), [3, 2, 3]);
        let set = open(&file, &turned, None).unwrap();
        let [_, height, width] = *set.input_shape() else {
            unreachable!()
        };
        assert_eq!(
            [height, width],
            if orientation < 5 { [2, 3] } else { [3, 2] }
        );
        let row = set.rows_f64(&[0]).unwrap();
        for y in 0..height as u32 {
            for x in 0..width as u32 {
                // Where the row and column 0 of the stored picture are shown (Exif 2.3, table of tag 274).
                let expected = match orientation {
                    1 => at(x, y),
                    2 => at(2 - x, y),
                    3 => at(2 - x, 1 - y),
                    4 => at(x, 1 - y),
                    5 => at(y, x),
                    6 => at(y, 1 - x),
                    7 => at(2 - y, 1 - x),
                    _ => at(2 - y, x),
                };
                assert_eq!(
                    row[y as usize * width + x as usize],
                    expected,
                    "{orientation}"
                );
            }
        }
        assert_says(&set.applied(), &["turned by EXIF orientation"]);
    }
}
