//! Readings of affine operators.

use super::{
    ROUNDING, build, check_gradients, close, dot, oracle, patch, spectral_norm, strategies, tensor,
    trained, values, with,
};
use candle_core::{DType, Device, Result, Tensor, Var};
use loclin_models::{Affine, Operator};
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};

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

        // What is pulled of a patch is what is pulled of the whole.
        if let &[channels, height, width] = &output[..] {
            let patch = patch(rng, [height, width]);
            let [rows, columns] = patch.size;
            let part = tensor(rng, &[own, count, channels, rows, columns]);
            let wanted = vec![None; shapes.len()];
            if let Some(parts) = operator.pull_patch(&part, &patch, &shapes, &wanted).unwrap() {
                let whole = patch.within(&part, [height, width]).unwrap();
                let pulled = operator.pull(&whole, &shapes).unwrap();
                for (((part, patch), whole), shape) in parts.iter().zip(&pulled).zip(&shapes) {
                    let part = patch.within(part, [shape[1], shape[2]]).unwrap();
                    close(&values(&part), &values(whole), ROUNDING)?;
                }
            }
        }

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
        if let Some(bound) = operator.scaled_lipschitz(&scale, &shapes, &bounds).unwrap() {
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
}
