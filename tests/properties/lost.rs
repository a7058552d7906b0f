//! Where rounding loses what later layers bring back: radii against exact rationals.

use crate::cases;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_models::operators::{
    Activation, Concat, Conv2d, Conv2dConfig, Linear, MaxPool2d, Maxout, Reshape, Window2d,
};
use loclin_models::{Network, NetworkBuilder, Operator, PiecewiseLinear};
use loclin_regions::reduced::{Limits, Question, Threshold};
use loclin_regions::{Budget, Guarantee, Linearization, Method, Norm, Position};
use loclin_tests::{Fc, Layer, bridge, exact::Graph};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::Arc;

fn parameters(all: &[(&str, &[usize], &[f64])]) -> VarBuilder<'static> {
    let tensor = |(name, shape, numbers): &(&str, &[usize], &[f64])| {
        let numbers = Tensor::from_slice(numbers, *shape, &Device::Cpu).unwrap();
        ((*name).to_owned(), numbers)
    };
    let all: HashMap<String, Tensor> = all.iter().map(tensor).collect();
    VarBuilder::from_tensors(all, DType::F64, &Device::Cpu)
}

fn linear(weight: &[&[f64]], bias: Option<&[f64]>) -> Linear {
    let (outputs, inputs) = (weight.len(), weight[0].len());
    let (weight, has_bias) = (weight.concat(), bias.is_some());
    let bias = bias.unwrap_or_default();
    let all = [
        ("weight", &[outputs, inputs][..], &weight[..]),
        ("bias", &[outputs][..], bias),
    ];
    Linear::new(
        inputs,
        outputs,
        has_bias,
        parameters(&all[..1 + usize::from(has_bias)]),
    )
    .unwrap()
}

/// No way claims more than is true, and of a margin of 0 it is true or open.
fn check(network: &Network, x: &[f64]) -> Result<(), TestCaseError> {
    let point = Graph::of(network).unwrap().at(x).unwrap();
    let truth = point.radii().norms;
    let batch = bridge::batch(&[x.to_vec()], DType::F64).unwrap();
    let here = Linearization::new(network, &batch, Budget::default()).unwrap();
    for method in [Method::Auto, Method::All, Method::Bound] {
        let norms = [Norm::L1, Norm::L2, Norm::LINF];
        for (margins, truth) in here.margins(&norms, method).unwrap().iter().zip(&truth) {
            if margins.guarantee != Guarantee::Proved {
                continue;
            }
            let (radius, position) = (margins.radius[0], margins.position[0]);
            prop_assert!(
                radius <= truth.approximate() * (1.0 + 1e-12),
                "{method:?}: {radius:e}, true is {:e}",
                truth.approximate()
            );
            if [Position::Boundary, Position::Tie].contains(&position) {
                prop_assert_eq!(truth.approximate(), 0.0);
            }
        }
    }
    Ok(())
}

/// A weight of 2 to the power `first` and one of 2 to the power `second` behind it.
fn small_and_large(first: i32, second: i32) -> Network {
    let (small, large) = (2f64.powi(first), 2f64.powi(second));
    let layer = |weight: &[&[f64]], bias: &[f64]| Layer {
        weight: weight.iter().map(|row| row.to_vec()).collect(),
        bias: bias.to_vec(),
    };
    let fc = Fc {
        layers: vec![
            layer(&[&[1.0, 0.0, 0.0], &[0.0, small, 0.0]], &[0.0, 0.0]),
            layer(&[&[1.0, large]], &[-1.5]),
            layer(&[&[1.0]], &[0.0]),
        ],
        negative_slope: 0.0,
    };
    bridge::network(&fc, DType::F64).unwrap()
}

/// A gradient whose length is a number, and its square none.
#[test]
fn lengths_have_squares_that_overflow() {
    check(&small_and_large(-2, 512), &[1.0, 1.0, 0.0]).unwrap();
}

proptest! {
    #![proptest_config(cases(200))]

    /// A shift there and back loses digits, so that units seem to be off, and what compares them, or adds them up, seems to compare zeros. Exact
    /// arithmetic finds them on, and what was said of the comparison holds no longer.
    #[test]
    fn what_compares_zeros_is_asked_again(
        shift in -2i32..50,
        offsets in prop::collection::vec(-2i32..6, 2..5),
        above in 0usize..3,
    ) {
        let n = offsets.len();
        let (shift, step) = (2f64.powi(shift), 2f64.powi(shift - 56));
        // Numbers that the shift swallows, and a threshold among them.
        let x: Vec<f64> = offsets.iter().map(|own| step * (8.0 + f64::from(*own))).collect();
        let identity: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
        let identity: Vec<&[f64]> = identity.iter().map(Vec::as_slice).collect();
        let mut builder = NetworkBuilder::new(&[n]).unwrap();
        let mut last = 0;
        for (name, bias) in [("there", shift), ("back", -shift), ("threshold", -8.0 * step)] {
            last = builder.affine(name, linear(&identity, Some(&vec![bias; n])), &[last]).unwrap();
        }
        last = builder.piecewise_linear("relu", Activation::relu(), last).unwrap();
        last = match above {
            0 => {
                let largest: Arc<dyn PiecewiseLinear> = Arc::new(Maxout::new(n).unwrap());
                builder.add("largest", Operator::PiecewiseLinear(largest), &[last]).unwrap()
            }
            1 => {
                last = builder.affine("image", Reshape::new(&[1, 1, n]), &[last]).unwrap();
                let window = Window2d { kernel: [1, n], ..Window2d::square(1, 1, 0) };
                let largest: Arc<dyn PiecewiseLinear> = Arc::new(MaxPool2d::new(window).unwrap());
                last = builder.add("largest", Operator::PiecewiseLinear(largest), &[last]).unwrap();
                builder.affine("flat", Reshape::new(&[1]), &[last]).unwrap()
            }
            _ => {
                last = builder.affine("image", Reshape::new(&[1, 1, n]), &[last]).unwrap();
                let window = Window2d { kernel: [1, 2], ..Window2d::square(1, 1, 0) };
                let kernel = parameters(&[("weight", &[1, 1, 1, 2], &[1.0, -1.0])]);
                let config = Conv2dConfig { inputs: 1, outputs: 1, window, groups: 1, bias: false };
                let difference = Conv2d::new(config, kernel).unwrap();
                last = builder.affine("difference", difference, &[last]).unwrap();
                last = builder.piecewise_linear("sides", Activation::relu(), last).unwrap();
                builder.affine("flat", Reshape::new(&[n - 1]), &[last]).unwrap()
            }
        };
        let width = if above == 2 { n - 1 } else { 1 };
        let out: Vec<f64> = (0..width).map(|at| 1.0 + at as f64).collect();
        builder.affine("out", linear(&[&out], None), &[last]).unwrap();
        let network = builder.finish(DType::F64, &Device::Cpu).unwrap();
        check(&network, &x)?;
    }

    /// Products of weights in the Gram matrix of the first layer vanish, which the next layer makes large again: not so large that what bounds
    /// errors overflows, which is an error.
    #[test]
    fn gram_matrices_that_vanish(first in -560i32..0, second in 0i32..512, x in -2i32..3) {
        check(&small_and_large(first, second), &[1.0, 1.0 + f64::from(x) / 4.0, 0.0])?;
    }

    /// Lengths side by side, whose squares vanish: `x1 - x2` by way of numbers so small that their errors' squares are none.
    #[test]
    fn lengths_whose_squares_vanish(power in 400i32..620, apart in -40i32..40) {
        let two = |power: i32| 2f64.powi(power);
        let mut builder = NetworkBuilder::new(&[2]).unwrap();
        let small = linear(&[&[two(-power), 0.0]], Some(&[two(40 - power)]));
        let p = builder.affine("p", small, &[0]).unwrap();
        let q = builder.affine("q", linear(&[&[1.0]], Some(&[-two(40 - power)])), &[p]).unwrap();
        let both = builder.affine("both", Concat::new(0), &[q, 0]).unwrap();
        let h = linear(&[&[two(400), 0.0, -two(400 - power)]], None);
        let h = builder.affine("h", h, &[both]).unwrap();
        let z = builder.affine("z", linear(&[&[two(power - 400)]], None), &[h]).unwrap();
        let a = builder.piecewise_linear("a", Activation::relu(), z).unwrap();
        builder.affine("y", linear(&[&[1.0]], None), &[a]).unwrap();
        let network = builder.finish(DType::F64, &Device::Cpu).unwrap();
        check(&network, &[1e-5 * (1.0 + f64::from(apart) / 400.0), 1e-5])?;
    }
}

/// The gradient at the input is 1, and 2 as it is computed; beyond 0.5 it is 1.15. So 10% of it are not kept further than that.
#[test]
fn shares_of_a_gradient_that_rounding_loses() {
    let large = 2f64.powi(55);
    let layer = |weight: &[&[f64]], bias: &[f64]| Layer {
        weight: weight.iter().map(|row| row.to_vec()).collect(),
        bias: bias.to_vec(),
    };
    let fc = Fc {
        layers: vec![
            layer(&[&[3.0], &[1.0], &[1.0]], &[10.0, 10.0, -0.5]),
            layer(&[&[0.1 * large, -0.3 * large, 0.15]], &[0.0]),
        ],
        negative_slope: 0.0,
    };
    let network = bridge::network(&fc, DType::F64).unwrap();
    let batch = bridge::batch(&[vec![0.0]], DType::F64).unwrap();
    let here = Linearization::new(&network, &batch, Budget::default()).unwrap();
    let around = here.surroundings(0, Norm::LINF).unwrap();
    let question = Question::Change {
        weights: vec![1.0],
        norm: Norm::L1,
    };
    let asked = Threshold::Relative(0.1);
    let largest = around
        .largest(&question, asked, 1.0, Limits::default())
        .unwrap();
    assert!(largest.proved <= 0.5, "{}", largest.proved);
    let asked = Threshold::Relative(0.2);
    let largest = around
        .largest(&question, asked, 1.0, Limits::default())
        .unwrap();
    assert!(largest.refuted > 0.5, "{}", largest.refuted);
}
