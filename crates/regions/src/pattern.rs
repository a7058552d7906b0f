//! Activation patterns as data.

use crate::Result;
use candle_core::DType;
use loclin_models::Trace;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// The activation pattern of one input (Def. 1): which piece every unit of every piecewise-linear node is on,
/// bit-packed. Two inputs of one network are in the same region (Lemma 2) exactly if their patterns are equal.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::patterns;
///
/// let config = Mlp { inputs: vec![2], hidden: vec![70], outputs: 1, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(0).builder(DType::F64, &Device::Cpu))?;
/// let x = Tensor::new(&[[0.3, -0.2], [0.3, -0.2], [-9.0, 4.0]], &Device::Cpu)?;
/// let patterns = patterns(&network.trace(&x)?)?;
/// assert_eq!(patterns[0], patterns[1]);
/// assert_ne!(patterns[0], patterns[2]);
/// assert_eq!(patterns[0].bits(), 70);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActivationPattern {
    bits: usize,
    words: Box<[u64]>,
}

impl ActivationPattern {
    /// Number of bits: one for each ReLU unit, more for units with more pieces.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// SHA-256 of the pattern: two of one network are taken to be equal where these are.
    ///
    /// It stands for a pattern where many are kept; no two patterns with one digest are known or can be found by trying.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update((self.bits as u64).to_le_bytes());
        for word in &self.words {
            hasher.update(word.to_le_bytes());
        }
        hasher.finalize().into()
    }

    /// Number of bits in which two patterns of one network differ: the units that changed sides, for ReLU networks.
    pub fn distance(&self, other: &Self) -> usize {
        self.words
            .iter()
            .zip(&other.words)
            .map(|(a, b)| (a ^ b).count_ones() as usize)
            .sum()
    }
}

/// The activation patterns of a trace's `B` inputs.
pub fn patterns(trace: &Trace) -> Result<Vec<ActivationPattern>> {
    let mut packers = vec![Packer::default(); trace.batch()];
    for record in trace.records() {
        let width = usize::BITS - record.piece_count().saturating_sub(1).leading_zeros();
        let pieces = record.pieces()?.flatten_all()?.to_dtype(DType::U32)?;
        let pieces = pieces.to_vec1::<u32>()?;
        let units = pieces.len() / trace.batch();
        let pack = |(packer, row): (&mut Packer, &[u32])| {
            row.iter()
                .for_each(|piece| packer.push(u64::from(*piece), width as usize));
        };
        let rows = pieces.par_chunks(units.max(1));
        packers.par_iter_mut().zip(rows).for_each(pack);
    }
    Ok(packers.into_iter().map(Packer::finish).collect())
}

#[derive(Clone, Default)]
struct Packer {
    bits: usize,
    words: Vec<u64>,
}

impl Packer {
    /// Appends a `value` of `width` bits, at most 32.
    fn push(&mut self, value: u64, width: usize) {
        if width == 0 {
            return;
        }
        let used = self.bits % 64;
        match self.words.last_mut() {
            Some(word) if used > 0 => *word |= value << used,
            _ => self.words.push(value),
        }
        if used > 0 && used + width > 64 {
            self.words.push(value >> (64 - used));
        }
        self.bits += width;
    }

    fn finish(self) -> ActivationPattern {
        ActivationPattern {
            bits: self.bits,
            words: self.words.into(),
        }
    }
}
