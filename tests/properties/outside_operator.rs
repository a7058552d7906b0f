//! Operators that are defined here and not in the library: everything must work for them, but a model file.

use super::{dot, numbers};
use candle_core::{DType, Device, Result, Tensor};
use loclin_models::{
    ActivationRecord, Affine, Error, Model, Network, NetworkBuilder, ParameterMap, Parameters,
    PiecewiseLinear,
    operator::ShapeResult,
    operators::{BatchNorm, Linear},
};
use loclin_regions::{Budget, Linearization, Method, Norm};
use std::sync::Arc;

/// `y_i = w_0 x_i + w_1 x_{i+1} + b_i` around a ring, with the parameters `weight` `[2]` and `bias` `[n]`.
#[derive(Debug)]
struct Ring {
    weight: Tensor,
    bias: Tensor,
}

impl Ring {
    fn weights(&self) -> Result<[Tensor; 2]> {
        Ok([self.weight.get(0)?, self.weight.get(1)?])
    }
}

impl Affine for Ring {
    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        match operands {
            [shape] if **shape == *self.bias.dims() => Ok(shape.to_vec()),
            _ => Err(format!("takes {:?}, found {operands:?}", self.bias.dims())),
        }
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        let [own, next] = self.weights()?;
        tangents[0].broadcast_mul(&own)? + tangents[0].roll(-1, 2)?.broadcast_mul(&next)?
    }

    fn pull(&self, cotangent: &Tensor, _operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        let [own, next] = self.weights()?;
        let pulled = cotangent.broadcast_mul(&own)? + cotangent.roll(1, 2)?.broadcast_mul(&next)?;
        Ok(vec![pulled?])
    }

    fn offset(&self, _output: &[usize]) -> Result<Option<Tensor>> {
        self.bias.unsqueeze(0).map(Some)
    }

    fn lipschitz(&self, _operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        let sum = self
            .weight
            .detach()
            .to_dtype(DType::F64)?
            .abs()?
            .sum_all()?;
        Ok(bounds[0] * sum.to_scalar::<f64>()?)
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        vec![("weight", &self.weight), ("bias", &self.bias)]
    }

    fn map_parameters(
        &self,
        map: &mut ParameterMap<'_>,
    ) -> loclin_models::Result<Option<Arc<dyn Affine>>> {
        Ok(Some(Arc::new(Self {
            weight: map.apply("weight", &self.weight)?,
            bias: map.apply("bias", &self.bias)?,
        })))
    }
}

/// A ring that forgets to say how its parameters change.
#[derive(Debug)]
struct Forgetful(Ring);

impl Affine for Forgetful {
    fn kind(&self) -> &'static str {
        "forgetful"
    }

    fn output_shape(&self, operands: &[&[usize]]) -> ShapeResult {
        self.0.output_shape(operands)
    }

    fn push(&self, tangents: &[&Tensor]) -> Result<Tensor> {
        self.0.push(tangents)
    }

    fn pull(&self, cotangent: &Tensor, operands: &[&[usize]]) -> Result<Vec<Tensor>> {
        self.0.pull(cotangent, operands)
    }

    fn lipschitz(&self, operands: &[&[usize]], bounds: &[f64]) -> Result<f64> {
        self.0.lipschitz(operands, bounds)
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        self.0.parameters()
    }
}

/// `(u, v)` to `(max(u, v), min(u, v))`, entry by entry of the two halves of a vector. The neuron of a pair is `u - v`;
/// its record keeps `[u >= v]`, as a column for each input.
#[derive(Debug)]
struct MaxMin;

/// Both halves of the last dimension.
fn halves(x: &Tensor) -> Result<[Tensor; 2]> {
    let axis = x.rank() - 1;
    let pairs = x.dim(axis)? / 2;
    Ok([x.narrow(axis, 0, pairs)?, x.narrow(axis, pairs, pairs)?])
}

impl PiecewiseLinear for MaxMin {
    fn kind(&self) -> &'static str {
        "max_min"
    }

    fn output_shape(&self, operand: &[usize]) -> ShapeResult {
        match operand {
            [n] if n % 2 == 0 => Ok(vec![*n]),
            _ => Err(format!("takes pairs, found {operand:?}")),
        }
    }

    fn value(&self, operand: &Tensor) -> Result<Tensor> {
        let [u, v] = halves(operand)?;
        Tensor::cat(&[u.maximum(&v)?, u.minimum(&v)?], 1)
    }

    fn record(&self, operand: &Tensor) -> Result<ActivationRecord> {
        let [u, v] = halves(operand)?;
        let neurons = (u - v)?;
        let upper = neurons.detach().ge(0.0)?;
        let own = upper.to_dtype(neurons.dtype())?;
        let record = ActivationRecord::new(neurons, own.affine(2.0, -1.0)?, upper, 2)?;
        Ok(record.with_own(own))
    }

    fn push(&self, tangent: &Tensor, record: &ActivationRecord) -> Result<Tensor> {
        let [u, v] = halves(tangent)?;
        let upper = record.own()?.unsqueeze(1)?;
        let step = (&u - &v)?.broadcast_mul(&upper)?;
        Tensor::cat(&[v.broadcast_add(&step)?, u.broadcast_sub(&step)?], 2)
    }

    fn pull(
        &self,
        cotangent: &Tensor,
        record: &ActivationRecord,
        _operand: &[usize],
    ) -> Result<Tensor> {
        // Each pair is exchanged or not: its own transpose.
        self.push(cotangent, record)
    }

    fn offset(&self, _record: &ActivationRecord) -> Result<Option<Tensor>> {
        Ok(None)
    }

    fn push_neurons(&self, tangent: &Tensor, _record: &ActivationRecord) -> Result<Tensor> {
        let [u, v] = halves(tangent)?;
        u - v
    }

    fn pull_neurons(
        &self,
        cotangent: &Tensor,
        _record: &ActivationRecord,
        _operand: &[usize],
    ) -> Result<Tensor> {
        Tensor::cat(&[cotangent.clone(), cotangent.neg()?], 2)
    }

    fn lipschitz(&self, _operand: &[usize]) -> Result<f64> {
        Ok(1.0)
    }

    fn neuron_length(&self) -> f64 {
        std::f64::consts::SQRT_2
    }

    fn slope_changes(&self, cotangent: &Tensor, _operand: &[usize]) -> Result<Tensor> {
        let [most, least] = halves(cotangent)?;
        most - least
    }
}

/// Batch normalisation, rings and pairs between linear layers: `[3]` to `[2]`. The second ring is the first one again.
fn network() -> Network {
    let parameters = Parameters::seeded(3);
    let vars = parameters.builder(DType::F64, &Device::Cpu);
    let ring = Arc::new(Ring {
        weight: Tensor::new(&[0.75, -0.5], &Device::Cpu).unwrap(),
        bias: Tensor::new(&[0.1, -0.2, 0.3, 0.0], &Device::Cpu).unwrap(),
    });
    let mut builder = NetworkBuilder::new(&[3]).unwrap();
    let first = Linear::new(3, 4, true, vars.pp("first")).unwrap();
    let mut at = builder.affine("first", first, &[0]).unwrap();
    let normalization = BatchNorm::new(4, 1e-5, vars.pp("norm")).unwrap();
    at = builder.affine("norm", normalization, &[at]).unwrap();
    for layer in 0..2 {
        let tied = loclin_models::Operator::Affine(ring.clone());
        at = builder.add(&format!("ring.{layer}"), tied, &[at]).unwrap();
        let name = format!("pairs.{layer}");
        at = builder.piecewise_linear(&name, MaxMin, at).unwrap();
    }
    let last = Linear::new(4, 2, true, vars.pp("last")).unwrap();
    builder.affine("last", last, &[at]).unwrap();
    builder.finish(DType::F64, &Device::Cpu).unwrap()
}

fn inputs() -> Tensor {
    let drawn = Tensor::arange(0.0, 15.0, &Device::Cpu).unwrap();
    let drawn = (drawn * 1.7).unwrap().sin().unwrap();
    drawn.reshape((5, 3)).unwrap()
}

fn output(network: &Network, x: &Tensor) -> Vec<f64> {
    numbers(network.trace(x).unwrap().output())
}

/// Largest difference of two lists.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max)
}

#[test]
fn copies_keep_values_and_ties() {
    let (network, x) = (network(), inputs());
    let detached = network.detached().unwrap();
    assert_eq!(output(&detached, &x), output(&network, &x));
    assert!(detached.parameters().iter().all(|(_, own)| !own.track_op()));
    let single = network.to(DType::F32, &Device::Cpu).unwrap();
    let found = output(&single, &x.to_dtype(DType::F32).unwrap());
    // A few dozen operations in single precision on numbers near 1.
    assert!(apart(&found, &output(&network, &x)) < 1e-5);
    let names = |network: &Network| -> Vec<String> {
        network
            .parameters()
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    };
    // The ring's parameters are there once: it stays one operator.
    assert_eq!(names(&single), names(&network));
    assert_eq!(
        names(&single)
            .iter()
            .filter(|name| name.starts_with("ring"))
            .count(),
        2
    );
}

#[test]
fn training_mode_and_its_statistics_pass_through() {
    let (network, x) = (network(), inputs());
    let (trace, statistics) = network.trace_train(&x).unwrap();
    assert_eq!(statistics.len(), 1);
    let adapted = network.with_batch_statistics(&x).unwrap();
    assert!(apart(&output(&adapted, &x), &numbers(trace.output())) < 1e-12);
}

#[test]
fn standardised_networks_take_raw_inputs() {
    let (network, x) = (network(), inputs());
    let raw = network.standardized(&[0.5], &[0.25]).unwrap();
    let own = x.affine(0.25, 0.5).unwrap();
    assert!(apart(&output(&raw, &own), &output(&network, &x)) < 1e-12);
}

/// Margins against `min |z| / ||grad z||` with gradients by differences of the neurons, which are affine in the region.
#[test]
fn margins_are_those_of_differences() {
    let network = network().standardized(&[0.5], &[0.25]).unwrap();
    let x = inputs();
    let here = Linearization::new(&network, &x, Budget::default()).unwrap();
    let found = here
        .margins(&[Norm::L2], Method::Auto)
        .unwrap()
        .swap_remove(0)
        .radius;
    let neurons = |x: &[f64]| {
        let x = Tensor::from_slice(x, (1, 3), &Device::Cpu).unwrap();
        numbers(
            &network
                .trace(&x)
                .unwrap()
                .pre_activations()
                .unwrap()
                .unwrap(),
        )
    };
    let signs = |x: &[f64]| neurons(x).iter().map(|z| *z >= 0.0).collect::<Vec<_>>();
    for (x, margin) in x.to_vec2::<f64>().unwrap().iter().zip(found) {
        let step = margin * 0.5;
        let moved = |axis: usize, by: f64| {
            let mut moved = x.clone();
            moved[axis] += by;
            neurons(&moved)
        };
        let differences: Vec<Vec<f64>> = (0..3)
            .map(|axis| {
                let pairs = moved(axis, step).into_iter().zip(moved(axis, -step));
                pairs.map(|(a, b)| (a - b) / (2.0 * step)).collect()
            })
            .collect();
        let (mut least, mut nearest) = (f64::INFINITY, vec![]);
        for (i, z) in neurons(x).iter().enumerate() {
            let gradient: Vec<f64> = differences.iter().map(|axis| axis[i]).collect();
            let square = dot(&gradient, &gradient);
            if z.abs() / square.sqrt() < least {
                least = z.abs() / square.sqrt();
                nearest = gradient.iter().map(|g| -z * g / square).collect();
            }
        }
        // Differences over half the margin of numbers near 1.
        assert!(
            (margin - least).abs() <= 1e-9 * (1.0 + least),
            "{margin} and {least}"
        );
        // The pattern holds until the nearest boundary, and not behind it.
        let along =
            |t: f64| -> Vec<f64> { x.iter().zip(&nearest).map(|(x, v)| x + t * v).collect() };
        assert_eq!(signs(&along(0.999)), signs(x));
        assert_ne!(signs(&along(1.001)), signs(x));
    }
}

#[test]
fn gradients_and_bounds_hold() {
    let (network, x) = (network(), inputs());
    let trace = network.trace(&x).unwrap();
    let axes = Tensor::eye(3, DType::F64, &Device::Cpu)
        .unwrap()
        .unsqueeze(0)
        .unwrap();
    let pushed = trace.push(&axes, |_, _| Ok(())).unwrap();
    let outputs = Tensor::eye(2, DType::F64, &Device::Cpu)
        .unwrap()
        .unsqueeze(0)
        .unwrap();
    let pulled = trace.pull(&outputs).unwrap().transpose(1, 2).unwrap();
    assert!(apart(&numbers(&pushed), &numbers(&pulled)) < 1e-12);
    let bound = network.lipschitz_bounds().unwrap();
    let squares = numbers(&pushed.sqr().unwrap().sum(2).unwrap());
    assert!(
        squares
            .iter()
            .all(|square| square.sqrt() <= *bound.last().unwrap())
    );
}

#[test]
fn what_cannot_be_is_said_with_the_operators_name() {
    let model = Model {
        network: network(),
        normalization: None,
    };
    let error = model.to_bytes().unwrap_err();
    let Error::NoSpec { node, operator } = &error else {
        panic!("{error}")
    };
    assert_eq!(node, "ring.0");
    assert!(operator.ends_with("Ring"), "{error}");

    let ring = Ring {
        weight: Tensor::new(&[1.0, 2.0], &Device::Cpu).unwrap(),
        bias: Tensor::zeros(4, DType::F64, &Device::Cpu).unwrap(),
    };
    let mut builder = NetworkBuilder::new(&[4]).unwrap();
    builder.affine("only", Forgetful(ring), &[0]).unwrap();
    let network = builder.finish(DType::F64, &Device::Cpu).unwrap();
    let error = network
        .to(DType::F32, &Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(error.contains("`only` (forgetful)"), "{error}");
}
