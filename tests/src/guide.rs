//! The examples of the guide, tested as they stand there.
#![doc = include_str!("../../docs/guide.md")]
#![doc = include_str!("../../docs/bound.md")]
