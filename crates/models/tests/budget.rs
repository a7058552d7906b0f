//! Networks that would need too many numbers are refused before any is computed, and networks of many nodes take time
//! in proportion to their number.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loclin_models::architectures::GraphSpec;
use loclin_models::operators::{OperatorSpec, Window2d};
use loclin_models::{Error, INPUT, Mlp, Module, Network, Parameters, Result};
use std::time::{Duration, Instant};

/// A network of one operator of that name.
fn of_one(input: &[usize], operator: OperatorSpec) -> Result<Network> {
    let mut graph = GraphSpec::new(input);
    graph.add("wide", operator, &[INPUT]);
    graph.add("flat", OperatorSpec::Flatten, &["wide"]);
    let vars = VarBuilder::zeros(DType::F32, &Device::Cpu);
    graph.finish().build(vars)
}

#[test]
fn outputs_and_windows_of_a_hundred_million_numbers_are_refused() {
    let begin = Instant::now();
    let pad = |pad: usize| OperatorSpec::Pad {
        before: vec![0, 0, pad],
        after: vec![0, 0, 0],
        value: 0.0,
    };
    let window = |kernel, padding| OperatorSpec::MaxPool2d {
        window: Window2d::square(kernel, 1, padding),
    };
    let activation = |count: u32| OperatorSpec::Activation {
        breakpoints: (0..count).map(f64::from).collect(),
        slopes: (0..=count).map(f64::from).collect(),
        anchor: 0.0,
    };
    for (input, operator) in [
        (&[1, 1, 1][..], pad(100_000_000)),
        (&[1, 3000, 3000], window(4, 0)),
        (&[1, 1000, 1000], activation(250)),
    ] {
        let error = of_one(input, operator.clone()).unwrap_err();
        let said = error.to_string();
        let budget = matches!(error, Error::Budget { found, allowed, .. } if found > allowed);
        assert!(budget, "{said}");
        assert!(
            said.contains("node `wide`") && said.contains("at most"),
            "{said}"
        );
    }
    // Means over windows that all see all entries.
    let mean = OperatorSpec::AvgPool2d {
        window: Window2d {
            kernel: [1, 50_000],
            stride: [1, 1],
            padding: [[0, 0], [25_000, 25_000]],
            dilation: [1, 1],
        },
        count_padding: true,
    };
    let said = of_one(&[1, 1, 50_000], mean).unwrap_err().to_string();
    assert!(said.contains("node `wide`"), "{said}");
    // Many nodes, none of which is too large.
    let mut graph = GraphSpec::new(&[1 << 26]);
    let mut last = INPUT.to_owned();
    for i in 0..4 {
        last = graph.add(format!("relu{i}"), OperatorSpec::relu(), &[&last]);
    }
    let vars = VarBuilder::zeros(DType::F32, &Device::Cpu);
    let said = graph.finish().build(vars).unwrap_err().to_string();
    assert!(
        said.contains("node `relu3`") && said.contains("together"),
        "{said}"
    );
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn widths_that_no_memory_holds_are_errors() {
    for width in [100_000_000_000, 1 << 62, usize::MAX] {
        for (inputs, hidden, outputs) in [
            (vec![3], vec![width], 2),
            (vec![3], vec![4], width),
            (vec![width, width], vec![4], 2),
            (vec![width], vec![4], 2),
        ] {
            let config = Mlp {
                inputs,
                hidden,
                outputs,
                negative_slope: 0.0,
            };
            let vars = Parameters::seeded(0).builder(DType::F32, &Device::Cpu);
            assert!(config.build(vars).is_err(), "{config:?}");
        }
    }
    // Each width is possible, the matrix between them is not.
    let config = Mlp {
        inputs: vec![1 << 20],
        hidden: vec![1 << 20],
        outputs: 2,
        negative_slope: 0.0,
    };
    let vars = Parameters::seeded(0).builder(DType::F32, &Device::Cpu);
    let said = config.build(vars).unwrap_err().to_string();
    assert!(said.contains("no memory"), "{said}");
}

#[test]
fn twenty_thousand_nodes_take_time_in_proportion() {
    let begin = Instant::now();
    let mut graph = GraphSpec::new(&[2]);
    let mut last = INPUT.to_owned();
    for i in 0..10_000 {
        let shift = OperatorSpec::Standardize {
            mean: vec![1e-3],
            std: vec![1.0],
        };
        last = graph.add(format!("shift{i}"), shift, &[&last]);
        last = graph.add(format!("relu{i}"), OperatorSpec::relu(), &[&last]);
    }
    let vars = VarBuilder::zeros(DType::F64, &Device::Cpu);
    let network = graph.finish().build(vars).unwrap().detached().unwrap();
    let x = Tensor::new(&[[50.0, 60.0]], &Device::Cpu).unwrap();
    assert_eq!(network.forward(&x).unwrap().dims(), [1, 2]);
    let trace = network.trace(&x).unwrap();
    let ranges = trace.neuron_ranges().unwrap();
    let mut seen = 0;
    let axes = Tensor::new(&[[[1.0, 0.0], [0.0, 1.0]]], &Device::Cpu).unwrap();
    trace
        .push(&axes, |node, _| {
            assert_eq!(ranges[seen].node, node);
            seen += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, 10_000);
    // A pull that is looked at on its way, and one of all nodes at once.
    let mut looks = 0;
    let all = trace.pull_neurons_while(20_000, &axes, &mut |reached| {
        looks += reached.len();
        Ok(None)
    });
    assert_eq!(
        (all.unwrap().unwrap().dims(), looks),
        (&[1, 2, 2][..], 19_999)
    );
    let of_each = ranges.iter().map(|range| (range.node, axes.clone()));
    assert_eq!(trace.pull_all_neurons(of_each).unwrap().dims(), [1, 2, 2]);
    // Quadratic time would be minutes; the machine may be busy.
    assert!(
        begin.elapsed() < Duration::from_secs(30),
        "{:?}",
        begin.elapsed()
    );
}
