//! Operators that no piecewise-linear network has, and what can be done.

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
    "RNN",
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
