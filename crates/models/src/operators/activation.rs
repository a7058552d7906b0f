//! Piecewise-linear activations of one variable: ReLU, LeakyReLU, absolute value, clips.

use super::layout::slopes;
use crate::{
    error::Error,
    operator::{Alternatives, PiecewiseLinear, ShapeResult, Terms, UnitPiece},
    patch::Patch,
    record::ActivationRecord,
    spec::OperatorSpec,
};
use candle_core::{D, DType, Result, Tensor};
use loclin_tensor::{
    TwoPieces,
    rounding::{SMALLEST, UNIT},
};

/// A continuous piecewise-linear function applied to every unit.
///
/// With breakpoints `t_1 < ... < t_n` it has `n + 1` pieces, and each unit contributes `n` neurons
/// `z - t_i`, those of the first breakpoint first. A unit exactly at a breakpoint is taken to be
/// on the right of it (`o = +1` at `z = 0` for a ReLU), everywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Activation {
    breakpoints: Vec<f64>,
    slopes: Vec<f64>,
    anchor: f64,
}

impl Activation {
    /// `max(z, 0)`.
    pub fn relu() -> Self {
        Self {
            breakpoints: vec![0.0],
            slopes: vec![0.0, 1.0],
            anchor: 0.0,
        }
    }

    /// `z` for `z >= 0`, `negative_slope * z` otherwise.
    ///
    /// # Errors
    /// A slope that is not finite.
    pub fn leaky_relu(negative_slope: f64) -> crate::error::Result<Self> {
        Self::new(&[0.0], &[negative_slope, 1.0], 0.0)
    }

    /// `|z|`.
    pub fn abs() -> Self {
        Self {
            breakpoints: vec![0.0],
            slopes: vec![-1.0, 1.0],
            anchor: 0.0,
        }
    }

    /// `min(max(z, lo), hi)` with `lo < hi`: two breakpoints, and so two neurons for each unit. The
    /// hard-tanh is `clip(-1, 1)`, the ReLU6 `clip(0, 6)`.
    ///
    /// # Errors
    /// Those of [`Activation::new`].
    pub fn clip(lo: f64, hi: f64) -> crate::error::Result<Self> {
        Self::new(&[lo, hi], &[0.0, 1.0, 0.0], lo)
    }

    /// The function with these breakpoints (strictly increasing), slopes (one more) and value `anchor` at the
    /// first breakpoint.
    ///
    /// # Errors
    /// Other numbers of breakpoints and slopes, breakpoints that do not increase, and numbers that are not finite.
    pub fn new(breakpoints: &[f64], slopes: &[f64], anchor: f64) -> crate::error::Result<Self> {
        let error = |cause| {
            Err(Error::Config {
                field: "activation",
                cause,
            })
        };
        if breakpoints.is_empty()
            || breakpoints.len() > 255
            || slopes.len() != breakpoints.len() + 1
        {
            return error(format!(
                "needs 1 to 255 breakpoints and one slope more, found {} and {}",
                breakpoints.len(),
                slopes.len()
            ));
        }
        if let Some(v) = breakpoints
            .iter()
            .chain(slopes)
            .chain([&anchor])
            .find(|v| !v.is_finite())
        {
            return error(format!("{v} is not finite"));
        }
        if let Some(w) = breakpoints.windows(2).find(|w| w[0] >= w[1]) {
            return error(format!(
                "breakpoints must increase, found {} then {}",
                w[0], w[1]
            ));
        }
        Ok(Self {
            breakpoints: breakpoints.to_vec(),
            slopes: slopes.to_vec(),
            anchor,
        })
    }

    /// `[z >= t_i]` as 0 and 1 for each breakpoint, in the dtype of `z`.
    fn indicators(&self, z: &Tensor) -> Result<Vec<Tensor>> {
        self.breakpoints
            .iter()
            .map(|t| z.detach().ge(*t)?.to_dtype(z.dtype()))
            .collect()
    }

    /// `first + sum_i steps_i * indicator_i`: a quantity that is constant on every piece.
    fn staircase(indicators: &[Tensor], first: f64, steps: &[f64]) -> Result<Tensor> {
        let mut total = indicators[0].affine(steps[0], first)?;
        for (indicator, step) in indicators.iter().zip(steps).skip(1) {
            total = (total + (indicator * *step)?)?;
        }
        Ok(total)
    }

    /// The slope of each entry's piece, with no rounding.
    fn selected_slopes(&self, z: &Tensor) -> Result<Tensor> {
        let above = self.breakpoints.iter().map(|t| z.detach().ge(*t));
        self.slopes_above(z, above)
    }

    /// The same where it is known of each breakpoint whether an entry is at or above it.
    fn slopes_above(
        &self,
        z: &Tensor,
        above: impl Iterator<Item = Result<Tensor>>,
    ) -> Result<Tensor> {
        let all = |slope: f64| {
            Tensor::new(slope, z.device())?
                .to_dtype(z.dtype())?
                .broadcast_as(z.shape())
        };
        let mut selected = all(self.slopes[0])?;
        for (above, slope) in above.zip(&self.slopes[1..]) {
            selected = above?.where_cond(&all(*slope)?, &selected)?;
        }
        Ok(selected)
    }

    /// The function, if it has one breakpoint.
    fn two_pieces(&self) -> Option<TwoPieces> {
        match (&self.breakpoints[..], &self.slopes[..]) {
            ([breakpoint], [below, above]) => Some(TwoPieces {
                breakpoint: *breakpoint,
                slopes: [*below, *above],
                anchor: self.anchor,
            }),
            _ => None,
        }
    }

    fn slope_differences(&self) -> Vec<f64> {
        self.slopes.windows(2).map(|w| w[1] - w[0]).collect()
    }

    /// The intercept on the first piece and its steps; `None` if every piece passes through the origin.
    fn intercepts(&self) -> Option<(f64, Vec<f64>)> {
        let first = self.anchor - self.slopes[0] * self.breakpoints[0];
        let steps: Vec<f64> = self
            .slope_differences()
            .iter()
            .zip(&self.breakpoints)
            .map(|(s, t)| -s * t)
            .collect();
        (first != 0.0 || steps.iter().any(|step| *step != 0.0)).then_some((first, steps))
    }
}

impl PiecewiseLinear for Activation {
    fn spec(&self) -> Option<OperatorSpec> {
        Some(OperatorSpec::Activation {
            breakpoints: self.breakpoints.clone(),
            slopes: self.slopes.clone(),
            anchor: self.anchor,
        })
    }

    fn output_shape(&self, operand: &[usize]) -> ShapeResult {
        Ok(operand.to_vec())
    }

    fn workspace(&self, operand: &[usize]) -> usize {
        // One neuron is the operand itself; several are copies of it.
        match self.breakpoints.len() {
            1 => 0,
            n => operand.iter().product::<usize>().saturating_mul(n),
        }
    }

    fn value(&self, operand: &Tensor) -> Result<Tensor> {
        if let Some(pieces) = self.two_pieces() {
            return pieces.apply(operand);
        }
        let value = (operand * self.selected_slopes(operand)?)?;
        match self.intercepts() {
            Some((first, steps)) => {
                value + Self::staircase(&self.indicators(operand)?, first, &steps)?
            }
            None => Ok(value),
        }
    }

    fn record(&self, operand: &Tensor) -> Result<ActivationRecord> {
        if let Some(pieces) = self.two_pieces() {
            return ActivationRecord::of_two_pieces(pieces, operand);
        }
        let flat = operand.flatten_from(1)?;
        let indicators = self.indicators(operand)?;
        let flat_indicators = indicators
            .iter()
            .map(|i| i.flatten_from(1))
            .collect::<Result<Vec<_>>>()?;
        let pre_activations = self
            .breakpoints
            .iter()
            .map(|t| &flat - *t)
            .collect::<Result<Vec<_>>>()?;
        let piece = Self::staircase(&flat_indicators, 0.0, &vec![1.0; self.breakpoints.len()])?;
        let record = ActivationRecord::new(
            Tensor::cat(&pre_activations, 1)?,
            Tensor::cat(&flat_indicators, 1)?.affine(2.0, -1.0)?,
            piece.to_dtype(DType::U8)?,
            self.slopes.len(),
        )?;
        Ok(record.with_slopes(self.selected_slopes(operand)?))
    }

    fn turned(
        &self,
        record: &ActivationRecord,
        units: &[UnitPiece],
        _operand: &[usize],
    ) -> Result<Option<ActivationRecord>> {
        let count = self.breakpoints.len();
        let z = record.placed(units, count)?;
        let above = z.ge(0.0)?;
        let indicators = above.to_dtype(z.dtype())?;
        let piece = Self::staircase(&indicators.chunk(count, 1)?, 0.0, &vec![1.0; count])?;
        let entries = slopes(record)?;
        let above = above.chunk(count, 1)?.into_iter();
        let above = above.map(|own| own.contiguous()?.reshape(entries.shape()));
        let slopes = self.slopes_above(entries, above)?;
        let signs = indicators.affine(2.0, -1.0)?;
        let pieces = piece.to_dtype(DType::U8)?;
        let record = ActivationRecord::new(z, signs, pieces, self.slopes.len())?;
        Ok(Some(record.with_slopes(slopes)))
    }

    fn push(&self, tangent: &Tensor, record: &ActivationRecord) -> Result<Tensor> {
        match record.two_pieces() {
            Some((pieces, operand)) => pieces.push(operand, tangent),
            None => tangent.broadcast_mul(&slopes(record)?.unsqueeze(1)?),
        }
    }

    fn pull(
        &self,
        cotangent: &Tensor,
        record: &ActivationRecord,
        _operand: &[usize],
    ) -> Result<Tensor> {
        self.push(cotangent, record)
    }

    fn pull_patch(
        &self,
        cotangent: &Tensor,
        patch: &Patch,
        record: &ActivationRecord,
        _operand: &[usize],
    ) -> Result<Option<(Tensor, Patch)>> {
        let slopes = patch.of(slopes(record)?)?.unsqueeze(1)?;
        Ok(Some((cotangent.broadcast_mul(&slopes)?, *patch)))
    }

    fn terms(&self, neuron: usize, _: &ActivationRecord, operand: &[usize]) -> Result<Terms> {
        let entry = neuron.checked_rem(operand.iter().product());
        Ok(entry.map(|entry| vec![(entry, 1.0)]))
    }

    fn offset(&self, record: &ActivationRecord) -> Result<Option<Tensor>> {
        let Some((first, steps)) = self.intercepts() else {
            return Ok(None);
        };
        let slopes = slopes(record)?;
        let pieces = record.pieces()?.to_dtype(slopes.dtype())?;
        // A unit on piece k is at or above its first k breakpoints.
        let indicators = (0..steps.len())
            .map(|i| pieces.gt(i as f64)?.to_dtype(pieces.dtype()))
            .collect::<Result<Vec<_>>>()?;
        Ok(Some(
            Self::staircase(&indicators, first, &steps)?.reshape(slopes.shape())?,
        ))
    }

    fn push_neurons(&self, tangent: &Tensor, _record: &ActivationRecord) -> Result<Tensor> {
        let flat = tangent.flatten_from(2)?;
        match self.breakpoints.len() {
            1 => Ok(flat),
            n => Tensor::cat(&vec![flat; n], D::Minus1),
        }
    }

    fn push_unshaped_neurons(&self, tangent: &Tensor, record: &ActivationRecord) -> Result<Tensor> {
        match self.breakpoints.len() {
            1 => Ok(tangent.clone()),
            _ => self.push_neurons(tangent, record),
        }
    }

    fn pull_neurons(
        &self,
        cotangent: &Tensor,
        _record: &ActivationRecord,
        operand: &[usize],
    ) -> Result<Tensor> {
        let (batch, count, pre_activations) = cotangent.dims3()?;
        let n = self.breakpoints.len();
        let summed = match n {
            1 => cotangent.clone(),
            _ => cotangent
                .reshape((batch, count, n, pre_activations / n))?
                .sum(2)?,
        };
        summed.reshape([&[batch, count], operand].concat())
    }

    fn magnitude(
        &self,
        operand: &Tensor,
        error: &Tensor,
        record: &ActivationRecord,
    ) -> Result<Option<ActivationRecord>> {
        // Beyond the rounding of the two sums below.
        let reach = ((error * (1.0 + 4.0 * UNIT))? + (operand.abs()? * (4.0 * UNIT))?)?;
        let (low, high) = ((operand - &reach)?, (operand + &reach)?);
        let mut steepest = operand.zeros_like()?;
        for (piece, slope) in self.slopes.iter().enumerate() {
            // Surely not on this piece; an error that is not a number excludes none.
            let mut elsewhere = operand.zeros_like()?;
            if let Some(end) = self.breakpoints.get(piece) {
                elsewhere = elsewhere.maximum(&low.gt(*end)?.to_dtype(operand.dtype())?)?;
            }
            if let Some(start) = piece.checked_sub(1).map(|at| self.breakpoints[at]) {
                elsewhere = elsewhere.maximum(&high.lt(start)?.to_dtype(operand.dtype())?)?;
            }
            steepest = steepest.maximum(&elsewhere.affine(-slope.abs(), slope.abs())?)?;
        }
        Ok(Some(record.clone().with_slopes(steepest)))
    }

    fn push_error(
        &self,
        operand: &Tensor,
        error: &Tensor,
        record: &ActivationRecord,
    ) -> Result<Tensor> {
        let steepest = slopes(record)?;
        let Some((first, steps)) = self.intercepts() else {
            if self
                .slopes
                .iter()
                .all(|slope| [-1.0, 0.0, 1.0].contains(slope))
            {
                return error * steepest;
            }
            let terms = (error + (operand.abs()? * (4.0 * UNIT))?)?;
            // A product may vanish.
            return (terms * steepest)?.affine(1.0 + 4.0 * UNIT, 2.0 * SMALLEST);
        };
        // The numbers that the constants are computed from, all of them.
        let largest = self.lipschitz(&[])?;
        let at = self
            .breakpoints
            .iter()
            .fold(0.0, |most: f64, t| most.max(t.abs()));
        let steps: f64 = steps.iter().map(|step| step.abs()).sum();
        let constants = first.abs() + steps + self.anchor.abs() + largest * at;
        let roundings = (8 * self.slopes.len()) as f64 * UNIT;
        let terms = (error + (operand.abs()? * roundings)?)?;
        (terms * steepest)?.affine(1.0 + 4.0 * UNIT, constants * 2.0 * roundings)
    }

    fn push_largest(&self, magnitudes: &Tensor) -> Result<Option<(Tensor, Tensor)>> {
        let flat = magnitudes.flatten_from(2)?;
        let neurons = Tensor::cat(&vec![flat; self.breakpoints.len()], D::Minus1)?;
        Ok(Some((
            (magnitudes * (self.lipschitz(&[])? * (1.0 + 4.0 * UNIT)))?,
            neurons,
        )))
    }

    fn pull_largest(&self, magnitudes: &Tensor, _operand: &[usize]) -> Result<Option<Tensor>> {
        Ok(Some(
            (magnitudes * (self.lipschitz(&[])? * (1.0 + 4.0 * UNIT)))?,
        ))
    }

    fn alternatives(&self, _operand: &[usize]) -> Result<Option<Alternatives>> {
        Ok(Some(Alternatives::Lines {
            breakpoints: self.breakpoints.clone(),
            slopes: vec![self.slopes.clone()],
            anchor: self.anchor,
        }))
    }

    fn lipschitz(&self, _operand: &[usize]) -> Result<f64> {
        Ok(self
            .slopes
            .iter()
            .fold(0.0, |most, slope| slope.abs().max(most)))
    }

    fn neuron_length(&self) -> f64 {
        1.0
    }

    fn slope_changes(&self, cotangent: &Tensor, _operand: &[usize]) -> Result<Tensor> {
        let flat = cotangent.flatten_from(2)?;
        let each = self
            .slope_differences()
            .into_iter()
            .map(|change| &flat * change);
        Tensor::cat(&each.collect::<Result<Vec<_>>>()?, D::Minus1)
    }
}
