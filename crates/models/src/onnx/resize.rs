//! `Resize` and `Upsample`: every entry is a weighted sum of its neighbours along each dimension.

use super::{body::size, message::Node, translator::Translator};
use crate::{error::Result, sparse_rows::SparseRows};

/// How entries of the result are placed on the operand, and what is taken there.
struct Sampling {
    mode: String,
    place: String,
    nearest: String,
    cubic: f64,
    exclude_outside: bool,
    antialias: bool,
    extrapolated: f64,
}

/// One dimension: entries, entries of the result, by what factor, and the region of interest.
struct Along {
    entries: usize,
    results: usize,
    scale: f64,
    roi: [f64; 2],
}

pub(super) fn resize<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let mut value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let old = node.op_type == "Upsample" || t.opset < 11;
    // Version 10 of Resize says nothing of it; its tests and its evaluators agree on this.
    let old_nearest = match node.op_type {
        "Upsample" => "floor",
        _ => "ceil_if_smaller",
    };
    let text = |name: &str, old_value: &str, default: &'static str| match old {
        true => old_value.to_string(),
        false => node.text(name, default),
    };
    let sampling = Sampling {
        mode: node.text("mode", "nearest"),
        place: text("coordinate_transformation_mode", "asymmetric", "half_pixel"),
        nearest: text("nearest_mode", old_nearest, "round_prefer_floor"),
        cubic: node.float("cubic_coeff_a", -0.75),
        exclude_outside: node.int("exclude_outside", 0) != 0,
        antialias: node.int("antialias", 0) != 0,
        extrapolated: node.float("extrapolation_value", 0.0),
    };
    let named = match node.ints("axes") {
        Some(axes) => axes.to_vec(),
        None => (0..full.len() as i64).collect(),
    };
    node.axes(&named, full.len())?;
    let axes: Vec<usize> = named
        .iter()
        .map(|axis| node.axis(*axis, full.len()))
        .collect::<Result<_>>()?;
    for (axis, along) in axes.iter().zip(dimensions(t, node, &full, &axes)?) {
        if size(&[along.results]).is_none() || along.results == 0 || along.entries == 0 {
            return Err(node.error(format!(
                "makes {} of {} entries",
                along.results, along.entries
            )));
        }
        let taps = if sampling.antialias {
            4.0 / along.scale.min(1.0)
        } else {
            4.0
        };
        t.spend(node, along.results.saturating_mul(4))?;
        t.spend_work(node, along.results.saturating_mul(taps as usize))?;
        let still = along.results == along.entries && along.scale == 1.0;
        if still && sampling.place != "tf_crop_and_resize" {
            continue;
        }
        let mut rows = Vec::new();
        for i in 0..along.results {
            let row = sampling.terms(&along, i);
            let row = row.ok_or_else(|| {
                node.error(format!(
                    "resizes by a mode that is not known, or extrapolates: `{}`, `{}`",
                    sampling.mode, sampling.place
                ))
            })?;
            t.spend(node, row.len())?;
            rows.push(row);
        }
        value = t.resample(
            node,
            &value,
            *axis,
            SparseRows::weighted(along.entries, rows),
        )?;
    }
    t.set(node, 0, value)
}

/// The sizes and scales of the dimensions that are resized.
fn dimensions<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    full: &[usize],
    axes: &[usize],
) -> Result<Vec<Along>> {
    let late = node.op_type == "Resize" && (t.opset >= 11 || node.inputs.len() > 2);
    let roi = if late {
        t.optional_constant(node, 1)?
    } else {
        None
    };
    let scales = t.optional_constant(node, if late { 2 } else { 1 })?;
    let scales = scales
        .map(|scales| scales.as_floats())
        .filter(|scales| !scales.is_empty());
    let scales = scales.or_else(|| node.attribute("scales").map(|a| a.floats.clone()));
    let sizes = if late {
        t.optional_constant(node, 3)?
    } else {
        None
    };
    let roi = roi
        .map(|roi| roi.as_floats())
        .filter(|roi| roi.len() == 2 * axes.len());
    let roi = |at: usize| match &roi {
        Some(roi) => [roi[at], roi[at + axes.len()]],
        None => [0.0, 1.0],
    };
    let entries: Vec<usize> = axes.iter().map(|axis| full[*axis]).collect();
    let scaled = scales.is_some();
    let found: Vec<(f64, f64)> = match (scales, sizes) {
        (Some(scales), _) if scales.len() == axes.len() => {
            // Sizes follow in single precision, as everywhere else.
            let length = |(n, s): (&usize, &f64)| f64::from(*n as f32 * *s as f32).floor();
            entries
                .iter()
                .zip(&scales)
                .map(|pair| (length(pair), *pair.1))
                .collect()
        }
        (None, Some(sizes)) if sizes.len() == axes.len() => {
            let mut sizes = sizes.as_floats();
            let ratios = sizes.iter().zip(&entries).map(|(s, n)| s / *n as f64);
            let one = match &node.text("keep_aspect_ratio_policy", "stretch")[..] {
                "not_larger" => ratios.reduce(f64::min),
                "not_smaller" => ratios.reduce(f64::max),
                _ => None,
            };
            if let Some(one) = one {
                sizes = entries.iter().map(|n| (one * *n as f64).round()).collect();
            }
            let scale = |(s, n): (&f64, &usize)| (*s, one.unwrap_or(s / *n as f64));
            sizes.iter().zip(&entries).map(scale).collect()
        }
        _ => return Err(node.error("lacks scales or sizes for its dimensions")),
    };
    let along = |(at, (results, scale)): (usize, &(f64, f64))| Along {
        entries: entries[at],
        results: *results as usize,
        scale: *scale,
        roi: roi(at),
    };
    // Sizes are found so, too.
    let fraction = |(n, (results, scale)): (&usize, &(f64, f64))| {
        *results > 1.0 && f64::from(*n as f32 * *scale as f32) != *results
    };
    let place = node.text("coordinate_transformation_mode", "half_pixel");
    if scaled && place == "align_corners" && entries.iter().zip(&found).any(fraction) {
        return Err(node.error(
            "aligns corners by a scale whose result is no whole number of entries, which the standard's reference and runtimes read in \
             two ways: export with sizes in place of scales",
        ));
    }
    Ok(found.iter().enumerate().map(along).collect())
}

impl Sampling {
    /// Entries and weights of entry `i` of the result; `None` for what is not known.
    fn terms(&self, along: &Along, i: usize) -> Option<Vec<(usize, f64)>> {
        let at = self.coordinate(along, i)?;
        let last = along.entries as f64 - 1.0;
        if self.place == "tf_crop_and_resize" && !(0.0..=last).contains(&at) {
            // Entries outside are a constant, which is 0 in what can be had.
            return (self.extrapolated == 0.0).then(Vec::new);
        }
        if self.mode == "nearest" {
            let at = match &self.nearest[..] {
                "round_prefer_floor" => (at - 0.5).ceil(),
                "round_prefer_ceil" => (at + 0.5).floor(),
                "floor" => at.floor(),
                "ceil" => at.ceil(),
                "ceil_if_smaller" if along.scale < 1.0 => at.ceil(),
                "ceil_if_smaller" => at.floor(),
                _ => return None,
            };
            return Some(vec![(at.clamp(0.0, last) as usize, 1.0)]);
        }
        let (reach, weight): (f64, &dyn Fn(f64) -> f64) = match &self.mode[..] {
            "linear" => (1.0, &|x: f64| (1.0 - x.abs()).max(0.0)),
            "cubic" => (2.0, &|x: f64| cubic(x.abs(), self.cubic)),
            _ => return None,
        };
        let narrow = if self.antialias {
            along.scale.min(1.0)
        } else {
            1.0
        };
        let first = (-reach / narrow).floor() + 1.0;
        // An entry that is met exactly counts as the right one of two neighbours.
        let base = at.ceil() - 1.0;
        let count = (2.0 - 2.0 * first) as usize;
        let mut terms: Vec<(f64, f64)> = (0..count)
            .map(|k| base + first + k as f64)
            .map(|entry| (entry, weight((entry - at) * narrow)))
            .collect();
        if self.exclude_outside {
            terms.retain(|(entry, _)| (0.0..=last).contains(entry));
        }
        let total: f64 = terms.iter().map(|(_, weight)| weight).sum();
        let scaled = self.exclude_outside || self.antialias;
        let place = |(entry, weight): (f64, f64)| {
            let weight = if scaled { weight / total } else { weight };
            (entry.clamp(0.0, last) as usize, weight)
        };
        Some(merged(terms.into_iter().map(place)))
    }

    /// Where entry `i` of the result lies on the operand.
    fn coordinate(&self, along: &Along, i: usize) -> Option<f64> {
        let (n, m) = (along.entries as f64, along.results as f64);
        // Which entry is nearest is decided in single precision elsewhere, and so here.
        let divided = |x: f64| match &self.mode[..] {
            "nearest" => f64::from(x as f32 / along.scale as f32),
            _ => x / along.scale,
        };
        let i = i as f64;
        Some(match &self.place[..] {
            "half_pixel" => divided(i + 0.5) - 0.5,
            "half_pixel_symmetric" => {
                let shift = n / 2.0 * (1.0 - m / (n * along.scale));
                shift + divided(i + 0.5) - 0.5
            }
            "pytorch_half_pixel" if m > 1.0 => divided(i + 0.5) - 0.5,
            "pytorch_half_pixel" => 0.0,
            "align_corners" if m > 1.0 => i * (n - 1.0) / (m - 1.0),
            "align_corners" => 0.0,
            "asymmetric" => divided(i),
            "tf_half_pixel_for_nn" => divided(i + 0.5),
            "tf_crop_and_resize" if m > 1.0 => {
                let [start, end] = along.roi;
                start * (n - 1.0) + i * (end - start) * (n - 1.0) / (m - 1.0)
            }
            "tf_crop_and_resize" => 0.5 * (along.roi[0] + along.roi[1]) * (n - 1.0),
            _ => return None,
        })
    }
}

/// The cubic convolution kernel (Keys 1981) at a distance.
fn cubic(x: f64, a: f64) -> f64 {
    match x {
        x if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        x if x < 2.0 => a * (((x - 5.0) * x + 8.0) * x - 4.0),
        _ => 0.0,
    }
}

/// Terms of one entry added up, those of weight 0 left out.
fn merged(terms: impl Iterator<Item = (usize, f64)>) -> Vec<(usize, f64)> {
    let mut found: Vec<(usize, f64)> = Vec::new();
    for (entry, weight) in terms.filter(|(_, weight)| *weight != 0.0) {
        match found.iter_mut().find(|(other, _)| *other == entry) {
            Some((_, sum)) => *sum += weight,
            None => found.push((entry, weight)),
        }
    }
    found
}
