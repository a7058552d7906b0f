//! Reading a file: the list of operators that are translated, and the walk along the nodes that applies it.

use super::{
    activations, arithmetic, batches, blocks,
    body::{first_twice, label, malformed, order, refused},
    calls::Call,
    constant::Constant,
    contraction, convolution,
    frames::Frame,
    fused,
    interface::{Input, Options, below_heads, input, output},
    largest, linear,
    message::{self, Function, Node},
    moves, padding, picks, pooling, recurrent, reduce, refusals, resize, scatter, select,
    sequences, sorting,
    translator::{Place, Translator},
    value::{Dynamic, Value},
};
use crate::{
    error::{Error, Result},
    file::Model,
};
use std::{collections::HashMap, rc::Rc};

/// Graphs and functions within one another.
const MAX_FRAMES: usize = 24;

/// Translates one node.
type Rule = for<'a> fn(&mut Translator<'a>, &Node<'a>) -> Result<()>;

/// Operators that read integers as numbers.
const CONVERT: &[&str] = &["Cast", "CastLike", "ai.onnx.ml.Scaler"];

/// Operators that choose among numbers if they choose the nearest.
const SAMPLE: &[&str] = &["Resize", "Upsample"];

/// Operators that choose among numbers, and so are the same for integers.
const CHOOSE: &[&str] = &[
    "CenterCropPad",
    "Clip",
    "Compress",
    "Concat",
    "ConcatFromSequence",
    "DepthToSpace",
    "Dropout",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "GlobalMaxPool",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "Less",
    "LessOrEqual",
    "Max",
    "MaxPool",
    "Min",
    "Not",
    "Pad",
    "ReduceMax",
    "ReduceMin",
    "Relu",
    "Reshape",
    "ReverseSequence",
    "Scatter",
    "ScatterElements",
    "ScatterND",
    "Shape",
    "Size",
    "SequenceAt",
    "SequenceConstruct",
    "SequenceLength",
    "Slice",
    "SpaceToDepth",
    "Split",
    "SplitToSequence",
    "Squeeze",
    "Tile",
    "TopK",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
];

/// The operators and how each is translated; in alphabetical order.
const RULES: &[(&str, Rule)] = &[
    ("Abs", activations::abs),
    ("Add", arithmetic::add),
    ("And", select::both),
    ("AveragePool", pooling::average_pool),
    ("BatchNormalization", arithmetic::batch_normalization),
    ("Cast", arithmetic::cast),
    ("CastLike", arithmetic::cast),
    ("CenterCropPad", padding::center_crop_pad),
    ("Clip", activations::clip),
    ("Col2Im", scatter::columns_to_image),
    ("Compress", picks::compress),
    ("Concat", moves::concat),
    ("ConcatFromSequence", sequences::concatenated),
    ("Constant", moves::constant),
    ("Conv", convolution::conv),
    ("ConvTranspose", convolution::conv_transpose),
    ("CumSum", reduce::cum_sum),
    ("DepthToSpace", blocks::depth_to_space),
    ("Div", arithmetic::div),
    ("Dropout", moves::dropout),
    ("Einsum", contraction::einsum),
    ("Equal", select::equal),
    ("Expand", picks::expand),
    ("Flatten", moves::flatten),
    ("Gather", picks::gather),
    ("GatherElements", picks::gather_elements),
    ("GatherND", picks::gather_nd),
    ("Gemm", linear::gemm),
    ("GlobalAveragePool", reduce::global_pool),
    ("GlobalLpPool", reduce::global_pool),
    ("GlobalMaxPool", reduce::global_pool),
    ("Greater", select::compare),
    ("GreaterOrEqual", select::compare),
    ("HardSigmoid", activations::hard_sigmoid),
    ("Identity", moves::identity),
    ("IsInf", select::is_no_number),
    ("IsNaN", select::is_no_number),
    ("LeakyRelu", activations::leaky_relu),
    ("Less", select::compare),
    ("LessOrEqual", select::compare),
    ("LpPool", pooling::lp_pool),
    ("MatMul", linear::mat_mul),
    ("Max", largest::max_of_all),
    ("MaxPool", pooling::max_pool),
    ("Mean", arithmetic::sum_of_all),
    ("Min", largest::max_of_all),
    ("Mul", select::mul),
    ("Neg", arithmetic::neg),
    ("Not", select::not),
    ("Or", select::both),
    ("PRelu", activations::p_relu),
    ("Pad", padding::pad),
    ("Pow", arithmetic::pow),
    ("RNN", recurrent::rnn),
    ("ReduceL1", reduce::reduce),
    ("ReduceMax", reduce::reduce),
    ("ReduceMean", reduce::reduce),
    ("ReduceMin", reduce::reduce),
    ("ReduceSum", reduce::reduce),
    ("Relu", activations::relu),
    ("Reshape", moves::reshape),
    ("Resize", resize::resize),
    ("ReverseSequence", picks::reverse_sequence),
    ("Scatter", scatter::scatter_elements),
    ("ScatterElements", scatter::scatter_elements),
    ("ScatterND", scatter::scatter_nd),
    ("SequenceAt", sequences::at),
    ("SequenceConstruct", sequences::construct),
    ("SequenceLength", sequences::length),
    ("Shape", moves::shape),
    ("Shrink", activations::shrink),
    ("Size", moves::size_of),
    ("Slice", picks::slice),
    ("SpaceToDepth", blocks::space_to_depth),
    ("Split", picks::split),
    ("SplitToSequence", sequences::split_to_sequence),
    ("Squeeze", moves::squeeze),
    ("Sub", select::sub),
    ("Sum", arithmetic::sum_of_all),
    ("ThresholdedRelu", activations::thresholded_relu),
    ("Tile", picks::tile),
    ("TopK", sorting::top_k),
    ("Transpose", moves::transpose),
    ("Trilu", reduce::trilu),
    ("Unsqueeze", moves::unsqueeze),
    ("Upsample", resize::resize),
    ("Where", select::choose),
    ("ai.onnx.ml.ArrayFeatureExtractor", picks::extract),
    ("ai.onnx.ml.Imputer", moves::imputer),
    ("ai.onnx.ml.LinearRegressor", linear::regressor),
    ("ai.onnx.ml.Scaler", arithmetic::scaler),
];

/// What was read from a file.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The network.
    pub model: Model,
    /// The value of the graph that is the network's output.
    pub output: String,
    /// Operators behind it that were left out, the last one first: they make probabilities or labels of scores.
    pub left_out: Vec<String>,
    /// The type of the graph's input, such as `uint8`, where it holds whole numbers alone.
    pub integers: Option<&'static str>,
}

/// The network in the bytes of an ONNX file.
pub(super) fn read(bytes: &[u8], options: &Options, place: &Place<'_>) -> Result<Loaded> {
    let mut model = message::model(bytes).map_err(malformed)?;
    if model.opset < 7 {
        return Err(refused(format!(
            "version {} of the standard operators; 7 and later are supported",
            model.opset
        )));
    }
    let graph = &model.graph;
    if let Some(twice) = first_twice(graph.initializers.iter().map(|t| t.name)) {
        return Err(malformed(format!(
            "two initialisers have the name `{twice}`"
        )));
    }
    let input = input(graph, options)?;
    let wanted = output(graph, options)?;
    let (output, removed) = match options.output {
        // What is asked for by name is what is given.
        Some(_) if graph.outputs.iter().all(|output| output.name != wanted) => (wanted, Vec::new()),
        _ => below_heads(&graph.nodes, wanted),
    };
    if let (Some(head), true) = (removed.first(), output == input.name) {
        return Err(refused(format!(
            "is nothing but {head} of its input `{output}`, which is not piecewise linear"
        )));
    }
    let functions = std::mem::take(&mut model.functions);
    let functions: HashMap<_, _> = functions
        .iter()
        .map(|f| ((f.domain, f.name, f.overload), f))
        .collect();
    let graph = std::mem::take(&mut model.graph);
    let frame = Frame::new(graph.nodes, graph.initializers);
    let walk = Walk {
        functions: &functions,
        opset: model.opset,
        place,
        nodes_left: bytes.len() / 2 + 2_000,
    };
    let first = walk.network(frame.copy(), &input, output);
    let network = match (first, input.batch.map(|batch| input.full[batch])) {
        // Where no batch is, all is one input.
        (Err(by_input), Some(n)) if n > 1 => {
            let whole = input.as_one();
            let as_one = walk.network(frame.copy(), &whole, output);
            as_one.map_err(|as_one| refusals::of_both(by_input, as_one, n))?
        }
        (first, _) => first?,
    };
    if input.open {
        batches::kept_apart(&network, &input, |input| {
            walk.network(frame.copy(), input, output)
        })?;
    }
    Ok(Loaded {
        model: Model {
            network,
            normalization: None,
        },
        output: output.into(),
        left_out: removed.into_iter().map(Into::into).collect(),
        integers: input.element.filter(|_| input.integers).map(|of| of.name()),
    })
}

/// What a walk along the nodes needs to know of the file.
#[derive(Clone)]
struct Walk<'f, 'a> {
    functions: &'f HashMap<(&'a str, &'a str, &'a str), &'f Function<'a>>,
    opset: i64,
    place: &'f Place<'f>,
    /// How many more nodes may be translated: functions and subgraphs may repeat themselves.
    nodes_left: usize,
}

impl<'a> Walk<'_, 'a> {
    fn network(
        &self,
        mut frame: Frame<'a>,
        input: &Input<'a>,
        output: &'a str,
    ) -> Result<crate::Network> {
        let value = Dynamic {
            node: 0,
            full: input.full.clone(),
            batch: input.batch,
            integer: input.integers,
        };
        let mut t = Translator::new(self.opset, input, self.place);
        let batch = t.batch;
        frame.values.insert(input.name, Value::Dynamic(value));
        let found = self.clone().body(&mut t, frame, &[output]).and_then(|own| {
            let all = own.into_iter().map(|value| t.needed(value, output));
            all.collect::<Result<Vec<_>>>()
        });
        let found = found.map_err(|error| t.cause_of(error))?;
        match &found[..] {
            [Value::Dynamic(value)] if batch > 1 && input.open && value.batch.is_none() => Err(
                refused(format!("the output `{output}` {}", refusals::MIXES_OPEN)),
            ),
            [Value::Dynamic(value)] if batch > 1 && !input.open && value.batch != Some(0) => {
                Err(refused(format!(
                    "the output `{output}` does not begin with the batch of {batch} that the file fixes"
                )))
            }
            [Value::Dynamic(value)] => t.finish(value, output),
            [Value::Greater(_)] => Err(refused(format!(
                "the output `{output}` is the result of a comparison and {}",
                refusals::JUMPS
            ))),
            [Value::Sequence(_)] => Err(refused(format!(
                "the output `{output}` is a sequence; ask for a value before it (--output NAME)"
            ))),
            _ => Err(refused(format!(
                "the output `{output}` does not depend on the input, or is no number"
            ))),
        }
    }

    /// The values of the outputs of a graph or function.
    fn body(
        &mut self,
        t: &mut Translator<'a>,
        mut frame: Frame<'a>,
        outputs: &[&'a str],
    ) -> Result<Vec<Value>> {
        if t.frames.len() >= MAX_FRAMES {
            return Err(malformed("graphs and functions are nested too deeply"));
        }
        let left = self.nodes_left.checked_sub(frame.nodes.len());
        self.nodes_left = left.ok_or_else(|| malformed("functions repeat too many nodes"))?;
        let nodes = frame.nodes.clone();
        let order = {
            let outside = if frame.isolated { &[] } else { t.visible() };
            let known = |name: &str| frame.knows(name) || outside.iter().any(|f| f.knows(name));
            order(&nodes, outputs, &known)?
        };
        frame.expect(&order, outputs)?;
        t.frames.push(frame);
        for index in order {
            let node = &nodes[index];
            if let Err(error) = self.node(t, node) {
                t.fail(node, error);
            }
        }
        // An output that cannot be had may be one that nobody reads.
        let output = |name: &&'a str| t.named(name).unwrap_or_else(|error| t.failed(error));
        let found = outputs.iter().map(output).collect();
        t.frames.pop();
        Ok(found)
    }

    fn node(&mut self, t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
        if t.frames.last().is_some_and(|frame| frame.is_absorbed(node)) {
            return Ok(());
        }
        if let Some(open) = node.attributes.iter().find(|a| !a.reference.is_empty()) {
            return Err(node.error(format!(
                "its attribute `{}` is `{}` of the call of a function, and no call gives it",
                open.name, open.reference
            )));
        }
        let standard = message::is_standard(node.domain);
        let domain = if standard { "" } else { node.domain };
        let mut function = self
            .functions
            .get(&(node.domain, node.op_type, node.overload));
        if standard && function.is_none() {
            function = self
                .functions
                .get(&("ai.onnx", node.op_type, node.overload));
        }
        if let Some(function) = function {
            return self.call(t, node, function);
        }
        if let Some(function) = fused::function(t, node)? {
            return self.call(t, node, &function);
        }
        if standard && node.op_type == "If" {
            return self.branch(t, node);
        }
        if standard && node.op_type == "Loop" {
            return self.repeat(t, node);
        }
        let name = match domain {
            "" => node.op_type.to_string(),
            domain => format!("{domain}.{}", node.op_type),
        };
        let inputs = match standard {
            true => constants(t, node)?,
            false => None,
        };
        if let Some(inputs) = &inputs
            && let Some(constant) = t.computed(node, inputs)?
        {
            return t.set(node, 0, Value::Constant(constant));
        }
        let rule = RULES.binary_search_by(|(op_type, _)| (*op_type).cmp(&name[..]));
        match rule {
            Ok(index) => self.apply(t, node, RULES[index]),
            Err(_) => Err(match refusals::why(&name) {
                Some(_) if inputs.is_some() => node.error(
                    "has constant inputs and is not computed here: fold constants when exporting",
                ),
                Some(cause) => node.error(cause),
                None => Error::UnsupportedOperator {
                    node: label(node).into(),
                    op_type: name,
                },
            }),
        }
    }

    /// A node by its rule. Of integers only what chooses among numbers is read, and gives integers; the rest would wrap or cut off.
    fn apply(
        &self,
        t: &mut Translator<'a>,
        node: &Node<'a>,
        (name, rule): (&str, Rule),
    ) -> Result<()> {
        let is_integer = |value: Result<Value>| value.is_ok_and(|value| value.is_integer());
        // Numbers of the node that make no operator.
        let rule = |t: &mut Translator<'a>, node: &Node<'a>| {
            rule(t, node).map_err(|error| match error {
                Error::Config { .. } => node.error(error.to_string()),
                error => error,
            })
        };
        let named = (0..node.inputs.len()).filter(|index| !node.inputs[*index].is_empty());
        let integers = named.map(|index| t.value(node, index)).any(is_integer);
        if !integers || CONVERT.contains(&name) {
            return rule(t, node);
        }
        let nearest = SAMPLE.contains(&name) && node.text("mode", "nearest") == "nearest";
        let reduces = node.text("reduction", "none") != "none";
        if reduces || !CHOOSE.contains(&name) && !nearest {
            return Err(node.error(
                "computes with integers, which wrap and are cut off: cast the input to floating point before",
            ));
        }
        rule(t, node)?;
        t.mark_integers(node);
        Ok(())
    }

    /// The branch of an `If` whose condition does not depend on the input.
    fn branch(&mut self, t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
        let Value::Constant(condition) = t.value(node, 0)? else {
            return Err(node.error("branches by a number that depends on the input"));
        };
        let name = match holds(&condition) {
            true => "then_branch",
            false => "else_branch",
        };
        // It is read anew wherever a function holds it.
        let size = node.attribute(name).and_then(|branch| branch.graph);
        t.spend_work(node, size.map_or(0, <[u8]>::len))?;
        let graph = subgraph(node, name)?;
        let outputs: Vec<&str> = graph.outputs.iter().map(|output| output.name).collect();
        let frame = inside(t, node, graph);
        let found = self.body(t, frame, &outputs)?;
        for (index, value) in found.into_iter().enumerate() {
            t.set(node, index, value)?;
        }
        Ok(())
    }

    /// The turns of a `Loop`, one after the other, where their number does not depend on the input.
    fn repeat(&mut self, t: &mut Translator<'a>, node: &Node<'a>) -> Result<()> {
        let most = t.optional_constant(node, 0)?;
        let most = match most {
            Some(most) => node.check(most.to_ints())?.first().copied(),
            None => None,
        };
        let mut goes_on = match t.optional_constant(node, 1)? {
            Some(condition) => holds(&condition),
            None => true,
        };
        let carried = 2..node.inputs.len().max(2);
        let mut values = carried
            .map(|index| t.value(node, index))
            .collect::<Result<Vec<_>>>()?;
        let count = values.len();
        let mut scanned: Vec<Vec<Value>> = Vec::new();
        let mut turn = 0_i64;
        while goes_on && most.is_none_or(|most| turn < most) {
            // A turn costs something also where its body is empty.
            let left = self.nodes_left.checked_sub(1);
            self.nodes_left = left.ok_or_else(|| malformed("loops repeat too many nodes"))?;
            let size = node.attribute("body").and_then(|body| body.graph);
            t.spend_work(node, size.map_or(0, <[u8]>::len))?;
            let graph = subgraph(node, "body")?;
            let inputs: Vec<&str> = graph.inputs.iter().map(|input| input.name).collect();
            let outputs: Vec<&str> = graph.outputs.iter().map(|output| output.name).collect();
            if inputs.len() != count + 2 || outputs.len() < count + 1 {
                return Err(node.error(format!(
                    "{count} values go round, and its body has {} inputs and {} outputs",
                    inputs.len(),
                    outputs.len()
                )));
            }
            // A node may leave out the last of its outputs.
            scanned.resize(outputs.len() - count - 1, Vec::new());
            let mut frame = inside(t, node, graph);
            let first = [
                Value::Constant(Constant::ints(vec![], vec![turn])),
                Value::Constant(Constant::ints(vec![], vec![1])),
            ];
            let given = first.into_iter().chain(values);
            frame.values.extend(inputs.into_iter().zip(given));
            let mut found = self.body(t, frame, &outputs)?.into_iter();
            let condition = found.next().map(|own| t.needed(own, outputs[0]));
            goes_on = match condition.transpose()? {
                Some(Value::Constant(condition)) => holds(&condition),
                _ => {
                    return Err(node.error(
                        "goes on or ends by a number that depends on the input: not continuous",
                    ));
                }
            };
            let names = outputs.iter().skip(1);
            values = (found.by_ref().take(count).zip(names))
                .map(|(own, name)| t.needed(own, name))
                .collect::<Result<_>>()?;
            for (all, value) in scanned.iter_mut().zip(found) {
                if matches!(value, Value::Failed(_)) {
                    all.push(value);
                    continue;
                }
                let one = [&[1], &t.shape(node, &value)?[..]].concat();
                all.push(match value {
                    Value::Dynamic(own) => {
                        let batch = own.batch.map(|batch| batch + 1);
                        Value::Dynamic(t.seen_as(node, &own, one, batch)?)
                    }
                    other => t.reshape(node, &other, one)?,
                });
            }
            turn += 1;
        }
        for (index, value) in values.into_iter().enumerate() {
            t.set(node, index, value)?;
        }
        // Without a turn nothing was made of any of them.
        scanned.resize(node.outputs.len().saturating_sub(count), Vec::new());
        for (index, values) in scanned.into_iter().enumerate() {
            let name = node.outputs.get(count + index).copied().unwrap_or_default();
            let failed = values
                .iter()
                .find(|value| matches!(value, Value::Failed(_)));
            let is_dynamic = values
                .iter()
                .any(|value| matches!(value, Value::Dynamic(_)));
            match (failed, name) {
                (_, "") => {}
                (Some(failed), _) => t.set(node, count + index, failed.clone())?,
                (None, _) if is_dynamic => {
                    let made = moves::joined(t, node, &values, 0)?;
                    t.set(node, count + index, Value::Dynamic(made))?;
                }
                (None, _) => {
                    let error = match values.is_empty() {
                        true => "gives what all turns made, and makes none",
                        false => "gives constants of all turns, which are not read",
                    };
                    t.fail_outputs(&[name], node.error(error));
                }
            }
        }
        Ok(())
    }

    /// A call of a function that the model defines.
    fn call(
        &mut self,
        t: &mut Translator<'a>,
        node: &Node<'a>,
        function: &Function<'a>,
    ) -> Result<()> {
        let call = Call::new(node, function);
        let nodes = function.nodes.iter().map(|inner| call.applied(inner));
        let mut frame = Frame::new(nodes.collect(), Vec::new()).named(t.frames.last(), label(node));
        frame.call = Some(Rc::new(call));
        frame.isolated = true;
        for (index, name) in function.inputs.iter().enumerate() {
            if node.optional_input(index).is_some() {
                frame.values.insert(name, t.value(node, index)?);
            }
        }
        let wanted = node.outputs.len().min(function.outputs.len());
        let found = self.body(t, frame, &function.outputs[..wanted])?;
        for (index, value) in found.into_iter().enumerate() {
            t.set(node, index, value)?;
        }
        Ok(())
    }
}

/// A graph that is an attribute of a node.
fn subgraph<'a>(node: &Node<'a>, name: &str) -> Result<message::Graph<'a>> {
    let bytes = node.attribute(name).and_then(|a| a.graph);
    let bytes = bytes.ok_or_else(|| node.error(format!("lacks its {name}")))?;
    message::graph(bytes).map_err(malformed)
}

/// A frame for such a graph within the present one.
fn inside<'a>(t: &Translator<'a>, node: &Node<'a>, graph: message::Graph<'a>) -> Frame<'a> {
    let call = t.frames.last().and_then(|frame| frame.call.clone());
    let nodes = match &call {
        Some(call) => graph.nodes.iter().map(|n| call.applied(n)).collect(),
        None => graph.nodes,
    };
    let mut frame = Frame::new(nodes, graph.initializers).named(t.frames.last(), label(node));
    frame.call = call;
    frame
}

/// Whether a condition is true.
fn holds(condition: &Constant) -> bool {
    condition.as_floats().first().is_some_and(|c| *c != 0.0)
}

/// The inputs of a node, if there are some and all are constant.
fn constants<'a>(t: &mut Translator<'a>, node: &Node<'a>) -> Result<Option<Vec<Option<Constant>>>> {
    if node.inputs.is_empty() || node.op_type == "Constant" {
        return Ok(None);
    }
    let mut inputs = Vec::new();
    for index in 0..node.inputs.len() {
        inputs.push(match node.optional_input(index) {
            None => None,
            Some(_) => match t.value(node, index)? {
                Value::Constant(constant) => Some(constant),
                _ => return Ok(None),
            },
        });
    }
    Ok(Some(inputs))
}

/// The operators that have a rule, in alphabetical order.
pub(super) fn supported() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(op_type, _)| *op_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As they are searched by halves.
    #[test]
    fn rules_are_in_alphabetical_order() {
        assert!(RULES.is_sorted_by(|(a, _), (b, _)| a < b));
    }
}
