//! ResNet, ResNeXt and Wide ResNet: the last two are wider or grouped, which the tensors say.

use super::layers::{Layers, Moves, Value};
use crate::window::Window2d;

/// Blocks of two 3 x 3 convolutions.
pub(super) fn basic(layers: &mut Layers<'_>, x: Value, blocks: [usize; 4]) -> Value {
    graph(layers, x, blocks, |layers, block, x, stride| {
        let z = layers.conv(&format!("{block}.conv1"), x, Moves::of(stride, 1));
        let z = layers.norm(&format!("{block}.bn1"), &z);
        let z = layers.relu(&format!("{block}.relu1"), &z);
        let z = layers.conv(&format!("{block}.conv2"), &z, Moves::of(1, 1));
        layers.norm(&format!("{block}.bn2"), &z)
    })
}

/// Blocks of a 3 x 3 convolution between two of 1 x 1; the stride is that of the middle one.
pub(super) fn bottleneck(layers: &mut Layers<'_>, x: Value, blocks: [usize; 4]) -> Value {
    graph(layers, x, blocks, |layers, block, x, stride| {
        let z = layers.conv(&format!("{block}.conv1"), x, Moves::of(1, 0));
        let z = layers.norm(&format!("{block}.bn1"), &z);
        let z = layers.relu(&format!("{block}.relu1"), &z);
        let z = layers.conv(
            &format!("{block}.conv2"),
            &z,
            Moves::of(stride, 1).grouped(),
        );
        let z = layers.norm(&format!("{block}.bn2"), &z);
        let z = layers.relu(&format!("{block}.relu2"), &z);
        let z = layers.conv(&format!("{block}.conv3"), &z, Moves::of(1, 0));
        layers.norm(&format!("{block}.bn3"), &z)
    })
}

fn graph(
    layers: &mut Layers<'_>,
    x: Value,
    blocks: [usize; 4],
    body: impl Fn(&mut Layers<'_>, &str, &Value, usize) -> Value,
) -> Value {
    let mut x = layers.conv("conv1", &x, Moves::of(2, 3));
    x = layers.norm("bn1", &x);
    x = layers.relu("relu", &x);
    x = layers.max_pool("maxpool", &x, Window2d::square(3, 2, 1));
    for (stage, blocks) in blocks.into_iter().enumerate() {
        for at in 0..blocks {
            let block = format!("layer{}.{at}", stage + 1);
            let stride = if stage > 0 && at == 0 { 2 } else { 1 };
            let z = body(layers, &block, &x, stride);
            let shortcut = if stride > 1 || (at == 0 && z.channels() != x.channels()) {
                let module = format!("{block}.downsample.0");
                let s = layers.conv(&module, &x, Moves::of(stride, 0));
                layers.norm(&format!("{block}.downsample.1"), &s)
            } else {
                x
            };
            x = layers.add(&format!("{block}.add"), &z, &shortcut);
            x = layers.relu(&format!("{block}.relu"), &x);
        }
    }
    x = layers.mean("avgpool", &x);
    layers.linear("fc", &x)
}
