//! The list of operators that are translated.

use super::{elementwise, linear, message::Node, shape, translator::Translator, window};
use crate::Result;

/// Translates one node.
pub(super) type Rule = for<'a> fn(&mut Translator<'a>, &Node<'a>) -> Result<()>;

/// The operators and how each is translated; in alphabetical order.
pub(super) const RULES: &[(&str, Rule)] = &[
    ("Abs", elementwise::abs),
    ("Add", elementwise::add),
    ("AveragePool", window::average_pool),
    ("BatchNormalization", window::batch_normalization),
    ("Clip", elementwise::clip),
    ("Concat", shape::concat),
    ("Constant", shape::constant),
    ("Conv", window::conv),
    ("Div", elementwise::div),
    ("Dropout", shape::dropout),
    ("Flatten", shape::flatten),
    ("Gemm", linear::gemm),
    ("GlobalAveragePool", window::global_average_pool),
    ("Identity", shape::identity),
    ("LeakyRelu", elementwise::leaky_relu),
    ("MatMul", linear::mat_mul),
    ("MaxPool", window::max_pool),
    ("Mul", elementwise::mul),
    ("Neg", elementwise::neg),
    ("PRelu", elementwise::p_relu),
    ("Pad", window::pad),
    ("Relu", elementwise::relu),
    ("Reshape", shape::reshape),
    ("Squeeze", shape::squeeze),
    ("Sub", elementwise::sub),
    ("Transpose", shape::transpose),
    ("Unsqueeze", shape::unsqueeze),
];
