//! From samples to pixels: libjpeg's smooth upsampling (jdsample.c) and its colours (jdcolor.c).

use super::frame::{Component, Frame};

/// The pixels of a picture, one or three bytes each; `planes` are the samples of its channels.
pub(super) fn pixels(frame: &Frame, planes: &[Vec<u8>]) -> Vec<u8> {
    let channels = frame.components.len();
    let most = frame.most;
    let mut pixels = vec![0; frame.width * frame.height * channels];
    let mut rows = vec![Vec::new(); channels];
    for (y, out) in pixels.chunks_exact_mut(frame.width * channels).enumerate() {
        let parts = frame.components.iter().zip(planes);
        for (row, (component, plane)) in rows.iter_mut().zip(parts) {
            let across = most.across / component.factors.across;
            let down = most.down / component.factors.down;
            row.clear();
            upsample(component, plane, y, (across, down), row);
        }
        match &rows[..] {
            [grey] => out.copy_from_slice(&grey[..frame.width]),
            [first, second, third] => {
                let all = first.iter().zip(second).zip(third);
                for (out, ((&first, &second), &third)) in out.as_chunks_mut().0.iter_mut().zip(all)
                {
                    *out = match frame.is_ycc {
                        true => rgb(first, second, third),
                        false => [first, second, third],
                    };
                }
            }
            _ => {}
        }
    }
    pixels
}

/// Appends row `y` of the picture of a channel with a sample for `across` columns and `down` rows.
fn upsample(
    component: &Component,
    plane: &[u8],
    y: usize,
    (across, down): (usize, usize),
    out: &mut Vec<u8>,
) {
    let (stride, width) = (8 * component.blocks_across, component.width);
    let at = |row: usize| {
        // Beyond the last row of the picture it is repeated, not what it is padded with.
        let start = row.min(component.height - 1) * stride;
        &plane[start..start + width]
    };
    let near = at(y / down);
    let other = match (y / down, y % down) {
        (0, 0) => near,
        (row, 0) => at(row - 1),
        (row, _) => at(row + 1),
    };
    // Of two rows, the nearer one counts three times.
    let sum = |at: usize| 3 * i32::from(near[at]) + i32::from(other[at]);
    match (across, down) {
        (1, 1) => out.extend_from_slice(near),
        (2, 1) if width > 2 => doubled(|at| near[at].into(), width, (2, [1, 2]), out),
        (1, 2) => {
            let bias = if y.is_multiple_of(2) { 1 } else { 2 };
            out.extend((0..width).map(|at| ((sum(at) + bias) >> 2) as u8));
        }
        (2, 2) if width > 2 => doubled(sum, width, (4, [8, 7]), out),
        _ => out.extend(
            near.iter()
                .flat_map(|&sample| std::iter::repeat_n(sample, across)),
        ),
    }
}

/// Two samples for each, the nearer one counted three times, divided by `2^shift` after the biases of the left and the right
/// one are added.
fn doubled(
    sample: impl Fn(usize) -> i32,
    count: usize,
    (shift, [left, right]): (u32, [i32; 2]),
    out: &mut Vec<u8>,
) {
    let mut before = sample(0);
    let mut here = before;
    for at in 0..count {
        let after = if at + 1 < count { sample(at + 1) } else { here };
        let pair = [3 * here + before + left, 3 * here + after + right];
        out.extend_from_slice(&pair.map(|sum| (sum >> shift) as u8));
        (before, here) = (here, after);
    }
}

/// Red, green and blue of a luma and two colour differences.
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    [
        y + ((91881 * cr + HALF) >> 16),
        y + ((-22554 * cb - 46802 * cr + HALF) >> 16),
        y + ((116_130 * cb + HALF) >> 16),
    ]
    .map(|value| value.clamp(0, 255) as u8)
}
