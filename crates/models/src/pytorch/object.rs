//! What a pickle of tensors can hold.

/// Why a pickle cannot be read.
pub(super) type Outcome<T> = std::result::Result<T, String>;

/// The position of an object in [`Objects`].
pub(super) type Id = usize;

/// An object that a pickle made; text is borrowed from it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object<'a> {
    /// `None`, a truth value, a float: what no state dict needs to tell apart.
    Other,
    Int(i64),
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// One of the callables and classes that are known.
    Global(Global),
    /// Any other callable or class, or an object of it: its name, and nothing else.
    Foreign(&'a str, &'a str),
    Storage(Storage<'a>),
    Tensor(TensorView<'a>),
}

/// A callable or class that a state dict may name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Global {
    Dict,
    RebuildTensor,
    RebuildParameter,
    RebuildFromType,
    Storage(Number),
}

/// What a storage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Float,
    Double,
    Half,
    BFloat16,
    /// Integers and truth values of this many bytes.
    Integer(usize),
}

/// A storage: its name in the archive and how many numbers it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Storage<'a> {
    pub(super) number: Number,
    pub(super) key: &'a str,
    pub(super) count: usize,
}

/// A tensor: part of a storage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TensorView<'a> {
    pub(super) storage: Storage<'a>,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// All objects that a pickle made.
pub(super) type Objects<'a> = Vec<Object<'a>>;

/// What a name stands for: data alone, whatever the name.
pub(super) fn global<'a>(module: &'a str, name: &'a str) -> Object<'a> {
    let integer = |bytes| Global::Storage(Number::Integer(bytes));
    Object::Global(match (module, name) {
        ("collections", "OrderedDict" | "defaultdict") => Global::Dict,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            Global::RebuildParameter
        }
        ("torch._tensor", "_rebuild_from_type_v2") => Global::RebuildFromType,
        ("torch", "FloatStorage") => Global::Storage(Number::Float),
        ("torch", "DoubleStorage") => Global::Storage(Number::Double),
        ("torch", "HalfStorage") => Global::Storage(Number::Half),
        ("torch", "BFloat16Storage") => Global::Storage(Number::BFloat16),
        ("torch", "LongStorage") => integer(8),
        ("torch", "IntStorage") => integer(4),
        ("torch", "ShortStorage") => integer(2),
        ("torch", "CharStorage" | "ByteStorage" | "BoolStorage") => integer(1),
        _ => return Object::Foreign(module, name),
    })
}

impl Number {
    /// Bytes of each number.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Double => 8,
            Self::Float => 4,
            Self::Half | Self::BFloat16 => 2,
            Self::Integer(bytes) => bytes,
        }
    }
}
