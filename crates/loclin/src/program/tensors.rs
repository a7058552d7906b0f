//! Rows of a dataset as tensors.

use candle_core::{DType, Device, Tensor};
use loclin_data::Dataset;
use loclin_models::Normalization;

/// Rows `rows` of a dataset as they are, `[rows, in...]`.
///
/// # Errors
/// When a row does not exist, or the device refuses.
pub fn inputs(
    dataset: &Dataset,
    rows: &[usize],
    dtype: DType,
    device: &Device,
) -> anyhow::Result<Tensor> {
    let shape = [&[rows.len()], dataset.input_shape()].concat();
    let tensor = match dtype {
        DType::F64 => Tensor::from_vec(dataset.rows_f64(rows)?, shape, device)?,
        _ => Tensor::from_vec(dataset.rows_f32(rows)?, shape, device)?.to_dtype(dtype)?,
    };
    Ok(tensor)
}

/// Labels of rows `rows`, `[rows]`.
///
/// # Errors
/// When a row does not exist, or the dataset has no labels.
pub fn labels(dataset: &Dataset, rows: &[usize], device: &Device) -> anyhow::Result<Tensor> {
    Ok(Tensor::new(dataset.row_labels(rows)?, device)?)
}

/// The normalisation that belongs to a dataset, if it has one.
pub fn normalization(dataset: &Dataset) -> Option<Normalization> {
    dataset.moments().map(|moments| Normalization {
        mean: moments.mean.clone(),
        std: moments.std.clone(),
    })
}

/// The predicted class of each row of outputs `[B, L]`: the largest output, the first of equal ones; for one
/// output, whether it is positive.
///
/// # Errors
/// When the tensor cannot be read.
pub fn predictions(outputs: &Tensor) -> anyhow::Result<Vec<u32>> {
    let rows = outputs.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let predict = |row: &Vec<f64>| match row[..] {
        [score] => u32::from(score > 0.0),
        _ => {
            let best = |best: usize, i: usize| if row[i] > row[best] { i } else { best };
            (0..row.len()).fold(0, best) as u32
        }
    };
    Ok(rows.iter().map(predict).collect())
}

/// For each row of outputs `[B, L]` that of the predicted class; a single output whatever it predicts.
///
/// # Errors
/// When the tensor cannot be read.
pub fn scores(outputs: &Tensor, predictions: &[u32]) -> anyhow::Result<Vec<f64>> {
    let rows = outputs.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let score = |(row, class): (&Vec<f64>, &u32)| match row[..] {
        [score] => score,
        _ => row.get(*class as usize).copied().unwrap_or(f64::NAN),
    };
    Ok(rows.iter().zip(predictions).map(score).collect())
}
