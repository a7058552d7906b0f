//! The inverse of a matrix against its definition and finite differences.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test itself does"
)]

use candle_core::{DType, Device, Tensor, Var};
use loclin_tensor::{inverse, random};
use proptest::prelude::*;

fn entries(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

proptest! {
    /// Of well-conditioned matrices, also of views and of several blocks: 1e-10 is some thousand roundings of numbers
    /// near 1.
    #[test]
    fn a_matrix_times_its_inverse_is_the_identity(n in prop_oneof![1usize..12, 30usize..140], seed in any::<u64>(), view in any::<bool>()) {
        let rng = &mut random::stream(seed, &[]);
        let noise = random::normal(rng, (n, n), DType::F64, &Device::Cpu).unwrap();
        // Antisymmetric plus a permuted diagonal: far from singular, and the pivots are off the diagonal.
        let skew = (&noise - noise.t().unwrap()).unwrap();
        let matrix = (skew + Tensor::eye(n, DType::F64, &Device::Cpu).unwrap()).unwrap();
        let matrix = matrix.flip(&[0]).unwrap();
        let matrix = if view { matrix.t().unwrap() } else { matrix };
        let product = matrix.contiguous().unwrap().matmul(&inverse(&matrix).unwrap()).unwrap();
        let identity = Tensor::eye(n, DType::F64, &Device::Cpu).unwrap();
        let error = (product - identity).unwrap();
        prop_assert!(entries(&error).iter().all(|e| e.abs() < 1e-10), "{error}");
        let single = inverse(&matrix.to_dtype(DType::F32).unwrap()).unwrap();
        let error = (single.to_dtype(DType::F64).unwrap() - inverse(&matrix).unwrap()).unwrap();
        // The entries of the inverse are below 1 in size; the matrix was rounded to single precision.
        prop_assert!(entries(&error).iter().all(|e| e.abs() < 1e-4), "{error}");
    }
}

/// Central differences at step 1e-5 have an error of about 1e-9 here.
#[test]
fn the_gradient_is_that_of_finite_differences() {
    let rng = &mut random::stream(1, &[]);
    let draw = |rng: &mut _| random::normal(rng, (4, 4), DType::F64, &Device::Cpu).unwrap();
    let start = (draw(rng) + Tensor::eye(4, DType::F64, &Device::Cpu).unwrap() * 4.0).unwrap();
    let weights = draw(rng);
    let matrix = Var::from_tensor(&start).unwrap();
    let scalar = || {
        (inverse(&matrix).unwrap() * &weights)
            .unwrap()
            .sum_all()
            .unwrap()
    };
    let gradient = entries(scalar().backward().unwrap().get(&matrix).unwrap());
    for (i, gradient) in gradient.iter().enumerate() {
        let at = |step: f64| {
            let mut moved = entries(&start);
            moved[i] += step;
            matrix
                .set(&Tensor::from_vec(moved, (4, 4), &Device::Cpu).unwrap())
                .unwrap();
            scalar().to_scalar::<f64>().unwrap()
        };
        let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!(
            (gradient - difference).abs() < 1e-7,
            "{gradient} and {difference}"
        );
    }
}

#[test]
fn what_has_no_inverse_is_refused() {
    let message = |t: Tensor| inverse(&t).unwrap_err().to_string();
    let singular = Tensor::new(&[[1.0, 2.0], [2.0, 4.0]], &Device::Cpu).unwrap();
    assert!(message(singular).contains("column 1 has no pivot"));
    let last = Tensor::eye(40, DType::F64, &Device::Cpu).unwrap();
    let last = last
        .slice_scatter0(&last.narrow(0, 0, 1).unwrap(), 39)
        .unwrap();
    assert!(message(last).contains("column 39 has no pivot"));
    let nan = Tensor::new(&[[f64::NAN]], &Device::Cpu).unwrap();
    assert!(message(nan).contains("not finite"));
    let oblong = Tensor::zeros((2, 3), DType::F64, &Device::Cpu).unwrap();
    assert!(message(oblong).contains("square"));
}
