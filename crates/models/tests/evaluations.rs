//! What evaluations in smaller types do, held to the bounds of their errors: sums one number after the other, means divided at the end, small
//! numbers taken for 0.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

#[path = "support/onnx_writer.rs"]
mod onnx_writer;

use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};
use loclin_models::{Ball, Network, onnx};
use onnx_writer::{
    attribute_float, attribute_int, attribute_ints, attribute_text, bytes, doubles, int, ints,
    model, node, singles,
};

fn read(bytes: &[u8]) -> Network {
    let found = onnx::from_bytes(bytes, DType::F64, &Device::Cpu).unwrap();
    found.network
}

/// The exact values of the neurons as computed in float64, and bounds of the errors of evaluations within `radius` of the input.
fn neurons(network: &Network, x: &[f64], radius: f64, dtype: DType) -> (Vec<f64>, Vec<f64>) {
    let shape = [&[1], network.input_shape()].concat();
    let x = Tensor::from_slice(x, shape, &Device::Cpu).unwrap();
    let network = network.to(DType::F64, &Device::Cpu).unwrap();
    let magnitudes = network.magnitudes().unwrap().unwrap();
    let values = network.trace(&x).unwrap().pre_activations().unwrap();
    let values = values.unwrap().flatten_all().unwrap();
    let ball = Ball {
        radius: Tensor::new(&[radius], &Device::Cpu).unwrap(),
        reach: Tensor::full(f64::INFINITY, (1, values.elem_count()), &Device::Cpu).unwrap(),
    };
    let errors = magnitudes.errors_in(&x, &ball, dtype).unwrap().unwrap();
    let errors = errors.flatten_all().unwrap();
    (values.to_vec1().unwrap(), errors.to_vec1().unwrap())
}

/// That an evaluation of the only neuron is within the bound, and far from what is exact.
fn is_within(network: &Network, x: &[f64], dtype: DType, evaluated: f64, least: f64) {
    let (exact, errors) = neurons(network, x, 0.0, dtype);
    let off = (evaluated - exact[0]).abs();
    assert!(off >= least, "{evaluated} {exact:?}");
    assert!(off <= errors[0], "{evaluated} {exact:?} {errors:?}");
}

/// Over several dimensions as over one: all their numbers may be added up one after the other.
#[test]
fn sums_over_several_dimensions_add_all_numbers() {
    let number = 1.0 + 0.49 * 2f64.powi(-14);
    let relu = || node("Relu", &["m"], "y", &[]);
    let shapes = [
        (
            "ReduceMean",
            &[1, 32, 32, 1][..],
            vec![attribute_ints("axes", &[1, 2])],
        ),
        (
            "ReduceL1",
            &[1, 1, 32, 32],
            vec![attribute_ints("axes", &[2, 3])],
        ),
        (
            "AveragePool",
            &[1, 1, 32, 32],
            vec![attribute_ints("kernel_shape", &[32, 32])],
        ),
        (
            "AveragePool",
            &[1, 1, 16, 8, 8],
            vec![attribute_ints("kernel_shape", &[16, 8, 8])],
        ),
        (
            "LpPool",
            &[1, 1, 32, 32],
            vec![
                attribute_ints("kernel_shape", &[32, 32]),
                attribute_int("p", 1),
            ],
        ),
    ];
    for (operator, shape, how) in shapes {
        let network = read(&model(
            shape,
            &[node(operator, &["x"], "m", &how), relu()],
            &[],
        ));
        let x = vec![number; 1024];
        let sum = x.iter().fold(0f32, |sum, x| sum + *x as f32);
        let is_mean = operator.contains("Mean") || operator.contains("Average");
        let found = if is_mean { sum / 1024.0 } else { sum };
        let (exact, errors) = neurons(&network, &x, 0.0, DType::F32);
        // Of absolute values the neurons come first, one for each number.
        let (exact, error) = (exact[exact.len() - 1], errors[errors.len() - 1]);
        let off = (f64::from(found) - exact).abs();
        assert!(off > 1e-5 && off <= error, "{operator}: {off} {error}");
    }
}

#[test]
fn what_overflows_on_the_way_to_a_mean_is_not_bounded() {
    let pooled = [
        node("GlobalAveragePool", &["x"], "m", &[]),
        node("Relu", &["m"], "y", &[]),
    ];
    let network = read(&model(&[1, 1, 4, 4], &pooled, &[]));
    let x = vec![5000.0; 16];
    assert_eq!(neurons(&network, &x, 0.0, DType::F16).1, [f64::INFINITY]);
    assert!(neurons(&network, &x, 0.0, DType::BF16).1[0].is_finite());
    // So are slopes that the type does not have.
    let steep = [
        node("LeakyRelu", &["x"], "h", &[attribute_float("alpha", 1e5)]),
        node("Relu", &["h"], "y", &[]),
    ];
    let network = read(&model(&[1, 1], &steep, &[]));
    assert_eq!(
        neurons(&network, &[-1e-3], 0.0, DType::F16).1[0],
        f64::INFINITY
    );
}

#[test]
fn divisors_below_normal_numbers_are_not_bounded() {
    let divided = [
        node("Div", &["x", "d"], "m", &[]),
        node("Relu", &["m"], "y", &[]),
    ];
    let of_divisor = |d: f32| read(&model(&[1, 1], &divided, &[singles("d", &[], &[d])]));
    assert_eq!(
        neurons(&of_divisor(9e-8), &[1e-3], 0.0, DType::F16).1,
        [f64::INFINITY]
    );
    assert!(neurons(&of_divisor(9e-8), &[1e-3], 0.0, DType::F32).1[0] < 1.0);
    assert!(neurons(&of_divisor(1e-3), &[1e-3], 0.0, DType::F16).1[0] < 0.1);
    let normalized = [
        node(
            "BatchNormalization",
            &["x", "one", "zero", "zero", "v"],
            "m",
            &[attribute_float("epsilon", 1e-5)],
        ),
        node("Relu", &["m"], "y", &[]),
    ];
    let of_variance = |v: f32| {
        let constants = [
            singles("one", &[1], &[1.0]),
            singles("zero", &[1], &[0.0]),
            singles("v", &[1], &[v]),
        ];
        read(&model(&[1, 1], &normalized, &constants))
    };
    // Flushed, the root is that of 0.
    assert_eq!(
        neurons(&of_variance(1e-8), &[1e-3], 0.0, DType::F16).1,
        [f64::INFINITY]
    );
    assert!(neurons(&of_variance(1.0), &[1e-3], 0.0, DType::F16).1[0] < 0.1);
    assert!(neurons(&of_variance(1e-8), &[1e-3], 0.0, DType::F32).1[0] < 0.1);
}

#[test]
fn inputs_below_normal_numbers_may_be_taken_for_0() {
    let nodes = [
        node("Mul", &["x", "w"], "p", &[]),
        node("Add", &["p", "b"], "m", &[]),
        node("Relu", &["m"], "y", &[]),
    ];
    let network = read(&model(
        &[1, 1],
        &nodes,
        &[singles("w", &[], &[1000.0]), singles("b", &[], &[-0.04])],
    ));
    let x = f64::from(f16::from_f64(5.007e-5));
    is_within(&network, &[x], DType::F16, f64::from(-0.04f32), 0.04);
    // A number that is none of them loses nothing of the kind, nor does 0 itself.
    for x in [0.0, 0.0125] {
        assert!(neurons(&network, &[x], 0.0, DType::F16).1[0] < 0.5);
    }
}

#[test]
fn breakpoints_are_rounded_to_the_type() {
    let clip = [node("Clip", &["x", "low", "high"], "y", &[])];
    let network = read(&model(
        &[1, 1],
        &clip,
        &[singles("low", &[], &[0.0]), singles("high", &[], &[0.299])],
    ));
    let x = f64::from(bf16::from_f64(0.299));
    let (exact, errors) = neurons(&network, &[x], 0.0, DType::BF16);
    // The second neuron, of the upper end, is 0 there.
    assert!(
        exact[1] < 0.0 && exact[1].abs() <= errors[1],
        "{exact:?} {errors:?}"
    );
    assert_eq!(errors[0], 0.0);
}

/// What rounding does to two computed numbers decides between them.
#[test]
fn comparisons_have_the_errors_of_what_they_compare() {
    let nodes = [
        node("Add", &["x", "c"], "m", &[]),
        node("Greater", &["m", "c"], "q", &[]),
        node("Where", &["q", "x", "zero"], "y", &[]),
    ];
    let network = read(&model(
        &[1, 1],
        &nodes,
        &[singles("c", &[], &[1000.0]), singles("zero", &[], &[0.0])],
    ));
    let x = f64::from(1e-5f32);
    is_within(
        &network,
        &[x],
        DType::F32,
        f64::from((x as f32 + 1000.0) - 1000.0),
        1e-6,
    );
}

/// Of places that are no short binary numbers nothing is known; of those that are, everything.
#[test]
fn weights_of_resized_entries_are_as_exact_as_their_places() {
    let how = |place| {
        [
            attribute_text("mode", "linear"),
            attribute_text("coordinate_transformation_mode", place),
        ]
    };
    let resized = |n: i64, m: i64, place| {
        let nodes = [
            node("Resize", &["x", "", "", "s"], "m", &how(place)),
            node("Relu", &["m"], "y", &[]),
        ];
        read(&model(&[1, n], &nodes, &[ints("s", &[1, m])]))
    };
    for place in ["half_pixel", "asymmetric", "align_corners"] {
        let (_, errors) = neurons(&resized(300, 451, place), &vec![1.0; 300], 0.0, DType::F32);
        assert!(errors.iter().all(|error| error.is_infinite()), "{place}");
    }
    let x: Vec<f64> = (0..8).map(f64::from).collect();
    let (_, errors) = neurons(&resized(8, 16, "half_pixel"), &x, 0.0, DType::F16);
    assert!(errors.iter().all(|error| *error < 0.1), "{errors:?}");
    let (_, errors) = neurons(
        &resized(200, 400, "half_pixel"),
        &vec![1.0; 200],
        0.0,
        DType::BF16,
    );
    assert!(errors.iter().all(|error| error.is_infinite()));
}

/// Constants that a file computes of constants are computed once, in double precision.
#[test]
fn constants_are_computed_before_they_are_rounded() {
    let nodes = [
        node("Sub", &["a", "b"], "c", &[]),
        node("Add", &["x", "c"], "m", &[]),
        node("Relu", &["m"], "y", &[]),
    ];
    let network = read(&model(
        &[1, 1],
        &nodes,
        &[doubles("a", &[], &[1000.3]), doubles("b", &[], &[1000.0])],
    ));
    let once = f16::from_f64(-0.4).to_f64() + f16::from_f64(1000.3 - 1000.0).to_f64();
    is_within(
        &network,
        &[f16::from_f64(-0.4).to_f64()],
        DType::F16,
        once,
        0.0,
    );
}

/// What is 0 in every evaluation has an error of 0, however many sums and means pass it on; what only vanishes in the type has not.
#[test]
fn zeros_stay_exact_behind_means_and_products() {
    let pool = [attribute_ints("kernel_shape", &[2, 2])];
    let convolution = [attribute_ints("kernel_shape", &[1, 1])];
    let nodes = [
        node("Relu", &["x"], "h", &[]),
        node("AveragePool", &["h"], "m", &pool),
        node("Conv", &["m", "w"], "p", &convolution),
        node("Relu", &["p"], "y", &[]),
    ];
    let weight = singles("w", &[1, 1, 1, 1], &[40.0]);
    let network = read(&model(&[1, 1, 2, 2], &nodes, &[weight]));
    for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
        let error = |x: [f64; 4], radius| neurons(&network, &x, radius, dtype).1[4];
        assert_eq!(error([-1.0; 4], 0.0), 0.0);
        // In the ball those before it are on their sides.
        assert_eq!(error([-1.0; 4], 2.0), 0.0);
        // Far below the smallest number of any type, and not 0.
        let tiny = f64::from_bits(1);
        assert!(error([-1.0, -1.0, tiny, -1.0], 0.0) > 0.0);
        assert!(error([-1.0, -1.0, 0.5, -1.0], 0.0) > 0.0);
    }
}

/// Both biases of a recurrence are numbers of its evaluation, also where they cancel.
#[test]
fn biases_of_recurrences_that_cancel_are_rounded() {
    let steps = [bytes(1, b"activations"), bytes(9, b"Relu"), int(20, 8)].concat();
    let recurrence = node(
        "RNN",
        &["x", "w", "r", "b"],
        "y",
        &[attribute_int("layout", 1), steps],
    );
    let constants = [
        singles("w", &[1, 1, 1], &[1.0]),
        singles("r", &[1, 1, 1], &[0.5]),
        singles("b", &[1, 2], &[16_777_216.0, -16_777_216.0]),
    ];
    let network = read(&model(&[1, 2, 1], &[recurrence], &constants));
    let x = [0.7f32, -0.3];
    let (exact, errors) = neurons(&network, &x.map(f64::from), 0.0, DType::F32);
    let mut state = 0f32;
    for (step, x) in x.into_iter().enumerate() {
        let z = (x + 16_777_216.0) + (0.5 * state - 16_777_216.0);
        let off = (f64::from(z) - exact[step]).abs();
        assert!(
            off > 0.01 && off <= errors[step],
            "{z} {exact:?} {errors:?}"
        );
        state = z.max(0.0);
    }
}

/// A product is a number of the evaluation before its factor comes.
#[test]
fn factors_of_products_are_multiplied_with_after_them() {
    let of = |factors: [f32; 2], weight: f64, bias: f64| {
        let [alpha, beta] = factors;
        let attributes = [
            attribute_float("alpha", alpha),
            attribute_float("beta", beta),
        ];
        let nodes = [
            node("Gemm", &["x", "w", "c"], "m", &attributes),
            node("Relu", &["m"], "y", &[]),
        ];
        let constants = [
            doubles("w", &[1, 1], &[weight]),
            doubles("c", &[1], &[bias]),
        ];
        read(&model(&[1, 1], &nodes, &constants))
    };
    let two = |power: i32| 2f64.powi(power);
    // 100 * 1024 overflows; without the factor nothing does.
    let large = of([two(-10) as f32, 1.0], 1024.0, -200.0);
    assert_eq!(
        neurons(&large, &[100.0], 0.0, DType::F16).1,
        [f64::INFINITY]
    );
    assert!(neurons(&large, &[100.0], 0.0, DType::F32).1[0] < 1e-2);
    // Numbers that are taken for 0: the product, and the bias.
    let small = of([two(14) as f32, 1.0], two(-14), -two(-10));
    is_within(&small, &[two(-8)], DType::F16, -two(-10), two(-9));
    let bias = of([1.0, 1024.0], 1.0, -two(-16));
    is_within(&bias, &[two(-7)], DType::F16, two(-7), two(-7));
    // In float64 the product of weight and factor has lost digits that the two have not: a program may have merged them, this one has not.
    let deep = of([two(-75) as f32, 1.0], 3.0 * two(-1000), two(-1000));
    let x = 4.5 * two(74);
    let merged = x * (3.0 * two(-1000) * two(-75)) + two(-1000);
    is_within(&deep, &[x], DType::F64, merged, two(-999));
    let (found, _) = neurons(&deep, &[x], 0.0, DType::F64);
    assert!(
        (found[0] - 7.75 * two(-1000)).abs() < two(-1010),
        "{found:?}"
    );
}

/// A divisor that a type may take for 0 is one, though its inverse is a number.
#[test]
fn divisors_are_no_factors_where_a_type_loses_them() {
    let nodes = [
        node("Div", &["x", "d"], "m", &[]),
        node("Relu", &["m"], "y", &[]),
    ];
    for (power, dtype) in [(-127, DType::F32), (-127, DType::BF16), (-15, DType::F16)] {
        let divisor = [2f64.powi(power)];
        let network = read(&model(&[1, 1], &nodes, &[doubles("d", &[1], &divisor)]));
        let (_, errors) = neurons(&network, &[2f64.powi(power)], 0.0, dtype);
        assert_eq!(errors, [f64::INFINITY], "{dtype:?}");
    }
}

/// What a normalisation computes on its way may overflow, or vanish, where its result does neither.
#[test]
fn numbers_on_the_way_of_a_normalization_count() {
    let of = |[weight, bias, mean, variance]: [f32; 4]| {
        let normalized = node(
            "BatchNormalization",
            &["x", "w", "b", "m", "v"],
            "z",
            &[attribute_float("epsilon", 0.0)],
        );
        let nodes = [normalized, node("Relu", &["z"], "y", &[])];
        let constant = |name: &str, number: f32| singles(name, &[1], &[number]);
        let constants = [
            constant("w", weight),
            constant("b", bias),
            constant("m", mean),
            constant("v", variance),
        ];
        read(&model(&[1, 1], &nodes, &constants))
    };
    let two = |power: i32| 2f32.powi(power);
    // The weight first, the divisor first, the mean first.
    for (numbers, x) in [
        ([100.0, -1500.0, 0.0, 10_000.0], 1000.0),
        ([two(-7), -100.0, 0.0, two(-14)], 600.0),
        ([1.0, -1000.0, -60_000.0, two(15)], 60_000.0),
    ] {
        let network = of(numbers);
        assert_eq!(neurons(&network, &[x], 0.0, DType::F16).1, [f64::INFINITY]);
        assert!(neurons(&network, &[x], 0.0, DType::F32).1[0] < 0.1);
    }
    // A weight of 0 leaves the rest.
    let none = of([0.0, 1.0, 3.0, 1.0]);
    assert!(neurons(&none, &[2.0], 0.0, DType::F16).1[0] < 0.1);
    // 3e-5 is taken for 0.
    let x = f64::from(f16::from_f64(1e-4));
    let lost = of([100.0, -0.2, 7e-5, 6.2e-5]);
    is_within(&lost, &[x], DType::F16, f64::from(-0.2f32), 0.2);
    let relu = read(&model(&[1, 1], &[node("Relu", &["x"], "y", &[])], &[]));
    let raw = relu.standardized(&[7e-5], &[1e-4]).unwrap();
    is_within(&raw, &[x], DType::F16, 0.0, 0.2);
}

/// A constant that an activation puts in the place of a number may be taken for 0.
#[test]
fn bounds_below_normal_numbers_vanish_in_values() {
    let network = read(&model(
        &[1, 1],
        &[
            node("Clip", &["x", "low", ""], "c", &[]),
            node("Mul", &["c", "w"], "p", &[]),
            node("Sub", &["p", "b"], "z", &[]),
            node("Relu", &["z"], "y", &[]),
        ],
        &[
            singles("low", &[], &[1e-5]),
            singles("w", &[], &[4096.0]),
            singles("b", &[], &[0.02]),
        ],
    ));
    let (exact, errors) = neurons(&network, &[-1.0], 0.0, DType::F16);
    let found = -f64::from(0.02f32);
    assert!(
        exact[1] > 0.02 && (found - exact[1]).abs() <= errors[1],
        "{exact:?} {errors:?}"
    );
}

/// What the reader could sum before the product is a number of no file.
#[test]
fn sums_of_constants_inside_a_product_are_part_of_it() {
    let large = 2f32.powi(60);
    let equation = [attribute_text("equation", "bi,oij->bo")];
    let nodes = [
        node("Einsum", &["x", "c"], "m", &equation),
        node("Sub", &["m", "b"], "z", &[]),
        node("Relu", &["z"], "y", &[]),
    ];
    let constants = [
        singles("c", &[1, 2, 3], &[large, 1.0, -large, large, 1.0, -large]),
        singles("b", &[], &[0.25]),
    ];
    let network = read(&model(&[1, 2], &nodes, &constants));
    let (found, errors) = neurons(&network, &[0.75, 0.25], 0.0, DType::F64);
    assert!((found[0] - 0.75).abs() <= errors[0], "{found:?} {errors:?}");
    assert!(neurons(&network, &[0.75, 0.25], 0.0, DType::F32).1[0] > large as f64 * 1e-8);
}

/// Of a selection the branch is evaluated, whatever else would have its value.
#[test]
fn selected_branches_are_evaluated() {
    let large = 16_777_216f32;
    let constants = [
        singles("three", &[], &[3.0]),
        singles("half", &[], &[0.5]),
        singles("large", &[], &[large]),
        singles("zero", &[], &[0.0]),
        singles("b", &[], &[1.8]),
    ];
    let nodes = |second: &str| {
        [
            node("Mul", &["x", "three"], "t", &[]),
            node("Greater", &["t", "half"], "q", &[]),
            node("Sub", &["t", "half"], "u0", &[]),
            node("Add", &["u0", "large"], "u1", &[]),
            node("Sub", &["u1", "large"], "u", &[]),
            node("Where", &["q", "u", second], "s", &[]),
            node("Sub", &["s", "b"], "z", &[]),
            node("Relu", &["z"], "y", &[]),
        ]
    };
    let x = 0.75f32;
    let evaluated = ((x * 3.0 - 0.5) + large) - large - 1.8;
    for second in ["zero", "u0"] {
        let network = read(&model(&[1, 1], &nodes(second), &constants));
        let (exact, errors) = neurons(&network, &[f64::from(x)], 0.0, DType::F32);
        let (exact, error) = (exact[exact.len() - 1], errors[errors.len() - 1]);
        let off = (f64::from(evaluated) - exact).abs();
        assert!(off > 0.2 && off <= error, "{second}: {off} {error}");
    }
}

/// In the order of the file, and in that of a product that is added to what is there.
#[test]
fn sums_of_many_values_are_rounded_at_each() {
    let x = 1f32;
    let small = 0.99 * 2f32.powi(-24);
    let names: Vec<String> = (0..100).map(|at| format!("c{at}")).collect();
    let mut inputs = vec!["x"];
    inputs.extend(names.iter().map(String::as_str));
    inputs.push("back");
    let back = -(1.0 - 2f32.powi(-10));
    let mut constants: Vec<Vec<u8>> = names
        .iter()
        .map(|name| singles(name, &[], &[small]))
        .collect();
    constants.push(singles("factor", &[], &[back]));
    let nodes = [
        node("Mul", &["x", "factor"], "back", &[]),
        node("Sum", &inputs, "z", &[]),
        node("Relu", &["z"], "y", &[]),
    ];
    let network = read(&model(&[1, 1], &nodes, &constants));
    let sum = names.iter().fold(x, |sum, _| sum + small) + x * back;
    is_within(&network, &[f64::from(x)], DType::F32, f64::from(sum), 5e-6);

    let many = 4096;
    let weights = vec![small; many];
    let nodes = [
        node(
            "Gemm",
            &["x", "w", "c"],
            "z",
            &[attribute_float("alpha", 2.0)],
        ),
        node("Relu", &["z"], "y", &[]),
    ];
    let constants = [
        singles("w", &[many as i64, 1], &weights),
        singles("c", &[1], &[1.0]),
    ];
    let network = read(&model(&[1, many as i64], &nodes, &constants));
    let half = vec![0.5; many];
    let sum = weights.iter().fold(1f32, |sum, w| sum + 2.0 * w * 0.5);
    is_within(&network, &half, DType::F32, f64::from(sum), 1e-4);
}

/// A sum of `weights.len()` products and a normalisation `scale (x - mean)` of one number, in either order.
fn normalized(weights: &[f32], [scale, mean, shift]: [f32; 3], is_first: bool) -> Network {
    let count = weights.len();
    let normalization = |from: &str, to: &str| {
        let epsilon = [attribute_float("epsilon", 0.0)];
        node(
            "BatchNormalization",
            &[from, "scale", "shift", "mean", "variance"],
            to,
            &epsilon,
        )
    };
    let sum = |from: &str, to: &str| node("MatMul", &[from, "w"], to, &[]);
    let (nodes, channels) = match is_first {
        true => ([normalization("x", "h"), sum("h", "m")], count),
        false => ([sum("x", "h"), normalization("h", "m")], 1),
    };
    let each = |name: &str, number: f32| singles(name, &[channels as i64], &vec![number; channels]);
    let nodes = [nodes.as_slice(), &[node("Relu", &["m"], "y", &[])]].concat();
    let constants = [
        singles("w", &[count as i64, 1], weights),
        each("scale", scale),
        each("shift", shift),
        each("mean", mean),
        each("variance", 1.0),
    ];
    read(&model(&[1, count as i64], &nodes, &constants))
}

#[test]
fn products_of_merged_parameters_may_vanish_or_overflow() {
    for is_first in [false, true] {
        // Each product is below the smallest normal number, and none of the parameters is.
        let network = normalized(&[2e-3; 1024], [0.02, 0.0, -0.02], is_first);
        let merged = if is_first {
            -0.02 * 2e-3 * 1024.0
        } else {
            -0.02
        };
        is_within(&network, &[1.0; 1024], DType::F16, merged, 0.04);
        // What is multiplied with a product is small where the product is not.
        let network = normalized(&[1000.0], [100.0, 0.0, 0.0], is_first);
        let error = |dtype| neurons(&network, &[1e-3], 0.0, dtype).1[0];
        assert_eq!(error(DType::F16), f64::INFINITY);
        assert!(error(DType::BF16) < 100.0 && error(DType::F32) < 1e-3);
    }
    // A normalisation is merged with the sum below it, not with those below that.
    let deep = [
        node("MatMul", &["x", "w"], "a", &[]),
        node("MatMul", &["a", "w"], "b", &[]),
        node("MatMul", &["b", "w"], "c", &[]),
        node("Relu", &["c"], "y", &[]),
    ];
    let network = read(&model(&[1, 1], &deep, &[singles("w", &[1, 1], &[100.0])]));
    assert!(neurons(&network, &[1e-3], 0.0, DType::F16).1[0] < 100.0);
}

#[test]
fn a_merged_mean_is_subtracted_from_a_sum() {
    let number = 1.0 + 0.49 * 2f32.powi(-14);
    let network = normalized(&[1.0; 1024], [1.0, number, 0.0], true);
    let sum = (0..1024).fold(0f32, |sum, _| sum + number);
    let means = (f64::from(number) * 1024.0) as f32;
    let x = [f64::from(number); 1024];
    is_within(&network, &x, DType::F32, f64::from(sum - means), 0.01);
}
