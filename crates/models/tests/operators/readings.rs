//! Every operator's readings, over random shapes, held against plain loops, against each other and against finite
//! differences, in double precision.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test fails by panicking, as the test itself does"
)]

mod oracle;
mod strategies;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::VarBuilder;
use loclin_models::{
    Affine, Model, Network, NetworkSpec, NodeSpec, Operator, Parameters,
    operators::{Conv2dConfig, OperatorSpec, Window2d},
};
use oracle::Array;
use proptest::{prelude::*, test_runner::TestCaseResult};
use rand::{Rng, SeedableRng, rngs::StdRng};
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

/// What the value is by definition.
fn push_and_offset(operator: &dyn Affine, operands: &[Tensor], output: &[usize]) -> Result<Tensor> {
    let tangents = operands
        .iter()
        .map(|x| x.unsqueeze(1))
        .collect::<Result<Vec<_>>>()?;
    let value = operator
        .push(&tangents.iter().collect::<Vec<_>>())?
        .squeeze(1)?;
    match operator.offset(output)? {
        Some(offset) => value.broadcast_add(&offset),
        None => Ok(value),
    }
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
    let constant = |name: &str| ["running_mean", "running_var", "scale", "shift"].contains(&name);
    parameters
        .named()
        .into_iter()
        .filter(|(name, _)| !constant(name))
        .map(|(_, var)| var)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn affine_operators_agree_with_plain_loops_and_are_their_own_transposes(
        case in strategies::affine(), seed in any::<u64>(), batch in 1usize..4, count in 1usize..4,
    ) {
        let rng = &mut StdRng::seed_from_u64(seed);
        let built = build(&case, rng);
        let Operator::Affine(operator) = &built.operator else { panic!() };
        let shapes: Vec<&[usize]> = case.operands.iter().map(|shape| &shape[..]).collect();
        let output = operator.output_shape(&shapes).unwrap();
        let inputs: Vec<Var> = shapes.iter().map(|shape| Var::from_tensor(&tensor(rng, &with(&[batch], shape))).unwrap()).collect();
        let x: Vec<Tensor> = inputs.iter().map(|var| var.as_tensor().clone()).collect();

        let references: Vec<&Tensor> = x.iter().collect();
        let expected = oracle(&case, &built, &x);
        for value in [operator.value(&references, &output), push_and_offset(operator.as_ref(), &x, &output)] {
            let value = value.unwrap();
            prop_assert_eq!(value.dims(), with(&[batch], &output));
            close(&values(&value), &expected, ROUNDING)?;
        }

        // Each operand's tangents may be shared by the batch or not.
        let tangents: Vec<Tensor> = shapes.iter().map(|shape| {
            let own = if rng.random() { batch } else { 1 };
            tensor(rng, &with(&[own, count], shape))
        }).collect();
        let references: Vec<&Tensor> = tangents.iter().collect();
        let pushed = operator.push(&references).unwrap();
        let own = tangents.iter().map(|t| t.dims()[0]).max().unwrap();
        prop_assert_eq!(pushed.dims(), with(&[own, count], &output));
        let cotangent = tensor(rng, &with(&[own, count], &output));
        let pulled = operator.pull(&cotangent, &shapes).unwrap();
        prop_assert_eq!(pulled.len(), shapes.len());
        let through: f64 = tangents.iter().zip(&pulled).map(|(t, p)| dot(&t.broadcast_as(p.shape()).unwrap(), p)).sum();
        close(&[dot(&pushed, &cotangent)], &[through], ROUNDING)?;

        // No tangent grows more than the bound says, alone or with its channels scaled.
        let (first, others) = shapes.split_first().unwrap();
        let alone = |t: &Tensor| {
            let zeros = |shape: &&[usize]| Tensor::zeros(with(&[1, 1], shape), DType::F64, &Device::Cpu);
            let rest = others.iter().map(zeros).collect::<Result<Vec<_>>>()?;
            operator.push(&[t].into_iter().chain(&rest).collect::<Vec<_>>())
        };
        let mut bounds = vec![0.0; shapes.len()];
        bounds[0] = 1.0;
        let bound = operator.lipschitz(&shapes, &bounds).unwrap();
        let start = tensor(rng, &with(&[1, 1], first));
        let norm = spectral_norm(start.clone(), alone, |c| Ok(operator.pull(c, &shapes)?.swap_remove(0)));
        prop_assert!(norm <= bound * (1.0 + 1e-12), "{} {}", norm, bound);
        let scale = tensor(rng, &output[..1]);
        if let Some(bound) = operator.scaled_lipschitz(&scale, &bounds).unwrap() {
            let mut shape = vec![1; output.len() + 2];
            shape[2] = output[0];
            let scaled = |t: &Tensor| t.broadcast_mul(&scale.reshape(&shape[..])?);
            let pull = |c: &Tensor| Ok(operator.pull(&scaled(c)?, &shapes)?.swap_remove(0));
            let norm = spectral_norm(start.clone(), |t| scaled(&alone(t)?), pull);
            prop_assert!(norm <= bound * (1.0 + 1e-12), "{} {}", norm, bound);
        }
        // A channel's scale is all the operator does to a tangent.
        if let Some(scale) = operator.channel_scale().unwrap() {
            let mut shape = vec![1; first.len() + 2];
            shape[2] = first[0];
            let scaled = start.broadcast_mul(&scale.reshape(&shape[..]).unwrap()).unwrap();
            close(&values(&alone(&start).unwrap()), &values(&scaled), ROUNDING)?;
        }

        // A scalar that touches value, push and pull.
        let weights = tensor(rng, &with(&[batch], &output));
        check_gradients(&[trained(&built.parameters), inputs].concat(), rng, || {
            let value = (operator.value(&x.iter().collect::<Vec<_>>(), &output)?.broadcast_mul(&weights))?.sum_all()?;
            let push = (operator.push(&references)? * &cotangent)?.sum_all()?;
            let pull = operator.pull(&cotangent, &shapes)?.iter().zip(&tangents)
                .map(|(p, t)| p.broadcast_mul(t)?.sum_all()).collect::<Result<Vec<_>>>()?;
            (value + push)? + Tensor::stack(&pull, 0)?.sum_all()?
        })?;
    }

    #[test]
    fn switching_operators_agree_with_plain_loops_and_are_affine_under_their_pattern(
        case in strategies::piecewise_linear(), seed in any::<u64>(), batch in 1usize..4, count in 1usize..4,
    ) {
        let rng = &mut StdRng::seed_from_u64(seed);
        let built = build(&case, rng);
        let Operator::PiecewiseLinear(operator) = &built.operator else { panic!() };
        let shape = &case.operands[0];
        let output = operator.output_shape(shape).unwrap();
        let input = Var::from_tensor(&tensor(rng, &with(&[batch], shape))).unwrap();
        let x = input.as_tensor().clone();
        let value = operator.value(&x).unwrap();
        prop_assert_eq!(value.dims(), with(&[batch], &output));
        close(&values(&value), &oracle(&case, &built, std::slice::from_ref(&x)), ROUNDING)?;

        let record = operator.record(&x).unwrap();
        let pre_activations = record.pre_activations.dim(1).unwrap();
        prop_assert!(values(&record.pre_activations).iter().zip(values(&record.signs)).all(|(z, sign)| z * sign >= 0.0));
        let pieces = record.pieces.to_dtype(DType::F64).unwrap();
        prop_assert!(values(&pieces).iter().all(|piece| *piece < record.piece_count as f64));

        // The value is the selected affine map.
        let fixed_pattern = |x: &Tensor| {
            let pushed = operator.push(&x.unsqueeze(1)?, &record)?.squeeze(1)?;
            match operator.offset(&record)? {
                Some(offset) => pushed.broadcast_add(&offset),
                None => Ok(pushed),
            }
        };
        close(&values(&value), &values(&fixed_pattern(&x).unwrap()), ROUNDING)?;
        // And stays it while no constraint changes sides: so the push is the value's derivative.
        let moved = (&x + tensor(rng, x.dims()) * STEP).unwrap();
        let there = operator.record(&moved).unwrap();
        if values(&there.pieces.to_dtype(DType::F64).unwrap()) == values(&pieces) {
            close(&values(&operator.value(&moved).unwrap()), &values(&fixed_pattern(&moved).unwrap()), ROUNDING)?;
            let step = (&moved - &x).unwrap().unsqueeze(1).unwrap();
            let difference = (&there.pre_activations - &record.pre_activations).unwrap();
            let pushed = operator.push_neurons(&step, &record).unwrap();
            close(&values(&difference), &values(&pushed), ROUNDING)?;
        }

        // Transposes, with tangents shared by the batch or not.
        let own = if rng.random() { batch } else { 1 };
        let tangent = tensor(rng, &with(&[own, count], shape));
        let pushed = operator.push(&tangent, &record).unwrap();
        prop_assert_eq!(pushed.dims(), with(&[batch, count], &output));
        let cotangent = tensor(rng, pushed.dims());
        let pulled = operator.pull(&cotangent, &record, shape).unwrap().detach();
        let shared = tangent.broadcast_as(pulled.shape()).unwrap();
        close(&[dot(&pushed, &cotangent)], &[dot(&shared, &pulled)], ROUNDING)?;
        let constrained = operator.push_neurons(&tangent, &record).unwrap();
        prop_assert_eq!(constrained.dim(2).unwrap(), pre_activations);
        let cotangents = tensor(rng, constrained.dims());
        let back = operator.pull_neurons(&cotangents, &record, shape).unwrap();
        let shared = tangent.broadcast_as(back.shape()).unwrap();
        close(&[dot(&constrained, &cotangents)], &[dot(&shared, &back)], ROUNDING)?;

        // No tangent grows more than the bounds say.
        let start = tensor(rng, &with(&[batch, 1], shape));
        let norm = spectral_norm(start.clone(), |t| operator.push(t, &record), |c| operator.pull(c, &record, shape));
        prop_assert!(norm <= operator.lipschitz(shape).unwrap() * (1.0 + 1e-12));
        let unit = Tensor::eye(pre_activations, DType::F64, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        let unit = unit.broadcast_as((batch, pre_activations, pre_activations)).unwrap().contiguous().unwrap();
        let lengths = operator.pull_neurons(&unit, &record, shape).unwrap();
        let lengths = lengths.flatten_from(2).unwrap().sqr().unwrap().sum(2).unwrap().sqrt().unwrap();
        prop_assert!(values(&lengths).iter().all(|length| *length <= operator.neuron_length() + 1e-12));

        // Gradients, unless a unit is too near to its boundary for a finite difference.
        let near = values(&record.pre_activations).iter().any(|z| z.abs() < 10.0 * STEP);
        if !near {
            let weights = [tensor(rng, value.dims()), tensor(rng, record.pre_activations.dims())];
            check_gradients(&[trained(&built.parameters), vec![input]].concat(), rng, || {
                let record = operator.record(&x)?;
                let value = (operator.value(&x)? * &weights[0])?.sum_all()?;
                let pre_activations = (&record.pre_activations * &weights[1])?.sum_all()?;
                let push = (operator.push(&tangent, &record)? * &cotangent)?.sum_all()?;
                let pull = (operator.pull(&cotangent, &record, shape)? * &pulled)?.sum_all()?;
                ((value + pre_activations)? + push)? + pull
            })?;
        }
    }

    #[test]
    fn every_operator_survives_its_file(
        case in prop_oneof![strategies::affine(), strategies::piecewise_linear()], seed in any::<u64>(),
    ) {
        let size: usize = case.operands.iter().map(|shape| shape.iter().product::<usize>()).sum();
        let mut nodes = Vec::new();
        let mut start = 0;
        let mut operands = Vec::new();
        let node = |name: String, operator, operands: Vec<String>| NodeSpec { name, operator, operands };
        for (i, shape) in case.operands.iter().enumerate() {
            let length = shape.iter().product();
            nodes.push(node(format!("part{i}"), OperatorSpec::Slice { axis: 0, start, length }, vec!["input".into()]));
            nodes.push(node(format!("operand{i}"), OperatorSpec::Reshape { shape: shape.clone() }, vec![format!("part{i}")]));
            operands.push(format!("operand{i}"));
            start += length;
        }
        nodes.push(node("first".into(), case.spec.clone(), operands.clone()));
        nodes.push(node("again".into(), OperatorSpec::SameAs { node: "first".into() }, operands));
        nodes.push(node("sum".into(), OperatorSpec::Add, vec!["first".into(), "again".into()]));
        nodes.push(node("output".into(), OperatorSpec::Flatten, vec!["sum".into()]));
        let spec = NetworkSpec { input_shape: vec![size], nodes };
        let parameters = Parameters::seeded(seed);
        let network = spec.build(parameters.builder(DType::F64, &Device::Cpu)).unwrap();
        prop_assert_eq!(&network.spec(), &spec);
        // Shared parameters are there once, under the first node's name.
        let names: Vec<String> = network.parameters().into_iter().map(|(name, _)| name).collect();
        prop_assert!(names.iter().all(|name| name.starts_with("first.")));
        prop_assert_eq!(names.len(), parameters.len());

        let model = Model { network, normalization: None };
        let bytes = model.to_bytes().unwrap();
        let again = Model::from_bytes(&bytes, DType::F64, &Device::Cpu).unwrap();
        prop_assert_eq!(&again.to_bytes().unwrap(), &bytes);
        let x = tensor(&mut StdRng::seed_from_u64(seed), &[2, size]);
        let output = |network: &Network| values(network.trace(&x).unwrap().output());
        prop_assert_eq!(output(&model.network), output(&again.network));
    }
}

#[test]
fn equal_entries_select_the_first() {
    let case = OperatorSpec::Maxout { pieces: 3 };
    let Operator::PiecewiseLinear(operator) = case
        .build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))
        .unwrap()
    else {
        panic!()
    };
    let x = Tensor::new(&[[1.0, 2.0, 2.0, 0.0, 0.0, 0.0]], &Device::Cpu).unwrap();
    let record = operator.record(&x).unwrap();
    assert_eq!(record.pieces.to_vec2::<u32>().unwrap(), [[1, 0]]);
    assert_eq!(values(&record.pre_activations), [1.0, 0.0, 0.0, 0.0]);
}

/// What does not fit is an error, whatever the numbers, and never a panic or a huge allocation.
#[test]
fn what_does_not_fit_is_refused() {
    let big = usize::MAX;
    let square = Window2d::square;
    let conv = |inputs, outputs, groups, window| {
        OperatorSpec::Conv2d(Conv2dConfig {
            inputs,
            outputs,
            window,
            groups,
            bias: false,
        })
    };
    let refused = |spec: OperatorSpec, operands: &[&[usize]]| {
        let Ok(operator) = spec.build(VarBuilder::zeros(DType::F64, &Device::Cpu)) else {
            return;
        };
        let shape = match &operator {
            Operator::Affine(operator) => operator.output_shape(operands),
            Operator::PiecewiseLinear(operator) => operator.output_shape(operands[0]),
            Operator::Input => return,
        };
        assert!(shape.is_err(), "{spec:?} of {operands:?}: {shape:?}");
    };
    let pool = |window| OperatorSpec::MaxPool2d { window };
    let image: &[usize] = &[2, 4, 4];
    for window in [
        square(0, 1, 0),
        square(2, 0, 0),
        square(5, 1, 0),
        square(big, 1, 0),
        square(2, 1, big),
        square(2, big, big),
    ] {
        refused(pool(window.clone()), &[image]);
        refused(
            OperatorSpec::AvgPool2d {
                window: window.clone(),
                count_padding: true,
            },
            &[image],
        );
        if window.kernel[0] < 10 {
            refused(conv(2, 2, 1, window), &[image]);
        }
    }
    refused(pool(square(2, 1, 1 << 30)), &[&[1, 1, 1]]);
    refused(pool(square(2, 3, 2)), &[image]);
    refused(pool(square(1, 2, 0)), &[image]);
    refused(pool(square(2, 2, 0)), &[&[4, 4]]);
    refused(pool(square(2, 2, 0)), &[&[1 << 20, 1 << 20, 1 << 20]]);
    let dilated = Window2d {
        dilation: [big, 1],
        ..square(2, 1, 0)
    };
    refused(pool(dilated.clone()), &[image]);
    refused(
        OperatorSpec::AvgPool2d {
            window: dilated,
            count_padding: true,
        },
        &[image],
    );
    for (inputs, outputs, groups) in [
        (0, 1, 1),
        (2, 0, 1),
        (2, 2, 0),
        (2, 3, 2),
        (3, 2, 2),
        (3, 2, 1),
    ] {
        refused(conv(inputs, outputs, groups, square(1, 1, 0)), &[image]);
    }
    refused(OperatorSpec::Add, &[]);
    refused(OperatorSpec::Add, &[&[2], &[3]]);
    refused(
        OperatorSpec::BatchNorm {
            channels: 3,
            eps: 1e-5,
        },
        &[image],
    );
    refused(
        OperatorSpec::BatchNorm {
            channels: 2,
            eps: 0.0,
        },
        &[image],
    );
    refused(
        OperatorSpec::BatchNorm {
            channels: 2,
            eps: f64::NAN,
        },
        &[image],
    );
    refused(OperatorSpec::Concat { axis: 1 }, &[&[2]]);
    refused(OperatorSpec::Concat { axis: 0 }, &[&[2, 3], &[2, 4]]);
    refused(OperatorSpec::Concat { axis: 0 }, &[&[big], &[2]]);
    refused(OperatorSpec::GlobalAvgPool, &[&[2]]);
    refused(OperatorSpec::Maxout { pieces: 1 }, &[image]);
    refused(OperatorSpec::Maxout { pieces: 3 }, &[image]);
    refused(
        OperatorSpec::Pad {
            before: vec![1],
            after: vec![],
            value: 0.0,
        },
        &[&[2]],
    );
    refused(
        OperatorSpec::Pad {
            before: vec![big],
            after: vec![1],
            value: 0.0,
        },
        &[&[2]],
    );
    refused(
        OperatorSpec::Pad {
            before: vec![1],
            after: vec![1],
            value: f64::NAN,
        },
        &[&[2]],
    );
    refused(OperatorSpec::Prelu { channels: 3 }, &[image]);
    refused(OperatorSpec::Reshape { shape: vec![31] }, &[image]);
    refused(
        OperatorSpec::Reshape {
            shape: vec![big, big],
        },
        &[image],
    );
    refused(OperatorSpec::Scale { shape: vec![3] }, &[image]);
    refused(
        OperatorSpec::Translate {
            shape: vec![1, 2, 4, 4],
        },
        &[image],
    );
    refused(OperatorSpec::Select { axis: 1, index: 4 }, &[image]);
    refused(
        OperatorSpec::Slice {
            axis: 3,
            start: 0,
            length: 1,
        },
        &[image],
    );
    refused(
        OperatorSpec::Slice {
            axis: 0,
            start: 1,
            length: big,
        },
        &[image],
    );
    refused(
        OperatorSpec::Transpose {
            permutation: vec![0, 0, 1],
        },
        &[image],
    );
    refused(
        OperatorSpec::Transpose {
            permutation: vec![1, 0],
        },
        &[image],
    );
    let node = |name: &str, operator, operand: &str| NodeSpec {
        name: name.into(),
        operator,
        operands: vec![operand.into()],
    };
    for same_as in ["missing", "input", "again"] {
        let nodes = vec![node(
            "again",
            OperatorSpec::SameAs {
                node: same_as.into(),
            },
            "input",
        )];
        let spec = NetworkSpec {
            input_shape: vec![2],
            nodes,
        };
        assert!(
            spec.build(VarBuilder::zeros(DType::F64, &Device::Cpu))
                .is_err()
        );
    }
}
