//! Piecewise-linear functions of one number, the same for all numbers of a value: what selections within selections are.

use super::{
    forms::{is_move, parameter_length, whole},
    message::Node,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::{error::Result, operators::Activation, spec::OperatorSpec};
use dashu_int::ops::BitTest;
use dashu_ratio::RBig;
use std::collections::HashMap;

/// So many operators are looked through, one behind the other: some for each selection.
const DEPTH: usize = 40;

/// Pieces of a function that is looked through, and digits of its numbers in base 2.
const MOST: usize = 64;
const DIGITS: usize = 4096;

/// A continuous function; none of its numbers is rounded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar {
    /// Where its pieces meet, ascending.
    breakpoints: Vec<RBig>,
    /// Slope and value at 0 of each piece, one more.
    pieces: Vec<[RBig; 2]>,
}

impl Scalar {
    fn affine(slope: RBig, constant: RBig) -> Self {
        Self {
            breakpoints: Vec::new(),
            pieces: vec![[slope, constant]],
        }
    }

    fn of(activation: &OperatorSpec) -> Option<Self> {
        let OperatorSpec::Activation {
            breakpoints,
            slopes,
            anchor,
        } = activation
        else {
            return None;
        };
        let exact = |number: &f64| RBig::try_from(*number).ok();
        let all = |numbers: &[f64]| numbers.iter().map(exact).collect::<Option<Vec<_>>>();
        let (breakpoints, slopes) = (all(breakpoints)?, all(slopes)?);
        let (mut value, mut from) = (exact(anchor)?, breakpoints.first()?);
        let mut pieces = Vec::with_capacity(slopes.len());
        for (at, slope) in slopes.into_iter().enumerate() {
            pieces.push([slope.clone(), &value - &slope * from]);
            if let (Some(next), true) = (breakpoints.get(at), at > 0) {
                value += slope * (next - from);
                from = next;
            }
        }
        Some(Self {
            breakpoints,
            pieces,
        })
    }

    /// Whether it is worked with.
    fn is_small(&self) -> bool {
        let numbers = self.breakpoints.iter().chain(self.pieces.iter().flatten());
        let digits = |number: &RBig| number.numerator().bit_len() + number.denominator().bit_len();
        self.pieces.len() <= MOST && numbers.map(digits).all(|own| own <= DIGITS)
    }

    fn at(&self, z: &RBig) -> RBig {
        let piece = self.breakpoints.partition_point(|own| own <= z);
        let [slope, constant] = &self.pieces[piece];
        slope * z + constant
    }

    /// Pieces with the breakpoints between them, those that do not bend left out.
    fn joined(pieces: impl IntoIterator<Item = (Option<RBig>, [RBig; 2])>) -> Self {
        let mut found = Self {
            breakpoints: Vec::new(),
            pieces: Vec::new(),
        };
        for (from, piece) in pieces {
            if found.pieces.last() != Some(&piece) {
                found
                    .breakpoints
                    .extend(from.filter(|_| !found.pieces.is_empty()));
                found.pieces.push(piece);
            }
        }
        found
    }

    /// Each piece with the number from which on it holds.
    fn parts(&self) -> impl Iterator<Item = (Option<RBig>, [RBig; 2])> + '_ {
        let from = std::iter::once(None).chain(self.breakpoints.iter().cloned().map(Some));
        from.zip(self.pieces.iter().cloned())
    }

    fn scaled(mut self, factor: &RBig) -> Self {
        for number in self.pieces.iter_mut().flatten() {
            *number *= factor;
        }
        Self::joined(self.parts())
    }

    fn shifted(mut self, by: &RBig) -> Self {
        for [_, constant] in &mut self.pieces {
            *constant += by;
        }
        self
    }

    fn plus(&self, other: &Self) -> Self {
        let mut all: Vec<&RBig> = self.breakpoints.iter().chain(&other.breakpoints).collect();
        all.sort();
        all.dedup();
        let from = std::iter::once(None).chain(all.into_iter().cloned().map(Some));
        let sum = |from: Option<RBig>| {
            let piece = |of: &Self| {
                let before = |own: &RBig| from.as_ref().is_some_and(|from| own <= from);
                of.pieces[of.breakpoints.partition_point(before)].clone()
            };
            let ([a, b], [c, d]) = (piece(self), piece(other));
            (from, [a + c, b + d])
        };
        Self::joined(from.map(sum))
    }

    /// `outer` of this.
    fn through(&self, outer: &Self) -> Self {
        let mut pieces = Vec::new();
        let ends = self.breakpoints.iter().map(Some).chain([None]);
        for ((from, [slope, constant]), to) in self.parts().zip(ends) {
            if slope.is_zero() {
                pieces.push((from, [RBig::ZERO, outer.at(&constant)]));
                continue;
            }
            // Where the piece crosses breakpoints of `outer`, ascending.
            let crossing = |at: &RBig| (at - &constant) / &slope;
            let mut crossings: Vec<RBig> = outer.breakpoints.iter().map(crossing).collect();
            let mut own: Vec<&[RBig; 2]> = outer.pieces.iter().collect();
            if slope < RBig::ZERO {
                crossings.reverse();
                own.reverse();
            }
            let starts = std::iter::once(None).chain(crossings.iter().map(Some));
            let stops = crossings.iter().map(Some).chain([None]);
            for (([outer_slope, outer_constant], start), stop) in
                own.into_iter().zip(starts).zip(stops)
            {
                let ends_before = |stop: &RBig| from.as_ref().is_some_and(|from| stop <= from);
                let begins_behind = |start: &RBig| to.is_some_and(|to| start >= to);
                if stop.is_some_and(ends_before) || start.is_some_and(begins_behind) {
                    continue;
                }
                let begins = match (start, &from) {
                    (Some(start), Some(from)) => Some(start.max(from).clone()),
                    (Some(start), None) => Some(start.clone()),
                    (None, from) => from.clone(),
                };
                let piece = [
                    outer_slope * &slope,
                    outer_slope * &constant + outer_constant,
                ];
                pieces.push((begins, piece));
            }
        }
        Self::joined(pieces)
    }

    /// `below` up to a number, and `above` from it on; `None` where they differ there.
    fn chosen(below: &Self, above: &Self, at: &RBig) -> Option<Self> {
        if below.at(at) != above.at(at) {
            return None;
        }
        let first = below
            .parts()
            .filter(|(from, _)| from.as_ref().is_none_or(|from| from < at));
        let piece = above.breakpoints.partition_point(|own| own <= at);
        let middle = (Some(at.clone()), above.pieces[piece].clone());
        let last = above.parts().skip(piece + 1);
        Some(Self::joined(first.chain([middle]).chain(last)))
    }

    /// The operator, if floating-point numbers hold it; `None` as well for what bends nowhere.
    fn activation(&self) -> Option<Activation> {
        let float = |number: &RBig| {
            let found = number.to_f64().value();
            (RBig::try_from(found).ok()? == *number).then_some(found)
        };
        let breakpoints: Option<Vec<f64>> = self.breakpoints.iter().map(float).collect();
        let slopes: Option<Vec<f64>> = self.pieces.iter().map(|[slope, _]| float(slope)).collect();
        let anchor = float(&self.at(self.breakpoints.first()?))?;
        Activation::new(&breakpoints?, &slopes?, anchor).ok()
    }
}

/// `above` where `z` is above a number, otherwise `below`, as one operator of `z`; `None` where they are no functions of `z` that are the
/// same for all numbers, or differ where the number is.
pub(super) fn chosen<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    (z, at): (&Dynamic, f64),
    [below, above]: [&Value; 2],
) -> Result<Option<Activation>> {
    let Ok(at) = RBig::try_from(at) else {
        return Ok(None);
    };
    let mut known = HashMap::new();
    let mut of = |value: &Value| match value {
        Value::Constant(constant) => {
            let numbers = constant.as_floats();
            let first = numbers
                .first()
                .and_then(|number| RBig::try_from(*number).ok());
            let same = first.filter(|_| numbers.iter().all(|own| *own == numbers[0]));
            Ok(same.map(|number| Scalar::affine(RBig::ZERO, number)))
        }
        Value::Dynamic(value) => of_node(t, node, (value.node, z.node), DEPTH, &mut known),
        _ => Ok(None),
    };
    let (Some(below), Some(above)) = (of(below)?, of(above)?) else {
        return Ok(None);
    };
    Ok(Scalar::chosen(&below, &above, &at).and_then(|found| found.activation()))
}

/// A network's node as a function of another one, `z`.
fn of_node<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    (index, z): (usize, usize),
    depth: usize,
    known: &mut HashMap<(usize, usize), Option<Scalar>>,
) -> Result<Option<Scalar>> {
    if t.nodes().source(index) == t.nodes().source(z) {
        return Ok(Some(Scalar::affine(RBig::ONE, RBig::ZERO)));
    }
    if let Some(known) = known.get(&(index, z)) {
        return Ok(known.clone());
    }
    let Some(depth) = depth.checked_sub(1) else {
        return Ok(None);
    };
    if let Some(before) = moved_alike(t, index, z) {
        // What is the same function of all numbers stays so at other places.
        return of_node(t, node, before, depth, known);
    }
    let (operator, operands) = t.nodes().get(index);
    let (operands, shape) = (operands.to_vec(), t.nodes().shape(index).to_vec());
    let (spec, parameters) = (operator.spec(), operator.parameters());
    let parameter = parameters.first().map(|(_, tensor)| (*tensor).clone());
    t.spend(
        node,
        parameter_length(spec.as_ref(), parameter.as_ref(), &shape),
    )?;
    let one = |tensor| -> Result<Option<RBig>> {
        let numbers = whole(node, tensor, &shape)?;
        Ok((numbers.len() == 1).then(|| numbers[0].clone()))
    };
    let mut below = |operand: usize| of_node(t, node, (operand, z), depth, known);
    let found = match (&spec, &parameter) {
        (Some(OperatorSpec::Add), _) => {
            let mut sum = Some(Scalar::affine(RBig::ZERO, RBig::ZERO));
            for operand in operands {
                let own = below(operand)?;
                sum = sum.zip(own).map(|(sum, own)| sum.plus(&own));
            }
            sum
        }
        (Some(OperatorSpec::Scale { .. }), Some(scale)) => {
            let factor = one(scale)?;
            below(operands[0])?
                .zip(factor)
                .map(|(own, factor)| own.scaled(&factor))
        }
        (Some(OperatorSpec::Divide { .. }), Some(divisor)) => {
            let divisor = one(divisor)?.filter(|divisor| !divisor.is_zero());
            let factor = divisor.map(|divisor| RBig::ONE / divisor);
            below(operands[0])?
                .zip(factor)
                .map(|(own, factor)| own.scaled(&factor))
        }
        (Some(OperatorSpec::Translate { .. }), Some(shift)) => {
            let by = one(shift)?;
            below(operands[0])?
                .zip(by)
                .map(|(own, by)| own.shifted(&by))
        }
        (Some(OperatorSpec::Reshape { .. } | OperatorSpec::Flatten), _) => below(operands[0])?,
        (Some(spec @ OperatorSpec::Activation { .. }), _) => {
            let outer = Scalar::of(spec);
            below(operands[0])?
                .zip(outer)
                .map(|(own, outer)| own.through(&outer))
        }
        _ => None,
    };
    let found = found.filter(Scalar::is_small);
    known.insert((index, z), found.clone());
    Ok(found)
}

/// The operands of two nodes that do nothing but move those to other places, in the same way.
fn moved_alike(t: &Translator<'_>, a: usize, b: usize) -> Option<(usize, usize)> {
    let step = |index: usize| {
        let (operator, operands) = t.nodes().get(index);
        let spec = operator.spec().filter(is_move)?;
        Some((spec, operands[0]))
    };
    let ((of_a, below_a), (of_b, below_b)) = (step(a)?, step(b)?);
    let [shape_a, shape_b] = [below_a, below_b].map(|below| t.nodes().shape(below));
    (of_a == of_b && shape_a == shape_b).then_some((below_a, below_b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::PiecewiseLinear;
    use proptest::prelude::*;

    fn number(value: f64) -> RBig {
        RBig::try_from(value).unwrap()
    }

    /// A function of a few bends, and the same in floats, whose numbers are small and whole.
    fn functions() -> impl Strategy<Value = OperatorSpec> {
        let bends = prop::collection::btree_set(-5i32..5, 1..4);
        let slopes = prop::collection::vec(-2i32..3, 4);
        (bends, slopes, -3i32..3).prop_map(|(bends, slopes, anchor)| OperatorSpec::Activation {
            slopes: slopes[..=bends.len()]
                .iter()
                .map(|s| f64::from(*s))
                .collect(),
            breakpoints: bends.into_iter().map(f64::from).collect(),
            anchor: f64::from(anchor),
        })
    }

    /// By the definition: from the first breakpoint on, piece by piece.
    fn value(of: &OperatorSpec, z: f64) -> f64 {
        let OperatorSpec::Activation {
            breakpoints,
            slopes,
            anchor,
        } = of
        else {
            return f64::NAN;
        };
        let mut value = anchor + slopes[0] * (z - breakpoints[0]).min(0.0);
        for (at, from) in breakpoints.iter().enumerate() {
            let to = breakpoints.get(at + 1).copied().unwrap_or(f64::INFINITY);
            value += slopes[at + 1] * (z.min(to) - from).max(0.0);
        }
        value
    }

    proptest! {
        #[test]
        fn they_are_what_is_computed(
            [f, g] in [functions(), functions()],
            at in -4i32..5,
            numbers in prop::collection::vec(-40i32..40, 20),
        ) {
            let [own, outer] = [&f, &g].map(|spec| Scalar::of(spec).unwrap());
            // Shifted so that both are the same there.
            let at = f64::from(at);
            let apart = value(&f, at) - value(&g, at);
            let shifted = outer.clone().shifted(&number(apart));
            let chosen = Scalar::chosen(&own, &shifted, &number(at)).unwrap();
            prop_assert!(apart == 0.0 || Scalar::chosen(&own, &outer, &number(at)).is_none());
            for z in numbers.into_iter().map(|z| f64::from(z) / 4.0) {
                let exact = number(z);
                prop_assert_eq!(own.at(&exact), number(value(&f, z)));
                prop_assert_eq!(own.plus(&outer).at(&exact), number(value(&f, z) + value(&g, z)));
                prop_assert_eq!(own.through(&outer).at(&exact), number(value(&g, value(&f, z))));
                prop_assert_eq!(own.clone().scaled(&number(-3.0)).at(&exact), number(-3.0 * value(&f, z)));
                let both = if z > at { value(&g, z) + apart } else { value(&f, z) };
                prop_assert_eq!(chosen.at(&exact), number(both));
                if let Some(activation) = chosen.activation() {
                    prop_assert_eq!(value(&activation.spec().unwrap(), z), both);
                }
            }
        }
    }
}
