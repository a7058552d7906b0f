//! Affine operators as weighted sums.

use super::layout::{broadcast, indices, ravel, size, under, unravel};
use super::map::Row;
use super::number::{Rational, exact, square_root};
use super::parameters::{Parameters, Unsupported};
use loclin_models::operators::{Conv2dConfig, OperatorSpec, SparseRows, Window2d};

/// What an affine operator needs to know of its place.
pub(super) struct Place<'a> {
    pub(super) parameters: &'a Parameters,
    /// Shapes of the operands.
    pub(super) operands: Vec<&'a [usize]>,
    /// Shape of the result.
    pub(super) shape: &'a [usize],
}

/// The rows of an affine operator, and whether they are exact: a batch normalisation may hold an irrational root.
pub(super) fn rows(
    spec: &OperatorSpec,
    place: &Place<'_>,
) -> Result<(Vec<Row>, bool), Unsupported> {
    let operand = place.operands[0];
    let shape = place.shape;
    let moved = |source: &dyn Fn(Vec<usize>) -> Vec<usize>| -> Vec<Row> {
        let entry = |index| Row::copy(ravel(&source(index), operand));
        indices(shape).map(entry).collect()
    };
    let rows = match spec {
        OperatorSpec::Add => sum_of_operands(place),
        OperatorSpec::AvgPool2d {
            window,
            count_padding,
        } => mean_pool(window, *count_padding, place),
        OperatorSpec::BatchNorm { eps, .. } => return batch_norm(*eps, place),
        OperatorSpec::Concat { axis } => concat(*axis, place),
        OperatorSpec::Conv2d(config) => convolution(config, place)?,
        OperatorSpec::Flatten | OperatorSpec::Reshape { .. } => {
            (0..size(shape)).map(Row::copy).collect()
        }
        OperatorSpec::GlobalAvgPool => {
            let inner = size(&operand[1..]);
            let share = Rational::ONE / Rational::from(inner);
            let terms = |c: usize| (0..inner).map(move |i| c * inner + i);
            (0..shape[0])
                .map(|c| Row::sum(terms(c).map(|i| (share.clone(), i)).collect()))
                .collect()
        }
        OperatorSpec::Linear { inputs, .. } => linear(*inputs, place)?,
        OperatorSpec::Pad { before, value, .. } => pad(before, &number(*value)?, place),
        OperatorSpec::Resample { axis, rows } => resample(*axis, rows, place)?,
        OperatorSpec::Scale { .. } => {
            let (own, scale) = place.parameters.get("scale")?;
            indices(shape)
                .enumerate()
                .map(|(i, index)| Row::sum(vec![(scale[broadcast(own, &index)].clone(), i)]))
                .collect()
        }
        OperatorSpec::Select { axis, index } => moved(&|mut i| {
            i.insert(*axis, *index);
            i
        }),
        OperatorSpec::Slice { axis, start, .. } => moved(&|mut i| {
            i[*axis] += start;
            i
        }),
        OperatorSpec::Standardize { mean, std } => standardize(mean, std, place)?,
        OperatorSpec::Translate { .. } => {
            let (own, shift) = place.parameters.get("shift")?;
            let shift = |index: &[usize]| shift[broadcast(own, index)].clone();
            indices(shape)
                .enumerate()
                .map(|(i, index)| Row::line(Rational::ONE, i, shift(&index)))
                .collect()
        }
        OperatorSpec::Transpose { permutation } => moved(&|i| {
            let mut source = vec![0; i.len()];
            permutation
                .iter()
                .zip(&i)
                .for_each(|(p, i)| source[*p] = *i);
            source
        }),
        other => return Err(Unsupported::Operator(other.kind())),
    };
    Ok((rows, true))
}

fn number(value: f64) -> Result<Rational, Unsupported> {
    exact(value).ok_or(Unsupported::NotFinite(value))
}

fn sum_of_operands(place: &Place<'_>) -> Vec<Row> {
    let size = size(place.shape);
    let terms = |i: usize| (0..place.operands.len()).map(move |k| (Rational::ONE, k * size + i));
    (0..size).map(|i| Row::sum(terms(i).collect())).collect()
}

fn mean_pool(window: &Window2d, count_padding: bool, place: &Place<'_>) -> Vec<Row> {
    let operand = place.operands[0];
    indices(place.shape)
        .map(|i| {
            let entries = under(window, operand, i[1], i[2]);
            let count = if count_padding {
                size(&window.kernel)
            } else {
                entries.len()
            };
            let share = Rational::ONE / Rational::from(count);
            let term = |(_, _, row, column)| {
                let entry = ravel(&[i[0], row, column], operand);
                (share.clone(), entry)
            };
            Row::sum(entries.into_iter().map(term).collect())
        })
        .collect()
}

/// `weight (x - mean) / sqrt(var + eps) + bias`, each parameter as stored.
fn batch_norm(eps: f64, place: &Place<'_>) -> Result<(Vec<Row>, bool), Unsupported> {
    let get = |name| place.parameters.get(name).map(|(_, values)| values);
    let (weight, bias) = (get("weight")?, get("bias")?);
    let (mean, variance) = (get("running_mean")?, get("running_var")?);
    let (eps, mut all_exact) = (number(eps)?, true);
    let mut lines = Vec::new();
    for channel in 0..weight.len() {
        let (deviation, is_exact) = square_root(&(&variance[channel] + &eps));
        all_exact &= is_exact;
        let scale = &weight[channel] / &deviation;
        let shift = &bias[channel] - &mean[channel] * &scale;
        lines.push((scale, shift));
    }
    let inner = size(&place.shape[1..]);
    let row = |i: usize| {
        let (scale, shift) = lines[i / inner].clone();
        Row::line(scale, i, shift)
    };
    Ok(((0..size(place.shape)).map(row).collect(), all_exact))
}

fn resample(axis: usize, rows: &SparseRows, place: &Place<'_>) -> Result<Vec<Row>, Unsupported> {
    let row = |index: Vec<usize>| {
        let at = index[axis];
        let terms = rows.starts[at] as usize..rows.starts[at + 1] as usize;
        let term = |term: usize| {
            let mut source = index.clone();
            source[axis] = rows.sources[term] as usize;
            let weight = number(rows.weights.get(term).copied().unwrap_or(1.0))?;
            Ok::<_, Unsupported>((weight, ravel(&source, place.operands[0])))
        };
        Ok(Row::sum(terms.map(term).collect::<Result<_, _>>()?))
    };
    indices(place.shape).map(row).collect()
}

fn concat(axis: usize, place: &Place<'_>) -> Vec<Row> {
    indices(place.shape)
        .map(|mut index| {
            let mut start = 0;
            for operand in &place.operands {
                if index[axis] < operand[axis] {
                    return Row::copy(start + ravel(&index, operand));
                }
                index[axis] -= operand[axis];
                start += size(operand);
            }
            Row::constant(Rational::ZERO)
        })
        .collect()
}

fn convolution(config: &Conv2dConfig, place: &Place<'_>) -> Result<Vec<Row>, Unsupported> {
    let operand = place.operands[0];
    let (kernel, weight) = place.parameters.get("weight")?;
    let fan = config.inputs / config.groups;
    let share = config.outputs / config.groups;
    let rows = indices(place.shape).map(|i| {
        let (channel, first) = (i[0], i[0] / share * fan);
        let mut terms = Vec::new();
        for c in 0..fan {
            for (k, l, row, column) in under(&config.window, operand, i[1], i[2]) {
                let w = weight[ravel(&[channel, c, k, l], kernel)].clone();
                terms.push((w, ravel(&[first + c, row, column], operand)));
            }
        }
        Ok(Row {
            terms,
            offset: bias(config.bias, channel, place)?,
        })
    });
    rows.collect()
}

fn linear(inputs: usize, place: &Place<'_>) -> Result<Vec<Row>, Unsupported> {
    let (_, weight) = place.parameters.get("weight")?;
    let has_bias = place.parameters.get("bias").is_ok();
    let row = |(unit, weights): (usize, &[Rational])| {
        let terms = weights.iter().cloned().enumerate();
        Ok(Row {
            terms: terms.map(|(i, w)| (w, i)).collect(),
            offset: bias(has_bias, unit, place)?,
        })
    };
    weight.chunks(inputs).enumerate().map(row).collect()
}

fn bias(present: bool, unit: usize, place: &Place<'_>) -> Result<Rational, Unsupported> {
    match present {
        true => Ok(place.parameters.get("bias")?.1[unit].clone()),
        false => Ok(Rational::ZERO),
    }
}

fn pad(before: &[usize], value: &Rational, place: &Place<'_>) -> Vec<Row> {
    let operand = place.operands[0];
    indices(place.shape)
        .map(|index| {
            let inside = |(d, i): (usize, &usize)| {
                i.checked_sub(before[d]).filter(|inner| *inner < operand[d])
            };
            let inner: Option<Vec<usize>> = index.iter().enumerate().map(inside).collect();
            match inner {
                Some(inner) => Row::copy(ravel(&inner, operand)),
                None => Row::constant(value.clone()),
            }
        })
        .collect()
}

fn standardize(mean: &[f64], std: &[f64], place: &Place<'_>) -> Result<Vec<Row>, Unsupported> {
    let line = |(m, s): (&f64, &f64)| {
        let scale = Rational::ONE / number(*s)?;
        let shift = -(number(*m)? * &scale);
        Ok((scale, shift))
    };
    let lines = mean.iter().zip(std).map(line);
    let lines = lines.collect::<Result<Vec<_>, Unsupported>>()?;
    let row = |i: usize| {
        let channel = match lines.len() {
            1 => 0,
            _ => unravel(i, place.shape)[0],
        };
        let (scale, shift) = lines[channel].clone();
        Row::line(scale, i, shift)
    };
    Ok((0..size(place.shape)).map(row).collect())
}
