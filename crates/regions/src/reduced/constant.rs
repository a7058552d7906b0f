//! What a margin says of balls: within it the gradient is constant.

use super::{answer::Bound, inverse::Largest, question::Question};
use crate::Guarantee;

/// The largest ball of which it is known that the gradient is constant in it.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use loclin_models::{Mlp, Parameters};
/// use loclin_regions::reduced::{ConstantBall, Limits, Question, one_output};
/// use loclin_regions::{Budget, Linearization, Method, Norm};
///
/// let config = Mlp { inputs: vec![2], hidden: vec![8, 8], outputs: 1, negative_slope: 0.0 };
/// let network = config.build(Parameters::seeded(3).builder(DType::F64, &Device::Cpu))?;
/// let here = Linearization::new(&network, &Tensor::new(&[[0.3, -0.2]], &Device::Cpu)?, Budget::default())?;
/// let margins = &here.margins(&[Norm::L2], Method::Auto)?[0];
/// let constant = ConstantBall { radius: margins.radius[0], guarantee: margins.guarantee };
/// let around = here.surroundings(0, Norm::L2)?;
/// let question = Question::Change { weights: one_output(1, 0), norm: Norm::L1 };
/// let centre = around.bound(0.0, &question, Limits::ROOT)?;
/// let mut bound = around.bound(constant.radius, &question, Limits::ROOT)?;
/// constant.tighten(&mut bound, &question, &centre);
/// assert_eq!((bound.found, bound.proved), (0.0, 0.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConstantBall {
    /// The margin in the norm of the balls.
    pub radius: f64,
    /// What is claimed of it.
    pub guarantee: Guarantee,
}

impl ConstantBall {
    /// Improves a bound of a ball in which the gradient is constant, given the bound of the `centre` alone. A proof of the bound's own parts
    /// then says less than the bound.
    pub fn tighten(&self, bound: &mut Bound, question: &Question, centre: &Bound) {
        let is_claimed = self.guarantee.weaker(bound.guarantee) == bound.guarantee;
        if bound.radius > self.radius || !is_claimed {
            return;
        }
        match question {
            Question::Change { .. } => (bound.found, bound.proved) = (0.0, 0.0),
            Question::Signs { .. } => {
                (bound.found, bound.proved) = (0.0, 0.0);
                bound.may_change_sign.fill(false);
            }
            question if question.is_length() => {
                bound.proved = bound.proved.min(centre.proved);
            }
            _ => {}
        }
    }

    /// Improves radii up to `most` that were found backwards, and leaves one bound for each radius. What they claim is the weaker of both
    /// guarantees.
    pub fn extend(&self, largest: &mut Largest, question: &Question, centre: &Bound, most: f64) {
        let curve = largest.curve.iter_mut();
        curve.for_each(|bound| self.tighten(bound, question, centre));
        // Within the margin the gradient is constant, and so is its order if it has one; of the class that says nothing.
        let stays = match question {
            Question::Class { .. } => false,
            Question::TopK { .. } => largest.proved > 0.0,
            _ => true,
        };
        if stays {
            largest.proved = largest.proved.max(self.radius.min(most));
        }
        largest.curve.dedup_by(|again, first| {
            let is_same = again.radius == first.radius;
            if is_same && again.found > first.found {
                first.found = again.found;
                std::mem::swap(&mut first.witness, &mut again.witness);
            }
            is_same
        });
    }
}
