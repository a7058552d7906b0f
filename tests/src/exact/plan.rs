//! Random networks of every operator: ordinary ones, and ones that break floating point.
//!
//! A [`Plan`] is what proptest draws, prints and shrinks; the numbers follow from its seed. [`Plan::draw`] makes the
//! network.

use proptest::{prelude::*, sample::subsequence};

/// How to draw a network and an input.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Shape of the input, `[n]` or `[channels, height, width]`.
    pub input: Vec<usize>,
    /// What comes after it; a block that does not fit the shape it meets is left out. A linear layer to two outputs
    /// follows.
    pub blocks: Vec<Block>,
    /// What the numbers are.
    pub numbers: Numbers,
    /// What is odd about them.
    pub quirks: Vec<Quirk>,
    /// Whether the input is standardised.
    pub standardized: bool,
    /// Layers are multiplied by powers of two such that no product of some of them leaves `2^-rescale .. 2^rescale`.
    pub rescale: i32,
    /// How many neurons are moved next to 0 by their bias.
    pub ties: usize,
    /// Whether all numbers are rounded to single precision.
    pub single: bool,
    /// Where the numbers come from.
    pub seed: u64,
}

/// A piece of a network; its sizes are drawn.
#[allow(missing_docs, reason = "each is the operator of its name")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    Linear,
    Conv2d,
    /// A layer, added to what it reads.
    Residual,
    /// Two layers side by side.
    Concat,
    Scale,
    Translate,
    /// With a variance whose root is rational.
    BatchNorm,
    AvgPool2d,
    GlobalAvgPool,
    Flatten,
    Reshape,
    Transpose,
    Slice,
    Select,
    Pad,
    /// Weighted sums along a dimension, or copies.
    Resample,
    Relu,
    LeakyRelu,
    Abs,
    Clip,
    /// Three breakpoints.
    Steps,
    Prelu,
    MaxPool2d,
    Maxout,
}

/// What parameters and inputs are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Gaussians of the scale that keeps activations near 1.
    Gaussian,
    /// Small integers: neurons are often exactly 0.
    Lattice,
    /// Powers of two from 2^-12 to 2^12 and their negatives, and zeros: sums cancel exactly, or nearly.
    Powers,
    /// Gaussians times powers of two from 2^-30 to 2^30.
    Wide,
}

/// An oddity of the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// Rows are the first row times a power of two, some with a small change in one weight.
    Copies,
    /// Weights of a row are the negatives of others.
    Cancel,
    /// No bias.
    NoBias,
    /// A third of the rows are 0.
    Dead,
}

const AFFINE: [Block; 16] = [
    Block::Linear,
    Block::Conv2d,
    Block::Residual,
    Block::Concat,
    Block::Scale,
    Block::Translate,
    Block::BatchNorm,
    Block::AvgPool2d,
    Block::GlobalAvgPool,
    Block::Flatten,
    Block::Reshape,
    Block::Transpose,
    Block::Slice,
    Block::Select,
    Block::Pad,
    Block::Resample,
];
const PIECEWISE: [Block; 8] = [
    Block::Relu,
    Block::LeakyRelu,
    Block::Abs,
    Block::Clip,
    Block::Steps,
    Block::Prelu,
    Block::MaxPool2d,
    Block::Maxout,
];

impl Plan {
    /// A plan of any bytes, for a fuzzer: each byte decides one thing, so that a changed byte changes one thing. What is
    /// not there is 0; bytes beyond the 46th have no part.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut bytes = bytes.iter().copied();
        let mut next = |count: u8| usize::from(bytes.next().unwrap_or(0) % count);
        let input = match next(2) {
            0 => vec![1 + next(4)],
            _ => vec![1 + next(2), 2 + next(2), 2 + next(2)],
        };
        let quirks = [Quirk::Copies, Quirk::Cancel, Quirk::NoBias, Quirk::Dead];
        let quirks = quirks.into_iter().filter(|_| next(2) == 1).collect();
        let numbers = [
            Numbers::Gaussian,
            Numbers::Lattice,
            Numbers::Powers,
            Numbers::Wide,
        ][next(4)];
        let single = next(2) == 1;
        // Single precision has no number beyond 2^127.
        let rescale = [0, 10, 60, if single { 60 } else { 500 }][next(4)];
        let ties = next(3);
        let standardized = next(2) == 1 && numbers == Numbers::Gaussian;
        let seed = (0..8).fold(0, |seed, _| seed << 8 | next(u8::MAX) as u64);
        let blocks = (0..=next(MOST_PAIRS)).flat_map(|_| [AFFINE[next(15)], PIECEWISE[next(8)]]);
        Self {
            input,
            blocks: blocks.collect(),
            numbers,
            quirks,
            standardized,
            rescale,
            ties,
            single,
            seed,
        }
    }
}

/// The most pairs of blocks that bytes ask for.
const MOST_PAIRS: u8 = 12;

/// Networks like those that people train, small: up to 6 layers with activations between them, every operator.
pub fn ordinary() -> impl Strategy<Value = Plan> {
    let shape = (inputs(), blocks(6), any::<bool>(), any::<u64>().no_shrink());
    shape.prop_map(|(input, blocks, standardized, seed)| Plan {
        input,
        blocks,
        numbers: Numbers::Gaussian,
        quirks: Vec::new(),
        standardized,
        rescale: 0,
        ties: 0,
        single: false,
        seed,
    })
}

/// Networks of up to 30 layers with cancelling rows, huge and tiny weights and ties.
pub fn hostile() -> impl Strategy<Value = Plan> {
    let numbers = prop_oneof![
        Just(Numbers::Gaussian),
        Just(Numbers::Lattice),
        Just(Numbers::Powers),
        Just(Numbers::Wide),
    ];
    let quirks = subsequence(
        vec![Quirk::Copies, Quirk::Cancel, Quirk::NoBias, Quirk::Dead],
        0..=4,
    );
    let odd = (
        numbers,
        quirks,
        prop_oneof![2 => Just(0), 1 => Just(10), 1 => Just(100), 1 => Just(500)],
        0usize..3,
        any::<bool>(),
    );
    let depth = prop_oneof![3 => Just(4usize), 2 => Just(10), 1 => Just(30)];
    let shape = (inputs(), depth.prop_flat_map(blocks), any::<bool>());
    (shape, odd, any::<u64>().no_shrink()).prop_map(
        |((input, blocks, standardized), (numbers, quirks, rescale, ties, single), seed)| Plan {
            input,
            blocks,
            numbers,
            quirks,
            standardized: standardized && numbers == Numbers::Gaussian,
            // Single precision has no number beyond 2^127.
            rescale: if single { rescale.min(60) } else { rescale },
            ties,
            single,
            seed,
        },
    )
}

fn inputs() -> impl Strategy<Value = Vec<usize>> {
    let image = (1usize..3, 2usize..4, 2usize..4).prop_map(|(c, h, w)| vec![c, h, w]);
    prop_oneof![2 => (1usize..5).prop_map(|n| vec![n]), 1 => image]
}

/// Up to so many pairs of an affine block and a piecewise-linear one, the plain layer most of all.
fn blocks(most: usize) -> impl Strategy<Value = Vec<Block>> {
    let affine = prop_oneof![
        2 => Just(Block::Linear),
        1 => Just(Block::Conv2d),
        3 => prop::sample::select(&AFFINE[..]),
    ];
    let piecewise = prop_oneof![
        1 => Just(Block::Relu),
        1 => prop::sample::select(&PIECEWISE[..]),
    ];
    prop::collection::vec((affine, piecewise), 1..=most)
        .prop_map(|pairs| pairs.into_iter().flat_map(|(a, p)| [a, p]).collect())
}
