//! What the terms of a step of training cost, value and gradients, on the network of Table 1 of the paper
//! (784-300-300-300-300-10, untrained) and a batch of 64: `cargo bench -p loclin-objectives`.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to measure"
)]

use candle_core::{DType, Device, Tensor};
use candle_nn::loss::cross_entropy;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use loclin_models::{Mlp, Module, Network, Parameters, Trace};
use loclin_objectives::{
    Gamma, Probes, RollConfig, SampledConfig, relaxed, roll, sampled, squared_gradient_norms,
};
use loclin_tensor::random::{normal, stream};

const BATCH: usize = 64;
const C: f64 = 0.25;

fn network(dtype: DType) -> Network {
    let config = Mlp {
        inputs: vec![784],
        hidden: vec![300; 4],
        outputs: 10,
        negative_slope: 0.0,
    };
    let parameters = Parameters::seeded(0);
    let network = config.build(parameters.builder(dtype, &Device::Cpu));
    network.expect("a valid configuration")
}

fn gradients(loss: loclin_objectives::Result<Tensor>) -> candle_core::backprop::GradStore {
    let loss = loss.expect("a valid objective");
    loss.backward().expect("a differentiable objective")
}

fn steps(criterion: &mut Criterion) {
    for dtype in [DType::F32, DType::F64] {
        let network = network(dtype);
        let x = normal(&mut stream(0, &[1]), (BATCH, 784), dtype, &Device::Cpu);
        let x = x.expect("a valid shape");
        let labels: Vec<u32> = (0..BATCH as u32).map(|i| i % 10).collect();
        let labels = Tensor::new(labels, &Device::Cpu).expect("a valid shape");
        let trace = network.trace(&x).expect("finite inputs");
        let mut group = criterion.benchmark_group(dtype.as_str());
        group.bench_function("forward", |b| b.iter(|| network.forward(&x)));
        group.bench_function("trace", |b| b.iter(|| network.trace(&x)));
        group.bench_function("task loss", |b| {
            b.iter(|| {
                let loss = network.forward(&x).and_then(|y| cross_entropy(&y, &labels));
                gradients(loss.map_err(Into::into))
            });
        });
        let mut regulariser =
            |name: &str, of: &dyn Fn(&Trace) -> loclin_objectives::Result<Tensor>| {
                let id = BenchmarkId::new("regulariser", name);
                group.bench_function(id, |b| b.iter(|| gradients(of(&trace))));
            };
        for gamma in [Gamma::Percent(100.0), Gamma::Percent(50.0)] {
            let name = format!("exact, gamma {gamma}");
            regulariser(&name, &|trace| roll(trace, RollConfig { c: C, gamma }));
        }
        regulariser("exact, largest neuron", &|trace| relaxed(trace, C));
        regulariser("all squared norms", &|trace| {
            Ok(squared_gradient_norms(trace)?.mean_all()?)
        });
        for (name, probes) in [
            ("a sign direction for each input", Probes::Signs(1)),
            ("3 axes", Probes::Axes(3)),
        ] {
            regulariser(name, &|trace| {
                sampled(trace, SampledConfig { c: C, probes }, &mut stream(0, &[2]))
            });
        }
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
