//! The settings that the jobs of all commands have.

use loclin_data::Data;
use sha2::{Digest, Sha256};

use super::settings::Settings;
use crate::program::compute::Device;
use crate::program::files;
use crate::program::machine::VERSION;
use crate::program::model::ModelPath;
use crate::program::options::Global;

/// What the numbers of every job depend on: the program, the model and what is asked of it, the rows of the data as they are
/// stored.
///
/// # Errors
/// A file that cannot be read.
pub fn common(source: &ModelPath, data: &Data, global: &Global) -> anyhow::Result<Settings> {
    Ok(of_model(source, global)?
        .with("data", digest(|sink| data.content(sink))?)?
        .with("inputs", data.len())?)
}

/// The same without the data, for jobs that go on when there are more of them.
///
/// # Errors
/// A file that cannot be read.
pub fn of_model(source: &ModelPath, global: &Global) -> anyhow::Result<Settings> {
    let architecture = source.architecture.as_ref().map(|architecture| {
        // The name of a shipped one says all.
        match architecture.is_file() {
            true => files::digest(architecture),
            false => Ok(architecture.display().to_string()),
        }
    });
    let device = match global.device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
    };
    Ok(Settings::default()
        .with("version", VERSION)?
        .with("model", source.digest()?)?
        .with("architecture", architecture.transpose()?)?
        .with("output", &source.output)?
        .with("input_shape", &source.input_shape)?
        .with("device", device)?)
}

/// SHA-256, in hexadecimal digits, of rows and labels as they are stored, which are given piece by piece.
///
/// # Errors
/// That of the content.
pub fn digest(
    content: impl FnOnce(&mut dyn FnMut(&[u8])) -> Result<(), loclin_data::Error>,
) -> Result<String, loclin_data::Error> {
    let mut hasher = Sha256::new();
    content(&mut |bytes| hasher.update(bytes))?;
    Ok(files::hexadecimal(&hasher.finalize()))
}
