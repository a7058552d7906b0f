//! `Resize` and `Upsample`: every entry is a weighted sum of its neighbours along each dimension.
//!
//! Where entries lie and what they weigh are rational numbers, each weight rounded once: of a coordinate that is rounded little is left where an
//! entry weighs little.

use super::{body::size, message::Node, translator::Translator};
use crate::{error::Result, sparse_rows::SparseRows};
use dashu_int::{
    IBig, UBig,
    ops::{Abs, BitTest, PowerOfTwo},
};
use dashu_ratio::RBig;

/// What it costs to find the nearest entry, and the weight of an entry, in multiplications of constants.
const NEAREST_WORK: usize = 100;
const TAP_WORK: usize = 500;

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
    scale: RBig,
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
            4.0 / float(&along.scale).min(1.0)
        } else {
            4.0
        };
        t.spend(node, along.results.saturating_mul(4))?;
        // A rational number costs as much as hundreds of floats.
        let each = if sampling.mode == "nearest" {
            NEAREST_WORK
        } else {
            TAP_WORK * taps as usize
        };
        t.spend_work(node, along.results.saturating_mul(each))?;
        let still = along.results == along.entries && along.scale.is_one();
        if still && sampling.place != "tf_crop_and_resize" {
            continue;
        }
        let (mut rows, mut digits) = (Vec::new(), 0);
        for i in 0..along.results {
            let at = sampling.coordinate(&along, i);
            digits = digits.max(sampling.digits(&along, at.as_ref()));
            let row = at.and_then(|at| sampling.terms(&along, at));
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
            SparseRows {
                digits,
                ..SparseRows::weighted(along.entries, rows)
            },
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
    let found: Vec<(f64, RBig)> = match (scales, sizes) {
        (Some(scales), _) if scales.len() == axes.len() => {
            // Sizes follow in single precision, as everywhere else.
            let length = |(n, s): (&usize, &f64)| f64::from(*n as f32 * *s as f32).floor();
            let pairs = entries.iter().zip(&scales);
            pairs
                .map(|pair| Ok((length(pair), number(node, *pair.1)?)))
                .collect::<Result<_>>()?
        }
        (None, Some(sizes)) if sizes.len() == axes.len() => {
            let mut sizes = sizes.as_floats();
            let ratio = |(s, n): (&f64, &usize)| Ok(number(node, *s)? / whole((*n).max(1)));
            let ratios = sizes.iter().zip(&entries).map(ratio);
            let ratios: Vec<RBig> = ratios.collect::<Result<_>>()?;
            let one = match &node.text("keep_aspect_ratio_policy", "stretch")[..] {
                "not_larger" => ratios.iter().min(),
                "not_smaller" => ratios.iter().max(),
                _ => None,
            };
            if let Some(one) = one {
                let rounded = |n: &usize| (one * whole(*n) + half()).floor();
                sizes = entries.iter().map(|n| float(&rounded(n).into())).collect();
            }
            let scales = ratios.iter().map(|own| one.unwrap_or(own).clone());
            sizes.into_iter().zip(scales).collect()
        }
        _ => return Err(node.error("lacks scales or sizes for its dimensions")),
    };
    if let Some((_, scale)) = found.iter().find(|(_, scale)| *scale <= RBig::ZERO) {
        return Err(node.error(format!("resizes by {}", float(scale))));
    }
    let along = |(at, (results, scale)): (usize, &(f64, RBig))| Along {
        entries: entries[at],
        results: *results as usize,
        scale: scale.clone(),
        roi: roi(at),
    };
    // Sizes are found so, too.
    let fraction = |(n, (results, scale)): (&usize, &(f64, RBig))| {
        *results > 1.0 && f64::from(*n as f32 * float(scale) as f32) != *results
    };
    let place = node.text("coordinate_transformation_mode", "half_pixel");
    if scaled && place == "align_corners" && entries.iter().zip(&found).any(fraction) {
        return Err(node.error(
            "aligns corners by a scale whose result is no whole number of entries, which the standard's reference and runtimes read in \
             two ways: export with sizes in place of scales",
        ));
    }
    let is_kept =
        |(n, (results, scale)): (&usize, &(f64, RBig))| *results == *n as f64 && !scale.is_one();
    if scaled && entries.iter().zip(&found).any(is_kept) {
        return Err(node.error(
            "resizes to as many entries by a scale other than 1, which the standard's reference resamples and runtimes copy: export with \
             sizes in place of scales",
        ));
    }
    Ok(found.iter().enumerate().map(along).collect())
}

impl Sampling {
    /// Entries and weights of the entry of the result that lies there on the operand; `None` for what is not known.
    fn terms(&self, along: &Along, at: RBig) -> Option<Vec<(usize, f64)>> {
        let (one, last) = (RBig::ONE, along.entries - 1);
        let inside = |at: &RBig| *at >= RBig::ZERO && *at <= whole(last);
        if self.place == "tf_crop_and_resize" && !inside(&at) {
            // Entries outside are a constant, which is 0 in what can be had.
            return (self.extrapolated == 0.0).then(Vec::new);
        }
        let nearby = |entry: &IBig| {
            let entry = entry.clone().max(IBig::ZERO).min(IBig::from(last));
            usize::try_from(entry).unwrap_or(last)
        };
        if self.mode == "nearest" {
            let at = match &self.nearest[..] {
                "round_prefer_floor" => (at - half()).ceil(),
                // The coordinate may be a rounded quotient: up to 1e-6 below a middle it is the middle, as in ONNX Runtime.
                "round_prefer_ceil" => {
                    (at + half() + RBig::from_parts(IBig::ONE, UBig::from(1_000_000u32))).floor()
                }
                "floor" => at.floor(),
                "ceil" => at.ceil(),
                "ceil_if_smaller" if along.scale < one => at.ceil(),
                "ceil_if_smaller" => at.floor(),
                _ => return None,
            };
            return Some(vec![(nearby(&at), 1.0)]);
        }
        let steepness = RBig::try_from(self.cubic).ok()?;
        let (reach, weight): (i32, &dyn Fn(RBig) -> RBig) = match &self.mode[..] {
            "linear" => (1, &|x: RBig| (RBig::ONE - x).max(RBig::ZERO)),
            "cubic" => (2, &|x: RBig| cubic(&x, &steepness)),
            _ => return None,
        };
        let narrow = match self.antialias {
            true => along.scale.clone().min(one),
            false => one,
        };
        let first = (RBig::from(-reach) / &narrow).floor() + 1;
        // An entry that is met exactly counts as the right one of two neighbours.
        let base = at.ceil() - 1;
        let count = usize::try_from(IBig::from(2) - 2 * &first).ok()?;
        let entries = (0..count).map(|k| &base + &first + IBig::from(k));
        let weighted = entries.map(|entry: IBig| {
            let distance = (RBig::from(entry.clone()) - &at).abs() * &narrow;
            (entry, weight(distance))
        });
        let mut terms: Vec<(IBig, RBig)> = weighted.collect();
        if self.exclude_outside {
            terms.retain(|(entry, _)| *entry >= IBig::ZERO && *entry <= IBig::from(last));
        }
        let total = terms
            .iter()
            .fold(RBig::ZERO, |sum, (_, weight)| sum + weight);
        let scaled = self.exclude_outside || self.antialias;
        if scaled && total.is_zero() {
            return None;
        }
        let place = |(entry, weight): (IBig, RBig)| {
            let weight = if scaled { weight / &total } else { weight };
            (nearby(&entry), weight)
        };
        Some(merged(terms.into_iter().map(place)))
    }

    /// How many binary digits a coordinate has that weights are computed from, before and behind the point; more than any type of numbers has
    /// where it is no such number, or its weights are none.
    fn digits(&self, along: &Along, at: Option<&RBig>) -> u32 {
        if self.mode == "nearest" {
            return 0;
        }
        let at = at.filter(|at| at.denominator().is_power_of_two());
        let exact = at.filter(|_| self.mode == "linear" && !self.antialias);
        exact.map_or(u32::MAX, |at| {
            // Halves are added and taken away on the way there.
            let behind = at.denominator().trailing_zeros().unwrap_or(0).max(1);
            let before = whole(along.entries.max(along.results)).ceil().bit_len();
            u32::try_from(before + behind + 1).unwrap_or(u32::MAX)
        })
    }

    /// Where entry `i` of the result lies on the operand.
    fn coordinate(&self, along: &Along, i: usize) -> Option<RBig> {
        let (n, m) = (along.entries, along.results);
        // Which entry is nearest is decided in single precision elsewhere, and so here.
        let divided = |x: RBig| match &self.mode[..] {
            "nearest" => RBig::try_from(float(&x) as f32 / float(&along.scale) as f32).ok(),
            _ => Some(x / &along.scale),
        };
        let (at, middle) = (whole(i), whole(i) + half());
        let last = whole(n - 1);
        let share = |from: RBig| match m {
            0 | 1 => RBig::ZERO,
            _ => from / whole(m - 1),
        };
        Some(match &self.place[..] {
            "half_pixel" => divided(middle)? - half(),
            "half_pixel_symmetric" => {
                // Exact throughout: in the middle of the result both quotients cancel.
                let shift = whole(n) * half() * (RBig::ONE - whole(m) / (whole(n) * &along.scale));
                shift + middle / &along.scale - half()
            }
            "pytorch_half_pixel" if m > 1 => divided(middle)? - half(),
            "pytorch_half_pixel" => RBig::ZERO,
            "align_corners" => share(at * last),
            "asymmetric" => divided(at)?,
            "tf_half_pixel_for_nn" => divided(middle)?,
            "tf_crop_and_resize" => {
                let [start, end] = along.roi.map(|end| RBig::try_from(end).ok());
                let (start, end) = (start?, end?);
                match m {
                    0 | 1 => half() * (start + end) * last,
                    _ => &start * &last + share(at * (end - start) * last),
                }
            }
            _ => return None,
        })
    }
}

/// A float as a rational number.
fn number(node: &Node<'_>, x: f64) -> Result<RBig> {
    RBig::try_from(x).map_err(|_| node.error(format!("resizes by {x}, which is no number")))
}

fn whole(n: usize) -> RBig {
    RBig::from(n)
}

fn half() -> RBig {
    RBig::from_parts(IBig::ONE, UBig::from(2u8))
}

/// The nearest float.
fn float(x: &RBig) -> f64 {
    x.to_f64().value()
}

/// The cubic convolution kernel (Keys 1981) at a distance.
fn cubic(x: &RBig, a: &RBig) -> RBig {
    let [one, two] = [1, 2].map(RBig::from);
    match x {
        x if *x <= one => (((a + &two) * x - (a + RBig::from(3))) * x) * x + one,
        x if *x < two => a * (((x - RBig::from(5)) * x + RBig::from(8)) * x - RBig::from(4)),
        _ => RBig::ZERO,
    }
}

/// Terms of one entry, which follow each other, added up and rounded, those of weight 0 left out.
fn merged(terms: impl Iterator<Item = (usize, RBig)>) -> Vec<(usize, f64)> {
    let mut found: Vec<(usize, RBig)> = Vec::new();
    for (entry, weight) in terms.filter(|(_, weight)| !weight.is_zero()) {
        match found.last_mut() {
            Some((other, sum)) if *other == entry => *sum += weight,
            _ => found.push((entry, weight)),
        }
    }
    found
        .into_iter()
        .map(|(entry, weight)| (entry, float(&weight)))
        .collect()
}
