//! What rounding has done to sums of products, found by products that are exact.
//!
//! Numbers are split into pieces of few bits, so few that sums of products of two pieces are exact in float64, in whatever order. An
//! operator that sums products of its weight with its operand pushes the operand's pieces through copies of itself whose weights are
//! pieces (Ozaki, Ogita, Oishi and Rump, "Error-free transformations of matrix multiplication by using fast routines of matrix
//! multiplication and its applications", 2012). All those together are the exact value, but for what lies below all pieces. It
//! takes about ten passes of the operator. The errors that are found are some thousand times smaller than bounds by absolute values,
//! which suppose that all roundings err to the same side.

use crate::{
    error::Result,
    network::Network,
    operator::{Affine, Operator},
    parameter_map::ParameterMap,
};
use candle_core::{DType, Tensor, TensorId};
use loclin_tensor::rounding::{power_of_two, product_up, relative, up_by};
use std::{collections::HashMap, sync::Arc};

/// Pieces reach as many bits below the largest number as that, at least.
const BITS: usize = 76;

/// Largest numbers of which no piece is too large or too small, nor a product of two.
const SIZES: std::ops::Range<f64> = 1e-120..1e120;

/// Numbers as sums of pieces.
#[derive(Debug)]
struct Pieces {
    /// At least the largest number.
    largest: f64,
    /// Each at most `2^bits` times its unit, of which all numbers are multiples, and the units smaller by that factor each.
    pieces: Vec<Tensor>,
}

/// The pieces of weights that several nodes have in common, as the steps of a recurrence do.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// How many nodes will still ask for a weight.
    left: HashMap<TensorId, usize>,
    kept: HashMap<TensorId, Option<Arc<Pieces>>>,
}

impl Shared {
    /// For one walk along a network's nodes.
    pub(crate) fn new(network: &Network) -> Self {
        let mut left = HashMap::new();
        for node in network.nodes() {
            if let Operator::Affine(operator) = &node.operator
                && let Some(weight) = weight(&**operator)
            {
                *left.entry(weight.id()).or_default() += 1;
            }
        }
        let kept = HashMap::new();
        Self { left, kept }
    }

    /// The pieces of a weight, which are kept for as long as others will ask for them.
    fn pieces(
        &mut self,
        weight: &Tensor,
        bits: usize,
        depth: usize,
    ) -> Result<Option<Arc<Pieces>>> {
        let left = self.left.entry(weight.id()).or_default();
        *left = left.saturating_sub(1);
        let pieces = match self.kept.remove(&weight.id()) {
            Some(kept) => kept,
            None => Pieces::of(weight, bits, depth)?.map(Arc::new),
        };
        if *left > 0 {
            self.kept.insert(weight.id(), pieces.clone());
        }
        Ok(pieces)
    }
}

/// The weight of an operator that only sums products.
fn weight(operator: &dyn Affine) -> Option<Tensor> {
    let mut parameters = operator.parameters().into_iter();
    let weight = parameters.find(|(name, _)| *name == "weight");
    operator.products()?;
    weight.map(|(_, weight)| weight.clone())
}

/// Of each number of an operator's value `[B, out...]` at least its error, given the operand in float64, which is taken to be exact; `None`
/// of an operator that does not only sum products, and of numbers that are too large or too small for pieces.
pub(crate) fn residual(
    operator: &dyn Affine,
    operands: &[&Tensor],
    (value, output): (&Tensor, &[usize]),
    shared: &mut Shared,
) -> Result<Option<Tensor>> {
    let (Some(products), [operand], Some(weight)) =
        (operator.products(), operands, weight(operator))
    else {
        return Ok(None);
    };
    // So many products of pieces are at most 2^53 units.
    let sum = products.max(1).checked_next_power_of_two();
    let bits = match sum.map(|sum| f64::MANTISSA_DIGITS.saturating_sub(sum.ilog2()) / 2) {
        None | Some(0) => return Ok(None),
        Some(bits) => bits as usize,
    };
    let depth = BITS.div_ceil(bits);
    let (Some(operand), Some(weight)) = (
        Pieces::of(operand, bits, depth)?,
        shared.pieces(&weight, bits, depth)?,
    ) else {
        return Ok(None);
    };
    let flat = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f64>();
    let mut left = Sum::new(flat(value)?);
    let mut sizes: Vec<f64> = left.high.iter().map(|v| v.abs()).collect();
    if let Some(offset) = operator.offset(output)? {
        let offset = flat(&offset.broadcast_as(value.shape())?)?;
        sizes
            .iter_mut()
            .zip(&offset)
            .for_each(|(s, b)| *s += b.abs());
        left.subtract(&offset);
    }
    for (row, weight) in weight.pieces.iter().enumerate() {
        let Some(copy) = with_weight(operator, weight)? else {
            return Ok(None);
        };
        for piece in operand.pieces.iter().take(depth - row) {
            let product = copy.push(&[&piece.unsqueeze(1)?])?.squeeze(1)?;
            left.subtract(&flat(&product)?);
        }
    }
    let largest = product_up(&[products as f64, operand.largest, weight.largest]);
    // Pairs of pieces, or of what is left of them, that lie at least `depth` pieces down together.
    let below = (depth + 2) as f64 * 2f64.powi(-((depth * bits) as i32));
    // A sum in twice the precision (Ogita, Rump and Oishi, "Accurate sum and dot product", 2005, Proposition 4.5).
    let twice = relative(left.terms) * relative(left.terms);
    let bound = |((high, low), size): ((&f64, &f64), &f64)| {
        let lost = twice * (size + 2.0 * largest) + below * largest;
        up_by((high + low).abs() + lost, 16)
    };
    let both = left.high.iter().zip(&left.low).zip(&sizes);
    let bounds = both.map(bound).collect();
    Ok(Some(Tensor::from_vec(
        bounds,
        value.shape(),
        value.device(),
    )?))
}

impl Pieces {
    /// The first pieces of all numbers, at most `depth` of them, of so many bits; `None` where they would leave the numbers of float64.
    fn of(tensor: &Tensor, bits: usize, depth: usize) -> Result<Option<Self>> {
        let of_all = |tensor: &Tensor| tensor.abs()?.max_all()?.to_scalar::<f64>();
        let mut rest = tensor.detach();
        let largest = of_all(&rest)?;
        if largest == 0.0 {
            let pieces = Vec::new();
            return Ok(Some(Self { largest, pieces }));
        }
        // A power of two that is no less.
        let largest = 2.0 * power_of_two(largest);
        if !SIZES.contains(&largest) {
            return Ok(None);
        }
        let mut pieces = Vec::with_capacity(depth);
        let mut unit = largest;
        while pieces.len() < depth && (pieces.is_empty() || of_all(&rest)? > 0.0) {
            unit *= 2f64.powi(-(bits as i32));
            // Numbers beside this one are multiples of the unit.
            let beside = 1.5 * 2f64.powi(52) * unit;
            let piece = ((&rest + beside)? - beside)?;
            rest = (rest - &piece)?;
            pieces.push(piece);
        }
        Ok(Some(Self { largest, pieces }))
    }
}

/// The operator with another weight.
fn with_weight(operator: &dyn Affine, weight: &Tensor) -> Result<Option<Arc<dyn Affine>>> {
    let mut change = |name: &str, own: &Tensor| {
        Ok(match name {
            "weight" => weight.clone(),
            _ => own.clone(),
        })
    };
    operator.map_parameters(&mut ParameterMap::new(
        DType::F64,
        weight.device(),
        &mut change,
    ))
}

/// Sums in twice the precision, number by number.
struct Sum {
    high: Vec<f64>,
    low: Vec<f64>,
    terms: usize,
}

impl Sum {
    fn new(high: Vec<f64>) -> Self {
        let low = vec![0.0; high.len()];
        Self {
            high,
            low,
            terms: 1,
        }
    }

    fn subtract(&mut self, numbers: &[f64]) {
        self.terms += 1;
        for ((high, low), number) in self.high.iter_mut().zip(&mut self.low).zip(numbers) {
            // The difference and its rounding error (Knuth).
            let total = *high - number;
            let part = total - *high;
            *low += (*high - (total - part)) - (number + part);
            *high = total;
        }
    }
}
