//! The datasets that can be fetched, as their authors published them.

use std::path::PathBuf;

use super::outcome::{FetchedFile, Status};

/// A file as the dataset's authors published it.
pub(super) struct Expected {
    /// Name without `.gz`.
    pub(super) name: &'static str,
    /// Length of the decompressed content, in bytes.
    pub(super) length: u64,
    /// SHA-256 of the decompressed content.
    pub(super) sha256: &'static str,
}

/// A dataset: its folder in the data directory, where to get it, and what must arrive.
pub(super) struct Source<'a> {
    pub(super) folder: &'a str,
    pub(super) mirrors: Vec<String>,
    /// The gzipped tar archive that holds all files; `None` where each is gzipped alone.
    pub(super) archive: Option<Archive>,
    pub(super) files: &'a [Expected],
}

/// An archive on a mirror. What counts are the files in it.
#[derive(Clone, Copy)]
pub(super) struct Archive {
    pub(super) name: &'static str,
    /// The folder in it, which the files lie in where it was unpacked by hand.
    pub(super) folder: &'static str,
    /// Its length in bytes.
    pub(super) length: u64,
}

pub(super) const CIFAR10_MIRRORS: [&str; 1] = ["https://www.cs.toronto.edu/~kriz/"];

pub(super) const CIFAR10_ARCHIVE: Archive = Archive {
    name: "cifar-10-binary.tar.gz",
    folder: "cifar-10-batches-bin",
    length: 170_052_171,
};

pub(super) const CIFAR10_FILES: [Expected; 6] = [
    Expected {
        name: "data_batch_1.bin",
        length: 30_730_000,
        sha256: "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    },
    Expected {
        name: "data_batch_2.bin",
        length: 30_730_000,
        sha256: "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    },
    Expected {
        name: "data_batch_3.bin",
        length: 30_730_000,
        sha256: "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    },
    Expected {
        name: "data_batch_4.bin",
        length: 30_730_000,
        sha256: "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    },
    Expected {
        name: "data_batch_5.bin",
        length: 30_730_000,
        sha256: "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    },
    Expected {
        name: "test_batch.bin",
        length: 30_730_000,
        sha256: "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    },
];

pub(super) const MNIST_MIRRORS: [&str; 2] = [
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
];

/// Small ones first: a problem shows before the ten megabytes.
pub(super) const MNIST_FILES: [Expected; 4] = [
    Expected {
        name: "t10k-labels-idx1-ubyte",
        length: 10_008,
        sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    Expected {
        name: "train-labels-idx1-ubyte",
        length: 60_008,
        sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    },
    Expected {
        name: "t10k-images-idx3-ubyte",
        length: 7_840_016,
        sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    },
    Expected {
        name: "train-images-idx3-ubyte",
        length: 47_040_016,
        sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    },
];

/// A file that is where it belongs.
pub(super) fn placed(path: PathBuf, status: Status, expected: &Expected) -> FetchedFile {
    FetchedFile {
        path,
        status,
        sha256: expected.sha256.to_owned(),
    }
}
