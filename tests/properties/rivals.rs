//! Regularisers of other papers: values against plain loops, parameter gradients against central differences of these.

use crate::cases;
use crate::problem::{Problem, is_close, scalar};
use candle_core::{DType, Device, Tensor};
use loclin_models::architectures::ResNetConfig;
use loclin_models::{Mlp, Network, Parameters, Trace};
use loclin_objectives::{
    Error, Gamma, MmrConfig, cure, elle, grad_align, grad_cert, gradient_norm, misalignment, mmr,
    nonlinearity,
};
use loclin_regions::Norm;
use loclin_tensor::random;
use loclin_tests::strategies::{Numbers, Recipe, SMALL, recipes_of};
use loclin_tests::{Fc, bridge, objectives::Loss, rivals};
use proptest::prelude::*;

fn labels(problem: &Problem) -> Tensor {
    Tensor::new(&problem.labels[..], &Device::Cpu).unwrap()
}

fn inputs(problem: &Problem) -> Tensor {
    bridge::batch(&problem.points, DType::F64).unwrap()
}

fn at(problem: &Problem, points: &[Vec<f64>]) -> Trace {
    let points = bridge::batch(points, DType::F64).unwrap();
    problem.network.trace(&points).unwrap()
}

/// The inputs moved by known numbers of at most `radius`.
fn moved(problem: &Problem, radius: f64, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = random::stream(seed, &[]);
    let moved = |x: &f64| x + radius * (2.0 * rand::Rng::random::<f64>(&mut rng) - 1.0);
    let mut moved = moved;
    let rows = problem.points.iter();
    rows.map(|row| row.iter().map(&mut moved).collect())
        .collect()
}

/// The value, and the gradient wherever no decision changes nearby.
fn verdict(problem: &Problem, found: &Tensor, oracle: &dyn Fn(&Fc) -> Loss) -> Result<(), String> {
    let expected = oracle(&problem.fc).value;
    if !is_close(expected, scalar(found)) {
        return Err(format!("found {found}, expected {expected}"));
    }
    problem.check_against(oracle, &problem.gradient(found))
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn the_gradients_norm(recipe in recipes_of(Numbers::Gaussian, SMALL)) {
        let problem = Problem::new(&recipe);
        let found = gradient_norm(&problem.trace(), &labels(&problem)).unwrap();
        let batch = (&problem.points[..], &problem.labels[..]);
        prop_assert_eq!(verdict(&problem, &found, &|fc| rivals::gradient_norm(fc, batch)), Ok(()));
    }

    #[test]
    fn curvature(recipe in recipes_of(Numbers::Gaussian, SMALL), h in 0.01..1.0) {
        let problem = Problem::new(&recipe);
        let batch = (&problem.points[..], &problem.labels[..]);
        let found = cure(&problem.trace(), &inputs(&problem), &labels(&problem), h).unwrap();
        prop_assert_eq!(verdict(&problem, &found, &|fc| rivals::cure(fc, batch, h)), Ok(()));
    }

    #[test]
    fn widths_of_gradients(mut recipe in recipes_of(Numbers::Gaussian, SMALL), radius in 0.001..2.0) {
        // Without biases the interval of a value may end at exactly 0, where rounding decides which slope it has.
        recipe.quirks.clear();
        let problem = Problem::new(&recipe);
        let batch = (&problem.points[..], &problem.labels[..]);
        let found = grad_cert(&problem.trace(), &inputs(&problem), &labels(&problem), radius).unwrap();
        prop_assert_eq!(verdict(&problem, &found, &|fc| rivals::grad_cert(fc, batch, radius)), Ok(()));
    }

    #[test]
    fn alignment_of_gradients(recipe in recipes_of(Numbers::Gaussian, SMALL), radius in 0.01..1.0, seed: u64) {
        let problem = Problem::new(&recipe);
        let batch = (&problem.points[..], &problem.labels[..]);
        let there = moved(&problem, radius, seed);
        let found = misalignment(&problem.trace(), &at(&problem, &there), &labels(&problem)).unwrap();
        prop_assert_eq!(verdict(&problem, &found, &|fc| rivals::misalignment(fc, batch, &there)), Ok(()));
        // The same at a draw of its own: a number of that kind, and 0 at the input itself.
        let draw = |radius| scalar(&grad_align(&problem.trace(), &inputs(&problem), &labels(&problem), radius, &mut random::stream(seed, &[1])).unwrap());
        prop_assert!((-1e-12..=2.0).contains(&draw(radius)));
        prop_assert!(draw(1e-300).abs() < 1e-12);
    }

    /// The angle is one of directions: it does not depend on how certain the label is, nor is it lost in single precision where the gradient
    /// is too small for it.
    #[test]
    fn alignment_where_the_label_is_certain(recipe in recipes_of(Numbers::Gaussian, SMALL), radius in 0.01..1.0, seed: u64) {
        let mut problem = Problem::new(&recipe);
        let there = moved(&problem, radius, seed);
        let label = problem.labels[0];
        problem.labels.fill(label);
        let of_gap = |gap: f64, dtype: DType| {
            let mut fc = problem.fc.clone();
            let last = fc.layers.last_mut().unwrap();
            last.bias[label as usize] += gap;
            let network = bridge::network(&fc, dtype).unwrap();
            let trace = |rows: &[Vec<f64>]| network.trace(&bridge::batch(rows, dtype).unwrap()).unwrap();
            let found = misalignment(&trace(&problem.points), &trace(&there), &labels(&problem)).unwrap();
            scalar(&found.to_dtype(DType::F64).unwrap())
        };
        let expected = of_gap(0.0, DType::F64);
        for (gap, dtype, error) in [(300.0, DType::F64, 1e-6), (15.0, DType::F32, 1e-3), (300.0, DType::F32, 1e-3)] {
            let found = of_gap(gap, dtype);
            prop_assert!((found - expected).abs() <= error, "{} by {:?}: {} instead of {}", gap, dtype, found, expected);
        }
    }

    #[test]
    fn linearity_of_the_loss(recipe in recipes_of(Numbers::Gaussian, SMALL), radius in 0.01..1.0, seed: u64, share in 0.0..1.0) {
        let problem = Problem::new(&recipe);
        let [start, end] = [1, 2].map(|more| moved(&problem, radius, seed.wrapping_add(more)));
        let shares = vec![share; start.len()];
        let between = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| (1.0 - share) * a + share * b).collect();
        let middle: Vec<Vec<f64>> = start.iter().zip(&end).map(between).collect();
        let points = [start, middle, end];
        let traces = points.each_ref().map(|points| at(&problem, points));
        let of_shares = Tensor::new(&shares[..], &Device::Cpu).unwrap();
        let found = nonlinearity(&traces, &labels(&problem), &of_shares).unwrap();
        prop_assert_eq!(verdict(&problem, &found, &|fc| rivals::nonlinearity(fc, &problem.labels, &points, &shares)), Ok(()));
        let draw = |radius| scalar(&elle(&problem.trace(), &inputs(&problem), &labels(&problem), radius, &mut random::stream(seed, &[1])).unwrap());
        prop_assert!(draw(radius) >= 0.0 && draw(1e-300) < 1e-24);
    }

    #[test]
    fn margins_of_regions_and_classes(recipe in recipes_of(Numbers::Gaussian, SMALL), gamma in 1..=100u32, boundary in 0.01..2.0, decision in 0.01..2.0) {
        prop_assume!(recipe.outputs > 1);
        let problem = Problem::new(&recipe);
        let batch = (&problem.points[..], &problem.labels[..]);
        let count = (gamma as usize * problem.fc.neurons()).div_ceil(100);
        for norm in [Norm::L1, Norm::L2, Norm::LINF] {
            let config = MmrConfig { norm, share: Gamma::Percent(f64::from(gamma)), boundary, decision };
            let found = mmr(&problem.trace(), &labels(&problem), config).unwrap();
            let oracle = |fc: &Fc| rivals::mmr(fc, batch, norm.p(), count, [boundary, decision]);
            prop_assert_eq!(verdict(&problem, &found, &oracle), Ok(()), "{:?}", norm);
        }
    }
}

/// Numbers found by hand: a unit of weight 2, outputs of 3 and -1 times it, at 0.5 with the second class.
#[test]
fn values_by_hand() {
    let parameters = Parameters::seeded(0);
    let network: Network = Mlp {
        inputs: vec![1],
        hidden: vec![1],
        outputs: 2,
        negative_slope: 0.0,
    }
    .build(parameters.builder(DType::F64, &Device::Cpu))
    .unwrap();
    for (name, values, shape) in [
        ("layers.0.weight", vec![2.0], vec![1, 1]),
        ("layers.0.bias", vec![0.0], vec![1]),
        ("layers.1.weight", vec![3.0, -1.0], vec![2, 1]),
        ("layers.1.bias", vec![0.0, 0.0], vec![2]),
    ] {
        let variable = parameters
            .named()
            .into_iter()
            .find(|(known, _)| known == name)
            .unwrap()
            .1;
        variable
            .set(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
            .unwrap();
    }
    let x = Tensor::new(&[[0.5f64]], &Device::Cpu).unwrap();
    let trace = network.trace(&x).unwrap();
    let label = Tensor::new(&[1u32], &Device::Cpu).unwrap();
    // Outputs 3 and -1; p of the first is 1 / (1 + e^-4), and the gradient of the loss 8 times it.
    let p = 1.0 / (1.0 + (-4.0f64).exp());
    let found = scalar(&gradient_norm(&trace, &label).unwrap());
    assert!((found - 64.0 * p * p).abs() < 1e-12);
    // The unit's boundary is at a distance of 1/2: 1 - 0.5 / 2. The other class is ahead: (-1 - 3) / 8, and 1 + 0.5 / 0.25.
    let config = MmrConfig {
        norm: Norm::LINF,
        share: Gamma::Max,
        boundary: 2.0,
        decision: 0.25,
    };
    assert!((scalar(&mmr(&trace, &label, config).unwrap()) - 3.75).abs() < 1e-12);

    let refused = |result: loclin_objectives::Result<Tensor>, name: &str| match result {
        Err(Error::Config { field, .. }) => assert_eq!(field, name),
        other => panic!("{other:?}"),
    };
    let rng = &mut random::stream(0, &[]);
    refused(cure(&trace, &x, &label, 0.0), "h");
    refused(grad_align(&trace, &x, &label, f64::NAN, rng), "radius");
    refused(grad_cert(&trace, &x, &label, 0.0), "radius");
    refused(elle(&trace, &x, &label, -1.0, rng), "radius");
    refused(
        mmr(
            &trace,
            &label,
            MmrConfig {
                boundary: 0.0,
                ..config
            },
        ),
        "boundary",
    );
    let p = Norm::new(3.0).unwrap();
    refused(mmr(&trace, &label, MmrConfig { norm: p, ..config }), "norm");
    let recipe = Recipe {
        inputs: 2,
        hidden: vec![3],
        outputs: 1,
        negative_slope: 0.0,
        numbers: Numbers::Gaussian,
        quirks: vec![],
        seed: 1,
    };
    let problem = Problem::new(&recipe);
    refused(mmr(&problem.trace(), &labels(&problem), config), "outputs");
}

/// Through convolutions, normalisations and sums: the library's gradients against differences of the library's own values.
#[test]
fn a_residual_network_is_differentiated_rightly() {
    let config = ResNetConfig {
        width: 2,
        blocks: vec![1],
        inputs: [2, 4, 4],
        ..ResNetConfig::resnet20(3)
    };
    let parameters = Parameters::seeded(2);
    let network = config
        .build(parameters.builder(DType::F64, &Device::Cpu))
        .unwrap();
    let x = Tensor::arange(0f64, 64.0, &Device::Cpu)
        .unwrap()
        .sin()
        .unwrap()
        .reshape((2, 2, 4, 4))
        .unwrap();
    let labels = Tensor::new(&[0u32, 2], &Device::Cpu).unwrap();
    let there = network.trace(&(&x + 0.05).unwrap()).unwrap();
    let pattern = |trace: &Trace| {
        trace
            .signs()
            .unwrap()
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f64>()
            .unwrap()
    };
    let values: [(&str, &dyn Fn() -> Tensor); 3] = [
        ("gradient norm", &|| {
            gradient_norm(&network.trace(&x).unwrap(), &labels).unwrap()
        }),
        ("alignment", &|| {
            misalignment(
                &network.trace(&x).unwrap(),
                &network.trace(&(&x + 0.05).unwrap()).unwrap(),
                &labels,
            )
            .unwrap()
        }),
        ("cure", &|| {
            cure(&network.trace(&x).unwrap(), &x, &labels, 0.5).unwrap()
        }),
    ];
    let here = [pattern(&network.trace(&x).unwrap()), pattern(&there)];
    for (name, value) in values {
        let gradients = value().backward().unwrap();
        let mut checked = 0;
        for (parameter, variable) in parameters.named() {
            if parameter.contains("running") {
                continue;
            }
            let kept = variable.as_detached_tensor().copy().unwrap();
            let numbers = kept.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            for entry in (0..numbers.len()).step_by(7) {
                let mut sides = Vec::new();
                let mut smooth = true;
                for step in [-1e-5, 1e-5] {
                    let mut moved = numbers.clone();
                    moved[entry] += step;
                    variable
                        .set(&Tensor::from_vec(moved, kept.shape(), &Device::Cpu).unwrap())
                        .unwrap();
                    sides.push(scalar(&value()));
                    let now = [
                        pattern(&network.trace(&x).unwrap()),
                        pattern(&network.trace(&(&x + 0.05).unwrap()).unwrap()),
                    ];
                    smooth &= now == here;
                }
                variable.set(&kept).unwrap();
                let expected = (sides[1] - sides[0]) / 2e-5;
                let found = gradients.get(&variable).map_or(0.0, |g| {
                    g.flatten_all().unwrap().to_vec1::<f64>().unwrap()[entry]
                });
                // Truncation is of the order of the step squared, rounding of 1e-16 over it.
                assert!(
                    !smooth || (expected - found).abs() <= 1e-6 * (1.0 + expected.abs()),
                    "{name}, {parameter} {entry}: {found} for {expected}"
                );
                checked += usize::from(smooth && expected.abs() > 1e-6);
            }
        }
        assert!(checked > 5, "{name}: {checked} numbers say something");
    }
}
