//! Sliding windows over one, two or three dimensions: what the attributes of a node say.

use super::{body::size, message::Node};
use crate::{error::Result, window::Window2d};

/// A window along one dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Along {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) before: usize,
    pub(super) after: usize,
    /// Entries beyond the padding, which the last window reaches where sizes are rounded up.
    pub(super) beyond: usize,
    /// Entries of the operand.
    pub(super) entries: usize,
}

impl Along {
    /// From the first entry under a window to the one after the last.
    pub(super) fn reach(&self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }

    /// How many positions there are.
    pub(super) fn positions(&self) -> usize {
        let padded = self.entries + self.before + self.after + self.beyond;
        padded.saturating_sub(self.reach()) / self.stride + 1
    }

    /// The entries under the window at a position.
    pub(super) fn under(&self, position: usize) -> impl Iterator<Item = usize> {
        let own = *self;
        (0..own.kernel).filter_map(move |k| {
            let entry = (position * own.stride + k * own.dilation).checked_sub(own.before)?;
            (entry < own.entries).then_some(entry)
        })
    }

    /// How many places under the window at a position are entries or padding.
    pub(super) fn counted(&self, position: usize) -> usize {
        let end = self.entries + self.before + self.after;
        (0..self.kernel)
            .filter(|k| position * self.stride + k * self.dilation < end)
            .count()
    }
}

/// The windows of a node over dimensions of the given sizes.
pub(super) fn windows(node: &Node<'_>, sizes: &[usize], kernel: &[usize]) -> Result<Vec<Along>> {
    let rank = sizes.len();
    if kernel.len() != rank || rank == 0 {
        return Err(node.error(format!("a kernel of {kernel:?} over {rank} dimensions")));
    }
    if let Some(declared) = list(node, "kernel_shape", rank)?.filter(|declared| declared != kernel)
    {
        return Err(node.error(format!(
            "kernel_shape {declared:?}, and a kernel of {kernel:?}"
        )));
    }
    let strides = list(node, "strides", rank)?.unwrap_or_else(|| vec![1; rank]);
    let dilations = list(node, "dilations", rank)?.unwrap_or_else(|| vec![1; rank]);
    let mode = node.text("auto_pad", "NOTSET");
    let pads = pads(node, rank)?;
    let round_up = node.int("ceil_mode", 0) != 0;
    let along = |axis: usize| -> Result<Along> {
        let mut along = Along {
            kernel: positive(node, kernel[axis])?,
            stride: strides[axis],
            dilation: dilations[axis],
            before: 0,
            after: 0,
            beyond: 0,
            entries: sizes[axis],
        };
        if along
            .dilation
            .checked_mul(along.kernel)
            .is_none_or(|reach| size(&[reach]).is_none())
        {
            return Err(node.error(format!("a kernel of {kernel:?} dilated by {dilations:?}")));
        }
        // What makes ceil(n / stride) windows fit; an odd entry goes before or after.
        let same = |more_before: usize| {
            let windows = along.entries.div_ceil(along.stride);
            let total =
                ((windows.max(1) - 1) * along.stride + along.reach()).saturating_sub(along.entries);
            let before = (total + more_before) / 2;
            (before, total - before)
        };
        (along.before, along.after) = match &mode[..] {
            "NOTSET" => (pads[axis], pads[axis + rank]),
            "VALID" => (0, 0),
            "SAME_UPPER" => same(0),
            "SAME_LOWER" => same(1),
            other => return Err(node.error(format!("auto_pad `{other}`"))),
        };
        let padded = along.entries + along.before + along.after;
        let Some(free) = padded.checked_sub(along.reach()) else {
            let beyond = along.reach() - padded;
            if round_up && beyond < along.stride && along.entries > 0 {
                // Sizes are rounded up to one window, which reaches beyond the padding.
                along.beyond = beyond;
                return Ok(along);
            }
            return Err(node.error(format!("a window of {kernel:?} does not fit {sizes:?}")));
        };
        if round_up && !free.is_multiple_of(along.stride) {
            // A window that begins behind the entries is left out.
            let last = free.div_ceil(along.stride) * along.stride;
            if last < along.entries + along.before {
                along.beyond = last - free;
            }
        }
        Ok(along)
    };
    let found: Vec<Along> = (0..rank).map(along).collect::<Result<_>>()?;
    let padded: Vec<usize> = found
        .iter()
        .map(|a| a.entries + a.before + a.after + a.beyond)
        .collect();
    match size(&padded) {
        Some(_) => Ok(found),
        None => Err(node.error("has pads that make the value too large")),
    }
}

/// Two windows, height and width, as operators take them.
pub(super) fn pair(rows: &Along, columns: &Along) -> Window2d {
    let both = [rows, columns];
    Window2d {
        kernel: both.map(|a| a.kernel),
        stride: both.map(|a| a.stride),
        padding: both.map(|a| [a.before, a.after + a.beyond]),
        dilation: both.map(|a| a.dilation),
    }
}

/// A window that does nothing.
pub(super) fn still() -> Along {
    Along {
        kernel: 1,
        stride: 1,
        dilation: 1,
        before: 0,
        after: 0,
        beyond: 0,
        entries: 1,
    }
}

/// The pads before each dimension, then those after each.
fn pads(node: &Node<'_>, rank: usize) -> Result<Vec<usize>> {
    let Some(pads) = node.ints("pads") else {
        return Ok(vec![0; 2 * rank]);
    };
    if pads.len() != 2 * rank {
        return Err(node.error(format!("{} pads for {rank} dimensions", pads.len())));
    }
    pads.iter().map(|pad| count(node, *pad)).collect()
}

/// An attribute of a positive number for each of `rank` dimensions.
pub(super) fn list(node: &Node<'_>, name: &str, rank: usize) -> Result<Option<Vec<usize>>> {
    let Some(numbers) = node.ints(name) else {
        return Ok(None);
    };
    if numbers.len() != rank {
        return Err(node.error(format!("{} {name} for {rank} dimensions", numbers.len())));
    }
    let positive = |n: &i64| positive(node, count(node, *n)?);
    numbers
        .iter()
        .map(positive)
        .collect::<Result<_>>()
        .map(Some)
}

pub(super) fn positive(node: &Node<'_>, number: usize) -> Result<usize> {
    match number {
        0 => Err(node.error("a kernel, stride, dilation or group of 0")),
        n => Ok(n),
    }
}

/// A number that is not negative and no larger than any value could be.
pub(super) fn count(node: &Node<'_>, number: i64) -> Result<usize> {
    usize::try_from(number)
        .ok()
        .filter(|n| size(&[*n]).is_some())
        .ok_or_else(|| {
            node.error(format!(
                "a number of {number}, which is negative or too large"
            ))
        })
}
