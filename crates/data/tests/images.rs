//! Folders of encoded images, good and bad, and their augmentation.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::{assert_says, write};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use loclin_data::{
    Augmentation, Classes, Data, Dataset, Error, Preprocessing, Split, Values, folders, source,
};
use proptest::prelude::*;

fn open(name: impl AsRef<str>, split: Split) -> Result<Dataset, Error> {
    source::open(name.as_ref(), split, None, 0).and_then(Data::into_table)
}

/// The same, every image resized.
fn resized(name: impl AsRef<str>, size: &str, split: Split) -> Result<Dataset, Error> {
    let preprocessing = Preprocessing {
        resize: Some(size.parse()?),
        ..Preprocessing::default()
    };
    let request = source::Request {
        preprocessing: &preprocessing,
        ..source::Request::of(split)
    };
    source::open_with(name.as_ref(), &request).and_then(Data::into_table)
}

/// The images of a name in `root`, for a model of these classes.
fn of_classes(
    root: &Path,
    name: &str,
    split: Split,
    classes: Option<Classes<'_>>,
) -> Result<Dataset, Error> {
    let request = source::Request {
        classes,
        ..source::Request::of(split)
    };
    let name = root.join(name);
    source::open_with(name.to_str().unwrap(), &request).and_then(Data::into_table)
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A JPEG image of one colour.
fn plain(width: u32, height: u32, color: [u8; 3]) -> Vec<u8> {
    encoded(
        RgbImage::from_pixel(width, height, Rgb(color)),
        ImageFormat::Jpeg,
    )
}

fn folder(root: &Path, name: &str) -> PathBuf {
    let folder = root.join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Two classes, one of them with every file that may go wrong.
fn flawed() -> (tempfile::TempDir, String) {
    let root = tempfile::tempdir().unwrap();
    let (cats, dogs) = (folder(root.path(), "cats"), folder(root.path(), "dogs"));
    write(&cats, "b.jpg", &plain(20, 10, [200, 100, 50]));
    write(
        &cats,
        "a.png",
        &encoded(
            RgbImage::from_pixel(1, 1, Rgb([10, 20, 30])),
            ImageFormat::Png,
        ),
    );
    write(&cats, "notes.txt", b"two cats");
    write(&dogs, "text.jpg", b"a photograph of a dog");
    let whole = plain(64, 64, [1, 2, 3]);
    write(&dogs, "truncated.jpg", &whole[..whole.len() / 2]);
    let png = encoded(
        RgbImage::from_pixel(30, 30, Rgb([7, 8, 9])),
        ImageFormat::Png,
    );
    write(&dogs, "truncated.png", &png[..png.len() - 20]);
    write(&dogs, "empty.png", b"");
    let clear = image::RgbaImage::from_pixel(4, 4, image::Rgba([1, 2, 3, 128]));
    write(&dogs, "transparent.png", &encoded(clear, ImageFormat::Png));
    let grey = image::GrayImage::from_pixel(5, 5, image::Luma([51]));
    write(&dogs, "zgrey.jpeg", &encoded(grey, ImageFormat::Jpeg));
    folder(&dogs, "more");
    let name = root.path().to_str().unwrap().to_owned();
    (root, name)
}

#[test]
fn broken_images_are_named_and_left_out_on_request() {
    let (_root, name) = flawed();
    let error = resized(&name, "8", Split::Test).unwrap_err();
    assert_says(
        &error,
        &[
            "5 of 8 images",
            "text.jpg: not a JPEG or PNG image",
            "truncated.jpg: a JPEG image that ends too early",
            "truncated.png: ",
            "empty.png: not a JPEG",
            "transparent.png: transparent pixels",
            ",broken=skip",
        ],
    );
    let set = resized(format!("{name},broken=skip"), "8", Split::Test).unwrap();
    assert_eq!(set.labels(), Some(&[0, 0, 1][..]));
    assert_eq!(
        (set.input_shape(), set.classes()),
        (&[3, 8, 8][..], Some(2))
    );
    assert_eq!(set.left_out().len(), 5);
    // Images of one colour keep it, whatever their size; grey ones get it three times.
    let rows = set.rows_f64(&[2, 0]).unwrap();
    assert_eq!(rows[..192], [0.2; 192]);
    for (plane, level) in rows[192..].chunks(64).zip([10.0, 20.0, 30.0]) {
        assert_eq!(plane, [level / 255.0; 64]);
    }
    let error = resized(format!("{name},broken=skip,grey=refuse"), "8", Split::Test).unwrap_err();
    assert_says(
        &error,
        &["1 of 8 images", "zgrey.jpeg: one channel", ",grey=skip"],
    );
    let set = resized(format!("{name},broken=skip,grey=skip"), "8", Split::Test).unwrap();
    assert_eq!(set.len(), 2);
}

#[test]
fn images_of_different_sizes_need_one() {
    let (_root, name) = flawed();
    let error = open(format!("{name},broken=skip"), Split::Test).unwrap_err();
    assert_says(
        &error,
        &["1 x 1 (", "10 x 20 (", "a.png", "b.jpg", "--resize"],
    );
    let set = resized(format!("{name},broken=skip"), "6x4", Split::Test).unwrap();
    assert_eq!(set.input_shape(), [3, 6, 4]);
}

#[test]
fn options_that_mean_nothing_are_refused() {
    let (_root, name) = flawed();
    let cases: [(&str, &[&str]); 4] = [
        ("size=8", &["size=8", "--resize"]),
        (
            "broken=maybe",
            &["broken=maybe", "broken=refuse or broken=skip"],
        ),
        ("grei=skip", &["grei=skip", "grey="]),
        ("broken=skip,broken=skip", &["broken=", "behind the name"]),
    ];
    for (option, words) in cases {
        assert_says(
            &open(format!("{name},{option}"), Split::Test).unwrap_err(),
            words,
        );
    }
    for size in ["0", "big", "9000", "8x", "8x0", "8x8x8"] {
        assert_says(
            &resized(&name, size, Split::Test).unwrap_err(),
            &["resize", size, "from 1 to 4096"],
        );
    }
    assert_says(
        &open("digits,broken=skip", Split::Test).unwrap_err(),
        &["broken=skip", "no options"],
    );
    assert_says(
        &resized("digits", "8", Split::Test).unwrap_err(),
        &["resize", "digits", "image files"],
    );
}

#[test]
fn classes_without_images_are_named() {
    let (root, name) = flawed();
    folder(root.path(), "birds");
    write(&folder(root.path(), "fish"), "one.txt", b"a fish");
    let error = resized(format!("{name},broken=skip"), "8", Split::Test).unwrap_err();
    assert_says(&error, &["birds, fish", "at least one image"]);
}

/// A folder's pictures are all of its inputs: those of types that are not read are refused by name, and so are those beside sub-folders.
#[test]
fn no_picture_is_passed_over_without_a_word() {
    let root = tempfile::tempdir().unwrap();
    let png = encoded(RgbImage::from_pixel(4, 4, Rgb([1, 2, 3])), ImageFormat::Png);
    for other in [
        "b.webp", "b.BMP", "b.gif", "b.Tiff", "b.tif", "b.avif", "b.heic", "b.jp2",
    ] {
        // In a folder without labels, and in a class.
        let (flat, classes) = (
            folder(root.path(), &format!("flat {other}")),
            folder(root.path(), other),
        );
        for (set, own) in [(&flat, flat.clone()), (&classes, folder(&classes, "cat"))] {
            write(&own, "a.png", &png);
            write(&own, other, b"RIFF....WEBPVP8 ");
            for passed_over in ["README", ".DS_Store", "Thumbs.db", "c.csv", "._d.webp"] {
                write(&own, passed_over, b"text");
            }
            let name = set.to_str().unwrap();
            let words = ["1 of 2 images", other, "convert it", ",broken=skip"];
            assert_says(&open(name, Split::Test).unwrap_err(), &words);
            let left = open(format!("{name},broken=skip"), Split::Test).unwrap();
            assert_eq!((left.len(), left.left_out().len()), (1, 1), "{other}");
            fs::remove_file(own.join("a.png")).unwrap();
            assert_says(
                &open(name, Split::Test).unwrap_err(),
                &[other, "convert it"],
            );
        }
    }
    let photos = folder(root.path(), "photos");
    for (own, image) in [
        ("", "0.png"),
        ("", "1.png"),
        ("edited", "0.png"),
        ("other", "0.png"),
    ] {
        write(&folder(&photos, own), image, &png);
    }
    for option in ["", ",broken=skip"] {
        let error = open(format!("{}{option}", photos.display()), Split::Test).unwrap_err();
        assert_says(
            &error,
            &[
                "photos: images: found 2",
                "`0.png`",
                "`edited`",
                "photos/*.png",
            ],
        );
    }
    let pattern = photos.join("*.png");
    assert_eq!(
        open(pattern.to_str().unwrap(), Split::Test).unwrap().len(),
        2
    );
}

/// A picture that is named alone has the label of its folder if there are as many folders as the model has classes.
#[test]
fn a_single_picture_has_the_label_of_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    for class in ["ape", "bee", "cat"] {
        write(&folder(dir.path(), class), "0.png", &plain(4, 3, [9, 9, 9]));
    }
    fs::create_dir(dir.path().join(".hidden")).unwrap();
    let open = |name: &str, classes: Option<usize>| {
        let name = dir.path().join(name);
        let request = source::Request {
            classes: classes.map(Classes::Count),
            ..source::Request::of(Split::Test)
        };
        source::open_with(name.to_str().unwrap(), &request).unwrap()
    };
    let one = open("bee/0.png", Some(3));
    assert_eq!(one.labels(), Some(&[1][..]));
    assert_eq!(one.class_names().unwrap(), ["ape", "bee", "cat"]);
    assert_eq!(open("cat/*.png", Some(3)).labels(), Some(&[2][..]));
    assert_eq!(open("bee/0.png", Some(10)).labels(), None);
    assert_eq!(open("bee/0.png", None).labels(), None);
    // A folder that holds no images is no class.
    fs::create_dir(dir.path().join("empty")).unwrap();
    assert_eq!(open("bee/0.png", Some(4)).labels(), None);
}

/// With names of classes, a folder's label is the number of its name, whatever other folders there are: for a folder of all its
/// images, for images named one by one, and for parts, which are the same rows whatever the classes are called.
#[test]
fn folders_are_the_classes_that_they_are_called() {
    let dir = tempfile::tempdir().unwrap();
    let images = |class: &str| if class == "cat" { 25 } else { 13 };
    for class in ["cat", "dog", "ship"] {
        for image in 0..images(class) {
            let name = format!("{image:02}.png");
            write(&folder(dir.path(), class), &name, &plain(4, 3, [9, 9, 9]));
        }
    }
    let all = ["plane", "car", "cat", "dog", "ship"].map(str::to_owned);
    let few = ["ship", "cat", "dog"].map(str::to_owned);
    for names in [&all[..], &few] {
        let names = Some(Classes::Names(names));
        for split in [Split::Test, Split::Train, Split::Valid] {
            let (set, plain) = (
                of_classes(dir.path(), "", split, names),
                of_classes(dir.path(), "", split, None),
            );
            let (set, plain) = (set.unwrap(), plain.unwrap());
            assert_eq!(set.values(), plain.values(), "{split}");
            let called = set.class_names().unwrap();
            let (labels, folders) = (set.labels().unwrap(), plain.labels().unwrap());
            for (label, folder) in labels.iter().zip(folders) {
                let own = ["cat", "dog", "ship"][*folder as usize];
                assert_eq!(called[*label as usize], own, "{split}");
            }
            let one = of_classes(dir.path(), "dog/03.png", Split::Test, names).unwrap();
            let dog = called.iter().position(|name| name == "dog").unwrap();
            assert_eq!(one.labels(), Some(&[dog as u32][..]));
        }
    }
    // Another number of classes says nothing about folders; names say which folder is none of them, or one of several.
    let some = of_classes(dir.path(), "", Split::Test, Some(Classes::Count(5))).unwrap();
    assert_eq!((some.labels(), some.class_names()), (None, None));
    assert_eq!(some.unnumbered_folders(), Some(3));
    for (names, words) in [
        (
            ["cat", "Dog", "ship"],
            ["`dog`", "none of the names of --classes"],
        ),
        (["cat", "dog", "dog"], ["`dog`", "2 classes"]),
    ] {
        let names = names.map(str::to_owned);
        let names = Some(Classes::Names(&names));
        assert_says(
            &of_classes(dir.path(), "", Split::Test, names).unwrap_err(),
            &words,
        );
        assert_eq!(
            of_classes(dir.path(), "dog/03.png", Split::Test, names)
                .unwrap()
                .labels(),
            None
        );
    }
}

/// A folder that is a link is a class by its own name, beside the links, whatever lies beside what it leads to.
#[cfg(unix)]
#[test]
fn a_linked_folder_is_the_class_that_it_is_called() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let set = folder(dir.path(), "set");
    // In the store the order is the other one.
    for (class, stored) in [("ape", "store/z"), ("bee", "store/y")] {
        let stored = folder(dir.path(), stored);
        write(&stored, "0.png", &plain(4, 3, [9, 9, 9]));
        symlink(&stored, set.join(class)).unwrap();
    }
    symlink(&set, dir.path().join("link")).unwrap();
    for (name, label) in [
        ("set/ape/0.png", 0),
        ("set/bee/0.png", 1),
        ("link/bee/0.png", 1),
        // Dots behind a link lead out of what it leads to.
        ("set/ape/../../set/bee/0.png", 1),
    ] {
        let request = source::Request {
            classes: Some(Classes::Count(2)),
            ..source::Request::of(Split::Test)
        };
        let path = dir.path().join(name);
        let found = source::open_with(path.to_str().unwrap(), &request).unwrap();
        assert_eq!(found.labels(), Some(&[label][..]), "{name}");
        assert_eq!(found.class_names().unwrap(), ["ape", "bee"], "{name}");
    }
}

/// A scale multiplies the numbers as they are stored; without one, every depth has its own.
#[test]
fn a_scale_is_one_of_stored_numbers_at_every_depth() {
    let root = tempfile::tempdir().unwrap();
    let levels = |x: u32, y: u32| Rgb([x as u16, 256 + y as u16, 65535]);
    let deep = encoded(
        DynamicImage::ImageRgb16(image::ImageBuffer::from_fn(2, 2, levels)),
        ImageFormat::Png,
    );
    let file = write(&folder(root.path(), "deep"), "a.png", &deep);
    write(&folder(root.path(), "both"), "a.png", &deep);
    let image = RgbImage::from_pixel(2, 2, Rgb([255, 0, 51]));
    let shallow = encoded(image, ImageFormat::Png);
    write(&folder(root.path(), "both"), "b.png", &shallow);
    let open = |name: &Path, scale: Option<&str>| {
        let preprocessing = Preprocessing {
            scale: scale.map(|text| text.parse().unwrap()),
            ..Preprocessing::default()
        };
        let request = source::Request {
            preprocessing: &preprocessing,
            ..source::Request::of(Split::Test)
        };
        let set = source::open_with(name.to_str().unwrap(), &request);
        set.and_then(Data::into_table).unwrap()
    };
    let stored = [
        [0.0, 1.0, 0.0, 1.0],
        [256.0, 256.0, 257.0, 257.0],
        [65535.0; 4],
    ]
    .concat();
    let times = |divisor: f64| stored.iter().map(|v| v / divisor).collect::<Vec<f64>>();
    for (scale, divisor, high, words) in [
        (None, 65535.0, 1.0, "those of 16 bits times 1/65535;"),
        (Some("1/65535"), 65535.0, 1.0, "pixels times 1/65535;"),
        (Some("1/255"), 255.0, 257.0, "pixels times 1/255;"),
        (Some("1"), 1.0, 65535.0, "pixels as they are, 0 to 65535;"),
    ] {
        let set = open(&file, scale);
        assert_eq!(set.rows_f64(&[0]).unwrap(), times(divisor), "{scale:?}");
        assert_eq!(set.domain(), Some([0.0, high]), "{scale:?}");
        assert_says(&set.applied(), &[words]);
    }
    let both = open(&root.path().join("both"), None);
    assert_eq!(both.rows_f64(&[0]).unwrap(), times(65535.0));
    assert_eq!(both.rows_f64(&[1]).unwrap()[..4], [1.0; 4]);
    assert_eq!(both.domain(), Some([0.0, 1.0]));
    assert_says(&both.applied(), &["pixels times 1/255, those of 16 bits"]);
    let both = open(&root.path().join("both"), Some("1/255"));
    assert_eq!(both.rows_f64(&[1]).unwrap()[..4], [1.0; 4]);
    assert_eq!(both.domain(), Some([0.0, 257.0]));
}

#[test]
fn sixteen_bits_are_kept_and_files_are_read_late() {
    let root = tempfile::tempdir().unwrap();
    let deep = image::ImageBuffer::from_fn(2, 2, |x, y| Rgb([x as u16, 257 * y as u16, 65535]));
    write(
        root.path(),
        "a.png",
        &encoded(DynamicImage::ImageRgb16(deep), ImageFormat::Png),
    );
    let image = RgbImage::from_pixel(2, 2, Rgb([255, 0, 51]));
    let second = write(root.path(), "b.png", &encoded(image, ImageFormat::Png));
    let set = open(root.path().to_str().unwrap(), Split::Test).unwrap();
    assert_eq!(
        (set.len(), set.labels(), set.input_shape()),
        (2, None, &[3, 2, 2][..])
    );
    let one = 1.0 / 65535.0;
    let (red, green) = ([0.0, one, 0.0, one], [0.0, 0.0, 1.0 / 255.0, 1.0 / 255.0]);
    let expected = [red, green, [1.0; 4]].concat();
    let found = set.rows_f64(&[0]).unwrap();
    // Two quotients that are equal in exact arithmetic differ by a rounding.
    assert!(
        found
            .iter()
            .zip(&expected)
            .all(|(a, b)| (a - b).abs() < 1e-16),
        "{found:?}"
    );

    fs::remove_file(&second).unwrap();
    let part = set.subset(&[1, 0]).unwrap();
    assert_says(&part.rows_f32(&[0]).unwrap_err(), &["b.png"]);
    assert_eq!(part.rows_f64(&[1]).unwrap(), found);
}

/// A tree in Caltech-256's layout with so many images in each class.
fn caltech(counts: &[usize]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (label, &count) in counts.iter().enumerate() {
        let class = folder(
            root.path(),
            &format!("256_ObjectCategories/{:03}.thing", label + 1),
        );
        let bytes = plain(12, 9, [label as u8; 3]);
        for image in 0..count {
            write(&class, &format!("{:03}_{image:04}.jpg", label + 1), &bytes);
        }
    }
    root
}

#[test]
fn caltech256_is_split_by_class_and_seed() {
    let root = caltech(&[21, 30, 25]);
    let load = |split, seed| {
        let set = source::open("caltech256", split, Some(root.path()), seed).unwrap();
        let Values::Files(files) = set.clone().into_table().unwrap().values().clone() else {
            unreachable!()
        };
        (files.paths().to_vec(), set.labels().unwrap().to_vec())
    };
    let count = |labels: &[u32]| [0, 1, 2].map(|c| labels.iter().filter(|l| **l == c).count());
    let parts = [Split::Valid, Split::Test, Split::Train].map(|split| load(split, 5));
    assert_eq!(
        parts.each_ref().map(|(_, labels)| count(labels)),
        [[5; 3], [15; 3], [1, 10, 5]]
    );
    let all: BTreeSet<_> = parts.iter().flat_map(|(paths, _)| paths).collect();
    assert_eq!(all.len(), 76);
    assert_eq!(load(Split::Test, 5), parts[1]);
    assert_ne!(load(Split::Test, 6), parts[1]);

    let set = source::open("caltech256", Split::Valid, Some(root.path()), 0).unwrap();
    let set = set.into_table().unwrap();
    assert_eq!(set.input_shape(), [3, 299, 299]);
    assert_eq!(set.moments().unwrap().mean, folders::MEAN);
}

#[test]
fn caltech256_must_be_complete() {
    let few = caltech(&[21, 20]);
    let name = |root: &tempfile::TempDir| root.path().to_str().unwrap().to_owned();
    assert_says(
        &open(name(&few), Split::Test).unwrap_err(),
        &["002.thing", "20 images", "at least 21"],
    );
    let gap = caltech(&[21, 21, 21]);
    let inner = gap.path().join("256_ObjectCategories");
    fs::remove_dir_all(inner.join("002.thing")).unwrap();
    assert_says(
        &open(name(&gap), Split::Test).unwrap_err(),
        &["003.thing", "002.name"],
    );
    fs::rename(inner.join("001.thing"), inner.join("000.thing")).unwrap();
    assert_says(
        &open(name(&gap), Split::Test).unwrap_err(),
        &["000.thing", "001.name"],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn pixels_of_a_png_come_out_as_they_are(width in 1u32..9, height in 1u32..9, seed: u32) {
        let root = tempfile::tempdir().unwrap();
        let value = |x: u32, y: u32, c: u32| (seed ^ (x * 7919 + y * 104_729 + c * 1_299_709)) as u8;
        let image = RgbImage::from_fn(width, height, |x, y| Rgb([0, 1, 2].map(|c| value(x, y, c))));
        write(root.path(), "image.png", &encoded(image, ImageFormat::Png));
        let set = open(root.path().to_str().unwrap(), Split::Test).unwrap();
        let mut expected = Vec::new();
        for c in 0..3 {
            for y in 0..height {
                expected.extend((0..width).map(|x| f64::from(value(x, y, c)) / 255.0));
            }
        }
        prop_assert_eq!(set.rows_f64(&[0]).unwrap(), expected);
    }

    #[test]
    fn an_augmented_image_is_a_crop_of_the_padded_one(
        height in 1usize..6, width in 1usize..6, padding in 0usize..4, flip: bool, seed: u64, epoch: u64, row in 0usize..1000,
    ) {
        let shape = [2, height, width];
        let image: Vec<u32> = (1..=(2 * height * width) as u32).collect();
        let augmentation = Augmentation { padding, flip };
        let mut values = [image.clone(), image.clone()].concat();
        augmentation.apply(&mut values, &shape, &[row, row + 1], seed, epoch).unwrap();
        let (first, second) = values.split_at(image.len());
        let mut alone = image.clone();
        augmentation.apply(&mut alone, &shape, &[row + 1], seed, epoch).unwrap();
        prop_assert_eq!(&alone[..], second);

        let at = |c: usize, y: isize, x: isize| match y >= 0 && x >= 0 && y < height as isize && x < width as isize {
            true => image[(c * height + y as usize) * width + x as usize],
            false => 0,
        };
        let reach = padding as isize;
        let crop = |dy: isize, dx: isize, flipped: bool| {
            let mut out = Vec::new();
            for c in 0..2 {
                for y in 0..height as isize {
                    for x in 0..width as isize {
                        let x = if flipped { width as isize - 1 - x } else { x };
                        out.push(at(c, y + dy, x + dx));
                    }
                }
            }
            out
        };
        let mut crops = (-reach..=reach)
            .flat_map(|dy| (-reach..=reach).map(move |dx| (dy, dx)))
            .flat_map(|(dy, dx)| [crop(dy, dx, false), crop(dy, dx, flip)]);
        prop_assert!(crops.any(|crop| crop == first));
    }
}

#[test]
fn every_crop_and_both_sides_are_drawn() {
    let image: Vec<u32> = (1..=9).collect();
    let mut seen = BTreeSet::new();
    let augmentation = Augmentation {
        padding: 1,
        flip: true,
    };
    for epoch in 0..400 {
        let mut values = image.clone();
        augmentation
            .apply(&mut values, &[1, 3, 3], &[0], 1, epoch)
            .unwrap();
        seen.insert(values);
    }
    // Nine crops, two sides; the chance to miss one in 400 draws is below 1e-8.
    assert_eq!(seen.len(), 18);
    let error = augmentation
        .apply(&mut [0.0; 4], &[4], &[0], 0, 0)
        .unwrap_err();
    assert_says(&error, &["[channels, height, width]"]);
}
