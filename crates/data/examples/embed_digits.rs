//! Makes the embedded digits from the four files of MNIST:
//!
//! ```text
//! cargo run -p loclin-data --example embed_digits -- MNIST_DIR crates/data/digits/digits.idx.gz
//! ```

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mnist_directory, out] = arguments.as_slice() else {
        return Err("expected two arguments: MNIST_DIR OUT".into());
    };
    let content = loclin_data::digits::archive(Path::new(mnist_directory))?;
    // The encoder writes no name and no time, so equal content gives equal bytes.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&content)?;
    let packed = encoder.finish()?;
    fs::write(out, &packed)?;
    writeln!(
        std::io::stdout(),
        "{out}: {} bytes, {} before compression",
        packed.len(),
        content.len()
    )?;
    Ok(())
}
