//! Readings of piecewise-linear operators.

use super::{
    ROUNDING, STEP, build, check_gradients, close, dot, oracle, patch, spectral_norm, strategies,
    tensor, trained, values, with,
};
use candle_core::{DType, Device, Tensor, Var};
use loclin_models::{Operator, Parameters, operators::OperatorSpec};
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn piecewise_linear_operators_agree_with_plain_loops_and_are_affine_under_their_pattern(
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
        let pre_activations = record.pre_activations().dim(1).unwrap();
        prop_assert!(values(record.pre_activations()).iter().zip(values(record.signs().unwrap())).all(|(z, sign)| z * sign >= 0.0));
        let pieces = record.pieces().unwrap().to_dtype(DType::F64).unwrap();
        prop_assert!(values(&pieces).iter().all(|piece| *piece < record.piece_count() as f64));

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
        if values(&there.pieces().unwrap().to_dtype(DType::F64).unwrap()) == values(&pieces) {
            close(&values(&operator.value(&moved).unwrap()), &values(&fixed_pattern(&moved).unwrap()), ROUNDING)?;
            let step = (&moved - &x).unwrap().unsqueeze(1).unwrap();
            let difference = (there.pre_activations() - record.pre_activations()).unwrap();
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

        // What is pulled of a patch is what is pulled of the whole, for one input.
        let alone = record.narrow(0, 1).unwrap();
        if let (&[channels, height, width], &[_, down, across]) = (&output[..], &shape[..]) {
            let patch = patch(rng, [height, width]);
            let [rows, columns] = patch.size;
            let part = tensor(rng, &[1, count, channels, rows, columns]);
            if let Some((pulled, below)) = operator.pull_patch(&part, &patch, &alone, shape).unwrap() {
                let whole = patch.within(&part, [height, width]).unwrap();
                let whole = operator.pull(&whole, &alone, shape).unwrap();
                let pulled = below.within(&pulled, [down, across]).unwrap();
                close(&values(&pulled), &values(&whole), ROUNDING)?;
            }
        }
        // A neuron's terms are its gradient.
        let chosen = rng.random_range(0..pre_activations);
        if let Some(terms) = operator.terms(chosen, &alone, shape).unwrap() {
            let unit: Vec<f64> = (0..pre_activations).map(|j| f64::from(u8::from(j == chosen))).collect();
            let unit = Tensor::from_vec(unit, (1, 1, pre_activations), &Device::Cpu).unwrap();
            let mut expected = values(&operator.pull_neurons(&unit, &alone, shape).unwrap());
            terms.iter().for_each(|(entry, factor)| expected[*entry] -= factor);
            prop_assert!(expected.iter().all(|v| *v == 0.0));
        }

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
        let near = values(record.pre_activations()).iter().any(|z| z.abs() < 10.0 * STEP);
        if !near {
            let weights = [tensor(rng, value.dims()), tensor(rng, record.pre_activations().dims())];
            check_gradients(&[trained(&built.parameters), vec![input]].concat(), rng, || {
                let record = operator.record(&x)?;
                let value = (operator.value(&x)? * &weights[0])?.sum_all()?;
                let pre_activations = (record.pre_activations() * &weights[1])?.sum_all()?;
                let push = (operator.push(&tangent, &record)? * &cotangent)?.sum_all()?;
                let pull = (operator.pull(&cotangent, &record, shape)? * &pulled)?.sum_all()?;
                ((value + pre_activations)? + push)? + pull
            })?;
        }
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
    assert_eq!(record.pieces().unwrap().to_vec2::<u32>().unwrap(), [[1, 0]]);
    assert_eq!(values(record.pre_activations()), [1.0, 0.0, 0.0, 0.0]);
}
