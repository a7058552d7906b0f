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
        let x_shape = [batch, groups * inputs, size[0], size[1]];
        let w_shape = [groups * outputs, inputs, kernel[0], kernel[1]];
        let (x, weight) = (draw(seed, &x_shape), draw(seed ^ 1, &w_shape));
        let z = convolution.apply(&x, &weight).unwrap();
        let z_shape: [usize; 4] = z.dims().try_into().unwrap();
        let cotangent = draw(seed ^ 2, &z_shape);

        let (xs, ws, cs) = (numbers(&x), numbers(&weight), numbers(&cotangent));
        let mut sums = [vec![0.0; cs.len()], vec![0.0; xs.len()], vec![0.0; ws.len()]];
        each_term(&convolution, x_shape, z_shape, w_shape, |x, z, w| {
            sums[0][z] += xs[x] * ws[w];
            sums[1][x] += cs[z] * ws[w];
            sums[2][w] += cs[z] * xs[x];
        });
        let near = |found: &Tensor, sums: &[f64], tolerance: f64| {
            let found = numbers(found);
            found.len() == sums.len() && found.iter().zip(sums).all(|(a, b)| (a - b).abs() < tolerance)
        };
        // Sums of at most 11 x 60 x 14, or 130 x 9, products of numbers up to 1, in another order.
        prop_assert!(near(&z, &sums[0], 1e-10));
        let transposed = convolution.transposed(&cotangent, &weight, size).unwrap();
        prop_assert!(near(&transposed, &sums[1], 1e-10));
        let gradients = (&z * cotangent.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
        prop_assert!(near(gradients.get(&x).unwrap(), &sums[1], 1e-10));
        prop_assert!(near(gradients.get(&weight).unwrap(), &sums[2], 1e-10));

        let single = |tensor: &Tensor| tensor.to_dtype(DType::F32).unwrap();
        let gradient = convolution.weight_gradient(&single(&x), &single(&cotangent), &w_shape).unwrap();
        // Sums of at most 11 x 60 x 14 products, which the tolerance is for, and of at most 45.
        prop_assert!(near(&gradient, &sums[2], 2e-2));
        let single = convolution.apply(&single(&x), &single(&weight)).unwrap();
        prop_assert!(near(&single, &sums[0], 1e-4));
    }
}

#[test]
fn many_weights_give_the_sums_of_the_definition() {
    // More than the images are read with one after another, in blocks that do not divide the batch.
    let (x_shape, w_shape) = ([5, 131, 4, 5], [129, 131, 3, 3]);
    let (x, weight) = (draw(1, &x_shape), draw(2, &w_shape));
    let convolution = Convolution {
        stride: [1, 2],
        padding: [[1, 1], [0, 1]],
        ..Convolution::default()
    };
    let z = convolution.apply(&x, &weight).unwrap();
    let z_shape: [usize; 4] = z.dims().try_into().unwrap();
    let (xs, ws, zs) = (numbers(&x), numbers(&weight), numbers(&z));
    let mut sums = [vec![0.0; zs.len()], vec![0.0; xs.len()]];
    each_term(&convolution, x_shape, z_shape, w_shape, |x, z, w| {
        sums[0][z] += xs[x] * ws[w];
        sums[1][x] += zs[z] * ws[w];
    });
    let near = |found: &[f64], sums: &[f64]| {
        let mut both = found.iter().zip(sums);
        both.all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs().max(1e3))
    };
    assert!(near(&zs, &sums[0]));
    let transposed = convolution.transposed(&z, &weight, [4, 5]).unwrap();
    assert!(near(&numbers(&transposed), &sums[1]));
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
