//! The pieces of Candle that differentiated paths are made of, by finite differences in double precision.
//!
//! Some operators of the library have had wrong gradients. Whoever brings a new one into a layer or an objective
//! adds it here.

use crate::{cases, numbers};
use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::{loss, ops};
use loclin_tests::bridge;
use proptest::prelude::*;

/// A computation from three tensors: `x` `[2, 3, 4]`, `m` `[4, 4]` and `b` `[4]`.
type Operator = fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>;

/// What [`loclin_models`] and [`loclin_objectives`] use, each as they use it.
const OPERATORS: &[(&str, Operator)] = &[
    ("linear layer", |x, m, b| {
        x.reshape((6, 4))?
            .matmul(&m.t()?)?
            .reshape((2, 3, 4))?
            .broadcast_add(&b.unsqueeze(0)?)
    }),
    ("transposed layer", |x, m, _| x.reshape((6, 4))?.matmul(m)),
    ("shared tangents", |x, m, b| {
        m.reshape((1, 4, 4))?
            .broadcast_mul(&(x.narrow(1, 0, 1)? + b.broadcast_as((2, 1, 4))?)?)
    }),
    ("relu", |x, _, _| x.relu()),
    ("slopes of the pattern", |x, _, _| {
        x * x.detach().ge(0.0)?.to_dtype(DType::F64)?.affine(0.7, 0.3)?
    }),
    ("cotangents of several outputs", |x, m, _| {
        (x.broadcast_matmul(m)? * x)?.sum(1)
    }),
    ("squared lengths", |x, _, _| x.sqr()?.sum(1)),
    ("hinge", |x, _, _| {
        (x * x
            .detach()
            .ge(0.0)?
            .to_dtype(DType::F64)?
            .affine(2.0, -1.0)?)?
        .affine(-1.0, 1.0)?
        .relu()
    }),
    ("broadcast and concatenation", |x, m, _| {
        Tensor::cat(
            &[
                &x.narrow(0, 0, 1)?.broadcast_as((2, 3, 4))?.sum(1)?,
                &m.narrow(0, 1, 2)?,
            ],
            1,
        )
    }),
    ("flatten and narrow", |x, _, b| {
        x.flatten_from(1)?
            .narrow(1, 3, 6)?
            .broadcast_mul(&b.narrow(0, 0, 1)?)
    }),
    ("mean", |x, _, b| x.mean_all()? * b.sum_all()?),
    ("safe square root", |x, _, _| {
        loclin_tensor::safe_sqrt(&x.sqr()?.sum(1)?).map_err(candle_core::Error::wrap)
    }),
    ("safe quotient", |x, _, b| {
        loclin_tensor::safe_divide(
            x,
            &(b.broadcast_as((2, 3, 4))?.contiguous()?.sqr()? + 1.0)?,
            9.0,
        )
        .map_err(candle_core::Error::wrap)
    }),
    ("minimum by index", |x, _, _| {
        let x = x.flatten_from(1)?;
        x.gather(&x.detach().argmin_keepdim(D::Minus1)?, D::Minus1)?
            .neg()
    }),
    ("log-softmax", |x, _, _| {
        ops::log_softmax(&x.flatten_from(1)?, 1)
    }),
    ("cross entropy", |x, _, _| {
        loss::cross_entropy(&x.flatten_from(1)?, &Tensor::new(&[5u32, 0], &Device::Cpu)?)
    }),
];

/// A scalar that depends on every number of an operator's result, each with its own weight.
fn weighted(operator: Operator, inputs: &[Tensor]) -> Tensor {
    let result = operator(&inputs[0], &inputs[1], &inputs[2])
        .unwrap()
        .flatten_all()
        .unwrap();
    let weights: Vec<f64> = (0..result.elem_count())
        .map(|i| 1.0 + (i as f64).sin())
        .collect();
    (result * Tensor::new(&weights[..], &Device::Cpu).unwrap())
        .unwrap()
        .sum_all()
        .unwrap()
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn gradients_are_finite_differences(values in prop::collection::vec(prop_oneof![-2.0..-0.01, 0.01..2.0], 24 + 16 + 4)) {
        let shapes: [&[usize]; 3] = [&[2, 3, 4], &[4, 4], &[4]];
        let tensors = |values: &[f64]| -> Vec<Tensor> {
            let mut at = 0;
            shapes.iter().map(|shape| {
                let count = shape.iter().product::<usize>();
                at += count;
                bridge::batch(&[values[at - count..at].to_vec()], DType::F64).unwrap().reshape(*shape).unwrap()
            }).collect()
        };
        for (name, operator) in OPERATORS {
            let variables: Vec<Var> = tensors(&values).iter().map(|t| Var::from_tensor(t).unwrap()).collect();
            let inputs: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
            let gradients = weighted(*operator, &inputs).backward().unwrap();
            let found: Vec<f64> = variables.iter().flat_map(|v| gradients.get(v).map_or(vec![0.0; v.elem_count()], numbers)).collect();
            for i in 0..values.len() {
                let at = |step: f64| {
                    let mut moved = values.clone();
                    moved[i] += step;
                    weighted(*operator, &tensors(&moved)).to_scalar::<f64>().unwrap()
                };
                let slope = |step: f64| (at(step) - at(-step)) / (2.0 * step);
                let (wide, narrow) = (slope(2e-6), slope(1e-6));
                // Values are at least 0.01 from the kinks at 0, but may tie or lie at the hinge's kink at 1: then
                // the two slopes of a kink show as the difference of one-sided ones.
                let kink = ((at(2e-6) - at(0.0)) - (at(0.0) - at(-2e-6))).abs() / 2e-6;
                // Rounding: 1e-16 of a value up to about 100 over a step of 1e-6; curvature shows as a kink of 1e-4.
                if kink < 1e-3 {
                    let tolerance = 1e-7 + (wide - narrow).abs();
                    prop_assert!((found[i] - narrow).abs() <= tolerance, "{}: input {}: {} instead of {}", name, i, found[i], narrow);
                }
            }
        }
    }
}
