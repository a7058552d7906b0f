//! Random operators with operands that fit them.

use loclin_models::operators::{Conv2dConfig, OperatorSpec, SparseRows, Window2d};
use proptest::{collection::vec, prelude::*};

/// An operator and the shapes of its operands.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) spec: OperatorSpec,
    pub(crate) operands: Vec<Vec<usize>>,
}

fn case(spec: OperatorSpec, operand: Vec<usize>) -> Case {
    Case {
        spec,
        operands: vec![operand],
    }
}

fn shape() -> impl Strategy<Value = Vec<usize>> {
    vec(1usize..5, 1..4)
}

/// A window and the size of an image that it fits.
fn window(dilated: bool) -> impl Strategy<Value = (Window2d, [usize; 2])> {
    let dilation = if dilated { 1..3usize } else { 1..2 };
    let axis = (
        1usize..4,
        1usize..4,
        0usize..3,
        0usize..3,
        dilation,
        0usize..5,
    );
    // Half of the windows are alike on both axes and sides, which are the cases that Candle itself knows.
    (axis.clone(), axis, any::<bool>()).prop_map(|(mut a, mut b, square)| {
        if square {
            a.3 = a.2;
            b = (b.0, a.1, a.2, a.3, a.4, b.5);
        }
        let window = Window2d {
            kernel: [a.0, b.0],
            stride: [a.1, b.1],
            padding: [[a.2, a.3], [b.2, b.3]],
            dilation: [a.4, b.4],
        };
        // From the smallest image that fits on.
        let size = |(k, _, before, after, d, more): (usize, usize, usize, usize, usize, usize)| {
            (d * (k - 1) + 1).saturating_sub(before + after).max(1) + more
        };
        (window, [size(a), size(b)])
    })
}

fn conv2d() -> impl Strategy<Value = Case> {
    (window(true), 1usize..3, 1usize..3, 1usize..3, any::<bool>()).prop_map(
        |((window, [h, w]), groups, i, o, bias)| {
            let config = Conv2dConfig {
                inputs: groups * i,
                outputs: groups * o,
                window,
                groups,
                bias,
            };
            case(OperatorSpec::Conv2d(config), vec![groups * i, h, w])
        },
    )
}

fn pools() -> impl Strategy<Value = Case> {
    (window(false), 1usize..4, any::<bool>())
        .prop_map(|((window, [h, w]), channels, count_padding)| {
            case(
                OperatorSpec::AvgPool2d {
                    window,
                    count_padding,
                },
                vec![channels, h, w],
            )
        })
        .prop_filter("a window on padding alone has no mean", |case| {
            covered(case)
        })
}

/// Max pooling with windows that hold an entry everywhere, and two somewhere.
fn max_pools() -> impl Strategy<Value = Case> {
    (window(true), 1usize..4)
        .prop_map(|((window, [h, w]), channels)| {
            case(OperatorSpec::MaxPool2d { window }, vec![channels, h, w])
        })
        .prop_filter("padding alone, or nothing to choose", |case| {
            let OperatorSpec::MaxPool2d { window } = &case.spec else {
                return false;
            };
            covered(case)
                && (0..2)
                    .any(|axis| counts(window, axis, case.operands[0][axis + 1]).any(|n| n > 1))
        })
}

fn counts(window: &Window2d, axis: usize, n: usize) -> impl Iterator<Item = usize> {
    let [before, after] = window.padding[axis];
    let reach = window.dilation[axis] * (window.kernel[axis] - 1);
    let (step, kernel, dilation) = (
        window.stride[axis],
        window.kernel[axis],
        window.dilation[axis],
    );
    (0..)
        .map(move |i| i * step)
        .take_while(move |start| start + reach < n + before + after)
        .map(move |start| {
            (0..kernel)
                .filter(|k| (before..before + n).contains(&(start + k * dilation)))
                .count()
        })
}

fn covered(case: &Case) -> bool {
    match &case.spec {
        OperatorSpec::AvgPool2d { window, .. } | OperatorSpec::MaxPool2d { window } => {
            (0..2).all(|axis| counts(window, axis, case.operands[0][axis + 1]).all(|n| n > 0))
        }
        _ => true,
    }
}

/// A constant's shape that broadcasts to `shape`.
fn constant(shape: &[usize], ones: &[bool], skip: usize) -> Vec<usize> {
    let shape = shape
        .iter()
        .zip(ones)
        .map(|(n, one)| if *one { 1 } else { *n });
    shape.skip(skip).collect()
}

/// Every affine operator.
pub(crate) fn affine() -> impl Strategy<Value = Case> {
    let channel = |n: usize, case: fn(usize) -> OperatorSpec| {
        shape().prop_map(move |mut shape| {
            shape[0] = n;
            self::case(case(n), shape)
        })
    };
    prop_oneof![
        4 => conv2d(),
        2 => pools(),
        1 => (shape(), 1usize..4).prop_map(|(shape, n)| Case { spec: OperatorSpec::Add, operands: vec![shape; n] }),
        1 => (1usize..4).prop_flat_map(move |n| channel(n, |channels| OperatorSpec::BatchNorm { channels, eps: 1e-3 })),
        1 => (shape(), vec(1usize..4, 1..4), any::<prop::sample::Index>()).prop_map(|(shape, sizes, axis)| {
            let axis = axis.index(shape.len());
            let operand = |n: &usize| {
                let mut shape = shape.clone();
                shape[axis] = *n;
                shape
            };
            Case { spec: OperatorSpec::Concat { axis }, operands: sizes.iter().map(operand).collect() }
        }),
        1 => shape().prop_map(|shape| case(OperatorSpec::Flatten, shape)),
        1 => vec(1usize..4, 2..4).prop_map(|shape| case(OperatorSpec::GlobalAvgPool, shape)),
        1 => (1usize..5, 1usize..5, any::<bool>())
            .prop_map(|(inputs, outputs, bias)| case(OperatorSpec::Linear { inputs, outputs, bias }, vec![inputs])),
        1 => (vec((1usize..4, 0usize..3, 0usize..3), 1..4), prop_oneof![Just(0.0), Just(-1.5)]).prop_map(|(axes, value)| {
            let before = axes.iter().map(|a| a.1).collect();
            let after = axes.iter().map(|a| a.2).collect();
            case(OperatorSpec::Pad { before, after, value }, axes.iter().map(|a| a.0).collect())
        }),
        2 => resample(),
        1 => shape().prop_flat_map(|shape| (Just(shape.clone()), Just(shape).prop_shuffle()))
            .prop_map(|(from, shape)| case(OperatorSpec::Reshape { shape }, from)),
        1 => (shape(), vec(any::<bool>(), 3), 0usize..3, 0..3).prop_map(|(shape, ones, skip, which)| {
            let constant = constant(&shape, &ones, skip);
            let spec = match which {
                0 => OperatorSpec::Divide { shape: constant },
                1 => OperatorSpec::Scale { shape: constant },
                _ => OperatorSpec::Translate { shape: constant },
            };
            case(spec, shape)
        }),
        1 => (vec(1usize..5, 2..4), any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(shape, axis, index)| {
            let axis = axis.index(shape.len());
            case(OperatorSpec::Select { axis, index: index.index(shape[axis]) }, shape)
        }),
        1 => (shape(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>())
            .prop_map(|(shape, axis, start, length)| {
                let axis = axis.index(shape.len());
                let start = start.index(shape[axis]);
                let length = 1 + length.index(shape[axis] - start);
                case(OperatorSpec::Slice { axis, start, length }, shape)
            }),
        1 => (shape(), any::<bool>()).prop_map(|(shape, one)| {
            let n = if one { 1 } else { shape[0] };
            let mean = (0..n).map(|i| i as f64 - 0.5).collect();
            let std = (0..n).map(|i| i as f64 + 0.25).collect();
            case(OperatorSpec::Standardize { mean, std }, shape)
        }),
        1 => shape().prop_flat_map(|shape| {
            let permutation: Vec<usize> = (0..shape.len()).collect();
            (Just(shape), Just(permutation).prop_shuffle())
        }).prop_map(|(shape, permutation)| case(OperatorSpec::Transpose { permutation }, shape)),
    ]
}

/// Sums of few and of many terms along any dimension, with and without weights.
fn resample() -> impl Strategy<Value = Case> {
    let rows = vec(
        vec((any::<prop::sample::Index>(), -2.0f64..2.0), 0..12),
        1..5,
    );
    (shape(), any::<prop::sample::Index>(), rows, 0usize..3).prop_map(
        |(shape, axis, rows, kind)| {
            let axis = axis.index(shape.len());
            let n = shape[axis];
            let rows = match kind {
                0 => SparseRows::copies(
                    n,
                    rows.iter().map(|row| row.first().map(|(i, _)| i.index(n))),
                ),
                1 => SparseRows::weighted(
                    n,
                    rows.iter()
                        .map(|row| row.iter().map(|(i, _)| (i.index(n), 1.0)).collect()),
                ),
                _ => SparseRows::weighted(
                    n,
                    rows.iter()
                        .map(|row| row.iter().map(|(i, w)| (i.index(n), *w)).collect()),
                ),
            };
            case(OperatorSpec::Resample { axis, rows }, shape)
        },
    )
}

/// Every piecewise-linear operator.
pub(crate) fn piecewise_linear() -> impl Strategy<Value = Case> {
    let slopes = (vec(0.1f64..1.0, 1..4), vec(-2.0f64..2.0, 4), -1.0f64..1.0);
    let activation = slopes.prop_map(|(gaps, slopes, anchor)| {
        let breakpoints: Vec<f64> = gaps
            .iter()
            .scan(-0.8, |t, gap| {
                *t += gap;
                Some(*t)
            })
            .collect();
        OperatorSpec::Activation {
            slopes: slopes[..breakpoints.len() + 1].to_vec(),
            breakpoints,
            anchor,
        }
    });
    let named = prop_oneof![
        Just(OperatorSpec::relu()),
        Just(OperatorSpec::leaky_relu(0.1)),
        Just(OperatorSpec::abs()),
        Just(OperatorSpec::clip(-1.0, 1.0)),
    ];
    prop_oneof![
        2 => (prop_oneof![activation, named], shape()).prop_map(|(spec, shape)| case(spec, shape)),
        2 => max_pools(),
        1 => (2usize..4, shape()).prop_map(|(pieces, mut shape)| {
            shape[0] *= pieces;
            case(OperatorSpec::Maxout { pieces }, shape)
        }),
        1 => (shape(), any::<bool>()).prop_map(|(shape, one)| {
            case(OperatorSpec::Prelu { channels: if one { 1 } else { shape[0] } }, shape)
        }),
    ]
}
