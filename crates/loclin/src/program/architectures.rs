//! The architectures that are in the program.

/// Names and files; a name is what `--architecture` takes in place of a path.
pub const ARCHITECTURES: [(&str, &str); 4] = [
    ("convnet", include_str!("../../architectures/convnet.toml")),
    (
        "digit-recognizer",
        include_str!("../../architectures/digit-recognizer.toml"),
    ),
    (
        "resnet18",
        include_str!("../../architectures/resnet18.toml"),
    ),
    (
        "resnet20",
        include_str!("../../architectures/resnet20.toml"),
    ),
];

/// The text of the architecture of this name; `None` if there is none.
///
/// ```
/// assert!(loclin::program::architectures::find("resnet18").is_some());
/// ```
pub fn find(name: &str) -> Option<&'static str> {
    let mut all = ARCHITECTURES.iter();
    all.find(|(known, _)| *known == name).map(|(_, text)| *text)
}
