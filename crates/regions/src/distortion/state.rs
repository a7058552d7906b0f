//! Where a search stands.

use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;

/// Where a search stands between two steps. Random numbers are functions of the seed and the step, so this is all that a
/// search needs to go on with the same bits.
#[derive(Debug, Clone)]
pub struct State {
    /// Steps taken.
    pub step: usize,
    /// Gradient evaluations so far.
    pub evaluations: usize,
    /// The points at hand, `[P, D]`.
    pub population: Tensor,
    /// Their distortions, as far as they are known.
    pub distortions: Vec<f64>,
    /// The largest distortion seen.
    pub best: f64,
    /// Where it was seen, `[D]`.
    pub worst_input: Tensor,
    /// The largest distortion seen by the end of each step.
    pub history: Vec<f64>,
}

const NUMBERS: &str = "numbers";
const DISTORTIONS: &str = "distortions";
const HISTORY: &str = "history";
const POPULATION: &str = "population";
const WORST: &str = "worst_input";

impl State {
    pub(super) fn new(population: Tensor, center: &Tensor) -> Self {
        Self {
            step: 0,
            evaluations: 0,
            population,
            distortions: Vec::new(),
            best: 0.0,
            worst_input: center.clone(),
            history: Vec::new(),
        }
    }

    /// Takes note of the largest of the distortions at `points` `[N, D]`.
    pub(super) fn note(&mut self, points: &Tensor, distortions: &[f64]) -> Result<()> {
        let largest = distortions.iter().enumerate();
        let largest = largest.fold((0, f64::NEG_INFINITY), |best, (i, d)| {
            if *d > best.1 { (i, *d) } else { best }
        });
        if largest.1 > self.best {
            self.best = largest.1;
            self.worst_input = points.get(largest.0)?.copy()?;
        }
        Ok(())
    }

    /// The state as tensors, for a file.
    ///
    /// # Errors
    /// Those of Candle.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let numbers = [self.step as f64, self.evaluations as f64, self.best];
        let vector = |values: &[f64]| Tensor::from_slice(values, values.len(), &Device::Cpu);
        Ok([
            (NUMBERS, vector(&numbers)?),
            (DISTORTIONS, vector(&self.distortions)?),
            (HISTORY, vector(&self.history)?),
            (POPULATION, self.population.clone()),
            (WORST, self.worst_input.clone()),
        ]
        .map(|(name, tensor)| (name.to_owned(), tensor))
        .into())
    }

    /// The state that [`State::tensors`] gave.
    ///
    /// # Errors
    /// A tensor that is missing or of another shape.
    pub fn from_tensors(mut tensors: BTreeMap<String, Tensor>, device: &Device) -> Result<Self> {
        let mut take = |name: &str| {
            tensors.remove(name).ok_or_else(|| Error::Argument {
                what: "state",
                cause: format!("no tensor `{name}`"),
            })
        };
        let vector =
            |tensor: Tensor| -> Result<Vec<f64>> { Ok(tensor.to_dtype(DType::F64)?.to_vec1()?) };
        let [step, evaluations, best] = vector(take(NUMBERS)?)?[..] else {
            return Err(Error::Argument {
                what: "state",
                cause: format!("`{NUMBERS}` must hold 3 numbers"),
            });
        };
        let population = take(POPULATION)?.to_device(device)?;
        let worst_input = take(WORST)?.to_device(device)?;
        if worst_input.dims1()? != population.dims2()?.1 {
            return Err(Error::Argument {
                what: "state",
                cause: format!("`{WORST}` and `{POPULATION}` are of different inputs"),
            });
        }
        Ok(Self {
            step: step as usize,
            evaluations: evaluations as usize,
            population,
            distortions: vector(take(DISTORTIONS)?)?,
            best,
            worst_input,
            history: vector(take(HISTORY)?)?,
        })
    }
}
