//! From a specification to an operator: the one place that lists them.

use super::{
    activation::Activation, add::Add, avg_pool2d::AvgPool2d, batch_norm::BatchNorm, concat::Concat,
    conv2d::Conv2d, divide::Divide, flatten::Flatten, global_avg_pool::GlobalAvgPool,
    linear::Linear, max_pool2d::MaxPool2d, maxout::Maxout, pad::Pad, prelu::Prelu,
    resample::Resample, reshape::Reshape, scale::Scale, select::Select, slice::Slice,
    standardize::Standardize, translate::Translate, transpose::Transpose,
};
use crate::{
    error::{Error, Result},
    operator::{Affine, Operator, PiecewiseLinear},
    spec::OperatorSpec,
};
use candle_nn::VarBuilder;
use std::sync::Arc;

impl OperatorSpec {
    /// Builds the operator, its parameters taken from (or initialised by) `vars`.
    ///
    /// # Errors
    /// Hyper-parameters that no operator can have ([`Error::Config`]); parameters that `vars` lacks or has in another
    /// shape; and [`OperatorSpec::SameAs`], which means something within a network only.
    pub fn build(&self, vars: VarBuilder) -> Result<Operator> {
        let (dtype, device) = (vars.dtype(), vars.device().clone());
        Ok(match self {
            Self::Activation {
                breakpoints,
                slopes,
                anchor,
            } => piecewise_linear(Activation::new(breakpoints, slopes, *anchor)?),
            Self::Add => affine(Add),
            Self::AvgPool2d {
                window,
                count_padding,
            } => affine(AvgPool2d::new(window.clone(), *count_padding)?),
            Self::BatchNorm { channels, eps } => affine(BatchNorm::new(*channels, *eps, vars)?),
            Self::Concat { axis } => affine(Concat::new(*axis)),
            Self::Conv2d(config) => affine(Conv2d::new(config.clone(), vars)?),
            Self::Flatten => affine(Flatten),
            Self::GlobalAvgPool => affine(GlobalAvgPool),
            Self::Linear {
                inputs,
                outputs,
                bias,
            } => affine(Linear::new(*inputs, *outputs, *bias, vars)?),
            Self::MaxPool2d { window } => piecewise_linear(MaxPool2d::new(window.clone())?),
            Self::Maxout { pieces } => piecewise_linear(Maxout::new(*pieces)?),
            Self::Pad {
                before,
                after,
                value,
            } => affine(Pad::new(before, after, *value, dtype, &device)?),
            Self::Prelu { channels } => piecewise_linear(Prelu::new(*channels, vars)?),
            Self::Resample { axis, rows } => affine(Resample::new(*axis, rows.clone())?),
            Self::Reshape { shape } => affine(Reshape::new(shape)),
            Self::Divide { shape } => affine(Divide::new(shape, vars)?),
            Self::Scale { shape } => affine(Scale::new(shape, vars)?),
            Self::Select { axis, index } => affine(Select::new(*axis, *index)),
            Self::Slice {
                axis,
                start,
                length,
            } => affine(Slice::new(*axis, *start, *length)),
            Self::Standardize { mean, std } => affine(Standardize::new(mean, std, dtype, &device)?),
            Self::Translate { shape } => affine(Translate::new(shape, vars)?),
            Self::Transpose { permutation } => affine(Transpose::new(permutation)?),
            Self::SameAs { node } => {
                return Err(Error::Graph(format!(
                    "the operator of node `{node}` can be named again only within a network"
                )));
            }
        })
    }
}

fn affine(operator: impl Affine + 'static) -> Operator {
    Operator::Affine(Arc::new(operator))
}

fn piecewise_linear(operator: impl PiecewiseLinear + 'static) -> Operator {
    Operator::PiecewiseLinear(Arc::new(operator))
}
