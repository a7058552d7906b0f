//! Whether content is what it should be.

use std::io::Read;

use anyhow::{Context, bail, ensure};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::datasets::Expected;
use crate::program::files;

/// Holds the content, decompressed if it is gzip, against its known length and hash.
pub(super) fn verify(bytes: &[u8], expected: &Expected) -> anyhow::Result<()> {
    let mut content = Vec::new();
    // One byte more than expected is enough to see that it is too long, however much it would inflate to.
    let limit = expected.length + 1;
    if is_gzip(bytes) {
        MultiGzDecoder::new(bytes)
            .take(limit)
            .read_to_end(&mut content)
            .context("the gzip stream is damaged")?;
    } else {
        bytes.take(limit).read_to_end(&mut content)?;
    }
    let length = content.len() as u64;
    ensure!(
        length <= expected.length,
        "more than the expected {} bytes",
        expected.length
    );
    ensure!(
        length == expected.length,
        "{length} bytes; expected {}",
        expected.length
    );
    let sha256 = files::hexadecimal(&Sha256::digest(&content));
    if sha256 != expected.sha256 {
        bail!("SHA-256 {sha256}; expected {}", expected.sha256);
    }
    Ok(())
}

/// Whether content begins as gzip does.
pub(super) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}
