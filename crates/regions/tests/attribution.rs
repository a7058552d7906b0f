//! Exact integrated gradients on networks that nobody here made. The files are not part of the repository; where they
//! are absent the tests say so and pass.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod foreign;

use foreign::{load, shared};
use roll_models::Module;
use roll_regions::{
    Budget,
    attribution::{
        Rule, completeness_error, integrated_gradients, integrated_gradients_by_quadrature,
    },
    segment::Walk,
};

/// From 0 to each input, the predicted class: the sum of the parts is the whole, to rounding.
fn adds_up(folder: &str, name: &str, limit: usize) {
    let Some(shared) = shared() else { return };
    let (network, inputs) = load(&shared, folder, name, limit);
    let predicted = network.forward(&inputs).unwrap().argmax(1).unwrap();
    let predicted = predicted.to_vec1::<u32>().unwrap();
    let (mut exact, mut coarse, mut regions) = (0.0f64, 0.0f64, 0);
    for (index, output) in predicted.into_iter().enumerate() {
        let x = inputs.get(index).unwrap();
        let baseline = x.zeros_like().unwrap();
        let found = integrated_gradients(&network, &baseline, &x, output, Walk::default()).unwrap();
        // Some thousand pieces, each known to some roundings of its ends; 1e-9 is what is promised.
        let error = found.completeness_error();
        assert!(error < 1e-9, "{name}, input {index}: {error:e}");
        let rule = (50, Rule::Right);
        let budget = Budget::default();
        let values =
            integrated_gradients_by_quadrature(&network, &baseline, &x, output, rule, budget);
        coarse = coarse.max(completeness_error(&values.unwrap(), found.difference));
        exact = exact.max(error);
        regions += found.pieces.len();
    }
    let count = inputs.dim(0).unwrap();
    eprintln!(
        "{name}: {count} inputs, {} regions on average, largest completeness error {exact:.1e}, by 50 steps {coarse:.1e}",
        regions / count
    );
}

const NETWORKS: [(&str, &str); 7] = [
    ("acasxu", "ACASXU_run2a_1_1_batch_2000"),
    ("acasxu", "ACASXU_run2a_2_4_batch_2000"),
    ("acasxu", "ACASXU_run2a_5_3_batch_2000"),
    ("mnistfc", "mnist-net_256x2"),
    ("verivital", "Convnet_avgpool"),
    ("verivital", "Convnet_maxpool"),
    ("cifar10_resnet", "resnet_2b"),
];

#[test]
fn integrated_gradients_add_up_on_foreign_networks() {
    for (folder, name) in &NETWORKS[..5] {
        adds_up(folder, name, 1);
    }
}

/// `cargo test --workspace --test attribution -- --ignored --nocapture` prints what
/// `docs/results/attribution.md` shows.
#[test]
#[ignore = "takes minutes"]
fn integrated_gradients_add_up_on_twenty_inputs_of_each() {
    for (folder, name) in NETWORKS {
        adds_up(folder, name, 20);
    }
}
