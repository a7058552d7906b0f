//! What can go wrong with a network or its file.

use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error names the thing, the cause and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor computation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),

    /// An operator cannot take inputs of these shapes.
    #[error("node `{node}` ({operator}): {cause}", node = one_line(.node))]
    Node {
        /// Name of the node.
        node: String,
        /// Kind of its operator.
        operator: &'static str,
        /// What is wrong with it.
        cause: String,
    },

    /// A node would need more numbers for one input than are computed for any.
    #[error(
        "node `{node}`: {what} would be {found} numbers for one input, at most {allowed} are allowed"
    )]
    Budget {
        /// Name of the node.
        node: String,
        /// Which numbers.
        what: &'static str,
        /// How many there would be.
        found: usize,
        /// The most that there may be.
        allowed: usize,
    },

    /// A network has an operator that no model file can hold.
    #[error(
        "node `{node}`: a model file cannot hold the operator {operator}, which has no specification",
        node = one_line(.node)
    )]
    NoSpec {
        /// Name of the node.
        node: String,
        /// Kind of its operator.
        operator: &'static str,
    },

    /// The graph of nodes is not well formed.
    #[error("the network's graph is not well formed: {0}")]
    Graph(String),

    /// A hyper-parameter is out of range.
    #[error("{field}: {cause}")]
    Config {
        /// The hyper-parameter.
        field: &'static str,
        /// The value found and the values allowed.
        cause: String,
    },

    /// An input batch does not fit the network.
    #[error("the network takes inputs of shape [batch{}], found {found:?}", .expected.iter().map(|d| format!(", {d}")).collect::<String>())]
    InputShape {
        /// Shape of one input.
        expected: Vec<usize>,
        /// Shape of the batch.
        found: Vec<usize>,
    },

    /// Tangents or cotangents do not fit the network or the trace.
    #[error("{what} must have shape {expected}, found {found:?}")]
    TangentShape {
        /// Which argument.
        what: &'static str,
        /// The shape it must have.
        expected: String,
        /// The shape it has.
        found: Vec<usize>,
    },

    /// A model file cannot be read.
    #[error("{path}: {cause}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what was expected.
        cause: String,
    },

    /// The bytes are not one of our model files.
    #[error("not a model file of this library: {0}")]
    Format(String),

    /// The bytes are not a file of the format that they were read as.
    #[error("not a well-formed {format} file: {cause}")]
    Malformed {
        /// The format.
        format: &'static str,
        /// What is wrong with them.
        cause: String,
    },

    /// A well-formed file from elsewhere that cannot be read as it is.
    #[error("{0}")]
    Unreadable(String),

    /// A network from elsewhere uses an operator that has no translation.
    #[error(
        "node `{node}`: the operator {op_type} is not supported; docs/onnx.md lists those that are, and --output NAME asks for a value before it", node = one_line(.node)
    )]
    UnsupportedOperator {
        /// Name of the node in the file.
        node: String,
        /// Its operator, with the domain if that is not the standard one.
        op_type: String,
    },

    /// A node of a network from elsewhere has no exact translation.
    #[error("node `{node}` ({op_type}): {cause}", node = one_line(.node))]
    Translation {
        /// Name of the node in the file.
        node: String,
        /// Its operator.
        op_type: String,
        /// What is wrong with it, and what was expected.
        cause: String,
    },

    /// A tensor of a state dict does not fit the architecture.
    #[error("tensor `{name}`: {cause}", name = one_line(.name))]
    StateDict {
        /// The tensor.
        name: String,
        /// What is wrong with it, and what was expected.
        cause: String,
    },

    /// The tensors of a state dict are not those of the architecture.
    #[error("{}", differences(.missing, .left_over, .there))]
    TensorNames {
        /// Tensors that the architecture has and the file has not.
        missing: Vec<String>,
        /// Tensors that the file has and the architecture has not.
        left_over: Vec<String>,
        /// All tensors of the file.
        there: Vec<String>,
    },

    /// A parameter is not finite.
    #[error("parameter `{name}` holds a value that is not finite ({value})", name = one_line(.name))]
    NotFinite {
        /// Full name of the parameter.
        name: String,
        /// The first such value.
        value: f64,
    },
}

/// A name from a file with its control characters escaped, so that it cannot end the message's line or steer a terminal.
fn one_line(name: &str) -> String {
    let escaped = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    name.chars().map(escaped).collect()
}

/// How many names a message lists of each kind.
const LISTED: usize = 12;

fn differences(missing: &[String], left_over: &[String], there: &[String]) -> String {
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("the state dict lacks {}", listed(missing)));
    }
    if !left_over.is_empty() {
        let listed = listed(left_over);
        parts.push(format!("the architecture has no parameter for {listed}"));
    }
    if missing.iter().any(|name| name.ends_with("bias")) {
        let where_said = "in a description of kind `fc` or in its layer in `sequential`";
        parts.push(format!(
            "a layer without a bias says `bias = false`, {where_said}"
        ));
    }
    if !missing.is_empty() {
        parts.push(format!("the file has {}", listed(there)));
    }
    parts.join("; ")
}

/// The first names, each shortened, and how many more there are.
pub(crate) fn listed(names: &[String]) -> String {
    let shown = names.iter().take(LISTED).map(|name| {
        let name: String = name.chars().take(80).collect();
        format!("`{}`", one_line(&name))
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 if names.is_empty() => "no tensor".into(),
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
