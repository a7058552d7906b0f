//! Tensors from the bytes of their storages.

use super::object::{Number, Outcome, TensorView};
use candle_core::{Device, Tensor};
use half::{bf16, f16};

/// How many bytes tensors may still take; those that share a storage without end must not fill the memory.
pub(super) struct Room(usize);

impl Room {
    /// Room for the tensors of a file of so many bytes: tied weights share a storage.
    pub(super) fn of_file(bytes: usize) -> Self {
        Self(bytes.saturating_mul(4))
    }
}

/// The tensor that a view makes of the bytes of its storage.
pub(super) fn read(view: &TensorView<'_>, storage: &[u8], room: &mut Room) -> Outcome<Tensor> {
    let TensorView { shape, strides, .. } = view;
    let width = view.storage.number.width();
    if let Number::Integer(bytes) = view.storage.number {
        return Err(format!("holds integers of {bytes} bytes, not floats"));
    }
    if Some(storage.len()) != view.storage.count.checked_mul(width) {
        return Err(format!(
            "{} numbers of {width} bytes in a storage of {} bytes",
            view.storage.count,
            storage.len()
        ));
    }
    let outside = || format!("shape {shape:?} with strides {strides:?} is not within its storage");
    if shape.len() != strides.len() || shape.contains(&0) {
        return Err(format!("shape {shape:?} with strides {strides:?}"));
    }
    let mut steps = shape.iter().zip(strides);
    let last = steps.try_fold(view.offset, |last, (size, stride)| {
        last.checked_add((size - 1).checked_mul(*stride)?)
    });
    last.filter(|last| *last < view.storage.count)
        .ok_or_else(outside)?;
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    let bytes = count
        .and_then(|count| count.checked_mul(width))
        .ok_or_else(outside)?;
    room.0 = room
        .0
        .checked_sub(bytes)
        .ok_or("the tensors outgrow the file many times over")?;
    let tensor = match view.storage.number {
        Number::Double => gather(storage, view, f64::from_le_bytes),
        Number::Half => gather(storage, view, f16::from_le_bytes),
        Number::BFloat16 => gather(storage, view, bf16::from_le_bytes),
        _ => gather(storage, view, f32::from_le_bytes),
    };
    tensor.map_err(|e| e.to_string())
}

fn gather<const N: usize, T: candle_core::WithDType>(
    storage: &[u8],
    view: &TensorView<'_>,
    decode: impl Fn([u8; N]) -> T,
) -> candle_core::Result<Tensor> {
    let (numbers, _) = storage.as_chunks();
    let TensorView {
        shape,
        strides,
        offset,
        ..
    } = view;
    let values: Vec<T> = match row_major(shape, strides) {
        true => {
            let count = shape.iter().product();
            let numbers = numbers.iter().skip(*offset).take(count);
            numbers.map(|&number| decode(number)).collect()
        }
        false => {
            let places = places(*offset, shape, strides);
            places.iter().map(|&place| decode(numbers[place])).collect()
        }
    };
    Tensor::from_vec(values, &shape[..], &Device::Cpu)
}

/// Whether the numbers lie one after the other, in row-major order.
fn row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut below = 1;
    shape.iter().zip(strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == below;
        below *= size;
        fits
    })
}

/// Where in the storage each number is, in row-major order.
fn places(offset: usize, shape: &[usize], strides: &[usize]) -> Vec<usize> {
    shape
        .iter()
        .zip(strides)
        .fold(vec![offset], |places, (size, stride)| {
            let along = |place: usize| (0..*size).map(move |i| place + i * stride);
            places.into_iter().flat_map(along).collect()
        })
}
