//! The steps: their names and what each looks at.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

/// The steps in the order in which they run. Their first lines are what `--list` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Formatting: `cargo fmt --all --check`
    Format,
    /// Which member may depend on which, and which crates only programs may use
    Directions,
    /// No circle of files inside a crate: imports between its modules
    Cycles,
    /// What library sources must not contain: printing, the environment
    Forbidden,
    /// Lints: clippy over all targets, warnings denied
    Clippy,
    /// Documentation builds without a warning
    Docs,
    /// `docs/` is a book: `mdbook`, installed below `target/` where it is missing
    Book,
    /// Every test, with the same random cases every time: `cargo test --workspace`
    Tests,
    /// The packages to be published are made, and with `--long` built from their own files: `cargo package`
    Package,
    /// The oldest toolchain that `rust-version` promises builds the libraries and the program
    Msrv,
    /// The fuzz targets build, where there is a C++ compiler
    Fuzz,
    /// A certification in 8 parts by HyperQueue, one killed and queued again, equals that of one process; where there is Python 3
    Cluster,
    /// The Python package: wheel, types and tests, where there is Python
    Python,
    /// The demonstration runs, leaves a report, and shows what it promises
    Demo,
    /// The commands of the auditor's page of the guide do and say what it promises
    Guide,
    /// Every kind of page in a headless browser: nothing from outside, no sideways scroll, accessible; where there are Node.js and chromium
    Browser,
}

impl Step {
    /// What the step looks at, in the words of its documentation.
    pub(super) fn what(self) -> String {
        let value = self.to_possible_value();
        value
            .and_then(|value| value.get_help().map(ToString::to_string))
            .unwrap_or_default()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every step has a name; clap can only hide values, and none is hidden.
        f.write_str(
            self.to_possible_value()
                .as_ref()
                .map_or("", |value| value.get_name()),
        )
    }
}
