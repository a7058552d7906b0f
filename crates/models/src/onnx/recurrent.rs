//! `RNN` with piecewise-linear activations, as the steps that it stands for.

use super::{
    constant::Constant,
    message::Node,
    translator::Translator,
    value::{Dynamic, Value},
};
use crate::{error::Result, operators::Activation, sparse_rows::SparseRows, spec::OperatorSpec};

/// The nodes of a step, in multiplications of constants: there are 2^15 steps in a file of any size.
const STEP: usize = 1 << 10;

/// What one direction computes with.
struct Direction {
    backwards: bool,
    /// `[hidden, inputs]` and `[hidden, hidden]`.
    weights: [Constant; 2],
    /// Of the weights; `None` where the node has none.
    biases: Option<[Constant; 2]>,
    /// `None` where nothing bends.
    activation: Option<Activation>,
}

/// The states `h_t = f(W x_t + R h_(t-1) + b)` of each direction, and the last ones.
pub(super) fn rnn<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
    let operand = t.dynamic(node, 0)?;
    let batch_first = node.int("layout", 0) != 0;
    let [first, second, inputs] = operand.full[..] else {
        let found = &operand.full;
        return Err(node.error(format!(
            "takes sequences of three dimensions, found {found:?}"
        )));
    };
    let (steps, batch, at) = match batch_first {
        true => (second, first, 0),
        false => (first, second, 1),
    };
    let x = match operand.batch {
        Some(found) if found == at => operand,
        _ => t.mixed(node, &operand)?,
    };
    if x.batch.is_none() && batch != 1 {
        return Err(node.error(format!(
            "takes {batch} sequences that are all of one input; export it with one sequence"
        )));
    }
    let directions = directions(t, node, inputs)?;
    let hidden = directions[0].weights[1].shape[0];
    if let Some(lengths) = t.optional_constant(node, 4)? {
        let lengths = node.check(lengths.to_ints())?;
        if lengths.len() != batch {
            let found = lengths.len();
            return Err(node.error(format!("has {found} lengths for {batch} sequences")));
        }
        if lengths.iter().any(|n| *n != steps as i64) {
            return Err(node.error(format!(
                "takes sequences shorter than {steps}, which is not read"
            )));
        }
    }
    let count = directions.len();
    let ends = match batch_first {
        true => [batch, count, hidden],
        false => [count, batch, hidden],
    };
    let rows = t.reshaped(node, x.node, &[steps, inputs])?;
    // Step by step, the states of each direction.
    let mut states = vec![Vec::new(); steps];
    let mut last = Vec::new();
    for (index, direction) in directions.iter().enumerate() {
        let initial = initial(t, node, &ends, index, x.batch)?;
        let made = run(t, node, direction, steps, (rows, initial))?;
        last.extend(made.last());
        let in_time: Box<dyn Iterator<Item = usize>> = match direction.backwards {
            true => Box::new(made.into_iter().rev()),
            false => Box::new(made.into_iter()),
        };
        states
            .iter_mut()
            .zip(in_time)
            .for_each(|(all, state)| all.push(state));
    }
    let states = states.concat();
    let shared = x.batch;
    let [all, last_of_all] = match batch_first {
        true => [(vec![batch, steps, count, hidden], 0), (ends.to_vec(), 0)],
        false => [(vec![steps, count, batch, hidden], 2), (ends.to_vec(), 1)],
    };
    let [all, ends] = [all, last_of_all].map(|(full, at)| (full, shared.map(|_| at)));
    for (output, (nodes, (full, batch))) in [(states, all), (last, ends)].into_iter().enumerate() {
        if node
            .outputs
            .get(output)
            .is_some_and(|name| !name.is_empty())
        {
            let made = side_by_side(t, node, &nodes, hidden)?;
            let made = t.seen_as(node, &made, full, batch)?;
            t.set(node, output, Value::Dynamic(made))?;
        }
    }
    Ok(())
}

/// Vectors one after the other.
fn side_by_side<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    vectors: &[usize],
    length: usize,
) -> Result<Dynamic> {
    let made = match vectors {
        [one] => *one,
        _ => t.add(
            node,
            ".states",
            &OperatorSpec::Concat { axis: 0 },
            &[],
            vectors,
        )?,
    };
    Ok(Dynamic {
        node: made,
        full: vec![vectors.len() * length],
        batch: None,
        integer: false,
    })
}

/// The parameters of each direction.
fn directions<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    inputs: usize,
) -> Result<Vec<Direction>> {
    let backwards: &[bool] = match &node.text("direction", "forward")[..] {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => return Err(node.error(format!("direction `{other}`"))),
    };
    let count = backwards.len();
    let weights = [t.constant(node, 1)?, t.constant(node, 2)?];
    let biases = t.optional_constant(node, 3)?;
    let hidden = weights[1].shape.get(1).copied().unwrap_or(0);
    let wanted = [vec![count, hidden, inputs], vec![count, hidden, hidden]];
    let stated = node.int("hidden_size", hidden as i64);
    let fits = biases
        .as_ref()
        .is_none_or(|b| b.shape == [count, 2 * hidden]);
    if weights.iter().map(|w| &w.shape).ne(&wanted)
        || !fits
        || hidden == 0
        || stated != hidden as i64
    {
        let found: Vec<_> = weights.iter().chain(&biases).map(|c| &c.shape).collect();
        return Err(node.error(format!(
            "weights and biases of {found:?} for {count} directions, {inputs} inputs and {stated} hidden units"
        )));
    }
    let activations = activations(node, count)?;
    let mut found = Vec::new();
    for (index, (backwards, activation)) in backwards.iter().zip(activations).enumerate() {
        let mut part = |whole: &Constant, shape: &[usize], from: usize| -> Result<Constant> {
            let size: usize = shape.iter().product();
            t.spend(node, size)?;
            let flat = whole.reshape(vec![whole.len()]);
            let rows = SparseRows::copies(flat.len(), (from..from + size).map(Some));
            Ok(node.check(flat.resample(0, &rows))?.reshape(shape.to_vec()))
        };
        let [input, recurrent] = &weights;
        let weights = [
            part(input, &[hidden, inputs], index * hidden * inputs)?,
            part(recurrent, &[hidden, hidden], index * hidden * hidden)?,
        ];
        let biases = match &biases {
            Some(both) => Some([
                part(both, &[hidden], 2 * index * hidden)?,
                part(both, &[hidden], (2 * index + 1) * hidden)?,
            ]),
            None => None,
        };
        found.push(Direction {
            backwards: *backwards,
            weights,
            biases,
            activation,
        });
    }
    Ok(found)
}

/// The activation of each direction: `Tanh` where the node says nothing.
fn activations(node: &Node<'_>, count: usize) -> Result<Vec<Option<Activation>>> {
    if node.attribute("clip").is_some() {
        return Err(node.error("clips before its activation, which is not read"));
    }
    let names = node.attribute("activations").map_or(&[][..], |a| &a.texts);
    // Those that have parameters take them in their order.
    let mut alphas = node
        .attribute("activation_alpha")
        .map_or(&[][..], |a| &a.floats)
        .iter();
    (0..count)
        .map(|index| {
            let name = names.get(index).copied().unwrap_or(b"Tanh");
            let name = String::from_utf8_lossy(name);
            match &name.to_ascii_lowercase()[..] {
                "relu" => Ok(Some(Activation::relu())),
                // Nothing changes at 0.
                "leakyrelu" => match alphas.next().copied().unwrap_or(f64::from(0.01_f32)) {
                    1.0 => Ok(None),
                    alpha => Ok(Some(Activation::leaky_relu(alpha)?)),
                },
                _ => Err(node.error(format!(
                    "has the activation {name}, and Relu and LeakyRelu are read; with another, the gradient is constant \
                     nowhere"
                ))),
            }
        })
        .collect()
}

/// The state before the first step; `None` where it is 0.
fn initial<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    shape: &[usize; 3],
    direction: usize,
    batch: Option<usize>,
) -> Result<Option<usize>> {
    if node.optional_input(5).is_none() {
        return Ok(None);
    }
    let value = t.value(node, 5)?;
    let found = t.shape(node, &value)?;
    if found != shape {
        return Err(node.error(format!(
            "an initial state of shape {found:?}, expected {shape:?}"
        )));
    }
    let hidden = shape[2];
    let state = match value {
        Value::Constant(constant) if constant.as_floats().iter().all(|v| *v == 0.0) => {
            return Ok(None);
        }
        Value::Constant(constant) => t.lifted(node, &constant, batch)?,
        Value::Dynamic(state) if state.batch == batch => state,
        Value::Dynamic(state) => t.unbatched(node, &state)?,
        _ => return Err(node.error("begins with the result of a comparison: not continuous")),
    };
    let flat: usize = state.own().iter().product();
    let first = direction * hidden;
    let node_of_all = t.reshaped(node, state.node, &[flat])?;
    let spec = OperatorSpec::Slice {
        axis: 0,
        start: first,
        length: hidden,
    };
    t.add(node, ".initial", &spec, &[], &[node_of_all])
        .map(Some)
}

/// The states of one direction, in the order in which they are computed.
fn run<'a>(
    t: &mut Translator<'a>,
    node: &Node<'a>,
    direction: &Direction,
    steps: usize,
    (rows, initial): (usize, Option<usize>),
) -> Result<Vec<usize>> {
    let [w, r] = &direction.weights;
    // Each where it is added: their sum alone would say less of what an evaluation rounds.
    let [bias, fed_bias] = match &direction.biases {
        Some(both) => both.each_ref().map(Some),
        None => [None, None],
    };
    let is_something = |bias: &&Constant| bias.as_floats().iter().any(|number| *number != 0.0);
    let [bias, fed_bias] = [bias, fed_bias].map(|bias| bias.filter(is_something));
    let hidden = r.shape[0];
    let mut linear = |weight: &Constant, bias: Option<&Constant>| -> Result<_> {
        let (outputs, inputs) = (weight.shape[0], weight.shape[1]);
        let mut parameters = vec![("weight", t.parameter(node, weight, false)?)];
        if let Some(bias) = bias {
            parameters.push(("bias", t.parameter(node, bias, false)?));
        }
        let spec = OperatorSpec::Linear {
            inputs,
            outputs,
            bias: bias.is_some(),
        };
        t.operator(node, &spec, &parameters)
    };
    let (encoder, recurrent) = (linear(w, bias)?, linear(r, fed_bias)?);
    let mut states: Vec<usize> = Vec::new();
    let mut state = initial;
    t.spend_work(node, steps.saturating_mul(STEP))
        .map_err(|_| {
            node.error(format!(
                "takes {steps} steps, too many for a file of this size"
            ))
        })?;
    for step in 0..steps {
        let index = match direction.backwards {
            true => steps - 1 - step,
            false => step,
        };
        let spec = OperatorSpec::Select { axis: 0, index };
        let entry = t.add(node, ".step", &spec, &[], &[rows])?;
        let mut z = t.place(node, ".input", encoder.clone(), &[entry])?;
        match (state, fed_bias) {
            (Some(state), _) => {
                let fed = t.place(node, ".recurrent", recurrent.clone(), &[state])?;
                z = t.add(node, ".sum", &OperatorSpec::Add, &[], &[z, fed])?;
            }
            // Of a state of 0 the bias is left.
            (None, Some(bias)) => {
                let shift = ("shift", t.parameter(node, bias, false)?);
                let spec = OperatorSpec::Translate {
                    shape: vec![hidden],
                };
                z = t.add(node, ".bias", &spec, &[shift], &[z])?;
            }
            (None, None) => {}
        }
        let value = Dynamic {
            node: z,
            full: vec![hidden],
            batch: None,
            integer: false,
        };
        if let Some(activation) = &direction.activation {
            z = t.activated(node, ".state", &value, activation)?.node;
        }
        state = Some(z);
        states.push(z);
    }
    Ok(states)
}
