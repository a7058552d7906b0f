//! ONNX's `RNN` against its equation, step by step.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with it")]

#[path = "support/onnx_reader.rs"]
mod onnx_reader;
#[path = "support/onnx_writer.rs"]
mod onnx_writer;
#[path = "support/outputs.rs"]
mod outputs;

use onnx_reader::{read, refusal};
use onnx_writer::{
    attribute_floats, attribute_int, attribute_ints, attribute_text, bytes, doubles, int, ints,
    model, node,
};
use outputs::values;
use proptest::prelude::*;

const STEPS: usize = 4;
const INPUTS: usize = 2;
const HIDDEN: usize = 3;

/// Numbers that look random, from -2 to 2 in eighths.
fn drawn(count: usize, seed: u64) -> Vec<f64> {
    let number = |i: usize| {
        let bits = (seed + 1 + i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        (bits % 33) as f64 / 8.0 - 2.0
    };
    (0..count).map(number).collect()
}

/// A recurrence and how a file says it.
#[derive(Debug, Clone)]
struct Case {
    direction: &'static str,
    batch_first: bool,
    biases: bool,
    /// The state before the first step, a constant or 0.
    initial: bool,
    slope: f32,
    seed: u64,
}

impl Case {
    fn count(&self) -> usize {
        if self.direction == "bidirectional" {
            2
        } else {
            1
        }
    }

    fn weights(&self) -> [Vec<f64>; 4] {
        let n = self.count();
        let sizes = [HIDDEN * INPUTS, HIDDEN * HIDDEN, 2 * HIDDEN, HIDDEN].map(|size| n * size);
        [0, 1, 2, 3].map(|i| drawn(sizes[i], self.seed + 1000 * i as u64))
    }

    /// The model whose output is `output` of the node: all states, or the last ones.
    fn model(&self, output: usize) -> Vec<u8> {
        let [w, r, b, h] = self.weights();
        let n = self.count() as i64;
        let (inputs, hidden) = (INPUTS as i64, HIDDEN as i64);
        let initial = if self.batch_first {
            [1, n, hidden]
        } else {
            [n, 1, hidden]
        };
        let initializers = [
            doubles("w", &[n, hidden, inputs], &w),
            doubles("r", &[n, hidden, hidden], &r),
            doubles("b", &[n, 2 * hidden], &b),
            doubles("h", &initial, &h),
        ];
        let x = if self.batch_first { "x" } else { "steps first" };
        let b = if self.biases { "b" } else { "" };
        let h = if self.initial { "h" } else { "" };
        let activations: Vec<u8> = (0..n).flat_map(|_| bytes(9, b"LeakyRelu")).collect();
        let attributes = [
            attribute_text("direction", self.direction),
            attribute_int("layout", i64::from(self.batch_first)),
            attribute_int("hidden_size", hidden),
            attribute_floats("activation_alpha", &vec![self.slope; self.count()]),
            [bytes(1, b"activations"), activations, int(20, 8)].concat(),
        ];
        let names = [["y", ""], ["", "y"]][output];
        let transposed = node(
            "Transpose",
            &["x"],
            "steps first",
            &[attribute_ints("perm", &[1, 0, 2])],
        );
        let recurrence = node("RNN", &[x, "w", "r", b, "", h], names[0], &attributes);
        let recurrence = [recurrence, bytes(2, names[1].as_bytes())].concat();
        model(
            &[1, STEPS as i64, inputs],
            &[transposed, recurrence],
            &initializers,
        )
    }

    /// `[step][direction]`, each a state, and the last of each direction.
    fn states(&self, x: &[f64]) -> (Vec<Vec<Vec<f64>>>, Vec<Vec<f64>>) {
        let [w, r, b, h] = self.weights();
        let mut all = vec![Vec::new(); STEPS];
        let mut last = Vec::new();
        for d in 0..self.count() {
            let backwards = self.direction == "reverse" || d == 1;
            let mut state = match self.initial {
                true => h[d * HIDDEN..][..HIDDEN].to_vec(),
                false => vec![0.0; HIDDEN],
            };
            for step in 0..STEPS {
                let t = if backwards { STEPS - 1 - step } else { step };
                let unit = |i: usize| {
                    let mut z = 0.0;
                    if self.biases {
                        z += b[2 * d * HIDDEN + i] + b[(2 * d + 1) * HIDDEN + i];
                    }
                    z += (0..INPUTS)
                        .map(|j| w[(d * HIDDEN + i) * INPUTS + j] * x[t * INPUTS + j])
                        .sum::<f64>();
                    z += (0..HIDDEN)
                        .map(|j| r[(d * HIDDEN + i) * HIDDEN + j] * state[j])
                        .sum::<f64>();
                    if z < 0.0 {
                        f64::from(self.slope) * z
                    } else {
                        z
                    }
                };
                state = (0..HIDDEN).map(unit).collect();
                all[t].push(state.clone());
            }
            last.push(state);
        }
        (all, last)
    }
}

fn case() -> impl Strategy<Value = Case> {
    let direction = prop::sample::select(vec!["forward", "reverse", "bidirectional"]);
    let slope = prop::sample::select(vec![0.0_f32, 0.25, 1.0]);
    (direction, any::<[bool; 3]>(), slope, 0_u64..1 << 20).prop_map(
        |(direction, [batch_first, biases, initial], slope, seed)| Case {
            direction,
            batch_first,
            biases,
            initial,
            slope,
            seed,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn states_are_those_of_the_equation(case in case(), at in 0_u64..1 << 20) {
        let x = drawn(STEPS * INPUTS, at + 5000);
        let (all, last) = case.states(&x);
        for (output, expected) in [(0, all.concat().concat()), (1, last.concat())] {
            let found = values(&read(&case.model(output)), &x);
            prop_assert_eq!(found.len(), expected.len());
            for (a, b) in found.iter().zip(&expected) {
                prop_assert!((a - b).abs() <= 1e-9 * (1.0 + b.abs()), "{:?}, expected {:?}", found, expected);
            }
        }
    }
}

/// What the exporter of PyTorch writes of a recurrence whose last state is read is recognised as one.
#[test]
fn the_last_state_is_that_of_a_recurrence() {
    let case = Case {
        direction: "forward",
        batch_first: false,
        biases: true,
        initial: false,
        slope: 0.0,
        seed: 7,
    };
    let network = read(&case.model(1));
    let recurrence = network.structure().recurrence().unwrap();
    assert_eq!(recurrence.steps, STEPS);
    assert_eq!(recurrence.input.dims(), [HIDDEN, INPUTS]);
}

#[test]
fn other_recurrences_are_refused_with_the_reason() {
    let initializers = [
        doubles("w", &[1, 1, 2], &[1.0, 2.0]),
        doubles("r", &[1, 1, 1], &[0.5]),
        ints("lengths", &[2]),
        ints("none", &[]),
        ints("many", &[3, 3, 3]),
        doubles("wide", &[1, 1, 5], &[1.0; 5]),
        doubles("zeros", &[3, 1, 1], &[0.0; 3]),
        doubles("flat", &[1], &[1.0]),
    ];
    let of = |inputs: &[&str], attributes: &[Vec<u8>]| {
        let steps = [bytes(1, b"activations"), bytes(9, b"Relu"), int(20, 8)].concat();
        let attributes = [&[attribute_int("layout", 1), steps][..], attributes].concat();
        refusal(&model(
            &[1, 3, 2],
            &[node("RNN", inputs, "y", &attributes)],
            &initializers,
        ))
    };
    for (name, needle) in [
        ("lengths", "takes sequences shorter than 3"),
        ("none", "has 0 lengths for 1 sequences"),
        ("many", "has 3 lengths for 1 sequences"),
    ] {
        let found = of(&["x", "w", "r", "", name], &[]);
        assert!(found.contains(needle), "{found}");
    }
    for (name, shape) in [
        ("wide", "[1, 1, 5]"),
        ("zeros", "[3, 1, 1]"),
        ("flat", "[1]"),
    ] {
        let found = of(&["x", "w", "r", "", "", name], &[]);
        let needle = format!("an initial state of shape {shape}, expected [1, 1, 1]");
        assert!(found.contains(&needle), "{found}");
    }
    let sizes = of(&["x", "r", "w"], &[]);
    assert!(
        sizes.contains("weights and biases of [[1, 1, 1], [1, 1, 2]]"),
        "{sizes}"
    );
    let tanh = refusal(&model(
        &[1, 3, 2],
        &[node(
            "RNN",
            &["x", "w", "r"],
            "y",
            &[attribute_int("layout", 1)],
        )],
        &initializers,
    ));
    assert!(tanh.contains("has the activation Tanh"), "{tanh}");
}

/// Each step is nodes of the network, however small the file is.
#[test]
fn more_steps_than_a_file_of_its_size_may_have_are_refused() {
    let constants = [
        doubles("w", &[1, 1, 1], &[1.0]),
        doubles("r", &[1, 1, 1], &[1.0]),
    ];
    let attributes = [
        attribute_int("hidden_size", 1),
        attribute_int("layout", 1),
        [bytes(1, b"activations"), bytes(9, b"Relu"), int(20, 8)].concat(),
    ];
    let of = |steps: i64| {
        let recurrence = node("RNN", &["x", "w", "r"], "", &attributes);
        let recurrence = [recurrence, bytes(2, b"y")].concat();
        model(&[1, steps, 1], &[recurrence], &constants)
    };
    assert_eq!(values(&read(&of(3)), &[1.0, -2.0, 3.0]), [3.0]);
    let message = refusal(&of(1_000_000));
    assert!(
        message.contains("takes 1000000 steps, too many"),
        "{message}"
    );
}
