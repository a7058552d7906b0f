//! DenseNet: each layer reads all before it.

use super::super::state_dict::StateDict;
use super::layers::{Layers, Moves, Value};
use crate::window::Window2d;

pub(super) fn graph(layers: &mut Layers<'_>, x: Value, blocks: [usize; 4]) -> Value {
    let mut x = layers.conv("features.conv0", &x, Moves::of(2, 3));
    x = layers.norm("features.norm0", &x);
    x = layers.relu("features.relu0", &x);
    x = layers.max_pool("features.pool0", &x, Window2d::square(3, 2, 1));
    for (block, count) in blocks.into_iter().enumerate() {
        for layer in 0..count {
            let name = format!("features.denseblock{}.denselayer{}", block + 1, layer + 1);
            let z = before(layers, &name, "1", &x, Moves::of(1, 0));
            let z = before(layers, &name, "2", &z, Moves::of(1, 1));
            x = layers.concat(&name, &x, &z);
        }
        if block + 1 < blocks.len() {
            let name = format!("features.transition{}", block + 1);
            x = before(layers, &name, "", &x, Moves::of(1, 0));
            x = layers.average_pool(&format!("{name}.pool"), &x, 2);
        }
    }
    x = layers.norm("features.norm5", &x);
    x = layers.relu("relu", &x);
    x = layers.mean("avgpool", &x);
    layers.linear("classifier", &x)
}

/// A normalisation, a ReLU and a convolution.
fn before(layers: &mut Layers<'_>, name: &str, which: &str, x: &Value, moves: Moves) -> Value {
    let z = layers.norm(&format!("{name}.norm{which}"), x);
    let z = layers.relu(&format!("{name}.relu{which}"), &z);
    layers.conv(&format!("{name}.conv{which}"), &z, moves)
}

/// The published files have `norm.1` where the modules are called `norm1` by now.
pub(super) fn rename(tensors: &mut StateDict) {
    for (name, _) in tensors
        .iter_mut()
        .filter(|(name, _)| name.contains(".denselayer"))
    {
        for (old, new) in [
            (".norm.1.", ".norm1."),
            (".norm.2.", ".norm2."),
            (".conv.1.", ".conv1."),
            (".conv.2.", ".conv2."),
        ] {
            *name = name.replace(old, new);
        }
    }
}
