//! AlexNet and VGG: convolutions in sequence, then three linear layers.

use super::layers::{Layers, Moves, Value};
use crate::window::Window2d;

/// VGG: stages of so many 3 x 3 convolutions, each with max pooling behind it.
pub(super) fn vgg(layers: &mut Layers<'_>, x: Value, stages: [usize; 5], normal: bool) -> Value {
    let (mut x, mut at) = (x, 0);
    for convolutions in stages {
        for _ in 0..convolutions {
            x = layers.conv(&format!("features.{at}"), &x, Moves::of(1, 1).biased());
            at += 1;
            if normal {
                x = layers.norm(&format!("features.{at}"), &x);
                at += 1;
            }
            x = layers.relu(&format!("features.{at}"), &x);
            at += 1;
        }
        x = layers.max_pool(&format!("features.{at}"), &x, Window2d::square(2, 2, 0));
        at += 1;
    }
    classifier(layers, x, 7, [0, 3])
}

/// AlexNet.
pub(super) fn alexnet(layers: &mut Layers<'_>, x: Value) -> Value {
    let pool = Window2d::square(3, 2, 0);
    let mut x = layers.conv("features.0", &x, Moves::of(4, 2).biased());
    x = layers.relu("features.1", &x);
    x = layers.max_pool("features.2", &x, pool.clone());
    x = layers.conv("features.3", &x, Moves::of(1, 2).biased());
    x = layers.relu("features.4", &x);
    x = layers.max_pool("features.5", &x, pool.clone());
    for at in [6, 8, 10] {
        x = layers.conv(&format!("features.{at}"), &x, Moves::of(1, 1).biased());
        x = layers.relu(&format!("features.{}", at + 1), &x);
    }
    x = layers.max_pool("features.12", &x, pool);
    classifier(layers, x, 6, [1, 4])
}

/// Means over a square of cells, two linear layers with the given numbers and activations behind them, and the last.
fn classifier(layers: &mut Layers<'_>, x: Value, side: usize, hidden: [usize; 2]) -> Value {
    let mut x = layers.adaptive_mean("avgpool", &x, side);
    x = layers.flatten(&x);
    for at in hidden {
        x = layers.linear(&format!("classifier.{at}"), &x);
        x = layers.relu(&format!("classifier.{}", at + 1), &x);
    }
    layers.linear("classifier.6", &x)
}
