//! The three readings against the sum that defines them, for blocks of channels and positions that are full and that are not.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, as the test itself does"
)]

use candle_core::{DType, Device, Tensor, Var};
use proptest::prelude::*;

use loclin_tensor::{Convolution, random};

fn draw(seed: u64, shape: &[usize]) -> Var {
    let rng = &mut random::stream(seed, &[]);
    let values = random::uniform(rng, shape, DType::F64, &Device::Cpu).unwrap();
    Var::from_tensor(&values).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
    flat.to_vec1().unwrap()
}

/// Calls `term` with the places of each product `z += x * weight`.
fn each_term(
    c: &Convolution,
    x: [usize; 4],
    z: [usize; 4],
    w: [usize; 4],
    mut term: impl FnMut(usize, usize, usize),
) {
    let at = |shape: [usize; 4], index: [usize; 4]| {
        index.iter().zip(shape).fold(0, |at, (i, n)| at * n + i)
    };
    let each = |shape: [usize; 4]| {
        (0..shape.iter().product()).map(move |flat: usize| {
            let mut rest = flat;
            let mut index = [0; 4];
            for axis in (0..4).rev() {
                index[axis] = rest % shape[axis];
                rest /= shape[axis];
            }
            index
        })
    };
    for [n, output, row, column] in each(z) {
        for [_, input, down, across] in each([1, w[1], w[2], w[3]]) {
            let read = |position: usize, entry: usize, axis: usize| {
                let padded = position * c.stride[axis] + entry * c.dilation[axis];
                let at = padded.checked_sub(c.padding[axis][0])?;
                (at < x[axis + 2]).then_some(at)
            };
            let (Some(y), Some(across_at)) = (read(row, down, 0), read(column, across, 1)) else {
                continue;
            };
            let channel = output / (w[0] / c.groups) * w[1] + input;
            term(
                at(x, [n, channel, y, across_at]),
                at(z, [n, output, row, column]),
                at(w, [output, input, down, across]),
            );
        }
    }
}

/// All readings of a convolution of drawn numbers, in double and in single precision: their sums are those of the definition, in another
/// order. Single precision may be off by `single` in the first reading, and by the square root of its terms' number times as much in
/// the others.
fn check(
    convolution: &Convolution,
    x_shape: [usize; 4],
    w_shape: [usize; 4],
    seed: u64,
    single: f64,
) -> Result<(), TestCaseError> {
    let (x, weight) = (draw(seed, &x_shape), draw(seed ^ 1, &w_shape));
    let z = convolution.apply(&x, &weight).unwrap();
    let z_shape: [usize; 4] = z.dims().try_into().unwrap();
    let cotangent = draw(seed ^ 2, &z_shape);

    let (xs, ws, cs) = (numbers(&x), numbers(&weight), numbers(&cotangent));
    let mut sums = [
        vec![0.0; cs.len()],
        vec![0.0; xs.len()],
        vec![0.0; ws.len()],
    ];
    each_term(convolution, x_shape, z_shape, w_shape, |x, z, w| {
        sums[0][z] += xs[x] * ws[w];
        sums[1][x] += cs[z] * ws[w];
        sums[2][w] += cs[z] * xs[x];
    });
    let near = |found: &Tensor, sums: &[f64], tolerance: f64| {
        let found = numbers(found);
        found.len() == sums.len()
            && found
                .iter()
                .zip(sums)
                .all(|(a, b)| (a - b).abs() < tolerance)
    };
    prop_assert!(near(&z, &sums[0], 1e-10));
    let transposed = convolution
        .transposed(&cotangent, &weight, [x_shape[2], x_shape[3]])
        .unwrap();
    prop_assert!(near(&transposed, &sums[1], 1e-10));
    let gradients = (&z * cotangent.as_tensor())
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    prop_assert!(near(gradients.get(&x).unwrap(), &sums[1], 1e-10));
    prop_assert!(near(gradients.get(&weight).unwrap(), &sums[2], 1e-10));

    let low = |tensor: &Tensor| tensor.to_dtype(DType::F32).unwrap();
    let gradient = convolution
        .weight_gradient(&low(&x), &low(&cotangent), &w_shape)
        .unwrap();
    prop_assert!(near(&gradient, &sums[2], 200.0 * single));
    let once = convolution.apply(&low(&x), &low(&weight)).unwrap();
    prop_assert!(near(&once, &sums[0], single));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_sums_are_those_of_the_definition(
        channels in (1usize..3, 1usize..6, prop_oneof![4 => 1usize..11, 2 => 11usize..70, 1 => 127usize..130]),
        kernel in [1usize..4, 1usize..4],
        stride in [1usize..4, 1usize..4],
        dilation in [1usize..3, 1usize..3],
        padding in [[0usize..3, 0usize..3], [0usize..3, 0usize..3]],
        more in [0usize..8, 0usize..40],
        batch in 0usize..11,
        seed in any::<u64>(),
    ) {
        let (groups, inputs, outputs) = channels;
        let convolution = Convolution { stride, padding, dilation, groups };
        let size = [0, 1].map(|axis| dilation[axis] * (kernel[axis] - 1) + 1 + more[axis]);
        let x = [batch, groups * inputs, size[0], size[1]];
        // Sums of at most 11 x 60 x 14, or 130 x 9, products of numbers up to 1, of at most 45 in the first reading.
        check(&convolution, x, [groups * outputs, inputs, kernel[0], kernel[1]], seed, 1e-4)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Channels that are many enough for products, or nearly; positions that fill one product and more.
    #[test]
    fn so_are_those_of_many_channels(
        channels in (1usize..3, 62usize..80, prop_oneof![60usize..70, 127usize..131]),
        kernel in prop_oneof![Just([1, 1]), Just([1, 3]), Just([3, 3]), Just([2, 4])],
        stride in prop_oneof![Just([1, 1]), [1usize..3, 1usize..3]],
        dilation in [1usize..3, 1usize..3],
        padding in prop_oneof![Just([[0; 2]; 2]), [[0usize..3, 0usize..3], [0usize..3, 0usize..3]]],
        size in prop_oneof![Just([7, 7]), Just([1, 500]), Just([26, 24]), Just([40, 2])],
        batch in 0usize..4,
        seed in any::<u64>(),
    ) {
        let (groups, inputs, outputs) = channels;
        let convolution = Convolution { stride, padding, dilation, groups };
        let least = |axis: usize| dilation[axis] * (kernel[axis] - 1) + 1;
        let size = [size[0].max(least(0)), size[1].max(least(1))];
        let x = [batch, groups * inputs, size[0], size[1]];
        check(&convolution, x, [groups * outputs, inputs, kernel[0], kernel[1]], seed, 1e-3)?;
    }
}

/// The same bits whatever images are beside one, and however many threads there are.
#[test]
fn an_image_has_the_same_sums_in_every_batch() {
    let convolution = Convolution {
        padding: [[1, 1], [1, 1]],
        ..Convolution::default()
    };
    for channels in [8, 96] {
        let (x, weight) = (
            draw(1, &[5, channels, 9, 9]),
            draw(2, &[channels, channels, 3, 3]),
        );
        let all = convolution.apply(&x, &weight).unwrap();
        let pulled = convolution.transposed(&all, &weight, [9, 9]).unwrap();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let (one, back) = pool.install(|| {
                let one = convolution
                    .apply(&x.narrow(0, 3, 1).unwrap(), &weight)
                    .unwrap();
                let back = convolution.transposed(&one, &weight, [9, 9]).unwrap();
                (one, back)
            });
            let of = |all: &Tensor| numbers(&all.narrow(0, 3, 1).unwrap());
            assert_eq!((numbers(&one), numbers(&back)), (of(&all), of(&pulled)));
        }
    }
}

#[test]
fn many_weights_give_the_sums_of_the_definition() {
    // More than the images are read with one after another, in blocks that do not divide the batch.
    let convolution = Convolution {
        stride: [1, 2],
        padding: [[1, 1], [0, 1]],
        ..Convolution::default()
    };
    check(&convolution, [5, 131, 4, 5], [129, 131, 3, 3], 1, 1e-2).unwrap();
    // So many that patches are copied, positions for two products, the second of which ends in a row.
    let convolution = Convolution {
        padding: [[1, 1], [2, 0]],
        ..Convolution::default()
    };
    check(&convolution, [2, 467, 9, 7], [125, 467, 3, 3], 2, 1e-2).unwrap();
}

#[test]
fn a_weight_that_does_not_fit_has_no_gradient() {
    let (x, z) = (draw(1, &[2, 3, 5, 5]), draw(2, &[2, 4, 3, 3]));
    let convolution = Convolution::default();
    assert!(convolution.weight_gradient(&x, &z, &[4, 3, 3, 3]).is_ok());
    for weight in [&[4, 3, 2, 3][..], &[4, 2, 3, 3], &[3, 3, 3], &[]] {
        assert!(convolution.weight_gradient(&x, &z, weight).is_err());
    }
}

#[test]
fn leading_dimensions_are_kept() {
    let (x, weight) = (draw(1, &[2, 3, 4, 5, 5]), draw(2, &[6, 4, 3, 3]));
    let convolution = Convolution::default();
    let z = convolution.apply(&x, &weight).unwrap();
    assert_eq!(z.dims(), [2, 3, 6, 3, 3]);
    let folded = convolution.apply(&x.flatten(0, 1).unwrap(), &weight);
    assert_eq!(numbers(&z), numbers(&folded.unwrap()));
    let gradient = z.sum_all().unwrap().backward().unwrap();
    assert_eq!(gradient.get(&x).unwrap().dims(), x.dims());
    let transposed = convolution.transposed(&z, &weight, [5, 5]).unwrap();
    assert_eq!(transposed.dims(), x.dims());
}

/// Masks of 0 and 1, of one image.
fn mask(seed: u64, shape: &[usize], share: f64) -> Tensor {
    let of = draw(seed, shape);
    of.lt(share).unwrap().to_dtype(DType::F64).unwrap()
}

proptest! {
    /// A patch is pulled as the whole is, whatever share of its numbers is 0 in all rows and whatever share of the result is asked for.
    #[test]
    fn what_is_wanted_of_a_patch_is_that_of_the_whole(
        (seed, rows) in (0u64..1000, 1usize..40),
        (inputs, outputs, kernel) in (1usize..6, 1usize..9, 1usize..4),
        (stride, dilation, padding) in (1usize..4, 1usize..3, 0usize..3),
        (shares, at) in ([0.0f64..1.1, 0.0..1.1], [0usize..3, 0usize..3]),
    ) {
        let convolution = Convolution {
            stride: [stride, 1],
            dilation: [1, dilation],
            padding: [[padding, 1], [0, padding]],
            groups: 1,
        };
        let side = 9;
        let weight = draw(seed, &[outputs, inputs, kernel, 2]);
        let x = Tensor::zeros((1, inputs, side, side), DType::F64, &Device::Cpu).unwrap();
        let size = convolution.apply(&x, &weight).unwrap().dims()[2..].to_vec();
        let first = [at[0].min(size[0] - 1), at[1].min(size[1] - 1)];
        let patch = [0, 1].map(|axis| (size[axis] - first[axis]).min(3));
        let z = draw(seed + 1, &[rows, outputs, patch[0], patch[1]]);
        let z = z.broadcast_mul(&mask(seed + 2, &[1, outputs, patch[0], patch[1]], shares[0])).unwrap();
        let wanted = mask(seed + 3, &[inputs, side, side], shares[1]);
        let whole = |part: &Tensor, first: [usize; 2], size: [usize; 2]| {
            let after = [0, 1].map(|axis| size[axis] - first[axis] - part.dims()[axis + 2]);
            let part = part.pad_with_zeros(2, first[0], after[0]).unwrap();
            part.pad_with_zeros(3, first[1], after[1]).unwrap()
        };
        let expected = convolution.transposed(&whole(&z, first, [size[0], size[1]]), &weight, [side, side]).unwrap();
        let pull = |wanted| convolution.transposed_patch(&z, &weight, first, [side, side], wanted).unwrap();
        let (all, begin) = pull(None);
        let (some, same) = pull(Some(&wanted));
        prop_assert_eq!(begin, same);
        let kept = |part: &Tensor| whole(part, begin, [side, side]).broadcast_mul(&wanted).unwrap();
        let near = |a: &Tensor, b: &Tensor| {
            numbers(a).iter().zip(numbers(b)).all(|(a, b)| (a - b).abs() < 1e-12)
        };
        prop_assert!(near(&whole(&all, begin, [side, side]), &expected));
        prop_assert!(near(&kept(&some), &expected.broadcast_mul(&wanted).unwrap()));
    }
}

#[test]
fn what_is_wanted_has_the_shape_of_the_input() {
    let convolution = Convolution::default();
    let (z, weight) = (draw(1, &[2, 4, 3, 3]), draw(2, &[4, 3, 3, 3]));
    let pull = |shape: &[usize]| {
        convolution.transposed_patch(&z, &weight, [0, 0], [5, 5], Some(&mask(3, shape, 0.5)))
    };
    assert!(pull(&[3, 5, 5]).is_ok());
    for shape in [&[2, 5, 5][..], &[3, 4, 5], &[4, 5, 5], &[1, 3, 5, 5], &[75]] {
        assert!(pull(shape).is_err(), "{shape:?}");
    }
}
