//! SqueezeNet: convolutions of 1 x 1 channels that spread to 1 x 1 and 3 x 3.

use super::layers::{Layers, Moves, Value};

/// Version 1.0.
pub(super) fn first(layers: &mut Layers<'_>, x: Value) -> Value {
    graph(layers, x, "pfffpffffpf")
}

/// Version 1.1.
pub(super) fn second(layers: &mut Layers<'_>, x: Value) -> Value {
    graph(layers, x, "pffpffpffff")
}

/// `p` is max pooling, `f` a fire module.
fn graph(layers: &mut Layers<'_>, x: Value, order: &str) -> Value {
    let mut x = layers.conv("features.0", &x, Moves::of(2, 0).biased());
    x = layers.relu("features.1", &x);
    for (at, kind) in order.chars().enumerate() {
        let module = format!("features.{}", at + 2);
        x = match kind {
            'p' => layers.max_pool_up(&module, &x),
            _ => fire(layers, &module, &x),
        };
    }
    x = layers.conv("classifier.1", &x, Moves::of(1, 0).biased());
    x = layers.relu("classifier.2", &x);
    layers.mean("classifier.3", &x)
}

fn fire(layers: &mut Layers<'_>, module: &str, x: &Value) -> Value {
    let x = layers.conv(&format!("{module}.squeeze"), x, Moves::of(1, 0).biased());
    let x = layers.relu(&format!("{module}.squeeze_activation"), &x);
    let mut spread = |size: &str, padding| {
        let name = format!("{module}.expand{size}");
        let z = layers.conv(&name, &x, Moves::of(1, padding).biased());
        layers.relu(&format!("{name}_activation"), &z)
    };
    let (small, large) = (spread("1x1", 0), spread("3x3", 1));
    layers.concat(module, &small, &large)
}
