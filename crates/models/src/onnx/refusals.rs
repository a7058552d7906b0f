//! Operators that no piecewise-linear network has, batches that cannot be told apart, and what can be done.

use crate::error::Error;

/// Functions that are curved somewhere.
const CURVED: &[&str] = &[
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Attention",
    "Celu",
    "Cos",
    "Cosh",
    "Det",
    "Elu",
    "Erf",
    "Exp",
    "GRU",
    "Gelu",
    "GlobalLpPool",
    "GroupNormalization",
    "HardSwish",
    "InstanceNormalization",
    "LRN",
    "LSTM",
    "LayerNormalization",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "MeanVarianceNormalization",
    "Mish",
    "RMSNormalization",
    "Reciprocal",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceProd",
    "ReduceSumSquare",
    "Selu",
    "Sigmoid",
    "Sin",
    "Sinh",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
    "com.microsoft.BiasGelu",
    "com.microsoft.FastGelu",
    "com.microsoft.Gelu",
    "com.microsoft.QuickGelu",
];

/// Functions that jump.
const STEPS: &[&str] = &[
    "And",
    "ArgMax",
    "ArgMin",
    "Bernoulli",
    "BitShift",
    "Ceil",
    "DynamicQuantizeLinear",
    "Equal",
    "Floor",
    "Hardmax",
    "IsInf",
    "IsNaN",
    "Mod",
    "NonMaxSuppression",
    "NonZero",
    "OneHot",
    "Or",
    "QuantizeLinear",
    "RandomNormalLike",
    "RandomUniformLike",
    "Round",
    "Sign",
    "TopK",
    "Unique",
    "Xor",
];

/// What is wrong with a node that computes with several of the `n` inputs of a batch.
pub(super) fn mixes(n: usize) -> String {
    format!(
        "mixes the {n} inputs of the batch that the file fixes; export it with a symbolic batch, or a batch of 1"
    )
}

/// Why a file with a batch of `n` is refused that could neither be read input by input nor with all of them as one input.
///
/// If a node mixes the inputs, it is the second cause that is in the way.
pub(super) fn of_both(by_input: Error, as_one: Error, n: usize) -> Error {
    match (by_input, as_one) {
        (
            Error::Translation {
                node: mixing,
                cause: why,
                ..
            },
            Error::Translation {
                node,
                op_type,
                cause,
            },
        ) if why == mixes(n) => {
            let why =
                format!("node `{mixing}` mixes the {n} inputs of the batch that the file fixes");
            let cause = format!(
                "{cause} ({why}, so they were read as one input; with a symbolic batch, or a batch of 1, they need not be)"
            );
            Error::Translation {
                node,
                op_type,
                cause,
            }
        }
        (by_input, _) => by_input,
    }
}

/// Why a network with an operator is refused for good; `None` for one that is only not known.
pub(super) fn why(op_type: &str) -> Option<String> {
    if CURVED.contains(&op_type) {
        return Some(
            "is not piecewise linear, so that the gradient is constant nowhere; use an activation such as ReLU, or \
             ask for a value before this node (--output NAME)"
                .into(),
        );
    }
    if STEPS.contains(&op_type) {
        return Some(
            "is not continuous, so that the network is not; ask for a value before this node (--output NAME)".into(),
        );
    }
    None
}
