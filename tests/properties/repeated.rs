//! Max pools above entries that occur twice: what compares a number with itself has no boundary.

use crate::{cases, untested};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_models::PiecewiseLinear as _;
use loclin_models::operators::{
    Activation, Conv2dConfig, OperatorSpec, Scale, SparseRows, Window2d,
};
use loclin_models::{Network, NetworkBuilder, Operator, Parameters};
use loclin_regions::exact::Exact;
use loclin_regions::reduced::{Limits, Question};
use loclin_regions::{Budget, Guarantee, Linearization, Norm, Position};
use loclin_tensor::random::stream;
use proptest::prelude::*;
use rand::Rng;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What comes between the convolution and the end.
#[derive(Debug, Clone, Copy)]
enum Step {
    Pool {
        kernel: usize,
        stride: usize,
        padding: usize,
    },
    Twice,
    Mirrored,
    Zeros,
    Negated,
    Relu,
    Leaky,
    Mixed(usize),
    Mean,
}

fn step() -> impl Strategy<Value = Step> {
    let pool = || {
        (2..=3usize, 1..=2usize, 0..=1usize).prop_map(|(kernel, stride, padding)| Step::Pool {
            kernel,
            stride,
            padding,
        })
    };
    prop_oneof![
        4 => pool(),
        1 => Just(Step::Twice),
        1 => Just(Step::Mirrored),
        1 => Just(Step::Zeros),
        1 => Just(Step::Negated),
        1 => Just(Step::Relu),
        1 => Just(Step::Leaky),
        1 => prop::sample::select(vec![1, 3]).prop_map(Step::Mixed),
        1 => Just(Step::Mean),
    ]
}

/// A convolution and a ReLU, unless the image itself comes first, the steps, and a linear layer, for images of 6 x 6 pixels; `None` where a
/// step does not fit.
fn network(steps: &[Step], image_first: bool, seed: u64) -> Option<Network> {
    let parameters = Parameters::seeded(seed);
    let vars = || parameters.builder(DType::F64, &Device::Cpu);
    let mut builder = NetworkBuilder::new(&[1, 6, 6]).unwrap();
    let mut add =
        |name: String, operator: Operator, below: usize| builder.add(&name, operator, &[below]);
    let convolution = OperatorSpec::Conv2d(Conv2dConfig {
        inputs: 1,
        outputs: 2,
        window: Window2d::square(3, 1, 1),
        groups: 1,
        bias: true,
    });
    let (mut last, mut shape) = (0, vec![1, 6, 6]);
    if !image_first {
        let convolution = convolution.build(vars().pp("conv")).unwrap();
        last = add("conv".into(), convolution, last).unwrap();
        shape = vec![2, 6, 6];
    }
    let activation = |activation: Activation| activation.spec().unwrap();
    let before: &[Step] = if image_first { &[] } else { &[Step::Relu] };
    for (number, step) in [before, steps].concat().into_iter().enumerate() {
        let copies = |axis: usize, sources: Vec<usize>| OperatorSpec::Resample {
            axis,
            rows: SparseRows::copies(shape[axis], sources.into_iter().map(Some)),
        };
        let specs = match step {
            Step::Pool {
                kernel,
                stride,
                padding,
            } => vec![OperatorSpec::MaxPool2d {
                window: Window2d::square(kernel, stride, padding),
            }],
            Step::Twice => [1, 2]
                .map(|axis| copies(axis, (0..2 * shape[axis]).map(|i| i / 2).collect()))
                .into(),
            Step::Mirrored => [1, 2]
                .map(|axis| {
                    let n = shape[axis];
                    copies(
                        axis,
                        [vec![1 % n], (0..n).collect(), vec![n.saturating_sub(2)]].concat(),
                    )
                })
                .into(),
            Step::Zeros => vec![OperatorSpec::Pad {
                before: vec![0, 1, 1],
                after: vec![0, 1, 1],
                value: 0.0,
            }],
            Step::Mixed(side) => vec![OperatorSpec::Conv2d(Conv2dConfig {
                inputs: shape[0],
                outputs: 2,
                window: Window2d::square(side, 1, side / 2),
                groups: 1,
                bias: true,
            })],
            Step::Mean => vec![OperatorSpec::AvgPool2d {
                window: Window2d::square(2, 1, 1),
                count_padding: seed.is_multiple_of(2),
            }],
            Step::Negated => Vec::new(),
            Step::Relu => vec![activation(Activation::relu())],
            Step::Leaky => vec![activation(Activation::leaky_relu(0.25).unwrap())],
        };
        for (part, spec) in specs.into_iter().enumerate() {
            let operator = spec.build(vars().pp(format!("{number}.{part}"))).ok()?;
            shape = match &operator {
                Operator::Affine(affine) => affine.output_shape(&[&shape]).ok()?,
                Operator::PiecewiseLinear(choice) => choice.output_shape(&shape).ok()?,
                Operator::Input => return None,
            };
            last = add(format!("{number}.{part}"), operator, last).ok()?;
        }
        if matches!(step, Step::Negated) {
            let minus = Tensor::new(&[-1.0], &Device::Cpu).unwrap();
            let tensors = HashMap::from([("scale".to_owned(), minus)]);
            let vars = VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu);
            let scale = Operator::Affine(Arc::new(Scale::new(&[1], vars).unwrap()));
            last = add(format!("{number}"), scale, last).ok()?;
        }
        if shape.iter().product::<usize>() > 700 {
            return None;
        }
    }
    last = add(
        "flatten".into(),
        OperatorSpec::Flatten.build(vars()).unwrap(),
        last,
    )
    .ok()?;
    let linear = OperatorSpec::Linear {
        inputs: shape.iter().product(),
        outputs: 2,
        bias: true,
    };
    add(
        "linear".into(),
        linear.build(vars().pp("linear")).unwrap(),
        last,
    )
    .ok()?;
    builder.finish(DType::F64, &Device::Cpu).ok()
}

proptest! {
    #![proptest_config(cases(60))]

    /// Found are all neurons that are 0 with a gradient of 0, and no others, by exact arithmetic; and the input has radii.
    #[test]
    fn what_compares_a_number_with_itself_is_found(
        steps in prop::collection::vec(step(), 1..5), image_first in any::<bool>(), seed in 0..1_u64 << 20,
    ) {
        let Some(network) = network(&steps, image_first, seed) else { return untested() };
        let mut rng = stream(seed, &[7]);
        let x: Vec<f64> = (0..36).map(|_| rng.random_range(-1.0..1.0)).collect();
        let inputs = Tensor::from_slice(&x, (1, 1, 6, 6), &Device::Cpu).unwrap();
        let trace = network.trace(&inputs).unwrap();
        let found: BTreeSet<usize> = trace.equal_neurons(&[(0, usize::MAX)]).unwrap().swap_remove(0).into_iter().collect();
        let exact = Exact::new(&network, u64::MAX).unwrap();
        let here = exact.at(&x).unwrap();
        let ranges = trace.neuron_ranges().unwrap();
        let (mut meets, mut missed) = (false, false);
        for range in &ranges {
            for at in range.start..range.start + range.count {
                let is_zero = here.pre_activation(at).is_zero();
                let moves = is_zero && here.gradient(at).iter().any(|number| !number.is_zero());
                meets |= moves;
                let is_idle = is_zero && !moves;
                // Behind a mean or a convolution other sums may be equal, as (a + a) / 2 and a, which is not looked for.
                let mixes = steps.iter().any(|step| matches!(step, Step::Mixed(_) | Step::Mean));
                let is_found = found.contains(&at);
                missed |= is_idle && !is_found;
                prop_assert!(is_found == is_idle || mixes && !is_found, "neuron {} of {:?}", at, range);
            }
        }
        prop_assume!(!meets && !missed);
        let linearised = Linearization::new(&network, &inputs, Budget::default()).unwrap();
        for margins in linearised.margins(&[Norm::L1, Norm::L2, Norm::LINF], Default::default()).unwrap() {
            prop_assert_eq!(margins.guarantee, Guarantee::Proved);
            prop_assert!(matches!(margins.position[0], Position::Inside), "{:?}", margins.position);
            prop_assert!(margins.radius[0] > 0.0);
        }
        let around = linearised.surroundings(0, Norm::LINF).unwrap();
        prop_assert_eq!(around.guarantee(), Guarantee::Proved);
        let question = Question::Change { weights: vec![1.0, -1.0], norm: Norm::L1 };
        let margin = linearised.margins(&[Norm::LINF], Default::default()).unwrap()[0].radius[0];
        prop_assume!(margin.is_finite());
        prop_assert_eq!(around.bound(0.99 * margin, &question, Limits::default()).unwrap().proved, 0.0);
    }
}
