//! Files of PyTorch that hold code's objects and not tensors alone, and the lines of Python that make one that is read.

use crate::error::Error;

/// What stands in a path of keys for the only item of a list.
pub(super) const FIRST: &str = "";

/// Inputs for an export.
const INPUTS: &str = "(torch.zeros(1, 3, 224, 224),)";

/// A whole pickled module, or whatever object is there in the place of a state dict.
pub(super) fn object(path: &[&str], module: &str, name: &str) -> Error {
    let from = format!(
        "torch.load(\"model.pth\", weights_only=False){}",
        keys(path)
    );
    let what = format!(
        "the file holds an object of the Python class {}.{}, which is code and is not executed",
        shown(module),
        shown(name)
    );
    let export = format!("{from}.eval(), {INPUTS}, \"model.onnx\"");
    refuse(&what, &format!("{from}.state_dict()"), &export)
}

/// An archive that is known by the names of its parts: TorchScript, or an exported program.
pub(super) fn archive(names: &[String]) -> Option<Error> {
    let has = |part: &str| names.iter().any(|name| name.ends_with(part));
    if has("/constants.pkl") || names.iter().any(|name| name.contains("/code/")) {
        let what = "a TorchScript archive, whose graph is code and is not executed";
        let model = "torch.jit.load(\"model.pth\")";
        let export = format!("{model}.eval(), {INPUTS}, \"model.onnx\", dynamo=False");
        return Some(refuse(what, &format!("{model}.state_dict()"), &export));
    }
    let exported = [
        "/archive_format",
        "serialized_exported_program.json",
        "models/model.json",
    ];
    exported.iter().any(|part| has(part)).then(|| {
        let what = "an archive of torch.export, whose graph is code and is not executed";
        let program = "torch.export.load(\"model.pt2\")";
        let export = format!("{program}, {INPUTS}, \"model.onnx\"");
        refuse(what, &format!("{program}.state_dict"), &export)
    })
}

/// Keys as Python writes them.
pub(super) fn keys(path: &[&str]) -> String {
    path.iter()
        .map(|key| {
            if *key == FIRST {
                return "[0]".to_string();
            }
            let key: String = key
                .chars()
                .take(60)
                .flat_map(char::escape_default)
                .collect();
            format!("[\"{key}\"]")
        })
        .collect()
}

/// What is wrong, and the two ways out.
fn refuse(what: &str, state_dict: &str, export: &str) -> Error {
    Error::Unreadable(format!(
        "{what}. Either of these lines of Python makes a file that is read, the second with the shape of the inputs:\n  \
         torch.save({state_dict}, \"state_dict.pth\")\n  torch.onnx.export({export})"
    ))
}

/// A name without what could steer a terminal, and not too long.
fn shown(name: &str) -> String {
    name.chars()
        .take(60)
        .flat_map(char::escape_default)
        .collect()
}
