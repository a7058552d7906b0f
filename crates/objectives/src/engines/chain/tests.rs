//! The engine against the reference implementation, and against itself.

use crate::{
    engines::{dual_norms, mean_along, mean_squared_norms, squared_norms},
    hinges,
    neuron_loss::mean_hinge,
    squared_derivatives, squared_gradient_norms_by_pushing,
};
use candle_core::{DType, Device, Tensor, Var};
use loclin_models::{Mlp, Network, Parameters, Trace};
use loclin_regions::{Norm, axes};
use loclin_tensor::random::{normal, stream, uniform};
use proptest::prelude::*;
use rand::{Rng as _, seq::SliceRandom as _};

/// A network, its variables and a batch of inputs.
#[derive(Debug, Clone)]
struct Case {
    hidden: Vec<usize>,
    inputs: usize,
    negative_slope: f64,
    /// A layer whose first units are switched off everywhere, and how many of them.
    dead: (usize, usize),
    std: f64,
    batch: usize,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    (
        // With six layers two lie between the ends.
        prop::collection::vec(1usize..=20, 1..=6),
        // From 12 axes on the engine is never dearer than the reference implementation at these widths.
        12usize..=24,
        prop_oneof![Just(0.0), Just(0.0), Just(0.1), Just(-0.5), Just(1.0)],
        (0usize..5, 0usize..=20),
        prop_oneof![Just(1.0), Just(0.3)],
        // More than 16 inputs are summed in pieces.
        prop_oneof![1usize..=12, 17usize..=40],
        any::<u64>(),
    )
        .prop_map(
            |(hidden, inputs, negative_slope, dead, std, batch, seed)| Case {
                hidden,
                inputs,
                negative_slope,
                dead,
                std,
                batch,
                seed,
            },
        )
}

fn build(case: &Case, dtype: DType) -> (Network, Vec<(String, Var)>, Tensor) {
    let config = Mlp {
        inputs: vec![case.inputs],
        hidden: case.hidden.clone(),
        outputs: 2,
        negative_slope: case.negative_slope,
    };
    let parameters = Parameters::seeded(case.seed);
    let network = config
        .build(parameters.builder(dtype, &Device::Cpu))
        .unwrap();
    let (layer, count) = case.dead;
    for (name, variable) in parameters.named() {
        if name == format!("layers.{layer}.bias") && layer < case.hidden.len() {
            let off = count.min(case.hidden[layer]);
            let mut values = variable
                .to_dtype(DType::F64)
                .unwrap()
                .to_vec1::<f64>()
                .unwrap();
            values[..off].fill(-1e3);
            let values = Tensor::new(values, &Device::Cpu).unwrap();
            variable.set(&values.to_dtype(dtype).unwrap()).unwrap();
        }
    }
    let network = match case.std {
        1.0 => network,
        std => network.standardized(&[0.1], &[std]).unwrap(),
    };
    let shape = (case.batch, case.inputs);
    let x = normal(&mut stream(case.seed, &[1]), shape, dtype, &Device::Cpu).unwrap();
    (network, parameters.named(), x)
}

fn plain(trace: &Trace) -> Tensor {
    let norms = squared_gradient_norms_by_pushing(trace).unwrap();
    norms.sum(1).unwrap().mean_all().unwrap()
}

/// The value and every parameter's gradient, zeros where there is none.
fn read(value: &Tensor, parameters: &[(String, Var)]) -> Vec<Vec<f64>> {
    let flat = |t: &Tensor| {
        t.flatten_all()
            .unwrap()
            .to_dtype(DType::F64)
            .unwrap()
            .to_vec1::<f64>()
            .unwrap()
    };
    let gradients = value.backward().unwrap();
    let mut read = vec![flat(value)];
    for (_, variable) in parameters {
        let gradient = gradients.get(variable);
        read.push(gradient.map_or_else(|| vec![0.0; variable.elem_count()], flat));
    }
    read
}

/// Asserts `|a - b| <= tolerance` times the largest number of the tensor.
fn check(a: &[Vec<f64>], b: &[Vec<f64>], tolerance: f64) -> Result<(), TestCaseError> {
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        let scale = b.iter().fold(0.0, |s: f64, v| s.max(v.abs()));
        let gap = a
            .iter()
            .zip(b)
            .fold(0.0, |s: f64, (a, b)| s.max((a - b).abs()));
        prop_assert!(gap <= tolerance * scale, "part {}: {} of {}", i, gap, scale);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The mean over the batch: same value and gradients as pushing all axes. The two sum the same
    /// products in other orders; 1e-10 leaves room for the cancellation in a gradient of small terms.
    #[test]
    fn the_mean_agrees_with_the_plain_road(case in cases()) {
        let (network, parameters, x) = build(&case, DType::F64);
        let trace = network.trace(&x).unwrap();
        let fast = mean_squared_norms(&trace).unwrap().unwrap();
        let fast_read = read(&fast, &parameters);
        check(&fast_read, &read(&plain(&trace), &parameters), 1e-10)?;

        // Without gradients the sum meets elsewhere.
        let untracked = network.detached().unwrap().trace(&x).unwrap();
        let value = mean_squared_norms(&untracked).unwrap().unwrap();
        prop_assert!(!value.track_op());
        check(&[vec![value.to_scalar::<f64>().unwrap()]], &fast_read[..1], 1e-12)?;
    }

    /// Along given directions: the plain push of them, but for the first layer's neurons, which are exact.
    #[test]
    fn the_mean_along_directions_agrees_with_the_plain_road(case in cases(), count in 1usize..=3) {
        let (network, parameters, x) = build(&case, DType::F64);
        let trace = network.trace(&x).unwrap();
        let rng = &mut stream(case.seed, &[3]);
        let shape = (case.batch, count, case.inputs);
        let directions = normal(rng, shape, DType::F64, &Device::Cpu).unwrap();
        let fast = mean_along(&[&trace], std::slice::from_ref(&directions)).unwrap().unwrap();
        let (first, neurons) = (case.hidden[0], case.hidden.iter().sum::<usize>());
        let exact = squared_gradient_norms_by_pushing(&trace).unwrap().narrow(1, 0, first).unwrap();
        let pushed = squared_derivatives(&trace, &directions).unwrap();
        let pushed = (pushed.narrow(1, first, neurons - first).unwrap() / count as f64).unwrap();
        let plain = Tensor::cat(&[exact, pushed], 1).unwrap().mean_all().unwrap();
        // The same products, summed in another order.
        check(&read(&fast, &parameters), &read(&plain, &parameters), 1e-11)?;
    }

    /// The hinge in one pass: the mean of those of all neurons, and its gradients, with weights and without.
    #[test]
    fn the_mean_hinge_agrees_with_the_plain_road(case in cases()) {
        let (network, parameters, x) = build(&case, DType::F64);
        let trace = network.trace(&x).unwrap();
        let plain = hinges(&trace).unwrap().mean_all().unwrap();
        let fast = mean_hinge(&trace, None).unwrap();
        check(&read(&fast, &parameters), &read(&plain, &parameters), 1e-11)?;
        let rng = &mut stream(case.seed, &[4]);
        let weights = case.hidden.iter().map(|m| uniform(rng, (case.batch, *m), DType::F64, &Device::Cpu).unwrap());
        let weights: Vec<Tensor> = weights.collect();
        let plain = (hinges(&trace).unwrap() * Tensor::cat(&weights, 1).unwrap()).unwrap().mean_all().unwrap();
        let fast = mean_hinge(&trace, Some(&weights)).unwrap();
        check(&read(&fast, &parameters), &read(&plain, &parameters), 1e-11)?;
    }

    /// Each neuron's norm, and the gradient of a sum of them with weights of which a share is 0.
    #[test]
    fn the_norms_agree_with_the_plain_road(case in cases(), kept in 0.0f64..=1.0) {
        let (network, parameters, x) = build(&case, DType::F64);
        let trace = network.trace(&x).unwrap();
        let fast = squared_norms(&trace).unwrap().unwrap();
        let plain = squared_gradient_norms_by_pushing(&trace).unwrap();
        let rng = &mut stream(case.seed, &[2]);
        let dims = plain.dims();
        let weights = normal(rng, dims, DType::F64, &Device::Cpu).unwrap();
        let mask = uniform(rng, dims, DType::F64, &Device::Cpu).unwrap().lt(kept).unwrap();
        let weights = (weights * mask.to_dtype(DType::F64).unwrap()).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        check(&[flat(&fast)], &[flat(&plain)], 1e-11)?;
        let sum = |norms: &Tensor| (norms * &weights).unwrap().sum_all().unwrap();
        let (fast, plain) = (read(&sum(&fast), &parameters), read(&sum(&plain), &parameters));
        // Signed weights cancel in the sum, so its scale is not that of its terms.
        prop_assert!((fast[0][0] - plain[0][0]).abs() <= 1e-10 * (1.0 + plain[0][0].abs()));
        check(&fast[1..], &plain[1..], 1e-9)?;
    }

    /// Dual norms of chosen neurons, and the gradient of a sum of them with weights: those of all derivatives, pushed.
    #[test]
    fn the_dual_norms_agree_with_the_plain_road(case in cases(), seed: u64) {
        let (network, parameters, x) = build(&case, DType::F64);
        let trace = network.trace(&x).unwrap();
        let mut rows = Vec::new();
        let axes = axes(&network, 0..network.input_size()).unwrap();
        trace.push(&axes, |_, derivatives| {
            let (_, axes, neurons) = derivatives.dims3()?;
            rows.push(derivatives.broadcast_as((case.batch, axes, neurons))?);
            Ok(())
        }).unwrap();
        let gradients = Tensor::cat(&rows, 2).unwrap();
        let neurons = gradients.dim(2).unwrap() as u32;
        let rng = &mut stream(seed, &[5]);
        let chosen: Vec<Vec<u32>> = (0..case.batch).map(|_| {
            let mut all: Vec<u32> = (0..neurons).collect();
            all.shuffle(rng);
            all.truncate(rng.random_range(0..=all.len()));
            all
        }).collect();
        let count = chosen.iter().map(Vec::len).sum::<usize>();
        prop_assume!(count > 0);
        let weights = normal(rng, count, DType::F64, &Device::Cpu).unwrap();
        for norm in [Norm::L1, Norm::LINF] {
            let all = match norm == Norm::L1 {
                true => gradients.abs().unwrap().max(1).unwrap(),
                false => gradients.abs().unwrap().sum(1).unwrap(),
            };
            let of_input = |(input, own): (usize, &Vec<u32>)| {
                let own = Tensor::new(own.as_slice(), &Device::Cpu).unwrap();
                all.get(input).unwrap().index_select(&own, 0).unwrap()
            };
            let filled = chosen.iter().enumerate().filter(|(_, own)| !own.is_empty());
            let plain = Tensor::cat(&filled.map(of_input).collect::<Vec<_>>(), 0).unwrap();
            let fast = dual_norms(&trace, chosen.clone(), norm).unwrap().unwrap();
            let flat = |t: &Tensor| t.to_vec1::<f64>().unwrap();
            check(&[flat(&fast)], &[flat(&plain)], 1e-11)?;
            let sum = |norms: &Tensor| (norms * &weights).unwrap().sum_all().unwrap();
            check(&read(&sum(&fast), &parameters)[1..], &read(&sum(&plain), &parameters)[1..], 1e-9)?;
        }
    }

    /// Single precision, to a few hundred of its roundings; where the units that an input has not are taken off what the batch shares, to a
    /// few of those of what is shared, which is as large as the largest number of all.
    #[test]
    fn single_precision_agrees(case in cases()) {
        let (network, parameters, x) = build(&case, DType::F32);
        let trace = network.trace(&x).unwrap();
        let fast = read(&mean_squared_norms(&trace).unwrap().unwrap(), &parameters);
        let plain = read(&plain(&trace), &parameters);
        let largest = plain.iter().flatten().fold(0.0, |most: f64, v| most.max(v.abs()));
        for (part, (a, b)) in fast.iter().zip(&plain).enumerate() {
            let scale = b.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
            let slack = (1e-4 * scale).max(1e-6 * largest);
            for (a, b) in a.iter().zip(b) {
                prop_assert!((a - b).abs() <= slack, "part {}: {} and {} of {}", part, a, b, scale);
            }
        }
    }
}

/// The same bits in every run, and for any number of threads.
#[test]
fn bits_do_not_depend_on_the_threads() {
    let case = Case {
        hidden: vec![70, 90, 66, 40],
        inputs: 130,
        negative_slope: 0.0,
        dead: (1, 7),
        std: 1.0,
        batch: 21,
        seed: 4,
    };
    let (network, parameters, x) = build(&case, DType::F32);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let trace = network.trace(&x).unwrap();
        let value = pool.install(|| mean_squared_norms(&trace).unwrap().unwrap());
        read(&value, &parameters)
    };
    let first = run(1);
    for threads in [1, 2, 3, 7] {
        assert_eq!(run(threads), first, "{threads} threads");
    }
}
