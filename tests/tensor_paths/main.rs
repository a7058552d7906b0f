//! What a GPU would compute, computed on the processor: everything by tensor expressions, no loop over memory served, against
//! the same with loops.
//!
//! A binary of its own: whether loops serve is one switch for the whole process.
#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test itself does"
)]

mod networks;
mod regions;
mod training;

use candle_core::{DType, Tensor};
use loclin_tensor::own_loops;
use std::sync::{Mutex, PoisonError};

/// Held by the test that uses the switch.
static SWITCH: Mutex<()> = Mutex::new(());

/// A computation with loops, and then without.
fn both<T>(compute: impl Fn() -> T) -> [T; 2] {
    let _held = SWITCH.lock().unwrap_or_else(PoisonError::into_inner);
    [false, true].map(|withheld| {
        own_loops::withhold(withheld);
        let found = compute();
        own_loops::withhold(false);
        found
    })
}

/// Asserts that both ways give the same numbers, but for a share of the largest.
fn assert_same(what: &str, share: f64, compute: impl Fn() -> Vec<f64>) {
    let [loops, tensors] = both(compute);
    assert!(!loops.is_empty(), "{what}: no numbers");
    near(what, share, &loops, &tensors);
}

fn near(what: &str, share: f64, loops: &[f64], tensors: &[f64]) {
    assert_eq!(loops.len(), tensors.len(), "{what}: how many");
    let finite = loops.iter().filter(|v| v.is_finite());
    let largest = finite.fold(0.0, |most: f64, v| most.max(v.abs()));
    for (i, (one, other)) in loops.iter().zip(tensors).enumerate() {
        let same = one == other || (one - other).abs() <= share * largest;
        assert!(same, "{what} {i}: {one:e} by loops, {other:e} by tensors");
    }
}

/// The numbers of a tensor of any shape.
fn numbers(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
    flat.to_vec1().unwrap()
}

/// A simulated device refuses what a device without loops refuses: nothing reads a tensor's memory.
#[test]
fn without_loops_memory_is_out_of_reach() {
    let x = Tensor::new(&[1.0, 2.0], &candle_core::Device::Cpu).unwrap();
    let [loops, tensors] = both(|| {
        let (storage, layout) = x.storage_and_layout();
        let read = loclin_tensor::product::slice::<f64>(&storage, layout);
        (own_loops::serve(x.device()), read.is_ok())
    });
    assert_eq!((loops, tensors), ((true, true), (false, false)));
}
