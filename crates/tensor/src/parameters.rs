//! Named trainable variables with seeded initial values.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::Init;
use candle_nn::VarBuilder;
use candle_nn::init::NormalOrUniform;
use candle_nn::var_builder::SimpleBackend;
use rand::Rng;
use rand_distr::StandardNormal;

use crate::optim::update::{self, MoveTowards};
use crate::{Error, Result, random};

/// Separates the draws of parameters from every other use of the same seed.
const DOMAIN: u64 = u64::from_le_bytes(*b"paramete");

/// A store of trainable variables, sorted by name, that builds networks
/// through Candle's [`VarBuilder`]. Clones share the variables.
///
/// The first request for a name creates a variable by the layer's [`Init`]
/// hint. Its values are a function of the seed, the name, the shape and the
/// hint alone: neither the order of creation nor other parameters matter, and
/// the `f32` and `f64` networks of one seed are the same up to rounding. A
/// later request for the name returns the same variable, which is how weights
/// are shared.
///
/// ```
/// use candle_core::{DType, Device, Module, Tensor};
/// let parameters = loclin_tensor::Parameters::seeded(1);
/// let builder = parameters.builder(DType::F32, &Device::Cpu);
/// let layer = candle_nn::linear(4, 3, builder.pp("layers.0"))?;
/// layer.forward(&Tensor::zeros((2, 4), DType::F32, &Device::Cpu)?)?;
/// let names: Vec<_> = parameters.named().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["layers.0.bias", "layers.0.weight"]);
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Parameters {
    seed: u64,
    variables: Arc<Mutex<BTreeMap<String, Var>>>,
}

impl Parameters {
    /// An empty store whose parameters will be drawn from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            variables: Arc::default(),
        }
    }

    /// A builder that creates its variables here, with element type `dtype`,
    /// on `device`.
    ///
    /// It refuses a known name whose shape, element type or device differ, and
    /// hints that give infinite or undefined values.
    pub fn builder(&self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), dtype, device.clone())
    }

    /// The variables, sorted by name.
    pub fn named(&self) -> Vec<(String, Var)> {
        self.lock()
            .iter()
            .map(|(name, variable)| (name.clone(), variable.clone()))
            .collect()
    }

    /// The number of variables (not of their elements).
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing was created yet.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// A snapshot: copies of the values, by name, that later training steps do
    /// not change.
    ///
    /// # Errors
    /// Candle's, if an allocation fails.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        self.lock()
            .iter()
            .map(|(name, variable)| Ok((name.clone(), variable.as_detached_tensor().copy()?)))
            .collect()
    }

    /// Sets every variable to the tensor of its name, converted to the
    /// variable's element type and device. Networks built before see the new
    /// values. Nothing is changed if an error is found.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::UnexpectedTensor`] and
    /// [`Error::ShapeMismatch`] name the first offender in sorted order.
    pub fn load(&self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        let variables = self.lock();
        if let Some(name) = tensors.keys().find(|name| !variables.contains_key(*name)) {
            return Err(Error::UnexpectedTensor {
                name: name.clone(),
                reason: format!(
                    "the network has no such parameter among its {}",
                    variables.len()
                ),
            });
        }
        let mut converted = Vec::with_capacity(variables.len());
        for (name, variable) in variables.iter() {
            let tensor = tensors.get(name).ok_or_else(|| Error::MissingTensor {
                name: name.clone(),
                expected: variable.shape().clone(),
            })?;
            check_shape(name, variable.shape(), tensor.shape())?;
            // A copy, because Candle refuses to set a variable to a tensor
            // that shares its storage.
            let tensor = tensor.to_device(variable.device())?.copy()?;
            converted.push((variable, tensor.to_dtype(variable.dtype())?));
        }
        for (variable, tensor) in converted {
            variable.set(&tensor)?;
        }
        Ok(())
    }

    /// Moves every variable `share` of the way to that of its name in `target`:
    /// `v <- v + share (t - v)`, element by element. Networks built on these
    /// variables see the new values.
    ///
    /// Called after every training step, a `share` of `1 / n` at the `n`-th call
    /// makes these the mean of the targets so far (tail averaging: Polyak and
    /// Juditsky, 1992), a constant one their exponential moving average.
    ///
    /// # Errors
    /// [`Error::Hyperparameter`] for a share outside `[0, 1]`;
    /// [`Error::MissingTensor`], [`Error::UnexpectedTensor`] and
    /// [`Error::ShapeMismatch`] name the first variable that the other store
    /// lacks, has more, or has in another shape. Nothing is changed then.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use loclin_tensor::Parameters;
    /// let value = |of: f64| {
    ///     let parameters = Parameters::seeded(0);
    ///     let builder = parameters.builder(DType::F64, &Device::Cpu);
    ///     let weight = builder.get_with_hints(1, "weight", candle_nn::Init::Const(of));
    ///     weight.map(|weight| (parameters, weight))
    /// };
    /// let ((average, weight), (current, _)) = (value(1.0)?, value(5.0)?);
    /// average.move_towards(&current, 0.25)?;
    /// assert_eq!(weight.to_vec1::<f64>()?, [2.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn move_towards(&self, target: &Self, share: f64) -> Result<()> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::Hyperparameter {
                optimizer: "weight averaging",
                field: "share",
                value: share,
                expected: "a number in [0, 1]",
            });
        }
        if Arc::ptr_eq(&self.variables, &target.variables) {
            return Ok(());
        }
        let (variables, targets) = (self.named(), target.named());
        if let Some((name, _)) = targets
            .iter()
            .find(|(name, _)| !variables.iter().any(|(known, _)| known == name))
        {
            return Err(Error::UnexpectedTensor {
                name: name.clone(),
                reason: "the store that moves has no such parameter".into(),
            });
        }
        let mut pairs = Vec::with_capacity(variables.len());
        for (name, variable) in &variables {
            let found = targets.iter().find(|(known, _)| known == name);
            let (_, target) = found.ok_or_else(|| Error::MissingTensor {
                name: name.clone(),
                expected: variable.shape().clone(),
            })?;
            check_shape(name, variable.shape(), target.shape())?;
            pairs.push((variable, target.as_detached_tensor()));
        }
        for (variable, target) in pairs {
            update::apply(&MoveTowards { share }, variable, &target, &target)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Var>> {
        // A panic elsewhere cannot leave the map half changed: its one
        // mutation is a single insertion.
        self.variables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn get_or_draw(
        &self,
        shape: Shape,
        name: &str,
        init: Init,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let mut variables = self.lock();
        if let Some(variable) = variables.get(name) {
            check_shape(name, variable.shape(), &shape)?;
            if variable.dtype() != dtype {
                return Err(Error::DType {
                    name: name.into(),
                    expected: format!("{:?} as asked for", dtype),
                    found: variable.dtype(),
                });
            }
            if !variable.device().same_device(device) {
                return Err(Error::UnexpectedTensor {
                    name: name.into(),
                    reason: format!(
                        "it lives on {:?}, but was asked for on {:?}",
                        variable.device().location(),
                        device.location()
                    ),
                });
            }
            return Ok(variable.as_tensor().clone());
        }
        let drawn = draw(self.seed, name, &shape, init)?;
        let variable = Var::from_tensor(&drawn.to_dtype(dtype)?.to_device(device)?)?;
        let tensor = variable.as_tensor().clone();
        variables.insert(name.into(), variable);
        Ok(tensor)
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, variable) in self.lock().iter() {
            map.entry(name, variable.shape());
        }
        map.finish()
    }
}

impl SimpleBackend for Parameters {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        init: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        self.get_or_draw(shape, name, init, dtype, device)
            .map_err(|error| match error {
                Error::Tensor(error) => error,
                error => candle_core::Error::wrap(error),
            })
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let shape = match self.lock().get(name) {
            Some(variable) => variable.shape().clone(),
            None => candle_core::bail!("parameter `{name}` cannot be created without a shape"),
        };
        self.get(shape, name, Init::default(), dtype, device)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }
}

fn check_shape(name: &str, expected: &Shape, found: &Shape) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::ShapeMismatch {
        name: name.into(),
        expected: expected.clone(),
        found: found.clone(),
    })
}

/// The initial value of a parameter, in double precision on the CPU.
fn draw(seed: u64, name: &str, shape: &Shape, init: Init) -> Result<Tensor> {
    let mut rng = random::stream(seed, &path_of(name));
    let mut value: Box<dyn FnMut() -> f64> = match init {
        Init::Const(value) => Box::new(move || value),
        Init::Uniform { lo, up } => Box::new(move || lo + (up - lo) * rng.random::<f64>()),
        Init::Randn { mean, stdev } => {
            Box::new(move || mean + stdev * rng.sample::<f64, _>(StandardNormal))
        }
        Init::Kaiming {
            dist,
            fan,
            non_linearity,
        } => {
            let stdev = non_linearity.gain() / (fan.for_shape(shape) as f64).sqrt();
            match dist {
                NormalOrUniform::Normal => {
                    Box::new(move || stdev * rng.sample::<f64, _>(StandardNormal))
                }
                // The uniform distribution on +-b has variance b^2 / 3.
                NormalOrUniform::Uniform => {
                    let bound = 3f64.sqrt() * stdev;
                    Box::new(move || bound * (2.0 * rng.random::<f64>() - 1.0))
                }
            }
        }
    };
    let mut finite = true;
    let drawn = random::fill(shape.clone(), DType::F64, &Device::Cpu, || {
        let value = value();
        finite &= value.is_finite();
        value
    })?;
    if finite {
        return Ok(drawn);
    }
    Err(Error::Initialisation {
        name: name.into(),
        init: format!("{init:?}"),
    })
}

/// The name as stream words: a domain, its length in bytes, then its bytes in
/// little-endian words padded with zeros, so that no two names share a path.
fn path_of(name: &str) -> Vec<u64> {
    let mut path = vec![DOMAIN, name.len() as u64];
    path.extend(name.as_bytes().chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    }));
    path
}
