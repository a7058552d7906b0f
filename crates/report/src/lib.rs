#![doc = include_str!("../README.md")]
//!
//! # How the crate is made
//!
//! [`render`] turns plain numbers into a page without scripts or external
//! resources: styles are inline, charts are inline SVG that follows the
//! reader's light or dark setting, pictures are PNG data URIs. [`text_table`]
//! is the terminal's version of the same table. Nothing here knows of tensors
//! or networks, and nothing here touches the file system. [`figure`] makes
//! single figures as SVG and PNG.

mod axis;
mod bounds;
mod colour_bar;
mod data;
mod digits;
mod distributions;
mod document;
mod edges;
mod error;
mod explanation;
pub mod explorer;
pub mod figure;
mod format;
mod page;
mod picture;
mod png;
mod selection;
pub mod stats;
mod table;
mod toy;

#[cfg(test)]
mod tests;

pub use data::{
    BoundCurve, DigitReading, DigitRow, Explanation, HeatMap, LayerCount, NetworkSummary,
    NormRadii, NumberTable, Panel, PickedInput, Report, Selection, ToyPanel, ToyPoint,
};
pub use error::{Error, Result};
pub use format::{as_asked, at_least, at_most, directed, percent_at_most, printable, significant};
pub use page::render;
pub use picture::Picture;
pub use table::text_table;
