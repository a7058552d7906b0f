//! MobileNetV2: inverted residual blocks with depthwise convolutions and ReLU6.

use super::layers::{Layers, Moves, Value};

/// Number of blocks and stride of the first of them, for each stage.
const STAGES: [(usize, usize); 7] = [(1, 1), (2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1)];

pub(super) fn graph(layers: &mut Layers<'_>, x: Value) -> Value {
    let mut x = active(layers, "features.0", &x, Moves::of(2, 1));
    let mut at = 1;
    for (blocks, first) in STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { first } else { 1 };
            x = inverted(
                layers,
                &format!("features.{at}.conv"),
                &x,
                stride,
                at > 1,
                block > 0,
            );
            at += 1;
        }
    }
    x = active(layers, &format!("features.{at}"), &x, Moves::of(1, 0));
    x = layers.mean("avgpool", &x);
    layers.linear("classifier.1", &x)
}

/// A block; `expands` if it begins with more channels, `residual` if its operand is added.
fn inverted(
    layers: &mut Layers<'_>,
    block: &str,
    x: &Value,
    stride: usize,
    expands: bool,
    residual: bool,
) -> Value {
    let (mut z, mut at) = (x.clone(), 0);
    if expands {
        z = active(layers, &format!("{block}.{at}"), &z, Moves::of(1, 0));
        at += 1;
    }
    z = active(
        layers,
        &format!("{block}.{at}"),
        &z,
        Moves::of(stride, 1).grouped(),
    );
    z = layers.conv(&format!("{block}.{}", at + 1), &z, Moves::of(1, 0));
    z = layers.norm(&format!("{block}.{}", at + 2), &z);
    match residual {
        true => layers.add(&format!("{block}.add"), x, &z),
        false => z,
    }
}

/// A convolution, its normalisation and ReLU6.
fn active(layers: &mut Layers<'_>, module: &str, x: &Value, moves: Moves) -> Value {
    let z = layers.conv(&format!("{module}.0"), x, moves);
    let z = layers.norm(&format!("{module}.1"), &z);
    layers.relu6(&format!("{module}.2"), &z)
}
