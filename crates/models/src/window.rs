//! The geometry of a sliding window: kernel, stride, padding, dilation.

use crate::{
    error::{Error, Result},
    patch::Patch,
};
use serde::{Deserialize, Serialize};

/// A window that slides over the last two dimensions (height, width) of `[channels, height, width]`.
///
/// The window's entries lie `dilation` apart; its first position starts `padding` before the first entry;
/// `floor((n + padding - dilation (kernel - 1) - 1) / stride) + 1` positions fit, as in PyTorch and ONNX.
///
/// ```
/// use loclin_models::operators::Window2d;
/// let window = Window2d::square(3, 2, 1);
/// assert_eq!(window.output(&[5, 7, 8])?, [5, 4, 4]);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window2d {
    /// Height and width of the window, at least 1.
    pub kernel: [usize; 2],
    /// Steps between positions, at least 1.
    pub stride: [usize; 2],
    /// Rows before and after, columns before and after.
    pub padding: [[usize; 2]; 2],
    /// Steps between the window's entries, at least 1.
    pub dilation: [usize; 2],
}

impl Window2d {
    /// A square window with one stride and the same padding on every side.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [[padding; 2]; 2],
            dilation: [1; 2],
        }
    }

    /// The shape `[channels, height, width]` that comes of the shape `[channels, height, width]` of one input,
    /// or why none does.
    ///
    /// # Errors
    /// As text: a shape of another number of dimensions, a window that fits nowhere, and a stride of 0.
    pub fn output(&self, shape: &[usize]) -> std::result::Result<Vec<usize>, String> {
        let [channels, height, width] = *shape else {
            return Err(format!(
                "takes an operand [channels, height, width], found {shape:?}"
            ));
        };
        Ok(vec![
            channels,
            self.positions(0, height)?,
            self.positions(1, width)?,
        ])
    }

    /// How many positions fit along one axis (0 is the height) of `n` entries.
    pub(crate) fn positions(&self, axis: usize, n: usize) -> std::result::Result<usize, String> {
        let [before, after] = self.padding[axis];
        let padded = n.checked_add(before).and_then(|n| n.checked_add(after));
        let reach = self.reach(axis);
        padded
            .zip(reach)
            .and_then(|(padded, reach)| padded.checked_sub(reach)?.checked_sub(1))
            .filter(|free| free.checked_add(self.stride[axis]).is_some())
            .and_then(|free| Some(free.checked_div(self.stride[axis])? + 1))
            .ok_or_else(|| format!("a window {self:?} does not fit {n} entries"))
    }

    /// The first of `n` entries along one axis that lies under the windows of a patch of positions, and how many do from there on, at
    /// least 1.
    pub(crate) fn under(&self, axis: usize, n: usize, patch: &Patch) -> (usize, usize) {
        let (first, count) = (patch.first[axis] * self.stride[axis], patch.size[axis]);
        let last = first + (count.max(1) - 1) * self.stride[axis] + self.reach(axis).unwrap_or(0);
        let before = self.padding[axis][0];
        let first = first.saturating_sub(before).min(n.saturating_sub(1));
        let end = (last + 1)
            .saturating_sub(before)
            .clamp(first + 1, n.max(first + 1));
        (first, end - first)
    }

    /// `dilation (kernel - 1)`: from the window's first entry to its last.
    fn reach(&self, axis: usize) -> Option<usize> {
        self.kernel[axis]
            .checked_sub(1)?
            .checked_mul(self.dilation[axis])
    }

    /// For every position along one axis of `n` entries, the entries under the window, padding left out.
    pub(crate) fn members(
        &self,
        axis: usize,
        n: usize,
    ) -> std::result::Result<Vec<Vec<usize>>, String> {
        let before = self.padding[axis][0];
        let entry = |position: usize, k: usize| {
            (position * self.stride[axis] + k * self.dilation[axis])
                .checked_sub(before)
                .filter(|i| *i < n)
        };
        let window = |position| {
            (0..self.kernel[axis])
                .filter_map(|k| entry(position, k))
                .collect()
        };
        Ok((0..self.positions(axis, n)?).map(window).collect())
    }

    /// For every position along one axis of `n` entries, how many entries are under the window: the lengths of
    /// [`Window2d::members`], in constant memory.
    pub(crate) fn counts(
        &self,
        axis: usize,
        n: usize,
    ) -> std::result::Result<impl Iterator<Item = usize>, String> {
        let (stride, dilation) = (self.stride[axis], self.dilation[axis]);
        let (kernel, before) = (self.kernel[axis], self.padding[axis][0]);
        // Window entries that lie before entry `end` of the padded operand.
        let below = move |end: usize, start: usize| {
            end.saturating_sub(start).div_ceil(dilation).min(kernel)
        };
        let count = move |position: usize| {
            let start = position * stride;
            below(before + n, start) - below(before, start)
        };
        Ok((0..self.positions(axis, n)?).map(count))
    }

    /// Refuses sizes of 0.
    pub(crate) fn check(&self, field: &'static str) -> Result<()> {
        let sizes = [self.kernel, self.stride, self.dilation].concat();
        if sizes.contains(&0) {
            return Err(Error::Config {
                field,
                cause: format!("kernel, stride and dilation must be at least 1, found {self:?}"),
            });
        }
        Ok(())
    }
}
