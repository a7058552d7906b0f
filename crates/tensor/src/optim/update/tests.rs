//! Both readings of an update agree, and nothing is left that is as good as nothing.

use super::*;
use candle_core::Device;
use proptest::prelude::*;

fn check(update: impl Update, dtype: DType, rows: &[[f64; 3]]) -> Result<()> {
    let column = |index: usize| {
        let values: Vec<f64> = rows.iter().map(|row| row[index]).collect();
        Tensor::new(values, &Device::Cpu)?.to_dtype(dtype)
    };
    // Second moments, the last column, are never negative.
    let (old, x, y) = (column(0)?, column(1)?, column(2)?.abs()?);
    let (fused, plain) = (Var::from_tensor(&old)?, Var::from_tensor(&old)?);
    apply(&update, &fused, &x, &y)?;
    apply_by_tensors(&update, &plain, &x, &y)?;
    let read = |variable: &Var| variable.to_dtype(DType::F64)?.to_vec1::<f64>();
    assert_eq!(read(&fused)?, read(&plain)?);
    Ok(())
}

/// Moments without a gradient, and parameters that shrink, end at zero and not at the smallest number that there is.
#[test]
fn what_shrinks_ends_at_zero() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let zero = Tensor::zeros(2, dtype, &Device::Cpu)?;
        let start = Tensor::new(&[1f64, -1e-3], &Device::Cpu)?.to_dtype(dtype)?;
        for by_tensors in [false, true] {
            let (moment, parameter) = (Var::from_tensor(&start)?, Var::from_tensor(&start)?);
            for _ in 0..10_000 {
                let shrink = AddScaled { factor: -0.1 };
                let value = parameter.copy()?;
                match by_tensors {
                    false => {
                        apply(&MoveTowards { share: 0.1 }, &moment, &zero, &zero)?;
                        apply(&shrink, &parameter, &value, &value)?;
                    }
                    true => {
                        apply_by_tensors(&MoveTowards { share: 0.1 }, &moment, &zero, &zero)?;
                        apply_by_tensors(&shrink, &parameter, &value, &value)?;
                    }
                }
            }
            for ended in [moment, parameter] {
                let left = ended.to_dtype(DType::F64)?.to_vec1::<f64>()?;
                assert_eq!(left, [0.0, 0.0], "{dtype:?}");
            }
        }
    }
    Ok(())
}

/// Second moments are kept as long as they can be told from zero: steps divide by their roots.
#[test]
fn small_second_moments_stay() -> Result<()> {
    let gradient = Tensor::new(&[1e-18f32], &Device::Cpu)?;
    let moment = Var::from_tensor(&gradient.zeros_like()?)?;
    apply(&SecondMoment { beta2: 0.5 }, &moment, &gradient, &gradient)?;
    assert_eq!(moment.to_vec1::<f32>()?, [0.5 * 1e-18f32 * 1e-18]);
    Ok(())
}

/// What is no number stays none.
#[test]
fn what_is_no_number_is_left() -> Result<()> {
    let broken = Tensor::new(&[f32::NAN, f32::INFINITY], &Device::Cpu)?;
    let zero = broken.zeros_like()?;
    for apply in [apply, apply_by_tensors] {
        let variable = Var::from_tensor(&broken)?;
        apply(&AddScaled { factor: 1.0 }, &variable, &zero, &zero)?;
        let [first, second] = variable.to_vec1::<f32>()?[..] else {
            panic!("two numbers");
        };
        assert!(first.is_nan() && second == f32::INFINITY);
    }
    Ok(())
}

proptest! {
    /// The loop and the tensor expression agree to the bit, in either
    /// precision.
    #[test]
    fn both_readings_of_an_update_agree(
        rows in prop::collection::vec(prop::array::uniform3(-10.0f64..10.0), 1..40),
        rate in 1e-4f64..1.0,
        factor in 0.0f64..1.0,
    ) {
        for dtype in [DType::F32, DType::F64] {
            check(AddScaled { factor: -rate }, dtype, &rows)?;
            check(DescendNesterov { rate, factor }, dtype, &rows)?;
            check(Accumulate { factor }, dtype, &rows)?;
            check(MoveTowards { share: factor }, dtype, &rows)?;
            check(SecondMoment { beta2: factor }, dtype, &rows)?;
            check(Maximum, dtype, &rows)?;
            check(DescendScaled { rate, correction: 1.0 - factor, epsilon: 1e-8 }, dtype, &rows)?;
        }
    }
}
