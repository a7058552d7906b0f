//! Every operator's readings, over random shapes, held against plain loops, against each other and against finite
//! differences, in double precision.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test fails by panicking, as the test itself does"
)]

mod affine;
mod files;
mod oracle;
mod piecewise_linear;
mod refusals;
mod strategies;

use candle_core::{DType, Device, Result, Tensor, Var};
use loclin_models::{Operator, Parameters, Patch};
use oracle::Array;
use proptest::{prelude::*, test_runner::TestCaseResult};
use rand::{Rng, rngs::StdRng};
use std::collections::BTreeMap;
use strategies::Case;

/// Sums of a few hundred products of numbers near 1, rounded once each.
const ROUNDING: f64 = 1e-10;
/// Central differences at step 1e-5 of readings that are polynomials of low degree with coefficients near 1.
const DIFFERENCE: f64 = 1e-6;
const STEP: f64 = 1e-5;

fn tensor(rng: &mut StdRng, shape: &[usize]) -> Tensor {
    let values: Vec<f64> = (0..shape.iter().product())
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Some positions of an image.
fn patch(rng: &mut StdRng, image: [usize; 2]) -> Patch {
    let first = image.map(|n| rng.random_range(0..n));
    let size = [0, 1].map(|axis| rng.random_range(1..=image[axis] - first[axis]));
    Patch { first, size }
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    values(a).iter().zip(values(b)).map(|(a, b)| a * b).sum()
}

fn close(a: &[f64], b: &[f64], tolerance: f64) -> TestCaseResult {
    prop_assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        prop_assert!(
            (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs())),
            "{} and {}",
            a,
            b
        );
    }
    Ok(())
}

fn with(batch: &[usize], shape: &[usize]) -> Vec<usize> {
    [batch, shape].concat()
}

/// An operator with random parameters.
struct Built {
    operator: Operator,
    parameters: Parameters,
}

fn build(case: &Case, rng: &mut StdRng) -> Built {
    let parameters = Parameters::seeded(0);
    let vars = parameters.builder(DType::F64, &Device::Cpu);
    let operator = case.spec.build(vars).unwrap();
    assert_eq!(operator.spec().as_ref(), Some(&case.spec));
    for (name, var) in parameters.named() {
        let mut value = tensor(rng, var.dims());
        if name == "running_var" {
            value = (value + 1.5).unwrap();
        }
        var.set(&value).unwrap();
    }
    Built {
        operator,
        parameters,
    }
}

fn oracle(case: &Case, built: &Built, operands: &[Tensor]) -> Vec<f64> {
    let array = |tensor: &Tensor| Array {
        shape: tensor.dims().to_vec(),
        values: values(tensor),
    };
    let parameters: BTreeMap<_, _> = built
        .parameters
        .named()
        .iter()
        .map(|(name, var)| (name.clone(), array(var)))
        .collect();
    let batch = operands[0].dims()[0];
    (0..batch)
        .flat_map(|i| {
            let own: Vec<Array> = operands.iter().map(|x| array(&x.get(i).unwrap())).collect();
            let shapes: Vec<&[usize]> = case.operands.iter().map(|shape| &shape[..]).collect();
            let value = oracle::value(&case.spec, &parameters, &own);
            let shape = match &built.operator {
                Operator::Affine(operator) => operator.output_shape(&shapes).unwrap(),
                Operator::PiecewiseLinear(operator) => operator.output_shape(shapes[0]).unwrap(),
                Operator::Input => vec![],
            };
            assert_eq!(value.shape, shape, "{case:?}");
            value.values
        })
        .collect()
}

/// Candle's gradients of a scalar in all variables against central differences in a few of their entries.
fn check_gradients(
    variables: &[Var],
    rng: &mut StdRng,
    scalar: impl Fn() -> Result<Tensor>,
) -> TestCaseResult {
    let gradients = scalar().unwrap().backward().unwrap();
    for variable in variables {
        let here = values(variable);
        let gradient = gradients
            .get(variable)
            .map_or(vec![0.0; here.len()], values);
        for _ in 0..here.len().min(4) {
            let entry = rng.random_range(0..here.len());
            let at = |step: f64| {
                let mut moved = here.clone();
                moved[entry] += step;
                variable
                    .set(&Tensor::from_vec(moved, variable.shape(), &Device::Cpu).unwrap())
                    .unwrap();
                scalar().unwrap().to_scalar::<f64>().unwrap()
            };
            let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            at(0.0);
            close(&[gradient[entry]], &[difference], DIFFERENCE)?;
        }
    }
    Ok(())
}

/// The longest that a push by a matrix makes a tangent relative to its length, from below: power iteration, whose
/// result is a lower bound of the spectral norm whatever the number of steps.
fn spectral_norm(
    start: Tensor,
    push: impl Fn(&Tensor) -> Result<Tensor>,
    pull: impl Fn(&Tensor) -> Result<Tensor>,
) -> f64 {
    let length = |x: &Tensor| dot(x, x).sqrt();
    let (mut tangent, mut norm) = (start, 0.0);
    for _ in 0..20 {
        let size = length(&tangent);
        if size == 0.0 {
            break;
        }
        tangent = (tangent / size).unwrap();
        let pushed = push(&tangent).unwrap();
        norm = length(&pushed);
        tangent = pull(&pushed).unwrap();
    }
    norm
}

/// Parameters that are trained: all but running statistics and constants.
fn trained(parameters: &Parameters) -> Vec<Var> {
    let constant =
        |name: &str| ["running_mean", "running_var", "divisor", "scale", "shift"].contains(&name);
    parameters
        .named()
        .into_iter()
        .filter(|(name, _)| !constant(name))
        .map(|(_, var)| var)
        .collect()
}
