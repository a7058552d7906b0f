//! What a certificate of a fully connected chain (784-300-300-300-300-10, Table 1 of the paper, untrained) costs, and
//! the forward pass beside it: `cargo bench -p loclin-regions`. Times are of a batch.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to measure"
)]

use candle_core::{DType, Device, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use loclin_models::{Mlp, Module, Network, Parameters};
use loclin_regions::{Budget, Linearizer, Method, Norm, RegionCounter};
use loclin_tensor::random::{normal, stream};

const BATCH: usize = 256;
/// The plain road takes so much longer that fewer inputs do.
const PLAIN_BATCH: usize = 4;

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

fn inputs(batch: usize, dtype: DType) -> Tensor {
    normal(&mut stream(0, &[1]), (batch, 784), dtype, &Device::Cpu).expect("a valid shape")
}

fn certificates(criterion: &mut Criterion) {
    for dtype in [DType::F32, DType::F64] {
        let network = network(dtype);
        let linearizer = Linearizer::new(&network, Budget::default()).expect("a network");
        let (x, narrow) = (inputs(BATCH, DType::F64), inputs(BATCH, dtype));
        let here = linearizer.at(&x).expect("finite inputs");
        let mut group = criterion.benchmark_group(dtype.as_str());
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function("forward", |b| b.iter(|| network.forward(&narrow)));
        group.bench_function("linearize", |b| b.iter(|| linearizer.at(&x)));
        for norm in [Norm::L1, Norm::L2, Norm::LINF] {
            let name = format!("margins/l{norm}");
            group.bench_function(name, |b| b.iter(|| here.margins(&[norm], Method::Auto)));
        }
        group.bench_function("count regions", |b| {
            b.iter(|| {
                let tolerance = RegionCounter::default_tolerance(dtype);
                RegionCounter::new(tolerance).add(&here)
            });
        });
        let few = linearizer.at(&inputs(PLAIN_BATCH, DType::F64));
        let few = few.expect("finite inputs");
        group.throughput(Throughput::Elements(PLAIN_BATCH as u64));
        group.sample_size(10);
        group.bench_function("few/margins by all gradients, l2", |b| {
            b.iter(|| few.margins(&[Norm::L2], Method::All));
        });
        group.bench_function("few/axes", |b| b.iter(|| few.axis_margins()));
        group.bench_function("few/axes by all gradients", |b| {
            b.iter(|| few.axis_margins_by_all());
        });
    }
}

criterion_group!(benches, certificates);
criterion_main!(benches);
