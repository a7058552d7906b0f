//! The options that say how stored inputs become those of a model, the same for every command that reads inputs.

use std::path::PathBuf;

use anyhow::Context;
use loclin_data::{Layout, Preprocessing, Resize, Scale};

use crate::program::errors::Usage;
use crate::program::files;

/// What is done to inputs before a model sees them.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(
    next_help_heading = "Preprocessing of the inputs, in the order scale, layout, mean and std"
)]
pub struct PreprocessingOptions {
    /// What stored numbers are multiplied by: a number or a quotient [default: 1/255 for images, so that pixels are in
    /// [0, 1]; 1 for arrays, whatever their type]
    #[arg(long, value_name = "FACTOR")]
    pub scale: Option<Scale>,
    /// How arrays are laid out, where not as the model's inputs: channels-first or channels-last. Images know their
    /// layout, and are laid out as the model takes them
    #[arg(long, value_name = "LAYOUT")]
    pub layout: Option<Layout>,
    /// What the channels of scaled inputs are normalised with, for a model that does not do it itself: means, one or one
    /// for each channel. Radii are in units before it
    #[arg(
        long,
        value_name = "M,...",
        value_delimiter = ',',
        allow_hyphen_values = true,
        requires = "std"
    )]
    pub mean: Vec<f64>,
    /// The same: standard deviations
    #[arg(long, value_name = "S,...", value_delimiter = ',', requires = "mean")]
    pub std: Vec<f64>,
    /// Resize images, whatever their proportions: N, HxW, or to the model's inputs [without a value: model]
    #[arg(long, value_name = "SIZE", num_args = 0..=1, default_missing_value = "model")]
    pub resize: Option<Resize>,
    /// Turn images as their EXIF orientation says
    #[arg(long)]
    pub exif_orientation: bool,
    /// A TOML file with any of these: scale, layout, mean, std, resize, exif_orientation; options come before it
    #[arg(long, value_name = "FILE.toml")]
    pub preprocessing: Option<PathBuf>,
}

impl PreprocessingOptions {
    /// Whether any of them is there.
    pub fn is_given(&self) -> bool {
        let Self {
            scale,
            layout,
            mean,
            std,
            resize,
            exif_orientation,
            preprocessing,
        } = self;
        scale.is_some()
            || layout.is_some()
            || !mean.is_empty()
            || !std.is_empty()
            || resize.is_some()
            || *exif_orientation
            || preprocessing.is_some()
    }

    /// What the options and their file say.
    ///
    /// # Errors
    /// A file that cannot be read or says something else, and numbers that are no preprocessing.
    pub fn read(&self) -> anyhow::Result<Preprocessing> {
        let file = match &self.preprocessing {
            None => Preprocessing::default(),
            Some(path) => {
                let text = files::read_text(path)?;
                let read = || -> anyhow::Result<Preprocessing> {
                    let read: Preprocessing = toml::from_str(&text)?;
                    read.check()?;
                    Ok(read)
                };
                read().with_context(|| format!("{}: no preprocessing", path.display()))?
            }
        };
        let given = Preprocessing {
            mean: self.mean.clone(),
            std: self.std.clone(),
            scale: self.scale,
            layout: self.layout,
            resize: self.resize,
            exif_orientation: self.exif_orientation,
        };
        let checked = given.check();
        checked.map_err(|error| Usage::caused_by("--mean, --std", error))?;
        Ok(given.or(file))
    }
}
