//! Whether inputs of one shape are those of a model that takes another, and in which order their values go.

use crate::preprocessing::Layout;
use crate::values::shape_text;

/// How stored rows become inputs of the shape that a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// In the order in which they are stored.
    AsStored,
    /// Transposed to the layout named.
    Moved(Move),
}

/// Channels put behind or before the other dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Move {
    /// How many channels.
    pub(crate) channels: usize,
    /// The layout that comes out.
    pub(crate) to: Layout,
}

impl Move {
    /// A row in its new order.
    pub(crate) fn apply<T: Copy>(self, row: &[T], out: &mut Vec<T>) {
        let (channels, area) = (self.channels, row.len() / self.channels);
        let (outer, inner, step) = match self.to {
            Layout::ChannelsLast => (area, channels, area),
            Layout::ChannelsFirst => (channels, area, channels),
        };
        for first in 0..outer {
            out.extend((0..inner).map(|second| row[first + second * step]));
        }
    }
}

/// How inputs of shape `found` become those of shape `wanted`; else what to do instead.
///
/// Taken as they are: equal shapes, shapes that differ by dimensions of 1, and a flat vector on either side. `layout`
/// is that of the stored inputs, where it is known; then channels may be moved, if the model's shape says in one way
/// how. An array whose shape is the model's either way (4 x 4, 3 x 3 x 3) is in the model's own layout, as others of its shape are;
/// an image, which is stored in a layout of its own, is not known to be.
pub(crate) fn order(
    found: &[usize],
    wanted: &[usize],
    layout: Option<Layout>,
    is_image: bool,
) -> Result<Order, String> {
    let count = |shape: &[usize]| shape.iter().product::<usize>();
    if count(found) != count(wanted) {
        return Err("another number of values".into());
    }
    let (here, there) = (without_ones(found), without_ones(wanted));
    let Some(layout) = layout else {
        if here == there || here.len() == 1 || there.len() == 1 {
            return Ok(Order::AsStored);
        }
        let all = || Layout::ALL.into_iter();
        let exactly = all().find(|layout| moved(found, *layout) == wanted);
        let nearly = |layout: &Layout| same(&moved(found, *layout), wanted);
        return Err(match exactly.or_else(|| all().find(nearly)) {
            Some(layout) => format!("--layout {layout} if the data are laid out so"),
            None => "reshape or transpose the data to the model's shape".into(),
        });
    };
    let [first, .., last] = found else {
        return Ok(Order::AsStored);
    };
    let channels = match layout {
        Layout::ChannelsFirst => *first,
        Layout::ChannelsLast => *last,
    };
    let turned = moved(found, layout);
    let (stays, moves) = match (found == wanted, turned == wanted) {
        (false, false) => (same(found, wanted), same(&turned, wanted)),
        exactly => exactly,
    };
    // With one channel, or one position for each, both are the same order.
    match (stays, moves) {
        _ if channels == 1 || count(found) == channels => {
            match stays || moves || there.len() == 1 {
                true => Ok(Order::AsStored),
                false => Err("reshape or transpose the data to the model's shape".into()),
            }
        }
        (true, true) if is_image => Err(format!(
            "both layouts of {channels} channels have this shape, so it does not say which of them the model takes; \
             give an array in the model's own layout"
        )),
        (true, _) => Ok(Order::AsStored),
        (false, true) => Ok(Order::Moved(Move {
            channels,
            to: layout.other(),
        })),
        // A network of flat inputs takes their values in the order in which they come.
        (false, false) if there.len() == 1 => Ok(Order::AsStored),
        (false, false) => Err(format!(
            "as {layout} they are neither {} nor {}",
            shape_text(found),
            shape_text(&turned)
        )),
    }
}

/// The shape with its channels on the other side.
pub(crate) fn moved(shape: &[usize], layout: Layout) -> Vec<usize> {
    let mut shape = shape.to_vec();
    match layout {
        Layout::ChannelsFirst if !shape.is_empty() => shape.rotate_left(1),
        Layout::ChannelsLast if !shape.is_empty() => shape.rotate_right(1),
        _ => {}
    }
    shape
}

/// The inputs that a model takes, and how those are laid out that it is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The shape that the model takes.
    pub(crate) shape: &'a [usize],
    /// The layout of stored inputs, where it is said.
    pub(crate) layout: Option<Layout>,
}

impl Wanted<'_> {
    /// Whether a stored array of this shape is one input. With a further dimension of 1 before them, the inputs are one row.
    pub(crate) fn is_one(self, shape: &[usize]) -> bool {
        let is_moved = |layout| same(&moved(shape, layout), self.shape);
        let more = match self.layout {
            Some(_) => self.shape.len(),
            None => 1,
        };
        let is_row = shape.len() > more && shape[0] == 1;
        !is_row && (same(shape, self.shape) || self.layout.is_some_and(is_moved))
    }
}

/// The height and width of an image in a model's inputs, where their shape says it in one way.
pub(crate) fn image_size(wanted: &[usize]) -> Option<[usize; 2]> {
    let channels = |count: usize| matches!(count, 1 | 3);
    let shape = match wanted {
        [1, rest @ ..] if rest.len() == 3 => rest,
        shape => shape,
    };
    match *shape {
        [height, width] => Some([height, width]),
        [first, height, last] if channels(first) && !channels(last) => Some([height, last]),
        [first, width, last] if channels(last) && !channels(first) => Some([first, width]),
        _ => None,
    }
}

/// The channels, height and width of an image of that shape, and its values channel by channel.
pub(crate) fn picture(
    shape: &[usize],
    layout: Option<Layout>,
    values: &[usize],
) -> Option<([usize; 3], Vec<usize>)> {
    let shape = match shape {
        [1, rest @ ..] if rest.len() == 3 => rest,
        shape => shape,
    };
    match (shape, layout) {
        (&[height, width], _) => Some(([1, height, width], values.to_vec())),
        (&[height, width, channels @ (1 | 3)], Some(Layout::ChannelsLast)) => {
            let moved = Move {
                channels,
                to: Layout::ChannelsFirst,
            };
            let mut first = Vec::with_capacity(values.len());
            moved.apply(values, &mut first);
            Some(([channels, height, width], first))
        }
        (&[channels @ (1 | 3), height, width], None | Some(Layout::ChannelsFirst)) => {
            Some(([channels, height, width], values.to_vec()))
        }
        _ => None,
    }
}

/// Whether shapes differ by dimensions of 1 at most.
pub(crate) fn same(a: &[usize], b: &[usize]) -> bool {
    without_ones(a) == without_ones(b)
}

/// Whether a shape says no more than how many numbers there are.
pub(crate) fn is_flat(shape: &[usize]) -> bool {
    without_ones(shape).len() < 2
}

fn without_ones(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&size| size != 1).collect()
}
