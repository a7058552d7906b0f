//! Operators that no piecewise-linear network has, and what can be done.

/// Why a network with an operator is refused for good; `None` for one that is only not known.
pub(super) fn why(op_type: &str) -> Option<String> {
    let nonlinear = [
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
        "RNN",
        "Reciprocal",
        "ReduceL2",
        "ReduceLogSum",
        "ReduceLogSumExp",
        "ReduceProd",
        "ReduceSumSquare",
        "GlobalLpPool",
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
    let steps = [
        "ArgMax",
        "ArgMin",
        "BitShift",
        "Bernoulli",
        "Ceil",
        "Equal",
        "And",
        "Or",
        "Xor",
        "DynamicQuantizeLinear",
        "Floor",
        "Hardmax",
        "IsInf",
        "IsNaN",
        "Mod",
        "NonMaxSuppression",
        "NonZero",
        "OneHot",
        "QuantizeLinear",
        "RandomNormalLike",
        "RandomUniformLike",
        "Round",
        "Sign",
        "TopK",
        "Unique",
    ];
    if nonlinear.contains(&op_type) {
        return Some(
            "is not piecewise linear, so that the gradient is constant nowhere; use an activation such as ReLU, or \
             ask for a value before this node (--output NAME)"
                .into(),
        );
    }
    if steps.contains(&op_type) {
        return Some(
            "is not continuous, so that the network is not; ask for a value before this node (--output NAME)".into(),
        );
    }
    None
}
