//! What users do to images, on the 256 levels of a pixel.

use anyhow::ensure;
use loclin_tensor::random::stream;
use rand::Rng;
use serde::Deserialize;

use super::jpeg::recoded;
use super::pictures::Pictures;

/// The random stream of noise.
const NOISE: u64 = 1;

/// One of them.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Perturbation {
    /// A JPEG file of this quality.
    Jpeg { quality: u8 },
    /// At most so many levels more or less for each pixel on its own, all equally probable.
    Noise { levels: u8 },
    /// So many levels more.
    Brightness { levels: i16 },
    /// The distance to the mean level times a factor.
    Contrast { factor: f64 },
}

impl Perturbation {
    pub(super) fn check(self) -> anyhow::Result<()> {
        match self {
            Self::Jpeg { quality } => ensure!(
                (1..=100).contains(&quality),
                "quality {quality}: expected 1 to 100"
            ),
            Self::Contrast { factor } => ensure!(
                factor.is_finite() && factor >= 0.0,
                "factor {factor}: expected at least 0"
            ),
            Self::Noise { .. } | Self::Brightness { .. } => {}
        }
        Ok(())
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Jpeg { quality } => format!("JPEG {quality}"),
            Self::Noise { levels } => format!("noise {levels}"),
            Self::Brightness { levels } => format!("brightness {levels:+}"),
            Self::Contrast { factor } => format!("contrast {factor}"),
        }
    }

    /// What is done, for a list.
    pub(super) fn words(self) -> String {
        match self {
            Self::Jpeg { quality } => format!(
                "JPEG {quality}: encoded as a grey picture of this quality, decoded as libjpeg does"
            ),
            Self::Noise { levels } => format!(
                "noise {levels}: -{levels} to +{levels} levels, each with the same probability, for every pixel on its \
                 own, cut to 0..255"
            ),
            Self::Brightness { levels } => {
                format!("brightness {levels:+}: so many levels more, cut to 0..255")
            }
            Self::Contrast { factor } => format!(
                "contrast {factor}: the distance to the image's mean level, itself rounded to a level, times {factor}, \
                 rounded, cut to 0..255"
            ),
        }
    }

    /// The images afterwards; random numbers are functions of the seed and of an image's row in the data.
    pub(super) fn apply(self, pictures: &Pictures, seed: u64) -> anyhow::Result<Vec<Vec<u8>>> {
        let each = |of: &dyn Fn(usize, &[u8]) -> Vec<u8>| {
            let all = pictures.rows.iter().zip(&pictures.levels);
            Ok(all.map(|(row, levels)| of(*row, levels)).collect())
        };
        match self {
            Self::Jpeg { quality } => recoded(pictures, quality),
            Self::Noise { levels } => each(&|row, image| {
                let mut rng = stream(seed, &[NOISE, u64::from(levels), row as u64]);
                let most = i16::from(levels);
                let noisy = |level: &u8| cut(i16::from(*level) + rng.random_range(-most..=most));
                image.iter().map(noisy).collect()
            }),
            Self::Brightness { levels } => each(&|_, image| {
                let brighter = |level: &u8| cut(i16::from(*level).saturating_add(levels));
                image.iter().map(brighter).collect()
            }),
            Self::Contrast { factor } => each(&|_, image| {
                let sum: f64 = image.iter().map(|level| f64::from(*level)).sum();
                let mean = (sum / image.len().max(1) as f64).round();
                let duller = |level: &u8| {
                    let level = mean + factor * (f64::from(*level) - mean);
                    level.round().clamp(0.0, 255.0) as u8
                };
                image.iter().map(duller).collect()
            }),
        }
    }
}

fn cut(level: i16) -> u8 {
    level.clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ramp, black, white, and a chequerboard.
    fn pictures() -> Pictures {
        let all: [fn(usize, usize) -> u8; 4] = [
            |x, y| (9 * x + 3 * y) as u8,
            |_, _| 0,
            |_, _| 255,
            |x, y| if (x + y) % 2 == 0 { 0 } else { 255 },
        ];
        let image = |of: fn(usize, usize) -> u8| {
            let pixel = |i: usize| of(i % 20, i / 20);
            (0..240).map(pixel).collect::<Vec<u8>>()
        };
        let levels: Vec<Vec<u8>> = all.map(image).to_vec();
        let number = |image: &Vec<u8>| image.iter().map(|l| f64::from(*l) / 255.0).collect();
        Pictures {
            height: 12,
            width: 20,
            rows: vec![3, 4, 8, 9],
            values: levels.iter().map(number).collect(),
            levels,
        }
    }

    fn apart(a: &[u8], b: &[u8]) -> Vec<i16> {
        let pairs = a.iter().zip(b);
        pairs.map(|(a, b)| i16::from(*b) - i16::from(*a)).collect()
    }

    #[test]
    fn levels_stay_levels() {
        let before = pictures();
        let noise = Perturbation::Noise { levels: 1 };
        let noisy = noise.apply(&before, 5).unwrap();
        assert_eq!(noisy, noise.apply(&before, 5).unwrap());
        assert_ne!(noisy, noise.apply(&before, 6).unwrap());
        let moved = apart(&before.levels[0][1..], &noisy[0][1..]);
        for step in -1..=1 {
            assert!(moved.contains(&step));
        }
        assert!(moved.iter().all(|step| step.abs() <= 1));
        // Cut at both ends.
        assert!(noisy[1].iter().all(|level| *level <= 1));
        assert!(noisy[2].iter().all(|level| *level >= 254));

        let brighter = Perturbation::Brightness { levels: 8 };
        let brighter = brighter.apply(&before, 0).unwrap();
        assert!(
            apart(&before.levels[0], &brighter[0])
                .iter()
                .all(|step| *step == 8)
        );
        assert!(brighter[2].iter().all(|level| *level == 255));
        let darker = Perturbation::Brightness { levels: -300 };
        assert!(
            darker.apply(&before, 0).unwrap()[2]
                .iter()
                .all(|level| *level == 0)
        );

        // The chequerboard's mean is 127.5, rounded 128: 128 - 64 and 128 + 63.5, rounded away from 0.
        let duller = Perturbation::Contrast { factor: 0.5 };
        let duller = duller.apply(&before, 0).unwrap();
        assert_eq!(duller[3][..2], [64, 192]);
        assert_eq!(duller[1..3], before.levels[1..3]);
    }

    #[test]
    fn jpeg_of_the_best_quality_is_nearly_the_image_and_worse_ones_are_further_away() {
        let before = pictures();
        let most = |quality: u8| {
            let after = Perturbation::Jpeg { quality }.apply(&before, 0).unwrap();
            let pairs = before.levels.iter().zip(&after);
            let apart = pairs.flat_map(|(before, after)| apart(before, after));
            apart.map(i16::abs).max().unwrap()
        };
        // Every coefficient is rounded to an integer: less than a level or two for each pixel.
        assert!(most(100) <= 2, "{}", most(100));
        assert!(most(10) > most(100));
    }

    #[test]
    fn pixels_that_stay_keep_their_number() {
        let before = pictures();
        let mut levels = before.levels.clone();
        levels[2][7] = 51;
        let after = before.with(&levels).unwrap();
        assert_eq!(after[2][7], 0.2);
        assert_eq!(after[2][8..], before.values[2][8..]);
        assert_eq!(after[0], before.values[0]);
        assert!(super::super::pictures::levels(&[0.5]).is_none());
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        assert!(Perturbation::Jpeg { quality: 0 }.check().is_err());
        assert!(Perturbation::Contrast { factor: f64::NAN }.check().is_err());
        assert!(Perturbation::Noise { levels: 1 }.check().is_ok());
    }
}
