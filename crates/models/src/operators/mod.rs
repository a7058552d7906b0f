//! The operators: one file each. The one list of them is [`OperatorSpec`].

mod activation;
mod add;
mod avg_pool2d;
mod batch_norm;
mod build;
mod candle_convolution;
mod concat;
mod conv2d;
mod divide;
mod flatten;
mod global_avg_pool;
mod layout;
mod linear;
mod max_pool2d;
mod maxima;
mod maxout;
mod pad;
mod prelu;
mod resample;
mod reshape;
mod scale;
mod select;
mod selection;
mod shifted;
mod slice;
mod spectral;
mod standardize;
mod translate;
mod transpose;

pub use crate::{
    sparse_rows::SparseRows,
    spec::{Conv2dConfig, OperatorSpec},
    window::Window2d,
};
pub use activation::Activation;
pub use add::Add;
pub use avg_pool2d::AvgPool2d;
pub use batch_norm::BatchNorm;
pub use concat::Concat;
pub use conv2d::Conv2d;
pub use divide::Divide;
pub use flatten::Flatten;
pub use global_avg_pool::GlobalAvgPool;
pub use linear::Linear;
pub use max_pool2d::MaxPool2d;
pub use maxout::Maxout;
pub use pad::Pad;
pub use prelu::Prelu;
pub use resample::Resample;
pub use reshape::Reshape;
pub use scale::Scale;
pub use select::Select;
pub(crate) use shifted::Shifted;
pub use slice::Slice;
pub use standardize::Standardize;
pub use translate::Translate;
pub use transpose::Transpose;
