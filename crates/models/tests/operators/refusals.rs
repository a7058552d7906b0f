//! What does not fit is an error, whatever the numbers, and never a panic or a huge allocation.

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use loclin_models::{
    NetworkSpec, NodeSpec, Operator,
    operators::{Conv2dConfig, OperatorSpec, Window2d},
};

const IMAGE: &[usize] = &[2, 4, 4];
const BIG: usize = usize::MAX;

/// Neither built nor given these operands.
fn refused(spec: OperatorSpec, operands: &[&[usize]]) {
    let Ok(operator) = spec.build(VarBuilder::zeros(DType::F64, &Device::Cpu)) else {
        return;
    };
    let shape = match &operator {
        Operator::Affine(operator) => operator.output_shape(operands),
        Operator::PiecewiseLinear(operator) => operator.output_shape(operands[0]),
        Operator::Input => return,
    };
    assert!(shape.is_err(), "{spec:?} of {operands:?}: {shape:?}");
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    let (image, big, square) = (IMAGE, BIG, Window2d::square);
    let conv = |inputs, outputs, groups, window| {
        OperatorSpec::Conv2d(Conv2dConfig {
            inputs,
            outputs,
            window,
            groups,
            bias: false,
        })
    };
    let pool = |window| OperatorSpec::MaxPool2d { window };
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
    assert!(square(2, 0, 0).output(image).is_err());
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
}

#[test]
fn hyper_parameters_that_do_not_fit_are_refused() {
    let (image, big) = (IMAGE, BIG);
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
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let (image, big) = (IMAGE, BIG);
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
}

#[test]
fn only_an_earlier_operator_is_named_again() {
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
