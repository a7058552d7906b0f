//! The network of a graph with exactly the tensors of a state dict.

use super::{
    names,
    state_dict::{StateDict, says},
};
use crate::{error::Result, file::check_finite, network::Network, spec::NetworkSpec};
use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::{Init, VarBuilder, var_builder::SimpleBackend};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

/// The network of a spec with these tensors, all of which it must have.
pub(super) fn fit(
    spec: &NetworkSpec,
    tensors: StateDict,
    dtype: DType,
    device: &Device,
) -> Result<Network> {
    let asked: Asked = Asked::default();
    let source = Source {
        tensors: tensors.iter().cloned().collect(),
        asked: asked.clone(),
    };
    let vars = VarBuilder::from_backend(Box::new(source), dtype, device.clone());
    let built = spec.build(vars);
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    // A build that failed has not asked for all; what it says comes of a tensor that is not there, if one is not.
    let wanted: BTreeSet<String> = match &built {
        Ok(_) => asked.keys().cloned().collect(),
        Err(_) => asked
            .keys()
            .chain(tensors.iter().map(|(name, _)| name))
            .cloned()
            .collect(),
    };
    names::check(&wanted, &tensors)?;
    for (name, tensor) in &tensors {
        let (expected, found) = (asked.get(name).map(Shape::dims), tensor.dims());
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(says(
                name,
                format!("has shape {found:?}, expected {expected:?}"),
            ));
        }
        check_finite(name, tensor)?;
    }
    built
}

/// Names and shapes that a network asked for.
type Asked = Arc<Mutex<BTreeMap<String, Shape>>>;

/// Gives the tensors of a state dict, and zeros, which take no memory, in the place of those that do not fit.
struct Source {
    tensors: HashMap<String, Tensor>,
    asked: Asked,
}

impl SimpleBackend for Source {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let fits = self
            .tensors
            .get(name)
            .filter(|tensor| *tensor.shape() == shape);
        let found = match fits {
            Some(tensor) => tensor.to_device(device)?.to_dtype(dtype)?,
            None => Tensor::zeros((), dtype, device)?.broadcast_as(&shape)?,
        };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(name.to_string(), shape);
        Ok(found)
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let Some(tensor) = self.tensors.get(name) else {
            candle_core::bail!("no tensor {name}");
        };
        self.get(
            tensor.shape().clone(),
            name,
            Init::Const(0.0),
            dtype,
            device,
        )
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }
}
