use std::num::NonZeroUsize;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// The mini-batches of one epoch: every row of `0..n` exactly once, in an order that is a pure
/// function of `(seed, epoch)`.
///
/// A resumed run therefore continues with exactly the batches that an uninterrupted one would
/// have seen. The last batch is smaller where `batch_size` does not divide `n`.
///
/// ```
/// use std::num::NonZeroUsize;
/// let batches: Vec<_> = loclin_data::batches(10, NonZeroUsize::new(4).unwrap(), 0, 3).collect();
/// assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
/// ```
pub fn batches(
    n: usize,
    batch_size: NonZeroUsize,
    seed: u64,
    epoch: u64,
) -> impl ExactSizeIterator<Item = Vec<usize>> + Send {
    let order = permutation(n, seed, epoch);
    let size = batch_size.get();
    (0..n.div_ceil(size)).map(move |batch| {
        let start = batch * size;
        order[start..start.saturating_add(size).min(n)].to_vec()
    })
}

/// A uniform permutation of `0..n`, a pure function of `(seed, stream)`.
///
/// Streams of one seed are independent of each other (ChaCha8's stream number).
///
/// ```
/// assert_eq!(loclin_data::permutation(8, 0, 0), [2, 0, 6, 1, 3, 5, 7, 4]);
/// ```
pub fn permutation(n: usize, seed: u64, stream: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut rng);
    order
}
