//! Interval bounds of the gradients of one output over a ball, layer by layer.

use crate::Result;
use candle_core::Tensor;
use loclin_models::FcChain;
use loclin_tensor::TwoPieces;

/// Ends of intervals, of one shape.
struct Intervals {
    low: Tensor,
    high: Tensor,
}

/// The widths of intervals that hold every number of the gradient of each input's output, anywhere in the l_inf ball of `radius` around
/// it: `[B, D]` for inputs `[B, D]` and the outputs as rows `[B, L]` of the identity.
///
/// Intervals of the neurons' values go up from the ball, from them come intervals of the slopes, and with these intervals of the gradient
/// come down from the output. The former decide which units have two slopes, and are constants; the latter are differentiable.
pub(crate) fn gradient_widths(
    chain: &FcChain,
    inputs: &Tensor,
    outputs: &Tensor,
    radius: f64,
) -> Result<Tensor> {
    let slopes = slopes(chain, inputs, radius)?;
    let (mut centre, mut reach) = match &chain.head {
        Some((weight, _)) => (outputs.matmul(weight)?, None),
        None => (outputs.clone(), None),
    };
    for (slopes, weight) in slopes.iter().zip(&chain.weights).rev() {
        let ends = ends(&centre, reach.as_ref())?;
        let own = product(&ends, slopes)?;
        let middle = ((&own.low + &own.high)? * 0.5)?;
        let half = ((&own.high - &own.low)? * 0.5)?;
        centre = middle.matmul(weight)?;
        reach = Some(half.matmul(&weight.abs()?)?);
    }
    match reach {
        Some(reach) => Ok((reach * (2.0 * chain.scale.abs()))?),
        None => Ok(centre.zeros_like()?),
    }
}

/// The slopes that each layer's units can have in the ball, constants.
fn slopes(chain: &FcChain, inputs: &Tensor, radius: f64) -> Result<Vec<Intervals>> {
    let mut centre = inputs.detach().affine(chain.scale, chain.shift)?;
    let mut reach = centre
        .ones_like()?
        .affine(0.0, radius * chain.scale.abs())?;
    let mut found = Vec::new();
    let layers = chain
        .weights
        .iter()
        .zip(&chain.biases)
        .zip(&chain.activations);
    for ((weight, bias), activation) in layers {
        let weight = weight.detach().t()?;
        let mut z = centre.matmul(&weight)?;
        if let Some(bias) = bias {
            z = z.broadcast_add(&bias.detach())?;
        }
        let around = reach.matmul(&weight.abs()?)?;
        let z = Intervals {
            low: (&z - &around)?,
            high: (&z + &around)?,
        };
        let own = |z: &Tensor| activation.choose(z, activation.slopes[0], activation.slopes[1]);
        let (below, above) = (own(&z.low)?, own(&z.high)?);
        found.push(Intervals {
            low: below.minimum(&above)?,
            high: below.maximum(&above)?,
        });
        let values = values(&z, *activation)?;
        centre = ((&values.low + &values.high)? * 0.5)?;
        reach = ((values.high - values.low)? * 0.5)?;
    }
    Ok(found)
}

/// The values of an activation on intervals: at their ends and, if it is within, at the breakpoint.
fn values(z: &Intervals, activation: TwoPieces) -> Result<Intervals> {
    let breakpoint = Tensor::full(activation.breakpoint, z.low.shape(), z.low.device())?;
    let within = breakpoint
        .to_dtype(z.low.dtype())?
        .maximum(&z.low)?
        .minimum(&z.high)?;
    let [low, middle, high] = [
        activation.apply(&z.low)?,
        activation.apply(&within)?,
        activation.apply(&z.high)?,
    ];
    Ok(Intervals {
        low: low.minimum(&middle)?.minimum(&high)?,
        high: low.maximum(&middle)?.maximum(&high)?,
    })
}

/// The interval around a centre.
fn ends(centre: &Tensor, reach: Option<&Tensor>) -> Result<Intervals> {
    Ok(match reach {
        Some(reach) => Intervals {
            low: (centre - reach)?,
            high: (centre + reach)?,
        },
        None => Intervals {
            low: centre.clone(),
            high: centre.clone(),
        },
    })
}

/// All products of a number of one interval and one of the other.
fn product(one: &Intervals, other: &Intervals) -> Result<Intervals> {
    let low = [(&one.low * &other.low)?, (&one.low * &other.high)?];
    let high = [(&one.high * &other.low)?, (&one.high * &other.high)?];
    Ok(Intervals {
        low: low[0]
            .minimum(&low[1])?
            .minimum(&high[0].minimum(&high[1])?)?,
        high: low[0]
            .maximum(&low[1])?
            .maximum(&high[0].maximum(&high[1])?)?,
    })
}
