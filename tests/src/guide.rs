//! The examples of `docs/guide.md`, tested as they stand there.
#![doc = include_str!("../../docs/guide.md")]
