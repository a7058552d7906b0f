//! Operators that no piecewise-linear network has, batches that cannot be told apart, and what can be done.

use crate::error::Error;

/// Why what jumps is refused.
pub(super) const JUMPS: &str = "is not continuous, so that the network is not; ask for a value before this node (--output NAME)";

/// Why what may be continuous is refused.
pub(super) const IN_NO_FORM: &str = "is not read in this form; write it with Max, Min or Relu, or ask for a value before this node (--output NAME)";

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
    "ArgMax",
    "ArgMin",
    "Bernoulli",
    "BitShift",
    "Ceil",
    "DynamicQuantizeLinear",
    "Floor",
    "Hardmax",
    "Mod",
    "NonMaxSuppression",
    "NonZero",
    "QuantizeLinear",
    "RandomNormalLike",
    "RandomUniformLike",
    "Round",
    "Unique",
];

/// What may be part of a continuous piecewise-linear function, but in no form that is read.
const UNREAD: &[&str] = &["OneHot", "Sign", "Xor"];

/// Operators and domains that appear where a file was made for one runtime, and how to get another file.
const REMEDIES: &[(&str, &str)] = &[
    (
        "Scan",
        "unroll the loop when exporting (Keras: unroll=True of the recurrent layer)",
    ),
    (
        "QuantizeLinear",
        "the file is quantised: use the one before it was, in floating point",
    ),
    (
        "DequantizeLinear",
        "the file is quantised: use the one before it was, in floating point",
    ),
    (
        "DynamicQuantizeLinear",
        "the file is quantised: use the one before it was, in floating point",
    ),
    (
        "com.microsoft.Q",
        "the file is quantised: use the one before it was, in floating point",
    ),
    (
        "com.microsoft.MatMulNBits",
        "the file is quantised: use the one before it was, in floating point",
    ),
    (
        "com.microsoft.",
        "ONNX Runtime has optimised the file: use the one before, or its level \"basic\"",
    ),
];

/// What a person can do about an operator that is not read, where that is known.
pub(super) fn remedy(op_type: &str) -> Option<&'static str> {
    let known = |(name, _): &&(&str, &str)| match name.ends_with('.') || *name == "com.microsoft.Q"
    {
        true => op_type.starts_with(name),
        false => op_type == *name,
    };
    REMEDIES.iter().find(known).map(|(_, remedy)| *remedy)
}

/// What is wrong with a node that computes with several of the `n` inputs of a batch.
pub(super) fn mixes(n: usize) -> String {
    format!(
        "mixes the {n} inputs of the batch that the file fixes; export it with a symbolic batch, or a batch of 1"
    )
}

/// What is wrong with a node that computes with several entries along a first dimension that the file leaves open.
pub(super) const MIXES_OPEN: &str = "mixes entries along the first dimension of the input, which the file leaves open and which \
     so stands for the batch; export the file with that dimension fixed, then all of it is one input";

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
    if UNREAD.contains(&op_type) {
        return Some(IN_NO_FORM.into());
    }
    if let Some(remedy) = remedy(op_type) {
        return Some(format!("is not supported; {remedy}"));
    }
    if STEPS.contains(&op_type) {
        return Some(JUMPS.into());
    }
    None
}
