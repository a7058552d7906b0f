//! What no search can find: a bound of the distortion.

use std::time::Duration;

use candle_core::{DType, Tensor};
use loclin_models::Network;
use loclin_regions::reduced::{Limits, Question, one_output};
use loclin_regions::{Budget, Domain, Guarantee, Linearizer, Norm};

/// How many evaluations of a search are worth a direction that a bound has to push.
const SHARE: usize = 4;

/// Bounds of the distortion, or why there are none.
pub(super) struct Prover {
    linearizer: Result<Linearizer, String>,
    domain: Option<Domain>,
    eps: f64,
    limits: Limits,
}

impl Prover {
    /// For l-infinity balls of radius `eps`; `evaluations` are what the searches take, of which a bound is to be a small part.
    /// `seconds` may be branched for.
    pub(super) fn new(
        network: &Network,
        domain: Option<&Domain>,
        eps: f64,
        (seconds, evaluations): (f64, usize),
    ) -> Self {
        let inputs = network.input_size();
        let linearizer = match network.dtype() {
            DType::F64 if SHARE * inputs > evaluations => Err(format!(
                "inputs of {inputs} numbers would take longer than the searches; `bound` takes its time"
            )),
            DType::F64 => {
                Linearizer::new(network, Budget::default()).map_err(|error| error.to_string())
            }
            _ => Err("only in float64 (--dtype f64) anything is proved".into()),
        };
        let time = Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|time| !time.is_zero());
        let limits = match time {
            Some(_) => Limits {
                time,
                ..Limits::default()
            },
            None => Limits::ROOT,
        };
        Self {
            linearizer,
            domain: domain.cloned(),
            eps,
            limits,
        }
    }

    /// A bound of the l1 change of an output's gradient in the ball around `x` `[in...]`, or why there is none.
    pub(super) fn bound(&self, x: &Tensor, output: u32) -> Result<f64, String> {
        let linearizer = self.linearizer.as_ref().map_err(String::clone)?;
        let found = || -> loclin_regions::Result<_> {
            let mut here = linearizer.at(&x.unsqueeze(0)?)?;
            if let Some(domain) = &self.domain {
                here = here.within(domain.clone())?;
            }
            let weights = one_output(here.network().output_size(), output as usize);
            let question = Question::Change {
                weights,
                norm: Norm::L1,
            };
            here.surroundings(0, Norm::LINF)?
                .bound(self.eps, &question, self.limits)
        };
        let bound = found().map_err(|error| error.to_string())?;
        match bound.guarantee {
            Guarantee::Proved => Ok(bound.proved),
            _ => Err("rounding errors of this network are not bounded".into()),
        }
    }
}
