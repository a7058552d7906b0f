//! Blocks of pixels as channels, and back.

use super::{message::Node, translator::Translator};
use crate::error::Result;

pub(super) fn depth_to_space<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let block = usize::try_from(node.int("blocksize", 0)).unwrap_or(0);
    let square = block.checked_mul(block).filter(|n| *n > 0);
    let ([n, c, h, w], Some(square)) = (&full[..], square) else {
        return Err(node.error(format!(
            "takes [batch, channels, height, width], found {full:?}"
        )));
    };
    let inner = c / square;
    if inner * square != *c {
        return Err(node.error(format!("{c} channels in blocks of {block}")));
    }
    let (split, moved) = match &node.text("mode", "DCR")[..] {
        "DCR" => (vec![*n, block, block, inner, *h, *w], [0, 3, 4, 1, 5, 2]),
        _ => (vec![*n, inner, block, block, *h, *w], [0, 1, 4, 2, 5, 3]),
    };
    let value = t.reshape(node, &value, split)?;
    let value = t.transpose(node, &value, &moved)?;
    let value = t.reshape(node, &value, vec![*n, inner, h * block, w * block])?;
    t.set(node, 0, value)
}

pub(super) fn space_to_depth<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let value = t.value(node, 0)?;
    let full = t.shape(node, &value)?;
    let block = usize::try_from(node.int("blocksize", 0)).unwrap_or(0);
    let [n, c, h, w] = full[..] else {
        return Err(node.error(format!(
            "takes [batch, channels, height, width], found {full:?}"
        )));
    };
    if block == 0 || !h.is_multiple_of(block) || !w.is_multiple_of(block) {
        return Err(node.error(format!("an image of {h} x {w} in blocks of {block}")));
    }
    let (rows, columns) = (h / block, w / block);
    let value = t.reshape(node, &value, vec![n, c, rows, block, columns, block])?;
    let order = match &node.text("mode", "DCR")[..] {
        "DCR" => [0, 3, 5, 1, 2, 4],
        _ => [0, 1, 3, 5, 2, 4],
    };
    let value = t.transpose(node, &value, &order)?;
    let value = t.reshape(node, &value, vec![n, c * block * block, rows, columns])?;
    t.set(node, 0, value)
}
